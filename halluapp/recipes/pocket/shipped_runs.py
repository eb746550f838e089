"""The trained panels that the embedded model ships with: each method's run at its default settings on shipped pairs."""

from __future__ import annotations

import shutil
from pathlib import Path

from halluapp.data.files import write_text
from halluapp.lvlm import catalog
from halluapp.training import loop, runs
from halluapp.training.measure import measurement, model_card
from halluapp.training.pairs import pair_sets
from halluapp.training.recipes import RECIPES, create
from halluapp.training.runs import Config, Run

SCENES, SEED = 60, 7
AFTER = f"""
`scenes-{SCENES}-seed-{SEED}`: drawn by `train pairs --scenes {SCENES} --seed {SEED}`, none of them trained on. On
photos (coco-dev, flickr8k-dev): the tables of the embedded model's own card.
"""


def make(assets: Path, work: Path, log=print) -> None:
    """Trains, measures (held-out pairs, freshly drawn scenes) and ships every kind of run: minutes on two cores."""
    fresh = work / f"scenes-{SCENES}-seed-{SEED}"
    pair_sets.scene_pairs(SCENES, SEED).write(fresh)
    for kind in RECIPES:
        log(f"training {kind}")
        run = runs.create(work / "adapters" / kind, Config(kind, create(kind), str(assets / "pairs")))
        loop.train(run, _pocket(assets))
        for data in ("", str(fresh)):
            log(measurement.measure_run(run, _pocket(assets), data))
        ship(run, assets / "pocket")


def ship(run: Run, folder: Path) -> None:
    """Puts a run's adapter where the embedded model's loader looks for it, its card beside it.

    AdaVIB's is the projector of the method that bears its name; the others are adapters/KIND.
    """
    kind = run.config().kind
    text = model_card.write(run, kind).read_text(encoding="utf-8") + AFTER
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
