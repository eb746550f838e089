"""The whole recipe of assets/presence: maps, weak labels, heads, calibration, figures, card."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from halluapp.grounding import presence
from halluapp.grounding.detectors import own as own_detector
from halluapp.grounding.detectors.own_head import PresenceHead
from halluapp.grounding.detectors.trunk import OwnTrunk
from halluapp.recipes.presence import (
    beyond,
    boxes,
    calibrate,
    card,
    drawings,
    features,
    heads,
    labels,
    measure,
    mentions,
    pooled,
    sources,
)
from halluapp.recipes.presence.features import Store
from halluapp.recipes.presence.heads import Example, Plan
from halluapp.recipes.presence.sources import COMPLETE, DEV, HEADS, TAUGHT, Folders

STAGES = ("features", "train", "drawings", "calibrate", "measure")
SCENES, SINGLE = ("visual7w",), ("voc5",)
NAMED = ("imagenet-sample",)  # photos of one thing each
# (set, view): what is computed, in this order; a set that the data folder lacks is left out.
MAPS = [(name, "whole") for name in (*DEV, COMPLETE, *SCENES, *SINGLE, *NAMED)] + [(COMPLETE, "mirrored")]


def run(stages: Sequence[str], folders: Folders, log=print) -> None:
    """Runs stages in order. Raises InputError in one sentence where an earlier stage is missing."""
    doing = {
        "features": _features, "train": _train, "drawings": _teach_drawings, "calibrate": _calibrate,
        "measure": _measure,
    }  # fmt: skip
    for stage in stages:
        doing[stage](folders, log)


def _features(folders: Folders, log) -> None:
    for name, view in MAPS:
        if list(folders.data.glob(f"{name}-*.tar")):
            folder = folders.work / "features" / name / view
            features.build(folders.data, f"{name}-*", view, folder, folders.limit, log)
    mentions.answers(folders.data, folders.work / "answers.jsonl", folders.limit, log)


def _train(folders: Folders, log) -> None:
    """A first head on complete labels, which helps to label the other photos; then the heads that are shipped."""
    widen = sources.wide_trunk()
    first, plan = folders.work / "first.pt", Plan(epochs=folders.epochs, seed=1)
    if not first.exists():
        _head(
            folders, list(_complete(folders, ("whole",))), replace(plan, epochs=2 * folders.epochs), first, widen, log
        )
    others = list(_others(folders, widen))
    for seed, views in HEADS.items():
        file, complete = folders.work / f"head-{seed}.pt", list(_complete(folders, views))
        log(f"head {seed}: {len(complete)} examples with complete labels, {len(others)} others")
        if not file.exists():
            _head(folders, complete + others, replace(plan, seed=seed), file, widen, log)


def _head(folders: Folders, examples: list[Example], plan: Plan, file: Path, widen: OwnTrunk, log) -> None:
    """Trains the cells and the look at the pooled photo, and joins them by what the held-out photos show."""
    _join(folders, heads.train(examples, plan, widen, log), examples, plan.seed, file, widen)


def _teach_drawings(folders: Folders, log) -> None:
    """Every trained head learns on for a moment, drawn scenes among its photos: what it knows of photos stays."""
    widen = sources.wide_trunk()
    scenes = drawings.store(folders.work, folders.drawings, log)
    drawn = [Example(scenes, row, labels.complete(record)) for row, record in enumerate(scenes.records)]
    for file in sorted(folders.work.glob("head-*.pt")):
        seed = int(file.stem.rpartition("-")[2])
        taught = folders.work / f"{TAUGHT}{seed}.pt"
        if not taught.exists():
            photos = [*_complete(folders, ("whole",)), *_others(folders, widen)]
            head = heads.teach(sources.read_head(file), photos, drawn, seed, widen, folders.drawing_steps, log)
            _join(folders, head, photos + drawn, seed, taught, widen)


def _join(
    folders: Folders, head: PresenceHead, examples: list[Example], seed: int, file: Path, widen: OwnTrunk
) -> None:
    """Fits the look at the pooled photo, joins it with the cells by held-out photos, fits boxes; writes the head."""
    stores = {id(example.store): example.store for example in examples}
    features = {number: _pooled(folders, store, widen) for number, store in stores.items()}
    linear = pooled.fit(examples, features, seed)
    apart = sources.judged_store(folders, COMPLETE)
    cells = heads.presence_logits(head, widen, apart)
    joined = pooled.join(head, linear, _pooled(folders, apart, widen), cells, sources.present(apart))
    boxed = [example for example in examples if example.store.records[example.row].get("complete_labels")]
    half = file.with_suffix(".part")
    torch.save(boxes.refine(joined, boxed, widen).state_dict(), half)
    half.replace(file)


def _pooled(folders: Folders, store: Store, widen: OwnTrunk) -> np.ndarray:
    """Pooled maps of a store, kept in the work folder under what the store holds."""
    name = f"{store.keys[0]}, {len(store.keys)}, {store.crops[:1].tolist()}"
    file = folders.work / f"pooled-{hashlib.sha1(name.encode()).hexdigest()[:12]}.npy"
    if not file.exists():
        np.save(file, pooled.pooled(store, widen))
    return np.load(file)


def _complete(folders: Folders, views: Sequence[str]) -> Iterator[Example]:
    for view in views:
        store = folders.store(COMPLETE, view)
        for row, key in enumerate(store.keys if store else ()):
            if not sources.held(key):
                annotation = labels.complete(store.records[row])
                yield Example(store, row, labels.seen_in(annotation, store.crops[row].tolist()))


def _others(folders: Folders, widen: OwnTrunk) -> Iterator[Example]:
    """The photos without complete labels; the first head helps to label them."""
    exact = labels.exact(folders.data / "visual7w-coco-labels.json")
    for name in (*SCENES, *SINGLE):
        store = folders.store(name)
        if store is None:
            continue
        p = _teaching(folders, name, store, widen)
        for row, key in enumerate(store.keys):
            record = store.records[row]
            if key in exact:
                annotation = labels.complete(exact[key])
            elif name in SINGLE:
                annotation = labels.partly(record, p[row])
            else:
                annotation = labels.weak(record, p[row])
            yield Example(store, row, annotation)


def _teaching(folders: Folders, name: str, store: Store, widen: OwnTrunk) -> np.ndarray:
    """The first head's p on a set [n, K], kept in the work folder."""
    file, first = folders.work / f"teacher-{name}.npy", folders.work / "first.pt"
    if not file.exists() or file.stat().st_mtime < first.stat().st_mtime:
        np.save(file, heads.presence_logits(sources.read_head(first), widen, store))
    return 1 / (1 + np.exp(-np.load(file)))


def _beyond(folders: Folders, widen: OwnTrunk, calibrated: calibrate.Calibration, weigh: Sequence[float]):
    """Names beyond the labels, calibrated on photos of one thing; None without these."""
    sets = {}
    for name in NAMED:
        if store := folders.store(name):
            p = [
                {label: calibrated.curves[label].probability(z) for label, z in zip(labels.LABELS, row, strict=True)}
                for row in sources.scores(folders, name, widen, weigh).tolist()
            ]
            sets[name] = beyond.views(store, widen, p)
    return beyond.calibrated(sets, calibrated.cuts["grounded"])


def _calibrate(folders: Folders, log) -> None:
    widen = sources.wide_trunk()
    weigh = sources.weights(folders, widen)
    mentioned = sources.judged(folders, widen, weigh)
    calibrated = calibrate.calibrate(sources.cases(folders, widen, mentioned, weigh), labels.LABELS)
    names = _beyond(folders, widen, calibrated, weigh)
    about = {
        "witnesses": list(weigh),
        "curves": presence.to_json(calibrated.curves),
        "cuts": calibrated.cuts,
        "support": {label: list(may) for label, may in calibrated.support.items()},
        "beyond": names["sureness"] if names else None,
        "measured": {"beyond": {**names["measured"], "exclusion": names["sureness"]["exclusion"]}} if names else {},
    }
    trained = [pooled.weigh(sources.read_head(file), *weigh) for file in sources.trained(folders)]
    own_detector.save(trained, folders.out, about)
    log(f"witnesses {weigh}, cuts {calibrated.cuts}; {sum(g for g, _ in calibrated.support.values())} labels may "
        f"ground, {sum(c for _, c in calibrated.support.values())} may contradict; beyond {names}")  # fmt: skip


def _measure(folders: Folders, log) -> None:
    """Figures by the shipped curves on the reported halves, into presence.json and the card."""
    widen = sources.wide_trunk()
    _, about = own_detector.load(folders.out)
    support = {label: (may[0], may[1]) for label, may in about["support"].items()}
    calibrated = calibrate.Calibration(presence.from_json(about["curves"]), about["cuts"], support)
    weigh = about["witnesses"]
    annotation = sources.judged(folders, widen, weigh)
    coco = sources.needed(folders, DEV[0])
    measured = {
        "presence": measure.presence_ap(
            sources.scores(folders, DEV[0], widen, weigh), sources.present(coco), labels.LABELS
        ),
        "verdicts": measure.figures(annotation.named, annotation.scores, calibrated, DEV),
        "beyond": about["measured"].get("beyond"),
        "drawings": drawings.figures(folders.out, min(folders.drawings, drawings.FRESH)),
    }
    about["measured"] = {**measured, "verdicts": card.summary(measured["verdicts"])}
    (folders.out / own_detector.ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    card.write(folders.out, measured, calibrated, len(coco.keys))
    log(json.dumps(about["measured"], indent=1))
