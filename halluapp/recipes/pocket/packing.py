"""Batches for training: many question-answer pairs behind one visual prefix, kept apart by a block mask."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from halluapp.evaluation.annotations import AnnotatedObjects
from halluapp.grounding.words import vocabulary
from halluapp.recipes.pocket.corpus import SHORT, Corpus, Pair
from halluapp.recipes.pocket.crops import crop_box
from halluapp.recipes.pocket.detector_loss import assign
from halluapp.recipes.pocket.features import FeatureStore
from halluapp.recipes.pocket.tokenizer import AFTER, BEFORE

IGNORE = -100


@dataclass
class PackedBatch:
    """One packed batch. ids, labels, positions, segments [B, T]; segment 0 is the prefix, -1 padding."""

    ids: Tensor
    labels: Tensor
    positions: Tensor
    segments: Tensor

    @property
    def answer_tokens(self) -> int:
        """How many answer tokens the loss is over."""
        return int((self.labels != IGNORE).sum())

    def mask(self) -> Tensor:
        """Which key each query may see [B, 1, T, T]: the prefix, and earlier tokens of its own segment."""
        query, key = self.segments[:, :, None], self.segments[:, None, :]
        causal = torch.ones(self.ids.shape[1], self.ids.shape[1], dtype=torch.bool).tril()
        allowed = ((key == 0) | (key == query)) & (query >= 0) & (key >= 0) & causal
        return (allowed | torch.eye(self.ids.shape[1], dtype=torch.bool))[:, None]  # padding sees itself: no empty row


class Packer:
    """Tokenizes pairs exactly as the chat template does and packs them."""

    def __init__(self, tokenizer, image_tokens: int = 64):
        self.tokenizer, self.image_tokens = tokenizer, image_tokens
        self.cache: dict[str, list[int]] = {}
        self.prefixes = {
            "photo": self._ids("<s>" + BEFORE + "<image>" * image_tokens + "\n"),
            "none": self._ids("<s>" + BEFORE + "\n"),
            "unk": self._ids("<s>" + BEFORE + "<unk>\n"),
            "text": self._ids("<s>" + BEFORE),
        }

    def _ids(self, text: str) -> list[int]:
        if text not in self.cache:
            self.cache[text] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return self.cache[text]

    def pack(self, rows: list[list[Pair]], view: str = "photo") -> PackedBatch:
        """One row of pairs a photo (or, image-free, a group of texts) -> a padded batch."""
        prefix, end = self.prefixes[view], self.tokenizer.eos_token_id
        rows_of_ids = []
        for pairs in rows:
            ids, labels, positions, segments = (
                list(prefix),
                [IGNORE] * len(prefix),
                list(range(len(prefix))),
                [0] * len(prefix),
            )
            for number, (question, answer) in enumerate(pairs, 1):
                question_ids, answer_ids = self._ids(question + AFTER), [*self._ids(" " + answer), end]
                ids += question_ids + answer_ids
                labels += [IGNORE] * len(question_ids) + answer_ids
                positions += range(len(prefix), len(prefix) + len(question_ids) + len(answer_ids))
                segments += [number] * (len(question_ids) + len(answer_ids))
            rows_of_ids.append((ids, labels, positions, segments))
        longest = max(len(row[0]) for row in rows_of_ids)
        fills = (self.tokenizer.pad_token_id, IGNORE, 0, -1)
        columns = [
            torch.tensor([row[column] + [fill] * (longest - len(row[column])) for row in rows_of_ids])
            for column, fill in enumerate(fills)
        ]
        return PackedBatch(*columns)


@dataclass
class TrainingBatch:
    """Everything one training step needs."""

    fine: Tensor
    coarse: Tensor
    photo: list[tuple[Tensor, PackedBatch]]  # rows of the batch and their pairs, split by length: less padding
    text: PackedBatch
    detection: tuple[Tensor, Tensor, Tensor, Tensor, Tensor]  # target, boxes, has_box, known, present


class Batches:
    """Draws seeded training batches from feature stores and captions without photos."""

    def __init__(self, stores, photos, labels: list[str], packer: Packer, captions: list[str], size: int = 32):
        self.stores: list[FeatureStore] = stores
        self.photos: list[list[AnnotatedObjects]] = photos
        self.corpus = Corpus([photo for part in photos for photo in part])
        self.labels, self.packer, self.captions, self.size = labels, packer, captions, size
        coco = vocabulary.coco_names()
        self.coco = torch.tensor([float(label in coco) for label in labels])
        self.number = {label: index for index, label in enumerate(labels)}
        self.index = [(part, row) for part, store in enumerate(stores) for row in range(len(store.keys))]

    def draw(self, step: int, seed: int) -> TrainingBatch:
        """The batch of a step: a function of (step, seed) only, so that a resumed run sees the same data."""
        order = np.random.default_rng((seed, step * self.size // len(self.index))).permutation(len(self.index))
        start = step * self.size % len(self.index)
        rng = random.Random(f"{seed}/{step}")
        fine, coarse, rows, truth = [], [], [], []
        for position in np.take(order, range(start, start + self.size), mode="wrap"):
            part, row = self.index[position]
            store, photo = self.stores[part], self.photos[part][row]
            view = rng.randrange(store.crops.shape[1])
            crop = store.crops[row, view].tolist()
            fine.append(store.fine[row, view])
            coarse.append(store.coarse[row, view])
            rows.append(self.corpus.pairs(store.records[row], photo, crop, rng))
            truth.append(self.truth(store.records[row], photo, crop))
        # Without a photo the model must learn what the question alone makes likely, in every skill: VDD's reference
        # and the calibration's prior are exactly that.
        free = [[(rng.choice(SHORT), rng.choice(self.captions)) for _ in range(4)] for _ in range(3)] + rows[:4]
        free += [[self.corpus.listing(self.rare(rng), rng) for _ in range(5)] for _ in range(3)]
        return TrainingBatch(
            torch.from_numpy(np.stack(fine)).float(),
            torch.from_numpy(np.stack(coarse)).float(),
            self._by_length(rows),
            self.packer.pack(free, rng.choice(("none", "unk", "text"))),
            tuple(torch.stack(column) for column in zip(*truth, strict=True)),
        )

    def rare(self, rng: random.Random) -> AnnotatedObjects:
        """A photo with many objects or rare ones: the best of a few draws.

        Lists of them, without the photo, teach what photos alone teach slowly: a list never names an object twice.
        """
        candidates = [self.photos[part][row] for part, row in rng.sample(self.index, 6)]
        return max(
            candidates, key=lambda photo: sum(1 / self.corpus.cooccurrence.count[name] ** 0.5 for name in photo.present)
        )

    def _by_length(self, rows: list[list[Pair]]) -> list[tuple[Tensor, PackedBatch]]:
        order = sorted(range(len(rows)), key=lambda row: sum(len(q) + len(a) + 12 for q, a in rows[row]))
        halves = order[: len(order) // 2], order[len(order) // 2 :]
        return [(torch.tensor(half), self.packer.pack([rows[row] for row in half])) for half in halves]

    def truth(self, record: dict, photo: AnnotatedObjects, crop: list[float]):
        """Detection targets of one view; a label counts as absent only where the annotation would have named it."""
        boxes, present = [], torch.zeros(len(self.labels))
        for name, box in photo.boxes:
            if view := crop_box(box, crop):
                boxes += [(self.number[n], view) for n in (name, vocabulary.parent(name)) if n in self.number]
        label_mask = torch.ones(len(self.labels)) if record.get("source") == "flickr8k" else self.coco.clone()
        for name in photo.possible & self.number.keys():
            label_mask[self.number[name]] = 0
        boxed = {name for name, _ in photo.boxes}
        for name in photo.present & self.number.keys():
            present[self.number[name]] = 1
            if name not in boxed:  # named without a box: no cell may learn that it is absent
                label_mask[self.number[name]] = 0
        return *assign(boxes, len(self.labels)), label_mask, present


def detector_labels(photos: list[AnnotatedObjects], least: int = 40) -> list[str]:
    """The objects that have boxes in at least `least` photos, in the order of the vocabulary."""
    count: dict[str, int] = {}
    for photo in photos:
        boxed = {name for name, _ in photo.boxes}
        for name in boxed | {vocabulary.parent(name) for name in boxed}:
            count[name] = count.get(name, 0) + 1
    return [name for name in vocabulary.objects() if count.get(name, 0) >= least]
