"""The blocks of docs/ that come out of the code: `python tests/helpers/documents.py` writes them, tests compare them.

A block stands between `<!-- NAME -->` and `<!-- /NAME -->`. Help texts are laid out here, because argparse's own layout
differs between versions of Python.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS, README = ROOT / "docs", ROOT / "README.md"


def command_line() -> str:
    """All commands with their arguments, from the parser of `halluapp`."""
    from halluapp.cli.main import parser

    return "\n\n".join(_commands(parser()))


def _commands(parser: argparse.ArgumentParser, about: str = "") -> Iterator[str]:
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield _command(parser, about)
    for group in groups:
        sentences = {choice.dest: choice.help for choice in group._choices_actions}
        for name, command in group.choices.items():
            yield from _commands(command, sentences.get(name) or "")


def _command(parser: argparse.ArgumentParser, about: str) -> str:
    """Heading with the required arguments, one sentence, and a table of the others."""
    arguments = [a for a in parser._actions if a.help != argparse.SUPPRESS and not isinstance(a, argparse._HelpAction)]
    required = [action for action in arguments if action.required or not action.option_strings]
    usage = " ".join([parser.prog, *(_signature(action) for action in required)])
    sentence = " ".join((about or parser.description or "").split())
    lines = [f"### `{usage}`", "", sentence[:1].upper() + sentence[1:] + ("" if sentence.endswith(".") else "."), ""]
    rows = [f"| `{_signature(action)}` | {_meaning(action)} |" for action in arguments if _meaning(action)]
    if rows:
        lines += ["| argument | meaning |", "|---|---|", *rows]
    return "\n".join(lines).strip()


def _signature(action: argparse.Action) -> str:
    name = ", ".join(action.option_strings)
    if action.nargs == 0:
        return name
    value = str(action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper()))
    return f"{name} {value}".strip().replace("|", "\\|")


def _meaning(action: argparse.Action) -> str:
    text = " ".join((action.help or "").split()).replace("|", "\\|")
    shown = not (action.default in (None, False, "", []) or "default" in text)
    return f"{text} (default: {action.default})".strip() if shown else text


def import_law() -> str:
    """Which room may import which, as docs/import-law.toml has it."""
    from import_graph import law

    rooms = law()["may_import"]
    rows = [f"| `{room}` | {', '.join(f'`{other}`' for other in others) or '–'} |" for room, others in rooms.items()]
    return "\n".join(["| room | may import |", "|---|---|", *rows])


def measured() -> str:
    """Tables of the embedded model's figures, as `python -m halluapp.recipes.pocket measure` writes them."""
    from halluapp.recipes.pocket import model_card

    return model_card.tables(json.loads((ROOT / "assets/pocket/measured.json").read_text("utf-8")))


def families() -> str:
    """What can be loaded, and what the tests try of it."""
    from families_table import table

    return table()


def example() -> str:
    """What the README's command prints on the embedded model; without seconds, which differ by machine."""
    from halluapp.cli.main import main

    command = re.search(r"^\.venv/bin/python -m halluapp (compare assets/.*)$", README.read_text("utf-8"), re.MULTILINE)
    arguments = [str(ROOT / part) if part.startswith("assets/") else part for part in shlex.split(command[1])]
    with redirect_stdout(io.StringIO()) as output:
        main([*arguments, "--model", "pocket"])
    text = re.sub(r"  \(\d+\.\d+ s\)$", "", output.getvalue().strip(), flags=re.MULTILINE)
    return f"```text\n{text}\n```"


BLOCKS = {
    "example": (README, example),
    "commands": (DOCS / "command-line.md", command_line),
    "families": (DOCS / "families.md", families),
    "import law": (DOCS / "architecture.md", import_law),
    "measured": (DOCS / "results.md", measured),
}


def block(path: Path, name: str) -> str:
    """What stands between the marks of a block."""
    match = re.search(f"<!-- {name} -->\n(.*?)\n?<!-- /{name} -->", path.read_text("utf-8"), re.DOTALL)
    assert match, f"{path.name} has no block <!-- {name} -->"
    return match[1]


def write() -> None:
    """Writes every block."""
    for name, (path, text) in BLOCKS.items():
        before, _, after = path.read_text("utf-8").partition(f"<!-- {name} -->\n")
        after = after.partition(f"<!-- /{name} -->")[2]
        path.write_text(f"{before}<!-- {name} -->\n{text()}\n<!-- /{name} -->{after}", encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    write()
