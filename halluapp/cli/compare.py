"""`halluapp compare`: one photo and one prompt under the chosen methods."""

from __future__ import annotations

from pathlib import Path

from halluapp.cli import common
from halluapp.data.files import write_text
from halluapp.errors import InputError


def add(commands) -> None:
    """Adds the command."""
    command = common.add_command(commands, "compare", "one photo, one prompt, the chosen methods side by side", run)
    command.add_argument("photo", type=Path, help="JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF")
    command.add_argument("--prompt", required=True, help="a question or a request about the photo")
    common.add_methods(command)
    command.add_argument("--max-new-tokens", type=int, default=80, help="most tokens of an answer")
    command.add_argument("--temperature", type=float, default=0.0, help="0 decodes greedily (default: 0)")
    command.add_argument("--top-p", type=float, default=1.0, help="nucleus of the sampling")
    command.add_argument("--top-k", type=int, default=0, help="tokens that are sampled from (0: no limit)")
    command.add_argument("--seed", type=int, default=0, help="of the sampling")
    command.add_argument(
        "--samples", type=int, default=1, metavar="N",
        help="answers of every method, with the seeds SEED, SEED + 1, ..; above temperature 0 (default: 1)",
    )  # fmt: skip
    command.add_argument(
        "--repetition-penalty",
        type=float,
        default=0.0,
        help="1 to 2 for every chosen method (default: the value of each method)",
    )
    command.add_argument("--stop", action="append", default=[], metavar="TEXT", help="ends an answer; may be repeated")
    common.add_output(command, "--html", metavar="OUT", help="the comparison as one HTML page, photo included")
    common.add_output(command, "--markdown", metavar="OUT", help="the comparison as Markdown")


def run(options) -> int:
    """Decodes, prints the panels and writes the files of the options -> exit code."""
    from halluapp import comparison
    from halluapp.decoding.events import Done
    from halluapp.request import make_request

    if not options.temperature and (options.top_p != 1 or options.top_k):
        raise InputError("--top-p and --top-k choose among sampled tokens; add --temperature 1, or leave them out.")
    request = make_request(
        options.photo, options.prompt, common.methods_of(options), options.max_new_tokens, options.temperature,
        options.top_p, options.top_k, options.seed, repetition_penalty=options.repetition_penalty, stop=options.stop,
        samples=options.samples,
    )  # fmt: skip
    session = common.session_of(options)
    if session.notice:
        common.log(session.notice)
    for event in comparison.stream(request, session):
        if isinstance(event, Done):
            files = [*common.write_json(event.report, options.out_json), *_export(event.report, request.photo, options)]
            for panel in event.report["panels"]:  # after the files: a console may go away
                _print_panel(panel)
            common.print_files(files)
    return 0


def _export(comparison_report: dict, photo, options) -> list[Path]:
    from halluapp import report
    from halluapp.data.photos import small_jpeg

    if options.html:
        write_text(options.html, report.html(comparison_report, small_jpeg(photo)))
    if options.markdown:
        write_text(options.markdown, report.markdown(comparison_report))
    return [path for path in (options.html, options.markdown) if path]


def _print_panel(panel: dict) -> None:
    print(f"\n{panel['method']}  ({panel['seconds'] or 0:.2f} s)")
    _print_answer(panel)
    for sample in panel["samples"]:
        print(f"  seed {sample['seed']}:")
        _print_answer(sample)
    if one := panel["spread"]:
        _print_spread(one)


def _print_spread(spread: dict) -> None:
    if spread["mean"] is not None and spread["deviation"] is not None:
        inventions = f"{spread['mean']:.1f} ± {spread['deviation']:.1f} (sd) of {spread['named']:.1f}"
        print(f"  expected inventions of {spread['n']} samples {inventions}; {spread['words']:.0f} words")
    if one := spread["difference"]:
        print(f"  against the baseline {one['value']:+.1f} [{one['low']:+.1f}, {one['high']:+.1f}], paired by seed")


def _print_answer(answer: dict) -> None:
    signs = {"grounded": "✓", "contradicted": "✗", "not sure": "~", "not checkable": "?"}
    print(f"  {answer['error'] or answer['text']}")
    marks = [f"{signs[m['verdict']]} {m['text']}" for m in answer["mentions"]]
    if marks:
        print("  " + "  ".join(marks))
    if one := answer["inventions"]:
        print(f"  expected inventions {one['expected']:.1f} [{one['low']:.1f}, {one['high']:.1f}] of {one['named']}")
    if one := answer["answer"]:
        print(f"  the answer {one['answer']!r} is {one['verdict']}: {one['reason']}")
    for token in answer["tokens"][:1]:
        if labels := token["notes"].get("labels"):
            for name, *values in zip(labels["labels"], labels["before"], labels["prior"], labels["after"], strict=True):
                print("  {}: with photo {:.2f}, prior {:.2f}, calibrated {:.2f}".format(name, *values))
