"""Training text: from a photo's record to (question, answer) pairs for every skill of the pocket LVLM."""

from __future__ import annotations

import random

from halluapp.data.wording import article, clean_sentence, mirror
from halluapp.evaluation.annotations import AnnotatedObjects
from halluapp.grounding.words import vocabulary
from halluapp.recipes.pocket.cooccurrence import Cooccurrence
from halluapp.recipes.pocket.crops import area, crop_box
from halluapp.recipes.pocket.description import describe, list_sentence

SHORT = (
    "Describe this image.", "Describe this image.", "Describe this image.", "Describe the image.",
    "Describe this photo.",
    "What is in this image?", "What do you see?", "Write a caption for this image.",
    "What is happening in this picture?",
    "Caption this image.", "Briefly describe this image.", "Tell me about this photo.", "What does the picture show?",
    "Describe the picture in one sentence.", "Give a short description.", "What's this?", "Describe what you see.",
)  # fmt: skip
DETAIL = (
    "Describe this image in detail.", "Describe this image in detail.", "Please describe this image in detail.",
    "Describe the image in detail.", "Give a detailed description of the image.",
    "Describe everything you see in this photo.",
    "Describe this picture in as much detail as possible.", "Write a long description of this photo.",
)  # fmt: skip
LIST = (
    "List the objects in the image.",
    "List the objects in the image.",
    "Which objects are in the image?",
    "Name the objects in this photo.",
    "List everything you see.",
)
ASK = (
    "Is there {a} {x} in the image?", "Is there {a} {x} in the image?", "Is there {a} {x} in the image?",
    "Is there a {x} in the image?", "Are there any {xs} in the image?", "Can you see {a} {x} in this photo?",
    "Does the image show {a} {x}?", "Is there {a} {x} in the picture?",
)  # fmt: skip
ONE_WORD = ("", "", "", " Please answer this question with one word.", " Answer with yes or no.")
OTHER = (
    "Write a poem about this.", "Hello", "hi", "Who are you?", "Explain.", "Is this photo real?", "What should I do?",
    "Translate this.", "Tell me a story about the picture.", "Why?", "What is the mood of this photo?", "test", "?", "",
    "What happened before this photo was taken?", "Say something.", "Summarize the scene.", "What stands out?",
    "Help me.",
)  # fmt: skip
WHOLE = [0.0, 0.0, 1.0, 1.0, 0.0]  # the view that is the photo itself
Pair = tuple[str, str]  # question, answer


class Corpus:
    """Generates the training pairs of a photo from a random generator that the caller passes."""

    def __init__(self, photos: list[AnnotatedObjects]):
        self.cooccurrence = Cooccurrence(photos)
        self.order = _usual_order(photos)

    def pairs(self, record: dict, photo: AnnotatedObjects, crop: list[float], rng: random.Random) -> list[Pair]:
        """Question-answer pairs for one view of a photo: captions, details, lists, yes/no, other questions."""
        orient = mirror if crop[4] else str
        captions = [orient(clean_sentence(caption)) for caption in record.get("captions", [])]
        rng.shuffle(captions)
        pairs = [(rng.choice(OTHER) if rng.random() < 0.08 else rng.choice(SHORT), caption) for caption in captions[:3]]
        detail = self.detail(captions, record, photo, crop, rng)
        if detail:
            pairs.append((rng.choice(DETAIL), detail))
        names = self._names(photo, crop)
        if names:
            pairs.append((rng.choice(LIST), ", ".join(names[:10]) + "."))
        pairs += self.yes_no(photo, rng, 4)
        pairs += self._questions(record, rng, orient)
        return pairs

    def _names(self, photo: AnnotatedObjects, crop: list[float]) -> list[str]:
        """Objects with a box in the view, the more specific name of two, in the usual order."""
        names = {name for name, box in photo.boxes + photo.uncertain_boxes if crop_box(box, crop)}
        names -= {vocabulary.parent(name) for name in names}
        return sorted(names, key=lambda name: (self.order.get(name, len(self.order)), name))

    def listing(self, photo: AnnotatedObjects, rng: random.Random) -> Pair:
        """A question and the list of what a photo shows, as a plain list or as a sentence, in the usual order."""
        if rng.random() < 0.5:
            return rng.choice(LIST), ", ".join(self._names(photo, WHOLE)[:10] or ["nothing"]) + "."
        return rng.choice(DETAIL), list_sentence(photo, WHOLE, self.order) or "The image shows nothing."

    def yes_no(self, photo: AnnotatedObjects, rng: random.Random, count: int) -> list[Pair]:
        """Balanced questions about presence; negatives are random, popular or adversarial in equal parts."""
        questions = []
        for _ in range(count // 2):
            if photo.present:
                questions.append(self.ask(rng.choice(sorted(photo.present)), True, rng))
            absent = self.cooccurrence.absent(photo, rng.choice(("random", "popular", "adversarial")), rng)
            if absent:
                questions.append(self.ask(absent, False, rng))
        return questions

    def ask(self, name: str, present: bool, rng: random.Random) -> Pair:
        """One yes/no question about an object."""
        question = rng.choice(ASK).format(a=article(name), x=name, xs=vocabulary.plural(name)) + rng.choice(ONE_WORD)
        return question, "Yes." if present else "No."

    def _questions(self, record: dict, rng: random.Random, orient) -> list[Pair]:
        questions = []
        for pair in rng.sample(record.get("qa", []), min(2, len(record.get("qa", [])))):
            answer = orient(clean_sentence(pair["answer"]))
            if rng.random() < 0.3 and len(pair["distractors"]) == 3:
                options = [answer, *(orient(clean_sentence(other)) for other in pair["distractors"])]
                rng.shuffle(options)
                letters = " ".join(f"{letter}. {option}" for letter, option in zip("ABCD", options, strict=True))
                questions.append((f"{pair['question']} {letters}", "ABCD"[options.index(answer)] + "."))
            else:
                questions.append((orient(pair["question"]), answer))
        return questions

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
