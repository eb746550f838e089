"""What the stages of the recipe share: folders, sets of photos, stored maps, trained heads and what they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from halluapp.errors import InputError
from halluapp.grounding.detectors.own_head import PresenceHead
from halluapp.grounding.detectors.trunk import OwnTrunk
from halluapp.recipes.presence import calibrate, drawings, heads, labels, mentions, pooled
from halluapp.recipes.presence.features import Store

EPOCHS = 3
# The heads that are averaged, by seed, and the views of complete photos that each learns from: heads that differ in
# more than their seed err more differently.
HEADS = {1: ("whole",), 2: ("whole", "mirrored")}
DEV = tuple(mentions.ANSWERED)
COMPLETE = "coco-val2017"
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


def held(key: str) -> bool:
    """Whether a photo with complete labels trains nothing."""
    return calibrate.part(key, HELD) == 0


def needed(folders: Folders, name: str, view: str = "whole") -> Store:
    store = folders.store(name, view)
    if store is None:
        raise InputError(f"The maps of {name} are missing; run the stage features first.")
    return store


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


def judged_store(folders: Folders, name: str) -> Store:
    """The photos of a set on which the heads are judged: of those with complete labels the ones that trained nothing,
    of a development set the ones that were answered."""
    store = needed(folders, name)
    rows = range(min(len(store.keys), mentions.ANSWERED.get(name) or len(store.keys)))
    return store.take([row for row in rows if name != COMPLETE or held(store.keys[row])])


def parts(folders: Folders, name: str, widen: OwnTrunk) -> np.ndarray:
    """Both witnesses of the shipped heads on a set [n, 2, K], before they are weighed; kept in the work folder."""
    store, rows_out = judged_store(folders, name), []
    for head in trained(folders):
        file = folders.work / f"parts-{name}-{head.stem}.npy"
        if not file.exists() or file.stat().st_mtime < head.stat().st_mtime:
            np.save(file, pooled.parts(read_head(head), widen, store))
        rows_out.append(np.load(file))
    return np.mean(rows_out, 0)


def scores(folders: Folders, name: str, widen: OwnTrunk, weigh: Sequence[float] = (1, 1)) -> np.ndarray:
    """Scores of the shipped heads on a set [n, K], the pooled look and the cells counting as much as `weigh` says."""
    both = parts(folders, name, widen)
    return weigh[0] * both[:, 0] + weigh[1] * both[:, 1]


def trained(folders: Folders) -> list[Path]:
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


def judged(folders: Folders, widen: OwnTrunk, weigh: Sequence[float] = (1, 1)) -> Judged:
    """Mentions and scores of the dev sets that have maps."""
    records, rows_out = {}, {}
    for name in DEV:
        if folders.store(name):
            store = judged_store(folders, name)
            records[name] = dict(zip(store.keys, store.records, strict=True))
            values = scores(folders, name, widen, weigh).tolist()
            rows_out.update(
                {k: dict(zip(labels.LABELS, row, strict=True)) for k, row in zip(store.keys, values, strict=True)}
            )
    named = mentions.named(folders.work / "answers.jsonl", lambda data, key: records.get(data, {}).get(key))
    return Judged(named, rows_out)


def cases(
    folders: Folders, widen: OwnTrunk, mentioned: Judged, weigh: Sequence[float] = (1, 1)
) -> list[calibrate.Case]:
    """All that calibrates: named labels of the calibrating halves, and the held-out photos."""
    dev, store = calibrate.dev_cases(mentioned.named, mentioned.scores), judged_store(folders, COMPLETE)
    coco = needed(folders, DEV[0])
    mine = [row for row, key in enumerate(coco.keys) if not calibrate.reported(key)]
    named: dict[str, set[str]] = {}
    for one in mentioned.named:
        named.setdefault(one.photo, set()).add(one.label)
    likely = {
        "score": scores(folders, DEV[0], widen, weigh)[mine],
        "present": present(coco)[mine],
        "named": np.array([[label in named.get(coco.keys[row], ()) for label in labels.LABELS] for row in mine], float),
    }
    apart = (store.keys, scores(folders, COMPLETE, widen, weigh), present(store))
    return dev + calibrate.held_cases(dev, likely, apart, labels.LABELS)


def present(store: Store) -> np.ndarray:
    """What complete labels say [n, K]."""
    return np.array([[label in record["objects"] for label in labels.LABELS] for record in store.records], float)


def weights(folders: Folders, widen: OwnTrunk) -> tuple[float, float]:
    """How much the two witnesses count where texts name things."""
    rows = {}
    for name in (*DEV, COMPLETE):
        if folders.store(name):
            rows.update(zip(judged_store(folders, name).keys, parts(folders, name, widen), strict=True))
    return pooled.witness_weights(cases(folders, widen, judged(folders, widen)), rows, labels.LABELS)
