"""`halluapp halluspace`: Nullu's HalluSpace from preference pairs. `calibrate` is its old name."""

from __future__ import annotations

from pathlib import Path

from halluapp.cli import common

POOLINGS = ("answer_mean", "answer_last", "all", "authors")


def add(commands) -> None:
    """Adds the command under both names."""
    _add(commands, "halluspace", "compute Nullu's HalluSpace from preference pairs", run)
    _add(commands, "calibrate", "old name of halluspace (it has nothing to do with calibrated decoding)", _run_old)


def _add(commands, name: str, about: str, handler) -> None:
    command = common.add_command(commands, name, about, handler)
    command.add_argument("pairs", type=Path, help=".jsonl (image, question, chosen, rejected), or a set like RLHF-V")
    common.add_output(command, "--out", help="file of the HalluSpace (default: where the model looks for it)")
    command.add_argument("--rank", type=int, default=8)
    command.add_argument("--layers", default="", help="A-B, zero-based, both included (default: upper half)")
    command.add_argument("--pooling", default="answer_mean", choices=POOLINGS)
    command.add_argument("--limit", type=int, default=0, help="first N pairs only (0: all)")


def _run_old(options) -> int:
    common.log("`calibrate` is now called `halluspace`: it computes Nullu's HalluSpace, not calibrated decoding.")
    return run(options)


def run(options) -> int:
    """Computes the HalluSpace, prints its directions -> exit code."""
    from halluapp.training.hallu_space import command, directions

    space, out = command.compute_from_file(
        options.pairs, options.out, common.settings_of(options), options.rank, options.layers, options.pooling,
        options.limit, common.log,
    )  # fmt: skip
    files = [out, *common.write_json(space.about, options.out_json)]
    print(directions.table(space.about))
    if options.out is None:
        print("Compare and all other commands use it from now on with this model.")
    common.print_files(files)
    return 0
