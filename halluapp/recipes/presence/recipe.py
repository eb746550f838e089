"""The whole recipe of assets/presence: maps, weak labels, heads, calibration, figures, card."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from halluapp.errors import InputError
from halluapp.grounding import presence
from halluapp.grounding.detectors import own as own_detector
from halluapp.grounding.detectors.own_head import PresenceHead
from halluapp.grounding.detectors.trunk import OwnTrunk
from halluapp.recipes.presence import (
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
)
from halluapp.recipes.presence.features import Store
from halluapp.recipes.presence.heads import Example, Plan

STAGES = ("features", "train", "drawings", "calibrate", "measure")
EPOCHS = 3
# The heads that are averaged, by seed, and the views of complete photos that each learns from: heads that differ in
# more than their seed err more differently.
HEADS = {1: ("whole",), 2: ("whole", "mirrored")}
DEV = mentions.ANSWERED
COMPLETE, SCENES, SINGLE = "coco-val2017", ("visual7w",), ("voc5",)
# (set, view): what is computed, in this order; a set that the data folder lacks is left out.
MAPS = [(name, "whole") for name in (*DEV, COMPLETE, *SCENES, *SINGLE)] + [(COMPLETE, "mirrored")]
TAUGHT = "taught-"  # heads that have learned drawings too
HELD = 5  # every fifth complete photo trains nothing and helps to calibrate


@dataclass(frozen=True)
class Folders:
    """Where the recipe reads and writes. limit: first photos of each set only (0: all). drawings, drawing_steps: how
    many scenes are drawn, and for how many steps they are learned."""

    data: Path
    work: Path
    out: Path
    limit: int = 0
    epochs: float = EPOCHS
    drawings: int = drawings.COUNT
    drawing_steps: int = heads.TEACH

    def store(self, name: str, view: str = "whole") -> Store | None:
        """The stored maps of a set, None where it has none."""
        folder = self.work / "features" / name / view
        return Store.open(folder) if (folder / "done").exists() else None


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


def held(key: str) -> bool:
    """Whether a photo with complete labels trains nothing."""
    return calibrate.part(key, HELD) == 0


def _needed(folders: Folders, name: str, view: str = "whole") -> Store:
    store = folders.store(name, view)
    if store is None:
        raise InputError(f"The maps of {name} are missing; run the stage features first.")
    return store


def _train(folders: Folders, log) -> None:
    """A first head on complete labels, which helps to label the other photos; then the heads that are shipped."""
    widen = wide_trunk()
    first, plan = folders.work / "first.pt", Plan(epochs=folders.epochs, seed=1)
    if not first.exists():
        _head(
            folders, list(_complete(folders, ("whole",))), replace(plan, epochs=2 * folders.epochs), first, widen, log
        )
    others = list(_others(folders, read_head(first), widen))
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
    widen = wide_trunk()
    scenes = drawings.store(folders.work, folders.drawings, log)
    drawn = [Example(scenes, row, labels.complete(record)) for row, record in enumerate(scenes.records)]
    for file in sorted(folders.work.glob("head-*.pt")):
        seed = int(file.stem.rpartition("-")[2])
        taught = folders.work / f"{TAUGHT}{seed}.pt"
        if not taught.exists():
            photos = [*_complete(folders, ("whole",)), *_others(folders, read_head(file), widen)]
            head = heads.teach(read_head(file), photos, drawn, seed, widen, folders.drawing_steps, log)
            _join(folders, head, photos + drawn, seed, taught, widen)


def _join(
    folders: Folders, head: PresenceHead, examples: list[Example], seed: int, file: Path, widen: OwnTrunk
) -> None:
    """Fits the look at the pooled photo, joins it with the cells by held-out photos, fits boxes; writes the head."""
    stores = {id(example.store): example.store for example in examples}
    features = {number: pooled.pooled(store, widen) for number, store in stores.items()}
    linear = pooled.fit(examples, features, seed)
    store = _needed(folders, COMPLETE)
    rows = [row for row, key in enumerate(store.keys) if held(key)]
    cells = heads.presence_logits(head, widen, store)[rows]
    joined = pooled.join(head, linear, features[id(examples[0].store)][rows], cells, present(store)[rows])
    boxed = [example for example in examples if example.store.records[example.row].get("complete_labels")]
    half = file.with_suffix(".part")
    torch.save(boxes.refine(joined, boxed, widen).state_dict(), half)
    half.replace(file)


def wide_trunk() -> OwnTrunk:
    """A trunk that only widens stored maps."""
    trunk = OwnTrunk().eval()
    trunk.load_package()
    return trunk.requires_grad_(False)


def read_head(file: Path) -> PresenceHead:
    """A trained head of the work folder."""
    if not file.exists():
        raise InputError(f"{file.name} is missing; run the stage train first.")
    head = PresenceHead(list(labels.LABELS))
    head.load_state_dict(torch.load(file, weights_only=True))
    return head.eval()


def _complete(folders: Folders, views: Sequence[str]) -> Iterator[Example]:
    for view in views:
        store = folders.store(COMPLETE, view)
        for row, key in enumerate(store.keys if store else ()):
            if not held(key):
                annotation = labels.complete(store.records[row])
                yield Example(store, row, labels.seen_in(annotation, store.crops[row].tolist()))


def _others(folders: Folders, teacher: PresenceHead, widen: OwnTrunk) -> Iterator[Example]:
    exact = labels.exact(folders.data / "visual7w-coco-labels.json")
    for name in (*SCENES, *SINGLE):
        store = folders.store(name)
        if store is None:
            continue
        p = 1 / (1 + np.exp(-heads.presence_logits(teacher, widen, store)))
        for row, key in enumerate(store.keys):
            record = store.records[row]
            if key in exact:
                annotation = labels.complete(exact[key])
            elif name in SINGLE:
                annotation = labels.partly(record, p[row])
            else:
                annotation = labels.weak(record, p[row])
            yield Example(store, row, annotation)


def scores(folders: Folders, name: str, widen: OwnTrunk) -> np.ndarray:
    """Mean scores of the shipped heads on a set [n, K], kept in the work folder."""
    store, rows_out = _needed(folders, name), []
    for head in _trained(folders):
        file = folders.work / f"scores-{name}-{head.stem}.npy"
        if not file.exists() or file.stat().st_mtime < head.stat().st_mtime:
            np.save(file, heads.presence_logits(read_head(head), widen, store))
        rows_out.append(np.load(file))
    return np.mean(rows_out, 0)


def _trained(folders: Folders) -> list[Path]:
    heads_of = [[folders.work / f"{stem}{seed}.pt" for seed in HEADS] for stem in (TAUGHT, "head-")]
    files = next((files for files in heads_of if all(file.exists() for file in files)), heads_of[-1])
    if missing := [file.name for file in files if not file.exists()]:
        raise InputError(f"The trained {' and '.join(missing)} are missing; run the stage train first.")
    return files


@dataclass(frozen=True)
class Judged:
    """What was named on the dev photos, and the detector's scores there: {photo: {label: score}}."""

    named: list[mentions.Named]
    scores: dict[str, dict[str, float]]


def judged(folders: Folders, widen: OwnTrunk) -> Judged:
    """Mentions and scores of the dev sets that have maps."""
    records, rows_out = {}, {}
    for name in DEV:
        store = folders.store(name)
        if store is not None:
            records[name] = dict(zip(store.keys, store.records, strict=True))
            values = scores(folders, name, widen).tolist()
            rows_out.update(
                {k: dict(zip(labels.LABELS, row, strict=True)) for k, row in zip(store.keys, values, strict=True)}
            )
    named = mentions.named(folders.work / "answers.jsonl", lambda data, key: records.get(data, {}).get(key))
    return Judged(named, rows_out)


def cases(folders: Folders, widen: OwnTrunk, mentioned: Judged) -> list[calibrate.Case]:
    """All that calibrates: named labels of the calibrating halves, and the held-out photos."""
    dev, store = calibrate.dev_cases(mentioned.named, mentioned.scores), _needed(folders, COMPLETE)
    coco = _needed(folders, DEV[0])
    mine = [row for row, key in enumerate(coco.keys) if not calibrate.reported(key)]
    named: dict[str, set[str]] = {}
    for one in mentioned.named:
        named.setdefault(one.photo, set()).add(one.label)
    likely = {
        "score": scores(folders, DEV[0], widen)[mine],
        "present": present(coco)[mine],
        "named": np.array([[label in named.get(coco.keys[row], ()) for label in labels.LABELS] for row in mine], float),
    }
    rows = [row for row, key in enumerate(store.keys) if held(key)]
    apart = ([store.keys[row] for row in rows], scores(folders, COMPLETE, widen)[rows], present(store)[rows])
    return dev + calibrate.held_cases(dev, likely, apart, labels.LABELS)


def present(store: Store) -> np.ndarray:
    """What complete labels say [n, K]."""
    return np.array([[label in record["objects"] for label in labels.LABELS] for record in store.records], float)


def _calibrate(folders: Folders, log) -> None:
    widen = wide_trunk()
    calibrated = calibrate.calibrate(cases(folders, widen, judged(folders, widen)), labels.LABELS)
    about = {
        "curves": presence.to_json(calibrated.curves),
        "cuts": calibrated.cuts,
        "support": {label: list(may) for label, may in calibrated.support.items()},
        "measured": {},
    }
    own_detector.save([read_head(file) for file in _trained(folders)], folders.out, about)
    log(f"cuts {calibrated.cuts}; {sum(g for g, _ in calibrated.support.values())} labels may ground, "
        f"{sum(c for _, c in calibrated.support.values())} may contradict")  # fmt: skip


def _measure(folders: Folders, log) -> None:
    """Figures by the shipped curves on the reported halves, into presence.json and the card."""
    widen = wide_trunk()
    _, about = own_detector.load(folders.out)
    support = {label: (may[0], may[1]) for label, may in about["support"].items()}
    calibrated = calibrate.Calibration(presence.from_json(about["curves"]), about["cuts"], support)
    annotation = judged(folders, widen)
    coco = _needed(folders, DEV[0])
    measured = {
        "presence": measure.presence_ap(scores(folders, DEV[0], widen), present(coco), labels.LABELS),
        "verdicts": measure.figures(annotation.named, annotation.scores, calibrated, DEV),
    }
    about["measured"] = {"presence": measured["presence"], "verdicts": card.summary(measured["verdicts"])}
    (folders.out / own_detector.ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    card.write(folders.out, measured, calibrated, len(coco.keys))
    about["measured"]["drawings"] = drawings.figures(folders.out, min(folders.drawings, drawings.FRESH))
    (folders.out / own_detector.ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    drawings.write(folders.out, about["measured"]["drawings"])
    log(json.dumps(about["measured"], indent=1))
