"""Detailed descriptions for training: captions, what else there is, where, and what answers to questions say.

Objects are named in one fixed order. In an order that the photo decides (by size, say) a small decoder finds the same
object the likeliest next one again and again ("a bus, a bus and a car").
"""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass

from halluapp.data.wording import article, clean_sentence, enumerate_items, mirror, noun_phrase
from halluapp.evaluation.annotations import AnnotatedObjects
from halluapp.grounding.words import vocabulary
from halluapp.grounding.words.mentions import find_mentions
from halluapp.recipes.pocket.crops import ACROSS, crop_box, position_words

NUMBERS = ("", "a", "two", "three", "four", "five")
PLURAL = re.compile(r"(two|three|four|five|several|many|some)\b")
MANY = re.compile(r"(two|three|some|several)\b|.*\b(men|women|people|players|children)$")
PREPOSITION = re.compile(
    r"(in|on|at|under|near|next|behind|by|above|along|inside|outside|beside|between|around|to|over|across|against)\b"
)
KINDS_WITHOUT_POSITION = {"clothing", "bodyparts", "scene"}  # kinds of phrases whose place says nothing
MAX_LISTED, MAX_FACTS, MAX_PLACED = 8, 2, 3
MOST_NAMED = 2  # times that a text names one object: a decoder taught "a boy ... a boy" never stops


@dataclass(frozen=True)
class Group:
    """One kind of thing in a view. box: of a single thing that was boxed; placeable: its place is worth a word."""

    phrase: str
    name: str
    box: list[float] | None
    has_position: bool = True


def describe(
    captions: list[str], record: dict, photo: AnnotatedObjects, crop, order: dict[str, int], rng: random.Random
) -> str:
    """Two to six sentences about a view, every object in them in the record; "" where there is too little to say.

    captions: of this view, clean. crop: x0, y0, x1, y1, mirrored. order: rank of each object name in lists.
    """
    description = _Description()
    groups = sorted(find_groups(photo, crop), key=lambda group: order.get(group.name, len(order)))
    if captions:
        description.add(max(captions[:3], key=len))
        further = max(captions, key=description.gain)
        if description.gain(further) > 0:
            description.add(further)
        unsaid = [group for group in groups if description.is_new(group.name)][:MAX_LISTED]
        if unsaid:
            verb = "are" if PLURAL.match(unsaid[0].phrase) else "is"
            description.add(clean_sentence(f"There {verb} also {enumerate_items([group.phrase for group in unsaid])}"))
    elif groups:
        description.add(list_sentence(photo, crop, order))
    for fact in find_facts(record, rng)[:MAX_FACTS]:
        description.add(mirror(fact) if crop[4] else fact)
    positioned = [
        group
        for group in groups
        if group.has_position and group.box and position_words(group.box) != ACROSS and not description.is_worn(group)
    ]
    if positioned and len(description.sentences) < 4:
        description.add(_places(positioned[:MAX_PLACED]))
    return " ".join(description.sentences) if len(description.sentences) > 1 else ""


def list_sentence(photo: AnnotatedObjects, crop, order: dict[str, int]) -> str:
    """ "The image shows a person, two cars and a tree.", objects in the given order; "" where none is in the view."""
    groups = sorted(find_groups(photo, crop), key=lambda group: order.get(group.name, len(order)))
    phrases = [group.phrase for group in groups[:MAX_LISTED]]
    return clean_sentence(f"The image shows {enumerate_items(phrases)}") if phrases else ""


class _Description:
    """The sentences so far and the objects that they name."""

    def __init__(self):
        self.sentences: list[str] = []
        self.names: Counter[str] = Counter()

    def add(self, sentence: str) -> None:
        """Adds a sentence, unless an object would be named too often."""
        named = Counter(mention.object for mention in find_mentions(sentence))
        if not self.sentences or max((self.names + named)[name] for name in [*named, ""]) <= MOST_NAMED:
            self.sentences.append(sentence)
            self.names += named

    def gain(self, sentence: str) -> float:
        """How many new objects a sentence names; 0 where it names one that was named before."""
        named = [mention.object for mention in find_mentions(sentence)]
        return len(named) if all(self.is_new(name) for name in named) else 0

    def is_worn(self, group: Group) -> bool:
        """Whether an object was named as often as one may be."""
        return self.names[group.name] >= MOST_NAMED

    def is_new(self, name: str) -> bool:
        return not any(vocabulary.same_or_kind(name, other) for other in self.names)


def _places(groups: list[Group]) -> str:
    """ "The woman and the dog are on the left and the chair is in the middle." """
    names: dict[str, list[str]] = {}
    for group in groups:
        names.setdefault(position_words(group.box), []).append(group.name)
    clauses = []
    for position, members in names.items():
        many = len(members) > 1 or vocabulary.plural(members[0]) == members[0]
        clauses.append(f"{enumerate_items([f'the {name}' for name in members])} {'are' if many else 'is'} {position}")
    return clean_sentence(enumerate_items(clauses))


def find_groups(photo: AnnotatedObjects, crop) -> list[Group]:
    """What a view shows: things that people named, then what a teacher detected, counted, then what answers name."""
    groups: dict[str, Group] = {}
    for phrase, kind, name, boxes in photo.phrases:
        views = [view for box in boxes if (view := crop_box(box, crop))]
        if kind == "bodyparts" or name in groups or (boxes and not views):
            continue
        box = views[0] if len(views) == 1 else None
        groups[name] = Group(noun_phrase(phrase), name, box, has_position=kind not in KINDS_WITHOUT_POSITION)
    named_by_people = set(groups)
    counted: dict[str, list] = {}
    for name, box in photo.boxes + photo.uncertain_boxes:
        view = crop_box(box, crop)
        if view and name not in named_by_people and not _same_or_kind(name, named_by_people):
            counted.setdefault(name, []).append(view)
    for name, views in counted.items():
        number = NUMBERS[len(views)] if len(views) < len(NUMBERS) else "several"
        noun = f"{article(name)} {name}" if len(views) == 1 else f"{number} {_many(name)}"
        groups[name] = Group(noun, name, views[0] if len(views) == 1 else None)
    if not photo.phrases:  # what questions and answers name without a box
        boxed = {name for name, _ in photo.boxes + photo.uncertain_boxes}  # and so not in this view
        for name in sorted(photo.present - boxed):
            if name not in groups and not _same_or_kind(name, groups):
                groups[name] = Group(noun_phrase(name), name, None)
    return list(groups.values())


def _same_or_kind(name: str, others) -> bool:
    return any(vocabulary.same_or_kind(name, other) for other in others)


def _many(name: str) -> str:
    return "people" if name == "person" else vocabulary.plural(name)


def find_facts(record: dict, rng: random.Random) -> list[str]:
    """Sentences from question-answer pairs: who does what, what is where, the place and the time, shuffled."""
    facts = [fact for pair in record.get("qa", []) if (fact := fact_of(pair["question"], pair["answer"], rng))]
    rng.shuffle(facts)
    return facts


def fact_of(question: str, answer: str, rng: random.Random) -> str | None:
    """One question and its answer as a statement; None where no plain statement can be made of them."""
    question_text, answer = question.strip().rstrip("?").strip(), answer.strip().rstrip(".")
    statement = answer[:1].lower() + answer[1:]
    if re.match(r"(no|nobody|none|noone|nothing|unknown|not)\b", statement) or len(statement.split()) > 9:
        return None
    if re.search(r"\b(picture|photo|photograph|image|pic|scene|shot|this)\b", question_text):
        return _circumstance(question_text, statement, rng)
    noun_phrase_first = re.match(r"(the|a|an|two|three|some|several) \w", statement)
    if noun_phrase_first and (match := re.match(r"Who (is|are) (\w.*)", question_text)):
        return clean_sentence(f"{statement} {'are' if MANY.match(statement) else 'is'} {match[2]}")
    if (match := re.match(r"Where (is|are) (the \w.*)", question_text)) and PREPOSITION.match(statement):
        return clean_sentence(f"{match[2]} {match[1]} {statement}")
    return None


def _circumstance(question_text: str, statement: str, rng: random.Random) -> str | None:
    if re.match(r"When (was|is) (this|the) (picture|photo|image|photograph|pic)( taken)?$", question_text):
        when = _when(statement)
        # Most photos are taken by day: only a quarter say so, or every description would end with it.
        if not when or (re.search(r"day|noon", statement) and rng.random() < 0.75):
            return None
        return clean_sentence(f"It is {when}")
    if re.match(r"Where (was|is) (this|the) (picture|photo|image|photograph|pic|scene)( taken)?$", question_text):
        return clean_sentence(f"The photo was taken {statement}") if PREPOSITION.match(statement) else None
    return None


def _when(statement: str) -> str | None:
    words = re.sub(r"^(in|during|at|on) (the )?", "", statement).rstrip()
    day, night = ("day", "day time", "daylight"), ("night time", "nighttime")
    words = "daytime" if words in day else "night" if words in night else words
    single = ("daytime", "night", "evening", "morning", "afternoon", "winter", "summer", "spring", "autumn", "fall",
              "dusk", "dawn", "sunset", "noon")  # fmt: skip
    return words if words in single else None
