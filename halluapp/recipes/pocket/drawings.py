"""Drawn scenes for training: as one more set for the LVLM, and alone for the detector's head, all else frozen."""

from __future__ import annotations

import io
import random
from collections import Counter

import numpy as np
import torch
from torch import Tensor, nn

from halluapp.data import scenes
from halluapp.data.shards import Sample
from halluapp.data.wording import clean_sentence, enumerate_items
from halluapp.efficientnet import Trunk
from halluapp.evaluation.annotations import AnnotatedObjects
from halluapp.grounding.detectors.pocket import PIXELS, to_pixels
from halluapp.grounding.words import vocabulary
from halluapp.recipes.pocket.crops import area
from halluapp.recipes.pocket.description import NUMBERS
from halluapp.recipes.pocket.detector_loss import detection_loss
from halluapp.recipes.pocket.packing import Batches
from halluapp.recipes.pocket.questions import a, many
from halluapp.recipes.pocket.train import Pocket
from halluapp.recipes.views import view_of

SCENES, SEED = 600, 1000  # the shipped examples have seed 0
STEPS, PHOTOS, DRAWINGS, RATE = 600, 24, 8, 5e-4
VIEWS = (None, (True, 0.8))  # whole; a mirrored crop
WHOLE = [0.0, 0.0, 1.0, 1.0, 0.0]
# The renderer lists neither backgrounds nor parts of objects: a drawing tells nothing about their absence.
UNLISTED = {"sky", "cloud", "street", "sidewalk", "grass", "field", "yard", "sand", "beach", "ocean", "water", "wave",
            "floor", "wall", "sun", "rug", "blanket", "towel", "door", "wheel", "counter", "shelf", "shirt", "pants",
            "hair", "leaf", "branch", "flower", "building", "roof", "window", "plate", "pole"}  # fmt: skip


def draw(number: int):
    """The number-th training scene, some of its things left out -> (picture, what is in it)."""
    rng = random.Random(f"drawings/{SEED}/{number}")
    scene = list(scenes.SCENES)[number % len(scenes.SCENES)]
    things = sorted({item["label"] for item in scenes.render(scene, (64, 48), SEED + number)[1]})
    without = tuple(rng.sample(things, rng.randint(0, len(things) // 2)))
    picture, objects = scenes.render(scene, (384, 288), SEED + number, without)
    annotated = AnnotatedObjects(boxes=[(item["label"], item["box"]) for item in objects])
    annotated.present = {item["label"] for item in objects}
    people = set(vocabulary.PEOPLE) if "person" in annotated.present else set()
    annotated.possible = (UNLISTED | people) - annotated.present
    return picture, annotated


def caption(objects: list[tuple[str, list[float]]], rng: random.Random) -> str:
    """ "A drawing of a beach ball, a sailboat and two trees.": the largest things, each kind once."""
    sizes: Counter[str] = Counter()
    for name, box in objects:
        sizes[name] += area(box)
    count = Counter(name for name, _ in objects)
    phrases = [
        a(name) if count[name] == 1 else f"{NUMBERS[min(count[name], len(NUMBERS) - 1)]} {many(name)}"
        for name, _ in sizes.most_common(rng.randint(2, 4))
    ]
    return clean_sentence(f"a drawing of {enumerate_items(phrases)}")


def sample(number: int) -> Sample:
    """A scene as a training photo: captions, boxes, and the names whose absence is certain."""
    picture, truth = draw(number)
    rng = random.Random(f"captions/{SEED}/{number}")
    certain = [
        name
        for name in vocabulary.objects()
        if name not in truth.possible and not any(vocabulary.same_or_kind(name, other) for other in truth.present)
    ]
    record = {
        "source": "drawn", "label_set": "all that is drawn", "captions": [caption(truth.boxes, rng) for _ in range(3)],
        "objects": sorted(truth.present), "boxes": [[name, *box] for name, box in truth.boxes],
        "complete_labels": certain,
    }  # fmt: skip
    encoded = io.BytesIO()
    picture.save(encoded, "PNG")
    return Sample(f"drawn_{number}", encoded.getvalue(), record)


@torch.no_grad()
def scene_features(count: int = SCENES, log=print) -> tuple[Tensor, Tensor, list[tuple[AnnotatedObjects, list[float]]]]:
    """Trunk features of all views of the scenes, fine and coarse in float16, and each view's (truth, crop)."""
    trunk = Trunk().eval()
    trunk.load_package()
    fine, coarse, truth = [], [], []
    for number in range(count):
        picture, annotated = draw(number)
        views = [view_of(picture, view, random.Random(f"{number}/{i}"), PIXELS) for i, view in enumerate(VIEWS)]
        maps = trunk(to_pixels([view for view, _ in views]))
        fine.append(maps[0].half())
        coarse.append(maps[1].half())
        truth += [(annotated, crop) for _, crop in views]
        if (number + 1) % 100 == 0:
            log(f"drew {number + 1} of {count} scenes")
    return torch.cat(fine), torch.cat(coarse), truth


def teach(pocket: Pocket, batches: Batches, scene_views, steps: int = STEPS, log=print) -> None:
    """Goes on training the head, in place: batches of photos (what it could) and drawings (what is new)."""
    fine, coarse, truth = scene_views
    optimizer = torch.optim.AdamW(pocket.head.parameters(), lr=RATE, weight_decay=0.05, betas=(0.9, 0.95))
    rng = np.random.default_rng(SEED)
    running_loss = {"photos": 0.0, "drawings": 0.0}
    pocket.eval()
    pocket.head.train()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min((step + 1) / 20, 1 - step / steps)
        rows = rng.choice(len(truth), DRAWINGS, replace=False)
        targets = [batches.truth({"source": "flickr8k"}, *truth[row]) for row in rows]
        batches_by_source = {
            "drawings": (fine[rows].float(), coarse[rows].float(), targets),
            "photos": photo_batch(batches, rng),
        }
        total = torch.zeros(())
        for name, (fine_part, coarse_part, targets_of) in batches_by_source.items():
            with torch.no_grad():
                tokens = pocket.lvlm.model.vision_tower.neck(fine_part, coarse_part)[-1]
            columns = [torch.stack(column) for column in zip(*targets_of, strict=True)]
            loss = detection_loss(pocket.head(fine_part, tokens), *columns)
            total = total + loss * len(targets_of) / (PHOTOS + DRAWINGS)
            running_loss[name] = 0.95 * running_loss[name] + 0.05 * loss.item() if step else loss.item()
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_(pocket.head.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % 50 == 0 or step + 1 == steps:
            losses = ", ".join(f"{name} {value:.3f}" for name, value in running_loss.items())
            log(f"detector, step {step + 1}: {losses}")
    pocket.head.eval()


def photo_batch(batches: Batches, rng: np.random.Generator) -> tuple[Tensor, Tensor, list]:
    """Random views of random training photos -> (fine, coarse, targets)."""
    fine, coarse, targets = [], [], []
    for position in rng.choice(len(batches.index), PHOTOS, replace=False):
        part, row = batches.index[position]
        store = batches.stores[part]
        view = int(rng.integers(store.crops.shape[1]))
        fine.append(store.fine[row, view])
        coarse.append(store.coarse[row, view])
        targets.append(batches.truth(store.records[row], batches.photos[part][row], store.crops[row, view].tolist()))
    return torch.from_numpy(np.stack(fine)).float(), torch.from_numpy(np.stack(coarse)).float(), targets
