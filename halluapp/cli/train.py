"""`python -m halluapp train ...`: runs, pairs, before-and-after numbers and the step benchmark."""

from __future__ import annotations

import argparse
import json
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

from halluapp.cli import common
from halluapp.errors import InputError
from halluapp.settings import Settings
from halluapp.training import recipes


def add(commands) -> None:
    """Adds the command with its own subcommands, and a flag for every setting of a recipe."""
    titles = [recipe.title for recipe in recipes.RECIPES.values()]
    about = f"short {', '.join(titles[:-1])} and {titles[-1]} runs, and pairs for them"
    command = commands.add_parser("train", help=about, description=about)
    command.set_defaults(run=lambda options: options.train(options))
    subcommands = command.add_subparsers(dest="what", required=True)
    for kind, recipe in recipes.RECIPES.items():
        _add_run(subcommands, kind, recipe)
    _add_pairs(subcommands)
    _add_run_commands(subcommands)
    _add_plan(subcommands)
    _add_bench(subcommands)


_DEFAULT_OUT = (
    "a new one in the folder of runs",
    "a new one in the folder of runs, and its projector where the model looks for it",
)


def _add_run(subcommands, kind: str, recipe: type[recipes.Recipe]) -> None:
    about = recipe.__doc__ or ""
    run = subcommands.add_parser(kind, help=about.splitlines()[0], description=about)
    run.set_defaults(train=_run)
    run.add_argument("--data", default="", help="folder with pairs.jsonl, a JSONL or parquet file, or a hub id")
    run.add_argument("--out", type=Path, help=f"folder of the run (default: {_DEFAULT_OUT[kind == 'adavib']})")
    run.add_argument("--resume", action="store_true", help="go on with the run in OUT")
    run.add_argument("--wait", action="store_true", help="wait while another run trains")
    run.add_argument("--launched", action="store_true", help=argparse.SUPPRESS)  # by `runs.launch`, which made OUT
    run.add_argument("--photo", default="", help="photo to caption while training (default: a held-out one)")
    _add_model(run)
    for item in fields(recipe):
        _add_setting(run, item)


def _add_pairs(subcommands) -> None:
    pairs = subcommands.add_parser("pairs", help="make preference pairs of drawn scenes or of captioned photos")
    pairs.set_defaults(train=_pairs)
    pairs.add_argument("--scenes", type=int, metavar="N", help="draw N scenes")
    pairs.add_argument(
        "--photos", type=Path, action="append", default=[], metavar="DATA",
        help="folder or tar of KEY.jpg + KEY.json with captions, or for --own with detections; may be repeated",
    )  # fmt: skip
    pairs.add_argument(
        "--own", type=int, default=0, metavar="N",
        help="also pairs of the truest and the least true of N answers that the model gives about each photo",
    )  # fmt: skip
    _add_model(pairs)
    pairs.add_argument("--kinds", default="", help="only pairs of these kinds, as in own,presence (default: all)")
    pairs.add_argument("--out", type=Path, required=True)
    pairs.add_argument("--limit", type=int, default=0, help="first N photos of each DATA only (0: all)")
    pairs.add_argument("--seed", type=int, default=0)


def _add_plan(subcommands) -> None:
    plan = subcommands.add_parser("plan", help="GPU memory of a CHiP step, by part, from a model's configuration alone")
    plan.set_defaults(train=_plan)
    plan.add_argument("--model", default="random:llava-1.5-7b", help="random:NAME, a folder or a hub id (its config)")
    plan.add_argument("--quantization", choices=("nf4", "none"), default="nf4")
    plan.add_argument("--prefix", type=int, default=640, help="tokens of photo and question")
    plan.add_argument("--answer", type=int, default=120, help="tokens of an answer")
    plan.add_argument("--memory", type=float, default=16.0, metavar="GB", help="how much there is")
    for item in fields(recipes.RECIPES["chip"]):
        _add_setting(plan, item)


def _add_bench(subcommands) -> None:
    about = "CHiP's packed step against six separate forwards: same loss, and the ratio"
    bench = subcommands.add_parser("bench", help=about)
    bench.set_defaults(train=_bench)
    bench.add_argument("--data", required=True)
    bench.add_argument("--batch", type=int, default=4)
    bench.add_argument("--rounds", type=int, default=5)
    _add_model(bench)


def _add_run_commands(subcommands) -> None:
    """Commands about runs that exist: measure, stop, list."""
    for name, run, about in (
        ("measure", _measure, "held-out margin, retrieval and CHAIR before and after a run"),
        ("stop", _stop, "end a run after the step it is in"),
    ):
        subcommand = subcommands.add_parser(name, help=about, description=about)
        subcommand.set_defaults(train=run)
        subcommand.add_argument("run_folder", type=Path, help="folder of the run")
        if name == "measure":
            subcommand.add_argument("--data", default="", help="other pairs than those that the run held out")
            subcommand.add_argument("--photos", type=int, default=100, help="how many photos are captioned")
    about = "the runs in a folder, newest first"
    subcommand = subcommands.add_parser("list", help=about, description=about)
    subcommand.set_defaults(train=_list)
    subcommand.add_argument("folder_of_runs", type=Path, help="folder whose subfolders are runs, such as runs")


def _add_model(subcommand: argparse.ArgumentParser) -> None:
    subcommand.add_argument("--model", default=None, help="pocket (embedded), a hub id or a folder")
    subcommand.add_argument("--quantization", choices=("nf4", "none"), default=None)


def _add_setting(subcommand: argparse.ArgumentParser, item) -> None:
    metadata, flag = item.metadata, "--" + item.name.replace("_", "-")
    default = json.dumps(item.default) if isinstance(item.default, bool) else item.default
    options = {"help": f"{metadata['help']} (default: {default})", "default": None, "dest": f"setting_{item.name}"}
    if isinstance(item.default, bool):
        subcommand.add_argument(flag, type=json.loads, metavar="true|false", **options)
    elif metadata["choices"]:
        subcommand.add_argument(flag, choices=metadata["choices"], **options)
    else:
        subcommand.add_argument(flag, type=type(item.default), metavar="N", **options)


def _load(settings: Settings):
    import torch

    from halluapp.lvlm import catalog

    if settings.threads:
        torch.set_num_threads(settings.threads)
    return catalog.load(settings.model, settings.quantization, settings.device, settings.assets, settings.dtype)[0]


def _chosen(options) -> dict:
    """The settings that were given as flags."""
    return {name.removeprefix("setting_"): value for name, value in vars(options).items()
            if name.startswith("setting_") and value is not None}  # fmt: skip


def _run(options) -> int:
    from halluapp.data.pairs import read_pairs
    from halluapp.training import installation, library, runs
    from halluapp.training.pairs import lengths

    settings = common.settings_of(options)
    recipe = recipes.create(options.what, **_chosen(options))
    installed = options.out is None and options.what == installation.KIND
    if options.out is None:
        if options.resume:
            raise InputError("Say with --out which run to go on with; `halluapp train list runs` names them.")
        options.out = settings.runs / library.free_name(settings.runs, options.what)
    if options.resume:
        config = runs.Run(options.out).config()  # everything but the kind comes from the folder
        settings = Settings.from_environment()
        settings = replace(settings, model=config.model, quantization=config.quantization)
    else:
        if not options.data:
            raise InputError(
                "Say with --data which pairs to learn from; make some with: train pairs --scenes 100 --out"
            )
        pairs = read_pairs(options.data)  # before a folder is made and a model is loaded for nothing
        if not options.launched:  # there the reason must get into the run's status, as that of any later failure
            lengths.check_lengths(pairs, settings.model, settings.assets)
    run_config = runs.Config(options.what, recipe, options.data, settings.model, settings.quantization, options.photo)
    # What was launched must not be created again: a stop that came while this process started would be lost.
    run = runs.Run(options.out) if options.launched else runs.create(options.out, run_config, options.resume)
    from halluapp.training import loop

    if not loop.DistributedState().is_main:  # another process of `accelerate launch`
        loop.train(run, _load(settings))
        return 0
    with runs.training_lock(run, options.wait or options.launched):
        with loop.failure_in_status(run):
            run.write_status("preparing", run.status()["step"])
            lvlm = _load(settings)
            projector = installation.projector_file(lvlm, settings.assets) if installed else None
        loop.train(run, lvlm)
    if projector and installation.install(run, projector):
        print(f"wrote {projector}; the panel AdaVIB uses it from now on with this model")
    status = run.status()
    print(f"{status['state']} at step {status['step']} of {status['steps']}; result: {run.adapter}")
    return 0


def _pairs(options) -> int:
    from halluapp.training.pairs import pair_sets

    if options.scenes is None and not options.photos:
        raise InputError(
            "Say with --scenes how many scenes to draw, with --photos where captioned photos are, or both."
        )
    pair_set = pair_sets.PairSet()
    if options.scenes is not None:
        pair_set += pair_sets.scene_pairs(options.scenes, options.seed)
    for source in options.photos:
        pair_set += pair_sets.photo_pairs(source, options.limit, options.seed, log=common.log)
    if options.own:
        pair_set.add_own_answers(_load(common.settings_of(options)), options.own, options.seed, common.log)
    pair_set.select_kinds([kind.strip() for kind in options.kinds.split(",") if kind.strip()])
    pair_set.write(options.out)
    print(pair_sets.summary(options.out))
    return 0


def _measure(options) -> int:
    from halluapp.training import runs
    from halluapp.training.measure import measurement

    run = runs.Run(options.run_folder)
    config = run.config()
    lvlm = _load(replace(Settings.from_environment(), model=config.model, quantization=config.quantization))
    print(measurement.measure_run(run, lvlm, options.data or "", options.photos, common.log))
    print(f"wrote {run.adapter / 'README.md'}")
    return 0


def _stop(options) -> int:
    from halluapp.training import runs

    run = runs.Run(options.run_folder)
    run.config()
    run.stop()
    print(f"{run.name} ends after the step it is in.")
    return 0


def _list(options) -> int:
    from halluapp.training import runs

    for run in runs.list_runs(options.folder_of_runs):
        status = run.status()
        print(f"{run.name:<24}{run.config().kind:<8}{status['state']:<12}{status['step']}/{status['steps']}  "
              f"{status['error']}".rstrip())  # fmt: skip
    return 0


def _plan(options) -> int:
    from halluapp.bench import memory_plan
    from halluapp.lvlm import loading, random_weights

    if options.model.startswith(random_weights.PREFIX):
        config = random_weights.configuration(options.model.removeprefix(random_weights.PREFIX))
    else:
        config = loading.configuration(options.model)
    recipe = recipes.create("chip", **_chosen(options))
    whole = partial(memory_plan.plan_memory, config, prefix=options.prefix, answer=options.answer,
                    quantization=options.quantization)  # fmt: skip
    print(whole(recipe).table())
    fitting = [
        size for size in (1, 2, 4, 8, 16, 32) if whole(replace(recipe, batch=size)).total <= options.memory * 1e9
    ]
    print(f"largest batch (a power of two) in {options.memory:g} GB: {fitting[-1] if fitting else 'none'}"
          + ("" if recipe.checkpointing else "; try --checkpointing true"))  # fmt: skip
    return 0


def _bench(options) -> int:
    from halluapp.bench import training_step
    from halluapp.data.pairs import read_pairs

    result = training_step.run(
        _load(common.settings_of(options)), read_pairs(options.data), options.batch, options.rounds
    )
    for key, value in result.items():
        print(f"{key}: {value}")
    return 0
