"""The whole recipe of the embedded model: features, training, export, HalluSpace, trained panels, measurements."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch

from halluapp.data.files import write_text
from halluapp.lvlm import catalog
from halluapp.lvlm.base import ImageFeatures
from halluapp.lvlm.families.llava import Llava
from halluapp.recipes.pocket import (
    drawings,
    export,
    features,
    hallu_space_pairs,
    model_card,
    probe,
    shipped_runs,
    thresholds,
)
from halluapp.recipes.pocket.features import FeatureStore
from halluapp.recipes.pocket.packing import Batches, Packer
from halluapp.recipes.pocket.sets import WEIGHTS, read_photo
from halluapp.recipes.pocket.train import FURTHER, PocketRecipe, load_captions, open_stores, train
from halluapp.session import load_session
from halluapp.settings import Settings
from halluapp.training.hallu_space import compute

PAIRS, LAYERS, RANK = 1500, [3, 4, 5], 8
PAIR_SETS = ("flickr8k-train", "visual7w", "coco-val2017")  # whose captions or answers name several objects


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
            features.build(data, name + "-*", work / "features" / name, log=log)
        recipe, start = (PocketRecipe(), None) if fresh else (FURTHER, folder)
        train(work / "features", captions, work / "run", recipe, log=log, start=start)
    if action in ("train", "finish"):
        finish(work, captions, folder, log)
    if action != "measure":
        shipped_runs.make(assets, data, work, log)
    model_card.write(folder, model_card.measure(data, folder.parent, log, work / "answers.jsonl"))


def finish(work: Path, captions: Path, folder: Path, log=print) -> None:
    """Exports the last checkpoint and computes everything that is derived from it."""
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
    drawings.teach(pocket, batches, drawings.scene_features(log=log), log=log)
    thresholds.choose(pocket, stores, photos, folder, log)
    lvlm, _ = catalog.load("pocket", "nf4", "cpu", folder.parent)
    spoken = [number for number, name in enumerate(names) if name in PAIR_SETS]
    parts = [stores[number] for number in spoken], [photos[number] for number in spoken]
    pair_count = make_space(lvlm, *parts, batches, folder, recipe.seed)
    log(f"HalluSpace from {pair_count} pairs")


def visual_of(lvlm: Llava, store: FeatureStore, row: int) -> ImageFeatures:
    """A training photo as the model sees it, from its cached features (whole view)."""
    with torch.no_grad():
        maps = [torch.from_numpy(array[row, :1].astype("float32")) for array in (store.fine, store.coarse)]
        return ImageFeatures(lvlm.model.model.vision_tower.neck(*maps)[-1][0])


def make_space(lvlm, stores, photos, batches: Batches, folder: Path, seed: int) -> int:
    """Makes caption pairs from the training photos and saves the HalluSpace -> number of pairs."""
    share = PAIRS // len(stores)
    pair_sets = [
        hallu_space_pairs.make_pairs(store.keys, store.records, part, batches.corpus, lvlm.tokenizer, share, seed)
        for store, part in zip(stores, photos, strict=True)
    ]

    def each() -> Iterator[tuple[ImageFeatures, str, str, str]]:
        for store, pair_set in zip(stores, pair_sets, strict=True):
            row = {key: index for index, key in enumerate(store.keys)}
            for pair in pair_set:
                yield visual_of(lvlm, store, row[pair.key]), pair.question, pair.truthful, pair.hallucinated

    space = compute.compute_hallu_space(lvlm, each(), LAYERS, RANK)
    catalog.save_space(space, folder / "hallu_space.safetensors")
    sample = random.Random(seed).sample([asdict(pair) for pair_set in pair_sets for pair in pair_set], 20)
    write_text(folder / "hallu_space.json", json.dumps({"about": space.about, "examples": sample}, indent=1))
    return sum(len(pair_set) for pair_set in pair_sets)
