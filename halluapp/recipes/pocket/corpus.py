"""Training text: from a photo's record to (question, answer) pairs for every skill of the pocket LVLM."""

from __future__ import annotations

import random

from halluapp.data.wording import article, clean_sentence, mirror
from halluapp.evaluation.annotations import AnnotatedObjects
from halluapp.grounding.words import vocabulary
from halluapp.recipes.pocket import questions
from halluapp.recipes.pocket.cooccurrence import Cooccurrence
from halluapp.recipes.pocket.crops import area, crop_box
from halluapp.recipes.pocket.description import MOST_NAMED, describe, list_sentence
from halluapp.recipes.pocket.prompts import ASK, DETAIL, LIST, ONE_WORD, OTHER, SHORT, casual, refusal
from halluapp.recipes.pocket.sets import Category, TrainingPhoto

WHOLE = [0.0, 0.0, 1.0, 1.0, 0.0]  # the view that is the photo itself
# Share of the photos without captions that teach "The image shows ...": a sentence that always begins alike is the
# likeliest beginning for every photo, and the model would only list.
BARE = 0.3
MOST_SHORT = 5  # short questions a view: longer rows cost more than they teach
REFUSED = 0.2  # share of photos with a question that the model cannot answer: at .5 it refused 29 of 200 others
Pair = tuple[str, str]  # question, answer


class Corpus:
    """Generates the training pairs of a photo from a random generator that the caller passes."""

    def __init__(self, photos: list[AnnotatedObjects]):
        self.cooccurrence = Cooccurrence(photos)
        self.order = _usual_order(photos)

    def pairs(
        self,
        record: dict,
        photo: AnnotatedObjects,
        crop: list[float],
        rng: random.Random,
        top_class: Category | None = None,
    ) -> list[Pair]:
        """Question-answer pairs for one view of a photo, for every skill that its record can teach.

        top_class: the class that the trunk's classifier is sure of in this view.
        """
        orient = mirror if crop[4] else str
        if isinstance(photo, TrainingPhoto) and photo.category:
            pairs = questions.category(photo, rng) + self.yes_no(photo, rng, 2)
        else:
            captions = [orient(clean_sentence(caption)) for caption in record.get("captions", [])]
            short = self.yes_no(photo, rng, 4, crop) + self._questions(record, rng, orient)
            if rng.random() < 0.5:
                short += questions.animal(photo, top_class, rng)
            if not captions or rng.random() < 0.6:
                short += questions.main_object(photo, top_class, rng)
            if isinstance(photo, TrainingPhoto) and photo.certain:
                short += questions.counts(photo, crop, rng) + questions.places(photo, crop, rng)
            short += questions.colours(captions, rng)
            pairs = self._sentences(captions, record, photo, crop, rng) + rng.sample(short, min(len(short), MOST_SHORT))
        return pairs + [refusal(rng)] * (rng.random() < REFUSED)

    def _sentences(
        self, captions: list[str], record: dict, photo: AnnotatedObjects, crop: list[float], rng: random.Random
    ) -> list[Pair]:
        """Captions, a detailed description and a list."""
        captions = [caption for caption in captions if questions.most_named(caption) <= MOST_NAMED]
        rng.shuffle(captions)
        pairs = [
            (rng.choice(OTHER) if rng.random() < 0.08 else casual(rng.choice(SHORT), rng), caption)
            for caption in captions[:2]
        ]
        once = [caption for caption in captions if questions.most_named(caption) < MOST_NAMED]
        detail = self.detail(once or captions, record, photo, crop, rng)
        if detail and (captions or rng.random() < BARE):
            pairs.append((casual(rng.choice(DETAIL), rng), detail))
        names = self._names(photo, crop)
        if names:
            pairs.append((rng.choice(LIST), ", ".join(names[:10]) + "."))
        return pairs

    def _names(self, photo: AnnotatedObjects, crop: list[float]) -> list[str]:
        """Objects with a box in the view, the more specific name of two, in the usual order."""
        names = {name for name, box in photo.boxes + photo.uncertain_boxes if crop_box(box, crop)}
        names -= {vocabulary.parent(name) for name in names}
        return sorted(names, key=lambda name: (self.order.get(name, len(self.order)), name))

    def listing(self, photo: AnnotatedObjects, rng: random.Random) -> Pair:
        """A question and the list of what a photo shows, as a plain list or as a sentence, in the usual order."""
        if rng.random() < 0.8:
            return rng.choice(LIST), ", ".join(self._names(photo, WHOLE)[:10] or ["nothing"]) + "."
        return rng.choice(DETAIL), list_sentence(photo, WHOLE, self.order) or "The image shows nothing."

    def yes_no(
        self, photo: AnnotatedObjects, rng: random.Random, count: int, crop: list[float] | None = None
    ) -> list[Pair]:
        """Balanced questions about presence; negatives are random, popular or adversarial in equal parts.

        crop: a view; what has boxes, none of them in the view, is not asked about.
        """
        present = photo.present - self._cut_off(photo, crop) if crop else photo.present
        pairs: list[Pair] = []
        for _ in range(count // 2):
            absent = self.cooccurrence.absent(photo, rng.choice(("random", "popular", "adversarial")), rng)
            if absent and present:
                pairs.append(self.ask(rng.choice(sorted(present)), True, rng))
            if absent:
                pairs.append(self.ask(absent, False, rng))
        return pairs

    @staticmethod
    def _cut_off(photo: AnnotatedObjects, crop: list[float]) -> set[str]:
        boxed = {name for name, _ in photo.boxes}
        return boxed - {name for name, box in photo.boxes if crop_box(box, crop)}

    def ask(self, name: str, present: bool, rng: random.Random) -> Pair:
        """One yes/no question about an object."""
        question = rng.choice(ASK).format(a=article(name), x=name, xs=vocabulary.plural(name)) + rng.choice(ONE_WORD)
        return question, "Yes." if present else "No."

    def _questions(self, record: dict, rng: random.Random, orient) -> list[Pair]:
        pairs = []
        for pair in rng.sample(record.get("qa", []), min(2, len(record.get("qa", [])))):
            answer = orient(clean_sentence(pair["answer"]))
            if rng.random() < 0.3 and len(pair["distractors"]) == 3:
                options = [answer, *(orient(clean_sentence(other)) for other in pair["distractors"])]
                rng.shuffle(options)
                letters = " ".join(f"{letter}. {option}" for letter, option in zip("ABCD", options, strict=True))
                pairs.append((f"{pair['question']} {letters}", "ABCD"[options.index(answer)] + "."))
            else:
                pairs.append((orient(pair["question"]), answer))
        return pairs

    def detail(self, captions: list[str], record: dict, photo: AnnotatedObjects, crop, rng: random.Random) -> str:
        """A detailed description of a view (`description.describe`), objects in the order of this corpus."""
        return describe(captions, record, photo, crop, self.order, rng)


def _usual_order(photos: list[AnnotatedObjects]) -> dict[str, int]:
    """Rank of each object in lists: people, then from what usually fills a photo to what is usually small."""
    sizes: dict[str, list[float]] = {}
    for photo in photos:
        for name, box in photo.boxes + photo.uncertain_boxes:
            sizes.setdefault(name, []).append(area(box))
    mean = {name: sum(areas) / len(areas) for name, areas in sizes.items()}
    names = sorted(mean, key=lambda name: (name not in vocabulary.PEOPLE, -mean[name], name))
    return {name: rank for rank, name in enumerate(names)}
