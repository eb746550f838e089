"""Turns truthful captions into hallucinated ones by rule: an object, an attribute, a number or a place is wrong.

Replaces the hallucinated captions that HACL takes from an API, and gives CHiP's segment level pairs that differ in few
tokens.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from halluapp.data.wording import article
from halluapp.grounding.words import vocabulary
from halluapp.grounding.words.mentions import find_mentions

KINDS = ("co-occurrence", "attribute", "count", "place")
# Words of a group exclude each other: exchanging one for another makes a true sentence false.
ATTRIBUTES = (
    ("red", "blue", "green", "yellow", "white", "black", "brown", "orange", "pink", "purple", "gray"),
    ("small", "large"), ("little", "big"), ("young", "old"), ("tall", "short"), ("wooden", "metal", "plastic"),
    ("dark", "bright"), ("wet", "dry"), ("empty", "full"), ("open", "closed"),
    ("sitting", "standing", "lying"), ("sits", "stands", "lies"), ("walking", "running"), ("walks", "runs"),
)  # fmt: skip
PLACES = (
    ("left", "right"), ("in front of", "behind"), ("on top of", "underneath"), ("inside", "outside"),
    ("indoors", "outdoors"), ("above", "below"), ("beach", "forest", "street", "park"), ("kitchen", "bedroom"),
    ("field", "city"), ("night", "day"), ("in the middle", "at the edge"), ("over", "under"),
)  # fmt: skip
NUMBERS = ("two", "three", "four", "five", "six")


@dataclass(frozen=True)
class Hallucination:
    """A caption that is wrong in one respect. before -> after: what was exchanged ("" -> what was added)."""

    text: str
    kind: str
    before: str
    after: str


class Companions:
    """Co-occurrence of objects over photos: absent objects that a model is likely to hallucinate."""

    def __init__(self, photos: Iterable[Iterable[str]]):
        self.counts: dict[str, Counter[str]] = {}
        self.photo_counts: Counter[str] = Counter()
        for photo in photos:
            names = sorted(set(photo))
            self.photo_counts.update(names)
            for name in names:
                self.counts.setdefault(name, Counter()).update(other for other in names if other != name)

    def absent(self, present: Iterable[str], rng: Random) -> str | None:
        """An object that is not there, drawn by how often it accompanies what is there; None if there is none."""
        present = sorted(set(present))
        weights: Counter[str] = Counter()
        for name in present:
            weights.update(self.counts.get(name, Counter()))
        weights = weights or Counter(self.photo_counts)
        absent_names = [
            name
            for name in sorted(weights)
            if not any(vocabulary.same_or_kind(name, other_name) for other_name in present)
        ]
        return rng.choices(absent_names, [weights[name] for name in absent_names])[0] if absent_names else None


def hallucinate(
    text: str, rng: Random, companions: Companions, present: Iterable[str] = (), kinds: Iterable[str] = KINDS
) -> Hallucination | None:
    """A truthful caption -> one that is wrong in one respect, of the first of the shuffled `kinds` that applies.

    present: objects that are in the photo besides those that the caption names; they are never used as an error.
    Returns None where no kind applies.
    """
    present_names = {*present, *(mention.object for mention in find_mentions(text))}
    order = list(kinds)
    rng.shuffle(order)
    generators = {"attribute": _attribute, "place": _location, "count": _count}
    for kind in order:
        hallucination = (
            generators[kind](text, rng) if kind in generators else _companion(text, rng, companions, present_names)
        )
        if hallucination and hallucination.text != text:
            return hallucination
    return None


def _companion(text: str, rng: Random, companions: Companions, present_names: set[str]) -> Hallucination | None:
    """An absent companion takes the place of an object that is not a person, or is added."""
    absent = companions.absent(present_names, rng)
    if absent is None:
        return None
    mentions = [mention for mention in find_mentions(text) if mention.object not in vocabulary.PEOPLE]
    if mentions and rng.random() < 0.5:
        mention = rng.choice(mentions)
        plural = mention.text.lower() in vocabulary.plurals()
        word = vocabulary.plural(absent) if plural else absent
        return Hallucination(replace_span(text, mention.start, mention.end, word), "co-occurrence", mention.text, word)
    added = f"{article(absent)} {absent}"
    listed = re.search(r" and (?=(an?|two|three|four|five|some) [\w ]+\.)", text)
    if listed and rng.random() < 0.7:
        return Hallucination(f"{text[: listed.start()]}, {added}{text[listed.start() :]}", "co-occurrence", "", added)
    return Hallucination(f"{text.rstrip()} There is also {added}.", "co-occurrence", "", added)


def _attribute(text: str, rng: Random) -> Hallucination | None:
    return _swap_word(text, rng, ATTRIBUTES, "attribute")


def _location(text: str, rng: Random) -> Hallucination | None:
    return _swap_word(text, rng, PLACES, "place")


def _swap_word(text: str, rng: Random, groups, kind: str) -> Hallucination | None:
    matches = []
    for group in groups:
        for word in group:
            matches += [(match, group) for match in re.finditer(rf"\b{word}\b", text, re.IGNORECASE)]
    if not matches:
        return None
    match, group = rng.choice(matches)
    other = rng.choice([word for word in group if word != match.group().lower()])
    return Hallucination(replace_span(text, match.start(), match.end(), other), kind, match.group(), other)


def _count(text: str, rng: Random) -> Hallucination | None:
    """Another number, or two of what there is one of."""
    numbers = list(re.finditer(rf"\b({'|'.join(NUMBERS)})\b", text, re.IGNORECASE))
    if numbers:
        match = rng.choice(numbers)
        other = rng.choice([word for word in NUMBERS if word != match.group().lower()])
        return Hallucination(replace_span(text, match.start(), match.end(), other), "count", match.group(), other)
    single = []
    for mention in find_mentions(text):
        before = re.search(r"\b(an?) ((?:\w+ )?)$", text[: mention.start], re.IGNORECASE)
        # A verb in the singular after the noun would give the change away.
        if before and not re.match(r" (is|has|\w+s)\b", text[mention.end :]):
            single.append((before.start(1), mention, before.group(2)))
    if not single:
        return None
    start, mention, between = rng.choice(single)
    number = rng.choice(NUMBERS[:2])
    words = f"{number} {between}{vocabulary.plural(mention.text)}"
    return Hallucination(replace_span(text, start, mention.end, words), "count", text[start : mention.end], words)


def replace_span(text: str, start: int, end: int, word: str) -> str:
    """text[start:end] becomes `word`; capital letter and indefinite article are put right."""
    before = text[:start]
    if text[start].isupper():
        word = word[:1].upper() + word[1:]
    if match := re.search(r"\b([Aa])n? $", before):
        fitting = article(word)
        before = before[: match.start()] + (fitting.capitalize() if match[1] == "A" else fitting) + " "
    return before + word + text[end:]
