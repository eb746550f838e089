"""`halluapp bench`: speed and memory of the panels against plain `generate`."""

from __future__ import annotations

from halluapp.cli import common


def add(commands) -> None:
    """Adds the command."""
    command = common.add_command(commands, "bench", "panels against one plain generate, in one run", run)
    command.add_argument("--new-tokens", type=int, default=60)
    command.add_argument("--rounds", type=int, default=7)
    command.add_argument("--profile", action="store_true", help="also which operations five panels spend their time in")


def run(options) -> int:
    """Measures, prints one figure a line -> exit code."""
    from halluapp import bench

    result = bench.run(common.settings_of(options), options.new_tokens, options.rounds, options.profile)
    files = common.write_json(result, options.out_json)
    for key, value in result.items():
        if key != "left_out":
            print(f"{key}: {value}")
    for name, sentence in result["left_out"].items():
        print(f"left out: {name} ({sentence})")
    common.print_files(files)
    return 0
