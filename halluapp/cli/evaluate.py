"""`halluapp evaluate`: CHAIR and yes/no accuracy on annotated photos."""

from __future__ import annotations

from pathlib import Path

from halluapp.cli import common


def add(commands) -> None:
    """Adds the command."""
    about = "CHAIR and yes/no accuracy of the chosen methods on annotated photos"
    command = common.add_command(commands, "evaluate", about, run)
    command.add_argument("data", type=Path, help=common.PHOTO_DATA)
    command.add_argument("--metrics", default="chair,pope", help="chair, pope or both")
    common.add_methods(command)
    command.add_argument("--limit", type=int, default=0, help="first N photos only (0: all)")
    command.add_argument("--seed", type=int, default=0, help="of the questions and the intervals")


def run(options) -> int:
    """Decodes all photos and questions, prints the table -> exit code."""
    from halluapp.evaluation import harness

    common.check_data(options.data)
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
