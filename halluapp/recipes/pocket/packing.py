"""Batches for training: many question-answer pairs behind one visual prefix, kept apart by a block mask."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from halluapp.efficientnet import Classifier
from halluapp.evaluation.annotations import AnnotatedObjects
from halluapp.grounding.words import vocabulary
from halluapp.recipes.pocket import questions
from halluapp.recipes.pocket.corpus import Corpus, Pair
from halluapp.recipes.pocket.crops import crop_box
from halluapp.recipes.pocket.detector_loss import assign
from halluapp.recipes.pocket.features import GRID, FeatureStore
from halluapp.recipes.pocket.own_texts import View
from halluapp.recipes.pocket.posterior import drawn_posterior
from halluapp.recipes.pocket.prompts import DETAIL, SHORT
from halluapp.recipes.pocket.questions import SURE
from halluapp.recipes.pocket.sets import WEIGHTS, Category, TrainingPhoto, class_names, kept_out, quota
from halluapp.recipes.pocket.tokenizer import AFTER, BEFORE

IGNORE = -100
READ = 24  # drawn posteriors a step
OWN, DETAILED = 12, 0.8  # photos a step that the model describes itself, and how often in detail
PACKED = 11  # rows of a similar length that are padded and computed together


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

    def prompt(self, question: str) -> list[int]:
        """The ids of a question about a photo, up to the answer."""
        return [*self.prefixes["photo"], *self._ids(question + AFTER)]

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
    # Drawn posteriors [R, regions, 1000] without a photo, and questions about the class of each.
    reading: tuple[Tensor, PackedBatch] | None = None
    # A prompt for descriptions of its own, and the photos that it is asked about.
    description_task: tuple[list[int], list[View]] = field(default_factory=lambda: ([], []))


class Batches:
    """Draws seeded training batches from feature stores and captions without photos.

    names: of the stores, as in `sets.WEIGHTS`; with them photos are drawn by these weights and some are kept out, and
    the classes of the ImageNet sample teach what the trunk's classifier sees. Without: by the sizes of the stores.
    """

    def __init__(
        self, stores, photos, labels: list[str], packer: Packer, captions: list[str], size: int = 32,
        names: Sequence[str] = (),
    ):  # fmt: skip
        self.stores: list[FeatureStore] = stores
        self.photos: list[list[AnnotatedObjects]] = photos
        self.corpus = Corpus([photo for part in photos for photo in part])
        self.labels, self.packer, self.captions, self.size = labels, packer, captions, size
        coco = vocabulary.coco_names()
        self.coco = torch.tensor([float(label in coco) for label in labels])
        self.number = {label: index for index, label in enumerate(labels)}
        self.rows = [np.arange(len(store.keys)) for store in stores]
        self.classes: dict[int, Category] = {}
        self.classifier: Classifier | None = None
        for part, name in enumerate(names):
            self.rows[part] = np.setdiff1d(self.rows[part], kept_out(name, stores[part].records))
            if name == "imagenet-sample":
                self.classes = class_names(stores[part].keys, stores[part].records)
                self.classifier = Classifier().eval()
                self.classifier.load_package()
        self.regions = max(packer.image_tokens - GRID * GRID, 0)
        self.class_packer = Packer(packer.tokenizer, self.regions)
        weights = np.array([WEIGHTS[name] for name in names] or [len(rows) for rows in self.rows], float)
        self.shares = weights / weights.sum()
        self.index = [(part, int(row)) for part, rows in enumerate(self.rows) for row in rows]
        self._boxed = [(part, row) for part, row in self.index if photos[part][row].boxes]
        self._orders: dict[tuple[int, int, int], np.ndarray] = {}

    def chosen(self, step: int, seed: int) -> list[tuple[int, int]]:
        """(store, row) of the photos of a step: each store's own series of shuffled rounds, at its share."""
        chosen = []
        for part, rows in enumerate(self.rows):
            for position in quota(step, self.shares[part], self.size):
                turn, offset = divmod(position, len(rows))
                if (seed, part, turn) not in self._orders:
                    self._orders[seed, part, turn] = np.random.default_rng((seed, part, turn)).permutation(rows)
                chosen.append((part, int(self._orders[seed, part, turn][offset])))
        return chosen

    @torch.no_grad()
    def top_classes(self, coarse: Tensor) -> list[Category | None]:
        """Coarse maps of views [B, 352, 8, 8] -> the class that the trunk's classifier is sure of, or None."""
        if self.classifier is None:
            return [None] * len(coarse)
        best, number = self.classifier(self.classifier.features(coarse).mean((2, 3))).softmax(-1).max(-1)
        return [
            self.classes.get(index) if sure > SURE else None
            for sure, index in zip(best.tolist(), number.tolist(), strict=True)
        ]

    def draw(self, step: int, seed: int) -> TrainingBatch:
        """The batch of a step: a function of (step, seed) only, so that a resumed run sees the same data."""
        rng = random.Random(f"{seed}/{step}")
        chosen = self.chosen(step, seed)
        rng.shuffle(chosen)
        views = [rng.randrange(self.stores[part].crops.shape[1]) for part, _ in chosen]
        fine, coarse = (
            torch.from_numpy(
                np.stack([array(part)[row, view] for (part, row), view in zip(chosen, views, strict=True)])
            ).float()
            for array in (lambda part: self.stores[part].fine, lambda part: self.stores[part].coarse)
        )
        rows, truth = [], []
        for (part, row), view, top_class in zip(chosen, views, self.top_classes(coarse), strict=True):
            store, photo = self.stores[part], self.photos[part][row]
            crop = store.crops[row, view].tolist()
            rows.append(self.corpus.pairs(store.records[row], photo, crop, rng, top_class))
            truth.append(self.truth(store.records[row], photo, crop))
        # Without a photo the model must learn what the question alone makes likely, in every skill: VDD's reference
        # and the calibration's prior are exactly that.
        free = [[(rng.choice(SHORT), rng.choice(self.captions)) for _ in range(4)] for _ in range(2)] + rows[:4]
        free += [[self.corpus.listing(self.rare(rng), rng) for _ in range(4)] for _ in range(2)]
        return TrainingBatch(
            fine,
            coarse,
            self._by_length(rows),
            self.packer.pack(free, rng.choice(("none", "unk", "text"))),
            tuple(torch.stack(column) for column in zip(*truth, strict=True)),
            self.reading(rng),
            self.description_task(chosen, views, rng),
        )

    def description_task(
        self, chosen: list[tuple[int, int]], views: list[int], rng: random.Random
    ) -> tuple[list[int], list[View]]:
        """The prompt ids for descriptions that the model decodes itself, and the photos; not of a single thing."""
        photos = [
            View(number, self.photos[part][row], self.stores[part].crops[row, view].tolist())
            for number, ((part, row), view) in enumerate(zip(chosen, views, strict=True))
            if not getattr(self.photos[part][row], "category", None)
        ]
        question = rng.choice(DETAIL if rng.random() < DETAILED else SHORT)
        return self.packer.prompt(question), photos[:OWN]

    def reading(self, rng: random.Random) -> tuple[Tensor, PackedBatch] | None:
        """Classes by the classifier's word alone: a photo a class would not teach to say all the names."""
        if not self.classes or not self.regions:
            return None
        numbers = rng.sample(sorted(self.classes), min(READ, len(self.classes)))
        posteriors = [drawn_posterior(number, sorted(self.classes), self.regions, rng) for number in numbers]
        rows = []
        for number in numbers:
            pairs = questions.category(TrainingPhoto(category=self.classes[number]), rng)
            rows.append(rng.sample(pairs, min(3, len(pairs))))
        return torch.stack(posteriors), self.class_packer.pack(rows)

    def rare(self, rng: random.Random) -> AnnotatedObjects:
        """A photo with many objects or rare ones: the best of a few draws.

        Lists of them, without the photo, teach what photos alone teach slowly: a list never names an object twice.
        """
        candidates = [self.photos[part][row] for part, row in rng.sample(self._boxed or self.index, 6)]
        return max(
            candidates, key=lambda photo: sum(1 / self.corpus.cooccurrence.count[name] ** 0.5 for name in photo.present)
        )

    def _by_length(self, rows: list[list[Pair]]) -> list[tuple[Tensor, PackedBatch]]:
        order = sorted(range(len(rows)), key=lambda row: sum(len(q) + len(a) + 12 for q, a in rows[row]))
        parts = [order[first : first + PACKED] for first in range(0, len(order), PACKED)]
        return [(torch.tensor(part), self.packer.pack([rows[row] for row in part])) for part in parts]

    def truth(self, record: dict, photo: AnnotatedObjects, crop: list[float]):
        """Detection targets of one view; a label counts as absent only where the annotation would have named it."""
        boxes, present = [], torch.zeros(len(self.labels))
        for name, box in photo.boxes:
            if view := crop_box(box, crop):
                boxes += [(self.number[n], view) for n in (name, vocabulary.parent(name)) if n in self.number]
        label_mask = torch.ones(len(self.labels)) if record.get("source") == "flickr8k" else self.coco.clone()
        certain = getattr(photo, "certain", None)
        if certain is not None:
            label_mask = torch.tensor([float(label in certain) for label in self.labels])
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
