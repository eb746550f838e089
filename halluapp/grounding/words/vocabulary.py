"""Object names as data: canonical names, the words for each, plurals, and what is a kind of what."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from halluapp.grounding.words.compounds import COMPOUNDS
from halluapp.grounding.words.objects import PHRASES, TABLE

PEOPLE = ("person", "man", "woman", "child", "boy", "girl")
# Words whose plural is irregular or which already are a plural; generated plurals would be wrong.
IRREGULAR = {
    "man": "men", "woman": "women", "child": "children", "person": "persons", "policeman": "policemen",
    "policewoman": "policewomen", "fireman": "firemen", "fisherman": "fishermen", "businessman": "businessmen",
    "workman": "workmen", "housewife": "housewives", "wife": "wives", "mouse": "mice",
    "goose": "geese", "ox": "oxen", "calf": "calves", "foot": "feet", "sheep": "sheep", "bison": "bison",
    "cattle": "cattle", "people": "people", "police": "police", "scissors": "scissors", "skis": "skis",
    "aircraft": "aircraft", "luggage": "luggage", "knife": "knives", "butter knife": "butter knives", "leaf": "leaves",
    "shelf": "shelves", "bookshelf": "bookshelves", "scarf": "scarves", "fish": "fish", "broccoli": "broccoli",
    "schoolchild": "schoolchildren", "gentleman": "gentlemen", "old man": "old men", "young man": "young men",
    "young woman": "young women", "old woman": "old women", "pocketknife": "pocketknives", "food": "foods",
}  # fmt: skip


PLURAL_ONLY = r"(glasses|pants|jeans|shorts|leggings|stairs|woods|trunks|beads|spectacles|fries|goggles|skis|of)$"


@dataclass(frozen=True)
class ObjectName:
    """One object: its name, its COCO-80 category (None: outside COCO) and all words for it, plurals included."""

    name: str
    coco: str | None
    words: tuple[str, ...]


def plural(word: str) -> str:
    """English plural of a singular noun of the table (its last word is inflected)."""
    if word in IRREGULAR:
        return IRREGULAR[word]
    if re.search(PLURAL_ONLY, word):
        return word
    first, _, last = word.rpartition(" ")
    if first and last in IRREGULAR:
        return f"{first} {IRREGULAR[last]}"
    if re.search(r"(s|x|z|ch|sh)$", word):
        return word + "es"
    if re.search(r"[^aeiou]y$", word):
        return word[:-1] + "ies"
    return word + "s"


@cache
def objects() -> dict[str, ObjectName]:
    """All objects by name, in the order of the table (COCO-80 first)."""
    names = {}
    for name, coco, others in _lines(TABLE):
        words = dict.fromkeys(form for word in (name, *_split(others)) for form in (word, plural(word)))
        names[name] = ObjectName(name, None if coco == "-" else coco, tuple(words))
    return names


@cache
def words() -> dict[str, str]:
    """Every word (lower case, spaces between parts) -> object name. The first line that claims a word keeps it."""
    table: dict[str, str] = {}
    for item in objects().values():
        table.setdefault(item.name, item.name)
    for item in objects().values():
        for word in item.words:
            table.setdefault(word, item.name)
    return table


@cache
def phrases() -> dict[str, str | None]:
    """Word sequences that name something else than their parts do, plurals included -> object name, None: no object."""
    table: dict[str, str | None] = {}
    for name, others in _lines(PHRASES) + _lines(COMPOUNDS):
        for phrase in _split(others):
            table.update(dict.fromkeys((phrase, plural(phrase)), None if name == "-" else name))
    return table


@cache
def plurals() -> frozenset[str]:
    """The words of `words()` that are plurals of another word ("dogs", "people"); "sheep" and "jeans" are not."""
    singular = {word for name, _, others in _lines(TABLE) for word in (name, *_split(others))}
    return frozenset(words()) - singular | {"people"}


def _lines(table: str) -> list[tuple[str, ...]]:
    joined = re.sub(r"\n[ \t]+", " ", table.strip())
    return [tuple(part.strip() for part in line.split("|")) for line in joined.splitlines()]


def _split(others: str) -> list[str]:
    return [word.strip() for word in others.split(",") if word.strip()]


@cache
def coco_names() -> tuple[str, ...]:
    """The COCO-80 categories in table order."""
    return tuple(item.name for item in objects().values() if item.coco == item.name)


def parent(name: str) -> str | None:
    """The wider object that `name` is a kind of ("man" -> "person"), or None."""
    item = objects().get(name)
    return item.coco if item and item.coco and item.coco != name else None


def same_or_kind(name: str, other: str) -> bool:
    """Whether one is the other or a kind of it; "man" and "person" are, "man" and "woman" are not."""
    return name == other or parent(name) == other or parent(other) == name
