"""Calibrates the names beyond the labels on photos of one thing each, a sample of ImageNet's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from halluapp.grounding import presence
from halluapp.grounding.detectors import imagenet
from halluapp.grounding.detectors.imagenet import Sureness
from halluapp.grounding.detectors.trunk import OwnTrunk
from halluapp.grounding.words import vocabulary
from halluapp.recipes.presence.features import Store

LEAST = 0.75  # p from which a name is confirmed: there, 93 to 95 of 100 on the fitting half are right
SEEN = 0.02  # a smaller share of the classifier's probability says nothing
# What the sets call things that we call otherwise.
ALIASES = {
    "alp": "mountain", "sandbar": "beach", "viaduct": "bridge", "maillot": "swimsuit", "sunglass": "sunglasses",
    "loafer": "shoe", "clog": "shoe", "upright": "piano", "beacon": "lighthouse", "chimpanzee": "monkey",
    "orangutan": "monkey", "siamang": "monkey", "tusker": "elephant",
}  # fmt: skip


class View(NamedTuple):
    """A photo of one thing: the classifier's probabilities [1000], the detector's p, the names of what is there."""

    posterior: Tensor
    presence: Mapping[str, float]
    truth: set[str]


def truth(record: Mapping[str, Any]) -> set[str]:
    """The names, ours, of what a photo of one thing shows."""
    words = {str(record.get("fine") or ""), *record.get("objects", ())}
    words |= {word.rpartition(" ")[2] for word in words}
    words |= {ALIASES[word] for word in words & set(ALIASES)}
    return words | {vocabulary.words()[word] for word in words if word in vocabulary.words()}


@torch.inference_mode()
def views(store: Store, widen: OwnTrunk, presences: Sequence[Mapping[str, float]]) -> list[View]:
    """The photos of a store. presences: the detector's calibrated p of each."""
    photos = []
    for row, record in enumerate(store.records):
        wide = widen.widen(torch.from_numpy(store.coarse[row : row + 1].astype(np.float32)))
        photos.append(View(widen.classify(wide)[0], presences[row], truth(record)))
    return photos


def fit(photos: Sequence[View], grounded: float) -> Sureness:
    """Slope and offset by all names that got a share where no own label is grounded; how much a foreign animal
    excludes by how seldom one is confirmed where an own one is shown."""
    x, y = [], []
    for photo in photos:
        if max(photo.presence.values()) < grounded:
            for name, share in imagenet.shares(photo.posterior).items():
                if share >= SEEN:
                    share = min(share, 1 - 1e-6)
                    x.append([np.log(share) - np.log1p(-share), 1.0])
                    y.append(float(name in photo.truth))
    start = np.array([1.0, 0.0])
    if not y:
        return Sureness(1.0, 0.0, LEAST, 1.0)
    curve = presence.logistic(np.array(x), np.array(y), np.ones(len(y)), np.array([1.0, 0.1]), start)
    slope, offset = (round(float(value), 4) for value in curve)
    return Sureness(slope, offset, LEAST, _exclusion(Sureness(slope, offset, LEAST, 1.0), photos, grounded))


def _exclusion(sureness: Sureness, photos: Sequence[View], grounded: float) -> float:
    """How much likelier a foreign animal is confirmed where an own one is shown than where a foreign one is; a case
    each is added, so that no error among few does not mean never."""
    animals, labels = set(imagenet.animals()), set(imagenet.own_animals())
    hits, counts = {"own": 1, "foreign": 1}, {"own": 2, "foreign": 2}
    for photo in photos:
        kind = "own" if photo.truth & labels else "foreign" if photo.truth & animals else None
        if kind:
            hits[kind] += bool(animals & set(sureness.confirmed(photo.posterior, photo.presence, grounded)))
            counts[kind] += 1
    return round(min(1.0, (hits["own"] / counts["own"]) / (hits["foreign"] / counts["foreign"])), 4)


def figures(sureness: Sureness, photos: Sequence[View], grounded: float) -> dict[str, int]:
    """photos; shown: show one of the names; found: of these, confirmed; confirmed, right: names confirmed, and rightly;
    foreign: confirmed animals' photos, on which `lowered` own animals that are not there had p above .1 before and
    not after."""
    totals = dict.fromkeys(("photos", "shown", "found", "confirmed", "right", "foreign", "lowered"), 0)
    for photo in photos:
        confirmed = sureness.confirmed(photo.posterior, photo.presence, grounded)
        named = photo.truth & set(imagenet.names())
        totals["photos"] += 1
        totals["shown"] += bool(named)
        totals["found"] += bool(named & set(confirmed))
        totals["confirmed"] += len(confirmed)
        totals["right"] += len(set(confirmed) & photo.truth)
        if set(confirmed) & set(imagenet.animals()):
            after = sureness.without(photo.presence, confirmed)
            totals["foreign"] += 1
            totals["lowered"] += sum(
                photo.presence[name] > 0.1 >= after[name]
                for name in set(imagenet.own_animals()) & set(after) - photo.truth
            )
    return totals


def calibrated(sets: Mapping[str, Sequence[View]], grounded: float) -> dict[str, Any] | None:
    """What presence.json keeps, fitted on every second photo and measured on the others: {"sureness": fields,
    "measured": figures by set}; None without photos."""
    if not any(sets.values()):
        return None
    fitted = fit([photo for photos in sets.values() for photo in photos[::2]], grounded)
    return {"sureness": asdict(fitted), "measured": {n: figures(fitted, p[1::2], grounded) for n, p in sets.items()}}
