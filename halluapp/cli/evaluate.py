"""`halluapp evaluate`: CHAIR and yes/no accuracy on annotated photos."""

from __future__ import annotations

from pathlib import Path

from halluapp.cli import common

HALVES = ("all", "reported", "calibrated")


def add(commands) -> None:
    """Adds the command."""
    about = "CHAIR and yes/no accuracy of the chosen methods on annotated photos"
    command = common.add_command(commands, "evaluate", about, run)
    command.add_argument("data", type=Path, help=common.PHOTO_DATA)
    command.add_argument("--metrics", default="chair,pope", help="chair, pope or both")
    common.add_methods(command)
    command.add_argument(
        "--verdicts", action="store_true", help="instead: how right the page's verdicts are, with --half and --plot"
    )
    command.add_argument(
        "--half", choices=HALVES, default="all", help="of the development sets: what calibrated, or not"
    )
    command.add_argument("--plot", type=Path, metavar="OUT", help="precision against coverage, and reliability, as SVG")
    command.add_argument("--limit", type=int, default=0, help="first N photos only (0: all)")
    command.add_argument("--seed", type=int, default=0, help="of the questions and the intervals")


def run(options) -> int:
    """Decodes all photos and questions, prints the table -> exit code."""
    from halluapp.evaluation import harness

    common.check_data(options.data)
    if options.verdicts:
        return _verdicts(options)
    result = harness.evaluate(
        options.data,
        [metric.strip() for metric in options.metrics.split(",")],
        common.methods_of(options),
        limit=options.limit,
        seed=options.seed,
        session=common.session_of(options),
        log=common.log,
    )
    print(harness.table(result))
    common.write_json(result, options.out_json)
    return 0


def _verdicts(options) -> int:
    from halluapp.evaluation import judging, verdict_plot, verdicts

    result = judging.evaluate_verdicts(
        options.data, common.methods_of(options), options.limit, options.seed, common.session_of(options), options.half,
        log=common.log,
    )  # fmt: skip
    print(verdicts.table(result))
    common.write_json(result, options.out_json)
    if options.plot:
        common.write(verdict_plot.plot(result), options.plot)
    return 0
