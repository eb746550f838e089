"""Finds the objects that a text names: longest match on words, with the traps that caption metrics know."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from halluapp.grounding import vocabulary

WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
# "baby elephant": the young of an animal is the animal; the same words alone are people.
AGES = {"baby", "adult", "young"}
ANIMALS = {"bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "goat", "monkey", "rabbit"}
# Word sequences that name something else than their parts do. None: no object at all.
PHRASES: dict[str, str | None] = {
    "passenger jet": "airplane", "passenger plane": "airplane", "passenger train": "train", "passenger trains": "train",
    "passenger jets": "airplane", "passenger car": "train", "bath tub": None, "home plate": None, "train track": "track",
    "train tracks": "track", "train station": None, "bus stop": None, "bus station": None, "orange juice": None,
    "hot dog stand": None, "jet ski": "boat", "wine glas": "wine glass", "fire place": None, "tennis court": None,
    "basketball court": None, "baseball field": "field", "football field": "field", "soccer field": "field",
    "baseball game": None, "basketball game": None, "football game": None, "soccer game": None, "tennis match": None,
    "football teams": "person", "couple of people": "person", "crowd of people": "person", "group of people": "person",
    "football team": "person", "baseball team": "person", "soccer team": "person", "basketball team": "person",
    "football player": "person", "baseball player": "person", "soccer player": "person", "tennis player": "person",
    "basketball player": "person", "football players": "person", "baseball players": "person",
    "soccer players": "person", "tennis players": "person", "basketball players": "person", "basketball hoop": None,
    "baseball uniform": "uniform", "football uniform": "uniform", "baseball cap": "hat", "boxing ring": None,
    "dog house": "house", "bird house": None, "police officer": "person", "police officers": "person",
    "car door": "door", "bus driver": "person", "taxi driver": "person", "truck driver": "person",
    "cat food": "food", "dog food": "food", "table tennis": None, "table cloth": None, "bed room": None,
    "glass window": "window", "bat man": None, "bear hug": None, "ball park": "park", "cell tower": None,
    "boat house": "house", "horse back": "horse", "fish tank": None, "park bench": "bench", "water bottle": "bottle",
    "light blue": None, "light brown": None, "light green": None, "rock climbing": None, "rock climber": "person",
    "rock climbers": "person", "roller skates": None, "ice skates": None, "ice skater": "person", "ice skaters": "person",
    "snow suit": None, "snow suits": None, "swing set": "swing", "wind surfer": "person", "bull rider": "person",
    "bike rider": "person", "bike riders": "person", "dirt bike rider": "person", "horse rider": "person",
    "motorcycle rider": "person", "motorcycle racer": "person", "pool table": None, "train set": None,
    "fishing boat": "boat", "fishing pole": None, "water skier": "person", "water skis": "skis", "water ski": "skis",
    "water gun": None, "life guard": "person", "bird cage": None, "dog show": None, "dog collar": "collar",
    "picture of": None, "bow and arrow": None, "bow and arrows": None, "orange shirt": "shirt", "orange jacket": "jacket",
    "orange hat": "hat", "orange vest": "vest", "orange cap": "hat", "orange coat": "jacket",
}  # fmt: skip
COLOUR_WORDS = {"orange", "rose"}
LONGEST = 4


@dataclass(frozen=True)
class Mention:
    """An object named in a text: the words text[start:end] and the object's name."""

    text: str
    start: int
    end: int
    object: str


@cache
def _lexicon() -> dict[str, str | None]:
    return {**vocabulary.words(), **PHRASES}


def find_mentions(text: str) -> list[Mention]:
    """All object mentions in reading order, repetitions included, spans never overlapping."""
    tokens = [(match.group().lower().replace("’", "'"), match.start(), match.end()) for match in WORD.finditer(text)]
    names = [token.removesuffix("'s") for token, _, _ in tokens]
    lexicon, found, index = _lexicon(), [], 0
    while index < len(names):
        length, name = _longest(names, index, tokens, text, lexicon)
        if name is not None and not _is_colour(names, index, length, lexicon):
            start, end = tokens[index][1], tokens[index + length - 1][2]
            found.append(Mention(text[start:end], start, end, name))
        index += length
    return _without_toilet_seats(found)


def _longest(names, index, tokens, text, lexicon) -> tuple[int, str | None]:
    """The longest entry of the lexicon that starts at `index` -> (words consumed, object name or None)."""
    for length in range(min(LONGEST, len(names) - index), 0, -1):
        if any(re.search(r"[.,;:!?]", text[tokens[k][2] : tokens[k + 1][1]]) for k in range(index, index + length - 1)):
            continue  # "a hot, dog": words of different phrases do not make a name
        key = " ".join(names[index : index + length])
        if length == 2 and names[index] in AGES and lexicon.get(names[index + 1]) in ANIMALS:
            return 2, lexicon[names[index + 1]]
        if key in lexicon:
            return length, lexicon[key]
        if "-" in key and key.replace("-", " ") in lexicon:
            return length, lexicon[key.replace("-", " ")]
    return 1, None


def _is_colour(names, index, length, lexicon) -> bool:
    """"an orange shirt": the word colours the noun that follows."""
    if length != 1 or names[index] not in COLOUR_WORDS or index + 1 == len(names):
        return False
    following = names[index + 1]
    return following in lexicon or following in {"colored", "coloured", "striped"}


def _without_toilet_seats(found: list[Mention]) -> list[Mention]:
    """A "seat" beside a toilet is the toilet's, not a chair (CHAIR's rule)."""
    if not any(mention.object == "toilet" for mention in found):
        return found
    return [mention for mention in found if mention.text.lower() not in ("seat", "seats")]
