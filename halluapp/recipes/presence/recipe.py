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
from halluapp.grounding.detectors import own
from halluapp.grounding.detectors.own_head import PresenceHead
from halluapp.grounding.detectors.trunk import OwnTrunk
from halluapp.recipes.presence import calibrate, card, drawings, features, heads, labels, measure, mentions, pooled
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
class Place:
    """Where the recipe reads and writes. limit: first photos of each set only (0: all)."""

    data: Path
    work: Path
    out: Path
    limit: int = 0
    epochs: float = EPOCHS

    def store(self, name: str, view: str = "whole") -> Store | None:
        """The stored maps of a set, None where it has none."""
        folder = self.work / "features" / name / view
        return Store.open(folder) if (folder / "done").exists() else None


def run(stages: Sequence[str], place: Place, log=print) -> None:
    """Runs stages in order. Raises InputError in one sentence where an earlier stage is missing."""
    doing = {
        "features": _features, "train": _train, "drawings": _teach_drawings, "calibrate": _calibrate,
        "measure": _measure,
    }  # fmt: skip
    for stage in stages:
        doing[stage](place, log)


def _features(place: Place, log) -> None:
    for name, view in MAPS:
        if list(place.data.glob(f"{name}-*.tar")):
            folder = place.work / "features" / name / view
            features.build(place.data, f"{name}-*", view, folder, place.limit, log)
    mentions.answers(place.data, place.work / "answers.jsonl", place.limit, log)


def held(key: str) -> bool:
    """Whether a photo with complete labels trains nothing."""
    return calibrate.part(key, HELD) == 0


def _needed(place: Place, name: str, view: str = "whole") -> Store:
    store = place.store(name, view)
    if store is None:
        raise InputError(f"The maps of {name} are missing; run the stage features first.")
    return store


def _train(place: Place, log) -> None:
    """A first head on complete labels, which helps to label the other photos; then the heads that are shipped."""
    widen = wide_trunk()
    first, plan = place.work / "first.pt", Plan(epochs=place.epochs, seed=1)
    if not first.exists():
        _head(place, list(_complete(place, ("whole",))), replace(plan, epochs=2 * place.epochs), first, widen, log)
    others = list(_others(place, read_head(first), widen))
    for seed, views in HEADS.items():
        file, complete = place.work / f"head-{seed}.pt", list(_complete(place, views))
        log(f"head {seed}: {len(complete)} examples with complete labels, {len(others)} others")
        if not file.exists():
            _head(place, complete + others, replace(plan, seed=seed), file, widen, log)


def _head(place: Place, examples: list[Example], plan: Plan, file: Path, widen: OwnTrunk, log) -> None:
    """Trains the cells and the look at the pooled photo, and joins them by what the held-out photos show."""
    _join(place, heads.train(examples, plan, widen, log), examples, plan.seed, file, widen)


def _teach_drawings(place: Place, log) -> None:
    """Every trained head learns on for a moment, drawn scenes among its photos: what it knows of photos stays."""
    widen = wide_trunk()
    scenes = drawings.store(place.work, min(place.limit or drawings.COUNT, drawings.COUNT), log)
    drawn = [Example(scenes, row, labels.complete(record)) for row, record in enumerate(scenes.records)]
    for file in sorted(place.work.glob("head-*.pt")):
        seed = int(file.stem.rpartition("-")[2])
        taught = place.work / f"{TAUGHT}{seed}.pt"
        if not taught.exists():
            photos = [*_complete(place, ("whole",)), *_others(place, read_head(file), widen)]
            head = heads.teach(read_head(file), photos, drawn, seed, widen, log)
            _join(place, head, photos + drawn, seed, taught, widen)


def _join(place: Place, head: PresenceHead, examples: list[Example], seed: int, file: Path, widen: OwnTrunk) -> None:
    """Fits the look at the pooled photo, joins it with the cells by the held-out photos, and writes the head."""
    stores = {id(example.store): example.store for example in examples}
    features = {number: pooled.pooled(store, widen) for number, store in stores.items()}
    linear = pooled.fit(examples, features, seed)
    store = _needed(place, COMPLETE)
    rows = [row for row, key in enumerate(store.keys) if held(key)]
    cells = heads.presence_logits(head, widen, store)[rows]
    joined = pooled.join(head, linear, features[id(examples[0].store)][rows], cells, present(store)[rows])
    half = file.with_suffix(".part")
    torch.save(joined.state_dict(), half)
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


def _complete(place: Place, views: Sequence[str]) -> Iterator[Example]:
    for view in views:
        store = place.store(COMPLETE, view)
        for row, key in enumerate(store.keys if store else ()):
            if not held(key):
                known = labels.complete(store.records[row])
                yield Example(store, row, labels.seen_in(known, store.crops[row].tolist()))


def _others(place: Place, teacher: PresenceHead, widen: OwnTrunk) -> Iterator[Example]:
    exact = labels.exact(place.data / "visual7w-coco-labels.json")
    for name in (*SCENES, *SINGLE):
        store = place.store(name)
        if store is None:
            continue
        p = 1 / (1 + np.exp(-heads.presence_logits(teacher, widen, store)))
        for row, key in enumerate(store.keys):
            record = store.records[row]
            if key in exact:
                known = labels.complete(exact[key])
            elif name in SINGLE:
                known = labels.partly(record, p[row])
            else:
                known = labels.weak(record, p[row])
            yield Example(store, row, known)


def scores(place: Place, name: str, widen: OwnTrunk) -> np.ndarray:
    """Mean scores of the shipped heads on a set [n, K], kept in the work folder."""
    store, found = _needed(place, name), []
    for head in _trained(place):
        file = place.work / f"scores-{name}-{head.stem}.npy"
        if not file.exists() or file.stat().st_mtime < head.stat().st_mtime:
            np.save(file, heads.presence_logits(read_head(head), widen, store))
        found.append(np.load(file))
    return np.mean(found, 0)


def _trained(place: Place) -> list[Path]:
    heads_of = [[place.work / f"{stem}{seed}.pt" for seed in HEADS] for stem in (TAUGHT, "head-")]
    files = next((files for files in heads_of if all(file.exists() for file in files)), heads_of[-1])
    if missing := [file.name for file in files if not file.exists()]:
        raise InputError(f"The trained {' and '.join(missing)} are missing; run the stage train first.")
    return files


@dataclass(frozen=True)
class Judged:
    """What was named on the dev photos, and the detector's scores there: {photo: {label: score}}."""

    named: list[mentions.Named]
    scores: dict[str, dict[str, float]]


def judged(place: Place, widen: OwnTrunk) -> Judged:
    """Mentions and scores of the dev sets that have maps."""
    records, found = {}, {}
    for name in DEV:
        store = place.store(name)
        if store is not None:
            records[name] = dict(zip(store.keys, store.records, strict=True))
            values = scores(place, name, widen).tolist()
            found.update(
                {k: dict(zip(labels.LABELS, row, strict=True)) for k, row in zip(store.keys, values, strict=True)}
            )
    named = mentions.named(place.work / "answers.jsonl", lambda data, key: records.get(data, {}).get(key))
    return Judged(named, found)


def cases(place: Place, widen: OwnTrunk, known: Judged) -> list[calibrate.Case]:
    """All that calibrates: named labels of the calibrating halves, and the held-out photos."""
    dev, store = calibrate.dev_cases(known.named, known.scores), _needed(place, COMPLETE)
    coco = _needed(place, DEV[0])
    mine = [row for row, key in enumerate(coco.keys) if not calibrate.reported(key)]
    said: dict[str, set[str]] = {}
    for one in known.named:
        said.setdefault(one.photo, set()).add(one.label)
    likely = {
        "score": scores(place, DEV[0], widen)[mine],
        "present": present(coco)[mine],
        "named": np.array([[label in said.get(coco.keys[row], ()) for label in labels.LABELS] for row in mine], float),
    }
    rows = [row for row, key in enumerate(store.keys) if held(key)]
    apart = ([store.keys[row] for row in rows], scores(place, COMPLETE, widen)[rows], present(store)[rows])
    return dev + calibrate.held_cases(dev, likely, apart, labels.LABELS)


def present(store: Store) -> np.ndarray:
    """What complete labels say [n, K]."""
    return np.array([[label in record["objects"] for label in labels.LABELS] for record in store.records], float)


def _calibrate(place: Place, log) -> None:
    widen = wide_trunk()
    made = calibrate.calibrate(cases(place, widen, judged(place, widen)), labels.LABELS)
    about = {
        "curves": presence.to_json(made.curves),
        "cuts": made.cuts,
        "support": {label: list(may) for label, may in made.support.items()},
        "measured": {},
    }
    own.save([read_head(file) for file in _trained(place)], place.out, about)
    log(f"cuts {made.cuts}; {sum(g for g, _ in made.support.values())} labels may ground, "
        f"{sum(c for _, c in made.support.values())} may contradict")  # fmt: skip


def _measure(place: Place, log) -> None:
    """Figures by the shipped curves on the reported halves, into presence.json and the card."""
    widen = wide_trunk()
    _, about = own.load(place.out)
    support = {label: (may[0], may[1]) for label, may in about["support"].items()}
    made = calibrate.Calibration(presence.from_json(about["curves"]), about["cuts"], support)
    known = judged(place, widen)
    coco = _needed(place, DEV[0])
    measured = {
        "presence": measure.presence_ap(scores(place, DEV[0], widen), present(coco), labels.LABELS),
        "verdicts": measure.figures(known.named, known.scores, made, DEV),
    }
    about["measured"] = {"presence": measured["presence"], "verdicts": card.summary(measured["verdicts"])}
    (place.out / own.ABOUT).write_text(json.dumps(about, indent=1) + "\n")
    card.write(place.out, measured, made, len(coco.keys))
    about["measured"]["drawings"] = drawings.figures(place.out)
    (place.out / own.ABOUT).write_text(json.dumps(about, indent=1) + "\n")
    drawings.write(place.out, about["measured"]["drawings"])
    log(json.dumps(about["measured"], indent=1))
