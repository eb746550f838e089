"""`python -m halluapp train ...`: runs, from their beginning or from where they ended; `train_tools` has the rest."""

from __future__ import annotations

import argparse
from dataclasses import fields, replace
from pathlib import Path

from halluapp.cli import common, train_options, train_tools
from halluapp.cli.train_options import load as _load
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
    train_tools.add(subcommands)


_DEFAULT_OUT = (
    "a new one in the folder of runs",
    "a new one in the folder of runs, and its projector where the model looks for it",
)


def _add_run(subcommands, kind: str, recipe: type[recipes.Recipe]) -> None:
    about = recipe.__doc__ or ""
    command = subcommands.add_parser(kind, help=about.splitlines()[0], description=about)
    command.set_defaults(train=_run)
    command.add_argument("--data", default="", help="folder with pairs.jsonl, a JSONL or parquet file, or a hub id")
    command.add_argument("--out", type=Path, help=f"folder of the run (default: {_DEFAULT_OUT[kind == 'adavib']})")
    command.add_argument(
        "--resume", action="store_true",
        help="go on with the run in OUT, a finished one with more --steps; what would make it another run is refused",
    )  # fmt: skip
    command.add_argument("--wait", action="store_true", help="wait while another run trains")
    command.add_argument("--launched", action="store_true", help=argparse.SUPPRESS)  # by `runs.launch`, which made OUT
    command.add_argument("--photo", default="", help="photo to caption while training (default: a held-out one)")
    train_options.add_model(command)
    for item in fields(recipe):
        train_options.add_setting(command, item)


def _run(options) -> int:
    """Trains to the last step or until it is stopped -> exit code, 128 + its number after a signal."""
    from halluapp.training import library, runs
    from halluapp.training.endings import checkpoints, failures, installation

    installed = options.out is None and options.what == installation.KIND
    if options.out is None:
        if options.resume:
            raise InputError("Say with --out which run to go on with; `halluapp train list runs` names them.")
        folder = common.settings_of(options).runs
        options.out = folder / library.free_name(folder, options.what)
    if options.launched:  # nobody sees what it prints
        with failures.failure_in_status(runs.Run(options.out)):
            config = _config(options)
    else:
        config = _config(options)
    from halluapp.training.endings.termination import Terminated, termination
    from halluapp.training.loop import DistributedState

    world, run = DistributedState(), runs.Run(options.out)
    # What was launched must not be created again: a stop that came while this process started would be lost.
    if world.is_main and not options.launched:
        runs.create(options.out, config, options.resume)
    world.wait()  # other processes of `accelerate launch` find the run that the main one created
    if not options.resume:
        config = run.config()  # its paths are absolute there
    try:
        with termination(run):
            _train(run, config, options, installed)
    except Terminated as ended:
        common.log(f"halluapp: {ended}")
        return ended.code
    status = run.status()
    print(f"{status['state']} at step {status['step']} of {status['steps']}; result: {run.adapter}")
    for sentence in filter(None, (status.get("note"), checkpoints.summary(run)["sentence"])):
        print(sentence)
    return 0


def _config(options):
    """What the flags ask for, or a run's own configuration with what they change. Raises InputError."""
    from halluapp.data.pairs import read_pairs
    from halluapp.data.photos import read_photo
    from halluapp.training import runs
    from halluapp.training.endings import resume
    from halluapp.training.pairs import lengths

    settings, values = common.settings_of(options), train_options.chosen(options)
    if options.photo:
        read_photo(options.photo)  # before a folder is made and a model is loaded for nothing
    if options.resume:
        return resume.resumed_config(
            runs.Run(options.out),
            options.what,
            values,
            options.data,
            options.photo,
            options.model,
            options.quantization,
        )
    recipe = recipes.create(options.what, **values)
    if not options.data:
        raise InputError("Say with --data which pairs to learn from; make some with: train pairs --scenes 100 --out")
    pairs = read_pairs(options.data)
    if not options.launched:  # there the reason must get into the run's status, as that of any later failure
        lengths.check_lengths(pairs, settings.model, settings.assets)
    return runs.Config(options.what, recipe, options.data, settings.model, settings.quantization, options.photo)


def _train(run, config, options, installed: bool) -> None:
    from halluapp.training import loop, runs
    from halluapp.training.endings import failures, installation

    settings = replace(Settings.from_environment(), model=config.model, quantization=config.quantization)
    if not loop.DistributedState().is_main:  # another process of `accelerate launch`
        loop.train(run, _load(settings), config)
        return
    with runs.training_lock(run, options.wait or options.launched):
        run.write_config(config)
        with failures.failure_in_status(run):
            run.write_status("preparing", run.status()["step"])
            lvlm = _load(settings)
            projector = installation.projector_file(lvlm, settings.assets) if installed else None
        loop.train(run, lvlm, config)
    if projector and installation.install(run, projector):
        print(f"wrote {projector}; the panel AdaVIB uses it from now on with this model")
