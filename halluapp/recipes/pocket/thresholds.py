"""Chooses, on training photos, the score at which the detector calls a label present."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from halluapp.evaluation.annotations import AnnotatedObjects
from halluapp.grounding.detectors import pocket_head
from halluapp.recipes.pocket.features import FeatureStore
from halluapp.recipes.pocket.train import Pocket

PHOTOS = 2500
MIN_POSITIVES = 15  # a label with fewer positives keeps the common threshold


@torch.no_grad()
def best_scores(pocket: Pocket, store: FeatureStore, rows: list[int]) -> np.ndarray:
    """The detector's best score for each label on whole photos: [photos, K]."""
    scores = np.zeros((len(rows), len(pocket.head.labels)), np.float32)
    number = {label: index for index, label in enumerate(pocket.head.labels)}
    for first in range(0, len(rows), 32):
        chunk = rows[first : first + 32]
        fine, coarse = (torch.from_numpy(a[chunk, 0].astype("float32")) for a in (store.fine, store.coarse))
        tokens = pocket.lvlm.model.vision_tower.neck(fine, coarse)[-1]
        for row, boxes in enumerate(pocket_head.decode(pocket.head(fine, tokens), pocket.head.labels, least=0.02)):
            for label, score, _ in boxes:
                scores[first + row, number[label]] = max(scores[first + row, number[label]], score)
    return scores


def choose(
    pocket: Pocket, stores: list[FeatureStore], photos: list[list[AnnotatedObjects]], folder: Path, log=print
) -> None:
    """Writes detector.json with, for each label, the threshold that maximises F1 of presence.

    COCO labels are judged on all stores, the others only where captions would have named them (records with entities).
    Photos where a label's presence is uncertain are left out for that label.
    """
    labels = pocket.head.labels
    scores, truth = [], []
    for store, part in zip(stores, photos, strict=True):
        rows = list(range(0, len(store.keys), max(1, len(store.keys) * len(stores) // PHOTOS)))
        scores.append(best_scores(pocket, store, rows))
        truth.append([[_truth(store.records[row], part[row], label) for label in labels] for row in rows])
    score, presence = np.concatenate(scores), np.concatenate([np.array(t, float) for t in truth])
    chosen = {label: _best(score[:, k], presence[:, k]) for k, label in enumerate(labels)}
    common = float(np.median([value for value in chosen.values() if value is not None]))
    final = {label: round(common if value is None else value, 3) for label, value in chosen.items()}
    log(f"detector thresholds: median {common:.3f}")
    pocket_head.save(pocket.head, folder, final, {})


def _truth(record: dict, photo: AnnotatedObjects, label: str) -> float:
    from halluapp.grounding.words import vocabulary

    if label in photo.present:
        return 1.0
    certain = getattr(photo, "certain", None)
    if certain is not None:
        return 0.0 if label in certain else float("nan")
    unsure = label in photo.possible or (not record.get("entities") and label not in vocabulary.coco_names())
    return float("nan") if unsure else 0.0


def _best(score: np.ndarray, truth: np.ndarray) -> float | None:
    certain = ~np.isnan(truth)
    score, truth = score[certain], truth[certain]
    if truth.sum() < MIN_POSITIVES:
        return None
    candidates = np.linspace(0.05, 0.8, 76)
    f1 = [2 * (truth[score >= t]).sum() / max((score >= t).sum() + truth.sum(), 1) for t in candidates]
    return float(candidates[int(np.argmax(f1))])
