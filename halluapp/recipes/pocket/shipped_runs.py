"""What the embedded model ships beside its weights: a HalluSpace and each method's run, all from real photos.

The pairs are the model's own answers about training photos whose objects people labelled, against the same answers
repaired at their wrong words only: they differ in what this very model invents. One command makes all of them anew.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from halluapp.data.files import write_text
from halluapp.data.pairs import Pair, read_pairs
from halluapp.lvlm import catalog
from halluapp.lvlm.base import LVLM
from halluapp.training import loop, runs
from halluapp.training.hallu_space import compute
from halluapp.training.measure import measurement, model_card
from halluapp.training.pairs import pair_sets
from halluapp.training.recipes import create
from halluapp.training.runs import Config, Run

SOURCES = {"coco-val2017-000.tar": 480, "flickr8k-train-000.tar": 240}  # shard -> first photos of it
ANSWERS, SEED = 2, 0  # of the model about each photo: a greedy one and a drawn one
KINDS = ["repaired"]
CAPTIONED = 24  # held-out photos that a run's card describes before and after
STEPS = 80
SHORT = {"steps": STEPS, "evaluate_every": STEPS, "sample_every": STEPS, "save_every": STEPS // 2}
# Beside the defaults of a method; how they were chosen stands in the model card.
SETTINGS: dict[str, dict[str, Any]] = {
    "chip": {**SHORT, "anchor": 0.1, "visual": 0.2},
    "hacl": {**SHORT, "rate": 2e-4, "contrast": 0.5},
    "adavib": {**SHORT, "beta": 1e-7, "mean_similarity": True},
}
LAYERS, RANK, LENGTH_DIFFERENCE = (3, 4, 5), 4, 1  # of the HalluSpace; the last in tokens
AFTER = f"""
Pairs: {ANSWERS} answers of the model about each of {sum(SOURCES.values())} photos of coco-val2017 and flickr8k-train
against the same repaired (`train pairs --repaired {ANSWERS} --kinds repaired`); the photos are not
shipped. On photos that were not trained on (coco-dev, flickr8k-dev): the tables of the embedded model's own card.
"""


def make(assets: Path, data: Path, work: Path, log=print) -> None:
    """Makes the pairs, the HalluSpace and every run, measures the runs on held-out pairs, ships all: minutes each.

    data: the folder of the photo shards. work: pairs and runs; a killed call goes on from what is there.
    """
    folder = work / "pairs"
    if not (folder / "pairs.jsonl").exists():
        make_pairs(assets, data, folder, log)
    make_space(assets, folder, log)
    for kind, settings in SETTINGS.items():
        make_run(kind, settings, assets, folder, work / "adapters" / kind, log)


def make_pairs(assets: Path, data: Path, folder: Path, log=print) -> None:
    """The pairs that all runs and the HalluSpace learn from, into a folder that `read_pairs` reads."""
    pair_set = pair_sets.PairSet()
    for shard, limit in SOURCES.items():
        pair_set += pair_sets.photo_pairs(data / shard, limit, SEED, log=log)
    pair_set.add_repaired_answers(_pocket(assets), ANSWERS, SEED, log)
    pair_set.select_kinds(KINDS)
    pair_set.write(folder)
    log(f"{len(pair_set.rows)} pairs of {len(pair_set.photos)} photos")


def make_run(kind: str, settings: Mapping[str, Any], assets: Path, pairs: Path, out: Path, log=print) -> None:
    """Trains, measures on the pairs that the run held out, and ships."""
    log(f"training {kind}: {dict(settings)}")
    run = Run(out)
    if not (out / "config.json").exists():
        run = runs.create(out, Config(kind, create(kind, **settings), str(pairs)))
    loop.train(run, _pocket(assets))
    log(measurement.measure_run(run, _pocket(assets), photos=CAPTIONED))
    ship(run, assets / "pocket")


def make_space(assets: Path, pairs: Path, log=print) -> None:
    """The HalluSpace of the repaired answers, and what it was computed from, beside the weights."""
    lvlm = _pocket(assets)
    rows = [pair for pair in read_pairs(pairs, check_photos=False) if pair.kind == "repaired" and is_alike(lvlm, pair)]
    each = ((lvlm.encode_image(pair.open()), pair.question, pair.chosen, pair.rejected) for pair in rows)
    space = compute.compute_hallu_space(lvlm, each, list(LAYERS), RANK)
    catalog.save_space(space, assets / "pocket" / "hallu_space.safetensors")
    examples = [_example(pair) for pair in random.Random(SEED).sample(rows, min(20, len(rows)))]
    text = json.dumps({"about": space.about, "examples": examples}, indent=1)
    write_text(assets / "pocket" / "hallu_space.json", text)
    log(f"HalluSpace of {len(rows)} pairs")


def is_alike(lvlm: LVLM, pair: Pair) -> bool:
    """Whether the answers differ in objects and not in length, which the first direction would encode else."""
    lengths = [len(lvlm.answer_ids(text)) for text in (pair.chosen, pair.rejected)]
    return abs(lengths[0] - lengths[1]) <= LENGTH_DIFFERENCE


def _example(pair: Pair) -> dict[str, str]:
    name = Path(pair.name or pair.photo).stem
    return {"key": name, "question": pair.question, "truthful": pair.chosen, "hallucinated": pair.rejected}


def ship(run: Run, folder: Path) -> None:
    """Puts a run's adapter where the embedded model's loader looks for it, its card beside it.

    AdaVIB's is the projector of the method that bears its name; the others are adapters/KIND.
    """
    kind, data = run.config().kind, run.config().data
    text = model_card.write(run, kind).read_text(encoding="utf-8").replace(data, "PAIRS") + AFTER
    if kind == "adavib":
        shutil.copyfile(run.adapter / "projector.safetensors", folder / "projector-adavib.safetensors")
        write_text(folder / "projector-adavib.md", text)
        return
    shutil.rmtree(folder / "adapters" / kind, ignore_errors=True)
    shutil.copytree(run.adapter, folder / "adapters" / kind)
    write_text(folder / "adapters" / kind / "README.md", text)


def _pocket(assets: Path):
    """A model of its own for each step, as if the commands were given one by one."""
    return catalog.load("pocket", "nf4", "cpu", assets)[0]
