"""`halluapp votes` and `halluapp results`: the table of blind votes, and the comparisons that a server keeps."""

from __future__ import annotations

import csv
import sys
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from halluapp.cli import common
from halluapp.data.files import write_text
from halluapp.errors import InputError
from halluapp.settings import Settings

if TYPE_CHECKING:
    from halluapp.results import Store

STORE = "folder of a server's results (default: HALLUAPP_RESULTS)"
NO_STORE = "Which results? Give --results FOLDER, or set HALLUAPP_RESULTS."
NO_FILES = "Whose votes? Give reports as JSON, or --results FOLDER."
DAMAGED = "The result {name} is damaged and left out; `halluapp results delete {name}` removes it."
MOST_LISTED = 10**6
COLUMNS = ("id", "date", "model", "photo", "prompt", "methods", "votes")


def add(commands) -> None:
    """Adds both commands."""
    about = "strengths of the methods in blind votes, and the agreement of people with the judge"
    votes = commands.add_parser("votes", help=about, description=about)
    votes.set_defaults(run=run_votes)
    votes.add_argument("reports", nargs="*", type=Path, metavar="FILE", help="reports as JSON, saved on the page")
    votes.add_argument(
        "--results", type=Path, metavar="FOLDER", help="the votes in a server's store of results as well"
    )
    common.add_output(votes, "--json", dest="out_json", metavar="OUT", help="the table as JSON, schema 1")
    _add_results(commands)


def _add_results(commands) -> None:
    about = "the finished comparisons that a server keeps (HALLUAPP_RESULTS)"
    results = commands.add_parser("results", help=about, description=about)
    parts = results.add_subparsers(dest="part", required=True, metavar="PART")
    listing = parts.add_parser("list", help="every kept comparison as a line of CSV, the newest first")
    listing.set_defaults(run=run_list)
    export = parts.add_parser("export", help="one comparison with its votes as files")
    export.set_defaults(run=run_export)
    export.add_argument("id", help="of `results list`, or the end of its link")
    common.add_output(export, "--json", dest="out_json", metavar="OUT", help="the report as JSON, schema 1")
    common.add_output(export, "--html", metavar="OUT", help="one HTML page, photo included")
    deletion = parts.add_parser("delete", help="removes a comparison with its photo and its votes for good")
    deletion.set_defaults(run=run_delete)
    deletion.add_argument("id", help="of `results list`, or the end of its link")
    for part in (listing, export, deletion):
        part.add_argument("--results", type=Path, metavar="FOLDER", help=STORE)


def _store(options) -> Store:
    folder = options.results or Settings.from_environment().results
    if folder is None:
        raise InputError(NO_STORE)
    from halluapp.results import Store

    return Store.existing(folder)


def run_votes(options) -> int:
    """Prints the table -> exit code."""
    from halluapp import votes
    from halluapp.results import Store

    folder = options.results or (None if options.reports else Settings.from_environment().results)
    if folder is None and not options.reports:
        raise InputError(NO_FILES)
    damage: list[str] = []
    result = votes.tally(_reports(options.reports, Store.existing(folder) if folder else None, damage))
    for name in damage:
        print(DAMAGED.format(name=name), file=sys.stderr)
    files = common.write_json(result, options.out_json)
    print("\n".join(votes.as_lines(result)))
    common.print_files(files)
    return 0


def _reports(paths: list[Path], store: Store | None, damage: list[str]) -> Iterator[dict[str, Any]]:
    from halluapp import report

    for path in paths:
        yield report.load(path).model_dump()
    if store:
        yield from store.with_votes(damage)


def run_list(options) -> int:
    """Prints CSV -> exit code."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in _store(options).newest(MOST_LISTED):
        date = row["date"] or datetime.fromtimestamp(row["added"], UTC).isoformat(timespec="seconds")
        cells = {**row, "date": date, "methods": " ".join(row["methods"])}
        writer.writerow([_cell(cells[name]) for name in COLUMNS])
    return 0


def _cell(value: Any) -> Any:
    """A text that no spreadsheet takes for a formula, on one line, without a terminal's control characters: prompts and
    names are a visitor's."""
    if not isinstance(value, str):
        return value
    text = "".join(letter for letter in " ".join(value.split()) if unicodedata.category(letter) != "Cc")
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def run_export(options) -> int:
    """Writes the files -> exit code."""
    from halluapp import report

    if not options.out_json and not options.html:
        raise InputError("Where to? Give --json OUT or --html OUT.")
    result = _store(options).report(options.id)
    files = common.write_json(result, options.out_json)
    if options.html:
        write_text(options.html, report.html(result, report.preview_bytes(result)))
        files.append(options.html)
    common.print_files(files)
    return 0


def run_delete(options) -> int:
    """Deletes a result -> exit code."""
    _store(options).delete(options.id)
    print(f"deleted {options.id}")
    return 0
