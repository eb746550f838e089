"""Short questions about a view with one right answer: which animal, how many, what colour, what category."""

from __future__ import annotations

import random
import re
from collections import Counter

from halluapp.data.wording import article, clean_sentence, enumerate_items
from halluapp.evaluation.annotations import AnnotatedObjects
from halluapp.grounding.words import vocabulary
from halluapp.grounding.words.mentions import ANIMALS, find_mentions
from halluapp.recipes.pocket.crops import ACROSS, area, crop_box, position_words
from halluapp.recipes.pocket.prompts import ANIMAL, BREED, COLOUR, COUNT, PLACE, SHORT, WHAT, casual
from halluapp.recipes.pocket.sets import Category, TrainingPhoto

Pair = tuple[str, str]  # question, answer
NO_ANIMAL = "There is no animal in this photo."
SURE = 0.6  # the trunk's classifier is right in 95 of 100 photos of the ImageNet sample where it is this sure
NONE = 0.35  # share of the photos without an animal that say so: else the answer to every question about animals
# Share of single-category photos that answer "Describe ...", in a sentence that says photo: taught a bare noun, in
# detail and as a list too, the model answers so about drawings and whatever else it does not know.
DESCRIBED = 0.4
TEMPLATES = ("a photo of {noun}", "a picture of {noun}", "a close up of {noun}", "the photo shows {noun}")
NUMBERS = ("no", "one", "two", "three", "four")
LEAST_AREA = 0.004  # of a thing that is counted
COLOURS = {c: c for c in "black white red blue green yellow orange brown pink purple gray".split()} | {"grey": "gray"}
# A class of the classifier says what animal it is by words that people do not use.
PEOPLE = frozenset(vocabulary.PEOPLE)


def a(noun: str) -> str:
    """A noun with its article."""
    return f"{article(noun)} {noun}"


def many(name: str) -> str:
    """The plural that people say."""
    return "people" if name == "person" else vocabulary.plural(name)


def most_named(text: str) -> int:
    """How often the object is named that a text names most often."""
    return max(Counter(mention.object for mention in find_mentions(text)).values(), default=0)


def animal(photo: AnnotatedObjects, top_class: Category | None, rng: random.Random) -> list[Pair]:
    """Which animal a photo with sentences or boxes shows; top_class: what the trunk's classifier is sure of."""
    question = casual(rng.choice(ANIMAL), rng)
    names = sorted(photo.present & ANIMALS)
    if len(names) == 1:
        return [(question, clean_sentence(a(names[0])))]
    if names:
        return [(question, clean_sentence(enumerate_items([a(name) for name in names])))] if len(names) < 4 else []
    if top_class and top_class.animal:
        return [(question, clean_sentence(a(top_class.name)))]
    certain = getattr(photo, "certain", None)
    if certain and len(certain & ANIMALS) >= 9 and rng.random() < NONE:
        return [(question, NO_ANIMAL)]
    return []


def main_object(photo: AnnotatedObjects, top_class: Category | None, rng: random.Random) -> list[Pair]:
    """The one thing that people boxed, or else what the trunk's classifier is sure of."""
    if getattr(photo, "certain", None) is not None and len(photo.present) == 1:
        return [(casual(rng.choice(WHAT), rng), clean_sentence(a(next(iter(photo.present)))))]
    return [(casual(rng.choice(WHAT), rng), named(top_class))] if top_class else []


def named(category: Category) -> str:
    """A category as an answer: "A lion.", "A dog, maybe a boxer." (which breed it is, is often wrong)."""
    if category.fine == category.name or not category.animal:
        return clean_sentence(a(category.fine))
    return clean_sentence(f"{a(category.name)}, maybe {a(category.fine)}")


def category(photo: TrainingPhoto, rng: random.Random) -> list[Pair]:
    """All questions about a photo of one category."""
    one = photo.category
    assert one is not None
    noun = one.name if one.animal else one.fine
    pairs = [(casual(rng.choice(WHAT), rng), named(one))]
    if rng.random() < DESCRIBED:
        pairs.append((casual(rng.choice(SHORT), rng), clean_sentence(rng.choice(TEMPLATES).format(noun=a(noun)))))
    if one.animal or rng.random() < NONE:
        pairs.append((casual(rng.choice(ANIMAL), rng), clean_sentence(a(noun)) if one.animal else NO_ANIMAL))
    if one.animal and one.fine != one.name:
        pairs.append((casual(rng.choice(BREED).format(x=one.name), rng), clean_sentence(a(one.fine))))
    return pairs


def counts(photo: TrainingPhoto, crop: list[float], rng: random.Random) -> list[Pair]:
    """ "How many dogs are there?", of one kind that is there and wholly in the view, and of one that is not."""
    views: dict[str, list] = {}
    for name, box in photo.boxes:
        views.setdefault(name, []).append((crop_box(box, crop), box))
    countable = [
        name
        for name, boxes in views.items()
        if len(boxes) < len(NUMBERS)
        and all(view and area(view) >= LEAST_AREA for view, _ in boxes)
        and (vocabulary.plural(name) != name or name == "sheep")
    ]
    pairs = []
    for name in rng.sample(sorted(countable), min(1, len(countable))):
        number = len(views[name])
        answer = f"There is one {name}" if number == 1 else f"There are {NUMBERS[number]} {many(name)}"
        pairs.append((casual(rng.choice(COUNT).format(xs=many(name)), rng), clean_sentence(answer)))
    absent = sorted(name for name in photo.certain or () if vocabulary.plural(name) != name)
    if absent and rng.random() < 0.3:
        name = rng.choice(absent)
        pairs.append((casual(rng.choice(COUNT).format(xs=many(name)), rng), f"There are no {many(name)}."))
    return pairs


def places(photo: TrainingPhoto, crop: list[float], rng: random.Random) -> list[Pair]:
    """ "What is on the left?", of the larger things that lie there; nothing is asked of an empty place."""
    sizes: dict[str, Counter[str]] = {}
    for name, box in photo.boxes:
        view = crop_box(box, crop)
        if view and area(view) >= LEAST_AREA and position_words(view) != ACROSS:
            sizes.setdefault(position_words(view), Counter())[name] += area(view)
    if not sizes:
        return []
    side = rng.choice(sorted(sizes))
    names = [name for name, _ in sizes[side].most_common(3)]
    question = casual(rng.choice(PLACE).format(place=side), rng)
    return [(question, clean_sentence(enumerate_items([a(name) for name in names])))]


def colours(captions: list[str], rng: random.Random) -> list[Pair]:
    """ "What color is the ball?", where the captions name one colour of one ball."""
    colours_by_object: dict[str, set[str]] = {}
    for caption in captions:
        for mention in find_mentions(caption):
            if mention.object in PEOPLE:
                continue
            plural = mention.text.lower() == vocabulary.plural(mention.object)
            before = re.search(r"(\w+) (\w+) $", " x " + caption[: mention.start])
            if before and before[2].lower() in COLOURS and before[1].lower() != "and":
                colours_by_object.setdefault(mention.object, set()).add("" if plural else COLOURS[before[2].lower()])
    sure = {name: next(iter(of)) for name, of in colours_by_object.items() if len(of) == 1 and "" not in of}
    if not sure:
        return []
    name = rng.choice(sorted(sure))
    return [(casual(rng.choice(COLOUR).format(x=name), rng), clean_sentence(f"The {name} is {sure[name]}"))]
