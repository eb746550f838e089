"""`halluapp train pairs|measure|checkpoint|stop|list|plan|bench`: what is around a training run."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import partial
from pathlib import Path

from halluapp.cli import common, train_options
from halluapp.errors import InputError
from halluapp.settings import Settings
from halluapp.training import recipes

MAX_OWN_ANSWERS = 64  # about a photo


def add(subcommands) -> None:
    """Adds the subcommands."""
    _add_pairs(subcommands)
    _add_run_commands(subcommands)
    _add_checkpoint(subcommands)
    _add_plan(subcommands)
    _add_bench(subcommands)


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
        help="also pairs of the truest and the least true of N answers that the model gives about each photo; they are"
        " kept in OUT/answers.jsonl as they come, and a command that was ended goes on from them",
    )  # fmt: skip
    pairs.add_argument(
        "--repaired", type=int, default=0, metavar="N",
        help="also pairs of N answers that the model gives about each photo that people boxed, and the same repaired;"
        " they are kept as those of --own",
    )  # fmt: skip
    train_options.add_model(pairs)
    pairs.add_argument("--kinds", default="", help="only pairs of these kinds, as in own,presence (default: all)")
    common.add_output(pairs, "--out", folder=True, required=True, help="folder for pairs.jsonl and its photos")
    common.add_output(pairs, "--json", dest="out_json", metavar="OUT", help="counts, and what was left out, as JSON")
    pairs.add_argument("--limit", type=int, default=0, help="first N photos of each DATA only (0: all)")
    pairs.add_argument("--seed", type=int, default=0)


def _add_plan(subcommands) -> None:
    plan = subcommands.add_parser("plan", help="GPU memory of a CHiP step, by part, from a model's configuration alone")
    plan.set_defaults(train=_plan)
    plan.add_argument("--model", default="random:llava-1.5-7b", help="pocket, random:NAME, a folder or a hub id")
    plan.add_argument("--quantization", choices=("nf4", "none"), default="nf4")
    plan.add_argument("--prefix", type=int, default=640, help="tokens of photo and question")
    plan.add_argument("--answer", type=int, default=120, help="tokens of an answer")
    plan.add_argument("--memory", type=float, default=16.0, metavar="GB", help="how much there is")
    for item in fields(recipes.RECIPES["chip"]):
        train_options.add_setting(plan, item)


def _add_bench(subcommands) -> None:
    about = "CHiP's packed step against six separate forwards: same loss, and the ratio"
    bench = subcommands.add_parser("bench", help=about)
    bench.set_defaults(train=_bench)
    bench.add_argument("--data", required=True)
    bench.add_argument("--batch", type=int, default=4)
    bench.add_argument("--rounds", type=int, default=5)
    train_options.add_model(bench)


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


def _add_checkpoint(subcommands) -> None:
    about = "which step a run's adapter is of, and another one in its place"
    checkpoint = subcommands.add_parser("checkpoint", help=about, description=about)
    checkpoint.set_defaults(train=_checkpoint)
    checkpoint.add_argument("run_folder", type=Path, help="folder of the run")
    checkpoint.add_argument("--use", metavar="WHICH", help="best, last or a step that is still there")


def _pairs(options) -> int:
    from halluapp.training.pairs import pair_sets

    _check_pair_flags(options)
    pair_set, model = pair_sets.PairSet(), None
    if options.scenes is not None:
        pair_set += pair_sets.scene_pairs(options.scenes, options.seed)
    for source in options.photos:
        pair_set += pair_sets.photo_pairs(source, options.limit, options.seed, log=common.log)
    if options.own or options.repaired:
        model = _add_answers_of_model(options, pair_set)
    pair_set.select_kinds([kind.strip().lower() for kind in options.kinds.split(",") if kind.strip()])
    pair_set.write(options.out)
    about = pair_sets.result(options.out, pair_set, options.seed, model)
    files = common.write_json(about, options.out_json)
    print(pair_sets.summary(about))
    common.print_files(files)
    return 0


def _check_pair_flags(options) -> None:
    """Raises InputError for flags that contradict each other, or have no effect."""
    if options.scenes is None and not options.photos:
        raise InputError(
            "Say with --scenes how many scenes to draw, with --photos where captioned photos are, or both."
        )
    if options.limit and not options.photos:
        raise InputError("--limit counts the photos of --photos; to draw fewer scenes lower --scenes.")
    if options.limit < 0:
        raise InputError(f"The limit must be 0 (all photos) or more, not {options.limit}.")
    if not 0 <= options.own <= MAX_OWN_ANSWERS or (options.own == 1 and options.photos):
        raise InputError(
            f"--own must be from 2 to {MAX_OWN_ANSWERS} answers a photo (0: none), not {options.own}: a pair is made "
            "of two of them."
        )
    if not 0 <= options.repaired <= MAX_OWN_ANSWERS:
        raise InputError(
            f"--repaired must be from 1 to {MAX_OWN_ANSWERS} answers a photo (0: none), not {options.repaired}."
        )
    if (options.model or options.quantization) and not (options.own or options.repaired):
        raise InputError(
            "Only the pairs of --own and --repaired need a model; leave --model and --quantization out, or add --own N."
        )


def _add_answers_of_model(options, pair_set) -> str:
    """Adds the pairs of --own and of --repaired -> the model's name."""
    from halluapp.training.pairs import kept_answers

    lvlm = train_options.load(common.settings_of(options))
    store = kept_answers.KeptAnswers(options.out / kept_answers.NAME, lvlm)
    if options.own:
        pair_set.add_own_answers(lvlm, options.own, options.seed, common.log, store)
    if options.repaired:
        pair_set.add_repaired_answers(lvlm, options.repaired, options.seed, common.log, store)
    return lvlm.name


def _measure(options) -> int:
    from halluapp.training import runs
    from halluapp.training.measure import measurement

    run = runs.Run(options.run_folder)
    config = run.config()
    lvlm = train_options.load(
        replace(Settings.from_environment(), model=config.model, quantization=config.quantization)
    )
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


def _checkpoint(options) -> int:
    from halluapp.training import library, runs
    from halluapp.training.endings import checkpoints

    run = runs.Run(options.run_folder)
    run.config()
    if options.use:
        library.use_checkpoint(run, options.use)
    about = checkpoints.summary(run)
    print(about["sentence"] or f"{run.name} has saved no adapter that was evaluated.")
    if about["steps"]:
        print("checkpoints: " + ", ".join(map(str, about["steps"])))
    return 0


def _list(options) -> int:
    from halluapp.training import runs

    for run in runs.list_runs(options.folder_of_runs):
        status = run.status()
        print(f"{run.name:<24}{run.config().kind:<8}{status['state']:<12}{status['step']}/{status['steps']}  "
              f"{status['error']}".rstrip())  # fmt: skip
    return 0


def _plan(options) -> int:
    from halluapp.training.memory import fit
    from halluapp.training.memory import plan as memory_plan

    config = fit.configuration(options.model, Settings.from_environment().assets)
    recipe = recipes.create("chip", **train_options.chosen(options))
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
        train_options.load(common.settings_of(options)), read_pairs(options.data), options.batch, options.rounds
    )
    for key, value in result.items():
        print(f"{key}: {value}")
    return 0
