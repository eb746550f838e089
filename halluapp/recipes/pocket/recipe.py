"""The whole recipe of the embedded model: features, training, export, HalluSpace, trained panels, measurements."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from halluapp.data.files import write_text
from halluapp.recipes.pocket import (
    drawings,
    export,
    features,
    model_card,
    probe,
    shipped_runs,
    thresholds,
)
from halluapp.recipes.pocket.packing import Batches, Packer
from halluapp.recipes.pocket.sets import WEIGHTS, read_photo
from halluapp.recipes.pocket.train import FURTHER, PocketRecipe, load_captions, open_stores, train
from halluapp.session import load_session
from halluapp.settings import Settings


def run(
    action: str, data: Path, captions: Path | None, work: Path, assets: Path, log=print, fresh: bool = False,
    half: str = "calibrated", limit: int = 0,
) -> None:  # fmt: skip
    """action "train": everything; "finish": from the last checkpoint on; "adapters": AdaVIB, CHiP and HACL, and the
    numbers; "measure": the numbers of the assets; "probe": animals, refusals and repetition.

    fresh: train from nothing (3,000 steps) instead of going on from the weights of `assets`.
    """
    captions = captions or data.parent / "text" / "captions.txt"
    folder = assets / "pocket"
    if action == "probe":
        return probe.run(load_session(Settings(assets=assets)), data, half, limit, log)
    if action == "train":
        for name in WEIGHTS:
            if name != "drawings":
                features.build(data, name + "-*", work / "features" / name, log=log)
        drawn = [drawings.sample(number) for number in range(drawings.SCENES)]
        features.compute(drawn, work / "features" / "drawings", log=log)
        recipe, start = (PocketRecipe(), None) if fresh else (FURTHER, folder)
        train(work / "features", captions, work / "run", recipe, log=log, start=start)
    if action in ("train", "finish"):
        finish(work, captions, folder, log)
    if action != "measure":
        shipped_runs.make(assets, data, work, log)
    model_card.write(folder, model_card.measure(data, folder.parent, log, work / "answers.jsonl"))


def finish(work: Path, captions: Path, folder: Path, log=print) -> None:
    """Exports the last checkpoint and teaches the detector's head; what was made for other weights goes."""
    recipe = PocketRecipe(**json.loads((work / "run" / "recipe.json").read_text(encoding="utf-8")))
    pocket, tokenizer = export.load_run(work / "run")
    for stale in ("hallu_space.safetensors", "projector-adavib.safetensors"):
        (folder / stale).unlink(missing_ok=True)
    shutil.rmtree(folder / "adapters", ignore_errors=True)
    export.export(pocket, tokenizer, folder)
    rows = [json.loads(line) for line in (work / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    curve = list({row["step"]: row for row in rows}.values())  # a resumed run writes some steps twice
    about = {"recipe": asdict(recipe), "curve": curve[:: max(1, len(curve) // 30)] + curve[-1:]}
    write_text(folder / "training.json", json.dumps(about, indent=1))
    names, stores = open_stores(work / "features")
    photos = [[read_photo(record) for record in store.records] for store in stores]
    packer = Packer(tokenizer, pocket.lvlm.config.image_seq_length)
    batches = Batches(stores, photos, pocket.head.labels, packer, load_captions(captions), 16, names)
    scene_views = drawings.scene_features(recipe.scenes, log)
    drawings.teach(pocket, batches, scene_views, recipe.drawing_steps, log)
    thresholds.choose(pocket, stores, photos, folder, log)
