"""The command line (`--help` lists the commands). Exit code 0, or 2 with one clear line on bad input."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from halluapp.errors import InputError
from halluapp.settings import Settings


def main(arguments: list[str] | None = None) -> int:
    """Runs one command -> exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except (InputError, ValueError) as error:
        print(f"halluapp: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"halluapp: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="halluapp", description=__import__("halluapp").__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    compare = _command(commands, "compare", "one photo, one prompt, all methods", _compare)
    compare.add_argument("photo", type=Path)
    compare.add_argument("--prompt", required=True)
    _add_methods(compare)
    compare.add_argument("--max-new-tokens", type=int, default=80)
    compare.add_argument("--temperature", type=float, default=0.0)
    compare.add_argument("--top-p", type=float, default=1.0)
    compare.add_argument("--top-k", type=int, default=0)
    compare.add_argument("--seed", type=int, default=0)
    compare.add_argument(
        "--repetition-penalty", type=float, default=0.0, help="1 to 2 for every method (default: each method's own)"
    )
    compare.add_argument("--stop", action="append", default=[], metavar="TEXT", help="ends an answer; may be repeated")
    compare.add_argument("--html", type=Path, metavar="OUT", help="the comparison as one HTML page, photo included")
    compare.add_argument("--markdown", type=Path, metavar="OUT", help="the comparison as Markdown")
    evaluate = _command(commands, "evaluate", "CHAIR and yes/no accuracy of all methods on annotated photos", _evaluate)
    evaluate.add_argument("data", type=Path, help="folder or tar shards of KEY.jpg + KEY.json")
    evaluate.add_argument("--metrics", default="chair,pope")
    _add_methods(evaluate)
    evaluate.add_argument("--limit", type=int, default=0, help="first N photos only (0: all)")
    evaluate.add_argument("--seed", type=int, default=0)
    search = _command(commands, "search", "tune a method on some photos, test it on the others", _search)
    search.add_argument("data", type=Path, help="folder or tar shards of KEY.jpg + KEY.json")
    search.add_argument("--method", required=True, help="a name, nullu+vdd for a stacked one")
    search.add_argument(
        "--grid", action="append", default=[], metavar="KEY=VALUE,..",
        help="a parameter of the method, temperature, top_p, top_k or repetition_penalty; may be repeated",
    )  # fmt: skip
    search.add_argument("--objective", default="chair_i", help="chair_i, chair_s, recall, accuracy or f1")
    search.add_argument("--tuning-share", type=float, default=0.5, help="share of the photos that choose")
    search.add_argument("--one-at-a-time", action="store_true", help="vary one key, the others at their defaults")
    search.add_argument("--limit", type=int, default=0, help="first N photos only (0: all)")
    search.add_argument("--seed", type=int, default=0, help="of the split, the questions and the sampling")
    calibrate = _command(commands, "calibrate", "compute a HalluSpace from pairs", _calibrate)
    calibrate.add_argument("pairs", type=Path, help=".jsonl (image, question, chosen, rejected), or a set like RLHF-V")
    calibrate.add_argument("--out", type=Path, required=True)
    calibrate.add_argument("--rank", type=int, default=8)
    calibrate.add_argument("--layers", default="", help="A-B, zero-based, both included (default: upper half)")
    calibrate.add_argument("--pooling", default="answer_mean", choices=("answer_mean", "answer_last", "all", "authors"))
    calibrate.add_argument("--limit", type=int, default=0, help="first N pairs only (0: all)")
    from halluapp.training import command as training

    train = commands.add_parser("train", help="short CHiP, HACL and AdaVIB runs, and pairs for them")
    train.set_defaults(run=lambda options: options.train(options))
    training.add(train)
    bench = _command(commands, "bench", "all panels against one plain generate, in one run", _bench)
    bench.add_argument("--new-tokens", type=int, default=60)
    bench.add_argument("--rounds", type=int, default=7)
    bench.add_argument("--profile", action="store_true", help="also which operations five panels spend their time in")
    pocket = _command(commands, "pocket", "rebuild the embedded model", _pocket)
    pocket.add_argument(
        "action",
        choices=("train", "finish", "adapters", "measure"),
        help="finish: from the last checkpoint; adapters: AdaVIB, CHiP and HACL anew; measure: numbers only",
    )
    pocket.add_argument("--data", type=Path, required=True, help="folder of the photo shards")
    pocket.add_argument(
        "--captions", type=Path, help="text file, a caption a line (default: ../text/captions.txt of DATA)"
    )
    pocket.add_argument("--work", type=Path, default=Path("runs/pocket"), help="features and checkpoints")
    return parser


def _command(commands, name: str, help: str, run) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=help, description=help)
    command.set_defaults(run=run)
    if name != "pocket":
        command.add_argument("--model", default=None, help="pocket (embedded), auto (what fits), a hub id or a folder")
        command.add_argument("--quantization", choices=("nf4", "int8", "none"), default=None)
        command.add_argument("--json", type=Path, dest="out_json", metavar="OUT")
    return command


def _add_methods(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--methods",
        default=None,
        help="names separated by commas, nullu+vdd for a stacked panel (default: the five panels of the page)",
    )
    command.add_argument("--set", action="append", default=[], metavar="METHOD.PARAMETER=VALUE", dest="assignments")
    command.add_argument(
        "--adapter", action="append", default=[], type=Path, metavar="FOLDER",
        help="a training run, or a peft adapter, as the further method adapter:FOLDERNAME; may be repeated",
    )  # fmt: skip


def _settings(options) -> Settings:
    settings = Settings.from_environment()
    changes = {"model": options.model, "quantization": options.quantization}
    return replace(settings, **{key: value for key, value in changes.items() if value is not None})


def _methods(options) -> list:
    """Method objects from --methods and --set."""
    from halluapp.methods import assignments

    adapters = [f"adapter:{_adapter_name(folder)}" for folder in options.adapter]
    names = assignments.names_from(options.methods, adapters)
    return assignments.methods(names, assignments.parse(options.assignments))


def _adapter_name(folder: Path) -> str:
    folder = folder.resolve()
    return folder.parent.name if folder.name == "adapter" else folder.name


def _load(options):
    """The model with the adapters of --adapter."""
    from halluapp import comparison
    from halluapp.lvlm import adapters

    loaded = comparison.load(_settings(options))
    for folder in options.adapter:
        name, inner = _adapter_name(folder), folder / "adapter"
        loaded.lvlm.adapters[name] = adapters.load(loaded.lvlm, inner if inner.is_dir() else folder, name)
    return loaded


def _write(result: dict, path: Path | None) -> None:
    if path:
        path.write_text(json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
        print(f"wrote {path}")


def _compare(options) -> int:
    from halluapp import comparison
    from halluapp.decoding.events import Done

    request = comparison.make_request(
        options.photo, options.prompt, _methods(options), options.max_new_tokens, options.temperature, options.top_p,
        options.top_k, options.seed, repetition_penalty=options.repetition_penalty, stop=options.stop,
    )  # fmt: skip
    loaded = _load(options)
    if loaded.notice:
        print(loaded.notice, file=sys.stderr)
    for event in comparison.stream(request, loaded):
        if isinstance(event, Done):
            for panel in event.report["panels"]:
                _print_panel(panel)
            _write(event.report, options.out_json)
            _export(event.report, request.photo, options)
    return 0


def _export(made: dict, photo, options) -> None:
    from halluapp import report
    from halluapp.photos import small_jpeg

    if options.html:
        options.html.write_text(report.html(made, small_jpeg(photo)), encoding="utf-8")
        print(f"wrote {options.html}")
    if options.markdown:
        options.markdown.write_text(report.markdown(made), encoding="utf-8")
        print(f"wrote {options.markdown}")


def _print_panel(panel: dict) -> None:
    signs = {"grounded": "✓", "contradicted": "✗", "not checkable": "?"}
    print(f"\n{panel['method']}  ({panel['seconds'] or 0:.2f} s)")
    print(f"  {panel['error'] or panel['text']}")
    marks = [f"{signs[m['verdict']]} {m['text']}" for m in panel["mentions"]]
    if marks:
        print("  " + "  ".join(marks))
    for token in panel["tokens"][:1]:
        if labels := token["notes"].get("labels"):
            for name, *values in zip(labels["labels"], labels["before"], labels["prior"], labels["after"], strict=True):
                print("  {}: with photo {:.2f}, prior {:.2f}, calibrated {:.2f}".format(name, *values))


def _evaluate(options) -> int:
    from halluapp.evaluation import harness

    if not options.data.exists():  # before a model is loaded for nothing
        raise InputError(f"No data at {options.data}: give a folder or a .tar of KEY.jpg + KEY.json files.")
    result = harness.evaluate(
        options.data,
        [metric.strip() for metric in options.metrics.split(",")],
        _methods(options),
        limit=options.limit,
        seed=options.seed,
        loaded=_load(options),
        log=lambda line: print(line, file=sys.stderr, flush=True),
    )
    print(harness.table(result))
    _write(result, options.out_json)
    return 0


def _search(options) -> int:
    from halluapp import comparison
    from halluapp.evaluation import search

    grid = search.parse_grid(options.grid)
    search.configurations(options.method, grid, options.one_at_a_time, options.seed)  # before a model is loaded
    if not options.data.exists():
        raise InputError(f"No data at {options.data}: give a folder or a .tar of KEY.jpg + KEY.json files.")
    result = search.search(
        options.data, options.method, grid, options.objective, options.tuning_share, options.one_at_a_time,
        options.limit, options.seed, comparison.load(_settings(options)),
        log=lambda line: print(line, file=sys.stderr, flush=True),
    )  # fmt: skip
    print(search.table(result))
    _write(result, options.out_json)
    return 0


def _calibrate(options) -> int:
    from halluapp.training import calibrate

    space = calibrate.run(
        options.pairs, options.out, _settings(options), options.rank, options.layers, options.pooling, options.limit
    )
    from halluapp.training.directions import table

    print(table(space.about))
    print(f"wrote {options.out}")
    _write(space.about, options.out_json)
    return 0


def _bench(options) -> int:
    from halluapp import bench

    result = bench.run(_settings(options), options.new_tokens, options.rounds, options.profile)
    for key, value in result.items():
        print(f"{key}: {value}")
    _write(result, options.out_json)
    return 0


def _pocket(options) -> int:
    from halluapp.pocket import recipe

    recipe.run(options.action, options.data, options.captions, options.work, Settings.from_environment().assets)
    return 0
