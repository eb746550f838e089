"""`halluapp search`: a method's parameters, chosen on some photos and tested on the others."""

from __future__ import annotations

from pathlib import Path

from halluapp.cli import common
from halluapp.session import load_session


def add(commands) -> None:
    """Adds the command."""
    command = common.add_command(commands, "search", "tune a method on some photos, test it on the others", run)
    command.add_argument("data", type=Path, help=common.PHOTO_DATA)
    command.add_argument("--method", required=True, help="a name, nullu+vdd for a stacked one")
    command.add_argument(
        "--grid", action="append", default=[], metavar="KEY=VALUE,..",
        help="a parameter of the method, temperature, top_p, top_k or repetition_penalty; may be repeated",
    )  # fmt: skip
    common.add_answers(command)
    command.add_argument("--objective", default="chair_i", help="chair_i, chair_s, recall, accuracy or f1")
    command.add_argument("--tuning-share", type=float, default=0.5, help="share of the photos that choose")
    command.add_argument("--one-at-a-time", action="store_true", help="vary one key, the others at their defaults")
    command.add_argument("--limit", type=int, default=0, help="first N photos only (0: all)")
    command.add_argument("--seed", type=int, default=0, help="of the split, the questions and the sampling")


def run(options) -> int:
    """Searches, prints the table -> exit code."""
    from halluapp.evaluation import search
    from halluapp.evaluation.answers.store import AnswersStore
    from halluapp.methods.registry import canonical

    grid = search.parse_grid(options.grid)
    method = canonical(options.method)
    search.configurations(method, grid, options.one_at_a_time, options.seed)  # before a model is loaded
    common.check_data(options.data)
    path = common.answers_path(options)
    store = AnswersStore(path) if path else None
    result = search.search(
        options.data, method, grid, options.objective, options.tuning_share, options.one_at_a_time,
        options.limit, options.seed, load_session(common.settings_of(options)), log=common.log, store=store,
    )  # fmt: skip
    files = common.write_json(result, options.out_json)
    print(search.table(result))
    common.print_files(files)
    return 0
