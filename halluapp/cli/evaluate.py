"""`halluapp evaluate`: CHAIR and yes/no accuracy on annotated photos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from halluapp.cli import common
from halluapp.data.files import write_text
from halluapp.errors import InputError
from halluapp.evaluation.halves import HALVES


def add(commands) -> None:
    """Adds the command."""
    about = "CHAIR and yes/no accuracy of the chosen methods on annotated photos"
    command = common.add_command(commands, "evaluate", about, run)
    command.add_argument("data", type=Path, help=common.PHOTO_DATA)
    command.add_argument("--metrics", default="chair,pope", help="chair, pope or both")
    common.add_methods(command)
    common.add_answers(command, "; a complete file, or one of another program, is scored without a model")
    command.add_argument(
        "--verdicts", action="store_true", help="instead: how right the page's verdicts are, with --plot"
    )
    command.add_argument(
        "--half", choices=HALVES, default="all", help="of the photos: what was chosen on (calibrated), or not"
    )
    common.add_output(command, "--plot", metavar="OUT", help="precision against coverage, and reliability, as SVG")
    common.add_output(command, "--markdown", metavar="OUT", help="the comparison with the baseline as a Markdown table")
    command.add_argument("--limit", type=int, default=0, help="first N photos only (0: all)")
    command.add_argument("--seed", type=int, default=0, help="of the questions and the intervals")


def run(options) -> int:
    """Decodes all photos and questions, or scores answers that are there; prints the table -> exit code."""
    from halluapp.evaluation.scores import tables

    common.check_data(options.data)
    _check_verdict_flags(options)
    if options.verdicts:
        return _verdicts(options)
    metrics = [metric.strip().lower() for metric in options.metrics.split(",")]
    methods, path = common.methods_of(options), common.answers_path(options)
    result = _score_saved(options, metrics) or _decode(options, metrics, methods, path)
    return _end(options, result, tables.table(result), options.markdown, tables.markdown)


def _check_verdict_flags(options) -> None:
    """Raises InputError for a flag of the one kind of evaluation beside the other."""
    if options.verdicts and options.answers:
        raise InputError("--verdicts decodes with what the page shows, so it keeps no answers; leave --answers out.")
    if options.verdicts and options.markdown:
        raise InputError(
            "--markdown is the table of methods; with --verdicts leave it out (--json and --plot are written)."
        )
    if not options.verdicts and options.plot:
        raise InputError("--plot belongs to --verdicts; add it, or leave it out.")


def _verdicts(options) -> int:
    from halluapp.evaluation import judging, verdict_plot, verdicts

    result = judging.evaluate_verdicts(
        options.data, common.methods_of(options), options.limit, options.seed, common.session_of(options), options.half,
        log=common.log,
    )  # fmt: skip
    return _end(options, result, verdicts.table(result), options.plot, verdict_plot.plot)


def _end(options, result: dict, table: str, path: Path | None, form: Callable[[dict], str]) -> int:
    """Writes JSON and, where there is a path, another form of the result; prints the table -> exit code."""
    files = common.write_json(result, options.out_json)
    if path:
        write_text(path, form(result))
        files.append(path)
    print(table)
    common.print_files(files)
    return 0


def _decode(options, metrics: list[str], methods: list, path: Path | None) -> dict:
    from halluapp.evaluation import harness
    from halluapp.evaluation.answers.store import AnswersStore

    store = AnswersStore(path) if path else None  # before a model is loaded: it may be another kind of file
    return harness.evaluate(
        options.data, metrics, methods, limit=options.limit, seed=options.seed, session=common.session_of(options),
        log=common.log, store=store, half=options.half,
    )  # fmt: skip


def _score_saved(options, metrics: list[str]) -> dict | None:
    """Scores of what --answers holds; None where it has to be decoded: no file yet, or an evaluation to go on with."""
    from halluapp.evaluation.answers import lines
    from halluapp.evaluation.answers import saved as saved_answers

    if not (options.answers and options.answers.exists() and options.answers.stat().st_size):
        return None
    saved = lines.read(options.answers)
    decoding = [flag for flag, value in (
        ("--methods", options.methods), ("--set", options.assignments), ("--adapter", options.adapter),
        ("--model", options.model), ("--quantization", options.quantization),
    ) if value]  # fmt: skip
    if saved.ours and decoding:
        return None
    if decoding:
        raise InputError(
            f"{options.answers} holds answers of another program, scored as they are; leave {decoding[0]} out."
        )
    try:
        notes: list[str] = []
        result, complete = saved_answers.score(
            saved, options.data, metrics, options.limit, options.seed, notes.append, options.half
        )
    except InputError:
        if saved.ours:
            return None
        raise
    if saved.ours and not complete:
        return None
    for line in notes:
        common.log(line)
    common.log(f"scored the answers in {options.answers}; no model was loaded")
    return result
