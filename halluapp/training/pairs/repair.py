"""A model's own answer, repaired at its wrong words only: what is absent gives way to what is there and was not named.

RLHF-V's people correct the hallucinated segments of an answer (Yu et al., CVPR 2024, Sec. 3.1); here annotated objects
do. Both answers of a pair have the same style and nearly the same length, so that truth is all that there is to learn.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from halluapp.data.wording import article
from halluapp.evaluation.annotations import read_record
from halluapp.grounding.words import vocabulary
from halluapp.grounding.words.mentions import ANIMALS, VEHICLES, Mention, find_mentions
from halluapp.lvlm.base import LVLM
from halluapp.training.pairs.hallucinate import replace_span
from halluapp.training.pairs.own_answers import MAX_MENTIONS, rounds_of_answers

if TYPE_CHECKING:
    from halluapp.training.pairs.kept_answers import KeptAnswers

# One thing of an enumeration with what separates it: ", a red car", " and two dogs", before a comma, "and" or the end.
ITEM = r"(?:, and |, | and )(?:(?:an?|two|three|four|five|several|some|the) )?(?:\w+ )?{word}(?=,| and |\.|$)"
KINDS = (frozenset(vocabulary.PEOPLE), ANIMALS, VEHICLES)  # what does or carries something, in sentences with a verb
SENTENCES = re.compile(r"[^.]+\.?")
LIKENESS = 0.5  # of two sentences of which one is the other's repair: share of words in common
LISTS = re.compile(r"(the image shows|there is|there are)\b", re.IGNORECASE)
FIRST_ITEM = r"(?<=shows )(?:(?:an?|two|three|four|five|several|some) )?(?:\w+ )?{word}(?:, | and )"


@dataclass(frozen=True)
class Photo:
    """A photo whose objects are known. open: gives the image; the rest as in `repair`."""

    name: str
    open: Callable[[], Any]
    present: Sequence[str]
    unsure: Sequence[str]
    offered: Sequence[str]


def repair(answer: str, present: Sequence[str], unsure: Iterable[str], offered: Sequence[str]) -> str | None:
    """An answer -> the same without what is wrong; None where nothing is, or where it cannot be repaired.

    present: all objects in the photo. unsure: neither right nor wrong. offered: those of `present` that may take the
    place of a wrong one, the first first. A wrong object gives way to the first offered one that the answer does not
    name, everywhere to the same; outside of enumerations to one of its own kind only. Where there is none, it is taken
    out of its enumeration, or its sentence goes. So does what is named twice in a sentence, or more than MAX_MENTIONS
    times.
    """
    text, unsure = answer, list(unsure)
    substitutes: dict[str, str | None] = {}
    for _ in range(50):  # each turn mends the first fault; a text has few
        mentions = find_mentions(text)
        fault = _first_fault(text, mentions, present, unsure)
        if fault is None:
            return text if text != answer and mentions else None
        word = None
        if not _right(fault.object, present, unsure):
            if fault.object not in substitutes:
                substitutes[fault.object] = _unnamed(text, fault, mentions, offered)
            word = substitutes[fault.object]
        mended = _substitute(text, fault, word) if word else _without(text, fault)
        if mended is None or mended == text:
            return None
        text = mended
    return None


def completed(text: str, offered: Sequence[str], mentions: int) -> str:
    """The text with offered objects that it does not name added to its first enumeration, up to so many mentions.

    An answer that lost its wrong words is shorter; a run on such pairs would learn to say less.
    """
    opening = LISTS.match(text)
    end = text.find(".")
    last = text.rfind(" and ", 0, end)
    if not opening or end < 0:
        return text
    named = {mention.object for mention in find_mentions(text)}
    missing = [name for name in offered if not any(vocabulary.same_or_kind(name, other) for other in named)]
    missing = missing[: max(0, mentions - len(find_mentions(text)))]
    if not missing:
        return text
    items = [f"{article(name)} {name}" for name in missing]
    if last < 0:
        return f"{text[:end]}{''.join(f', {item}' for item in items[:-1])} and {items[-1]}{text[end:]}"
    return f"{text[:last]}{''.join(f', {item}' for item in items)}{text[last:]}"


def aligned(answer: str, repaired: str) -> str:
    """The answer without the sentences that its repair dropped: what is left differs in words, not in what is told.

    A run on whole answers learned to end after the first sentence.
    """
    texts = [sentence.split() for sentence in SENTENCES.findall(repaired)]
    sentences = [
        sentence.strip() for sentence in SENTENCES.findall(answer)
        if any(SequenceMatcher(None, sentence.split(), other, autojunk=False).ratio() >= LIKENESS for other in texts)
    ]  # fmt: skip
    return " ".join(sentences)


def _first_fault(text: str, mentions: list[Mention], present: Sequence[str], unsure: Sequence[str]) -> Mention | None:
    named: Counter[str] = Counter()
    named_here: Counter[tuple[str, int]] = Counter()  # by sentence
    for mention in mentions:
        sentence = mention.text.lower(), text.count(". ", 0, mention.start)
        named[mention.object] += 1
        named_here[sentence] += 1
        repeated = named[mention.object] > MAX_MENTIONS or named_here[sentence] > 1
        if repeated or not _right(mention.object, present, unsure):
            return mention
    return None


def _right(name: str, present: Sequence[str], unsure: Sequence[str]) -> bool:
    return any(vocabulary.same_or_kind(name, other) for other in (*present, *unsure))


def _unnamed(text: str, fault: Mention, mentions: list[Mention], offered: Sequence[str]) -> str | None:
    named = {mention.object for mention in mentions}
    kind = next((kind for kind in KINDS if fault.object in kind), frozenset())
    if not LISTS.match(text, _sentence(text, fault)[0]):
        offered = [name for name in offered if name in kind]
    return next((name for name in offered if not any(vocabulary.same_or_kind(name, other) for other in named)), None)


def _substitute(text: str, fault: Mention, name: str) -> str:
    many = fault.text.lower() in vocabulary.plurals()
    return replace_span(text, fault.start, fault.end, vocabulary.plural(name) if many else name)


def _without(text: str, fault: Mention) -> str | None:
    """The text without an item of an enumeration, else without its sentence; None if that is the first one."""
    start, end = _sentence(text, fault)
    sentence = text[start:end]
    for pattern in (ITEM, FIRST_ITEM):
        for item in re.finditer(pattern.format(word=re.escape(fault.text)), sentence):
            if start + item.start() <= fault.start < start + item.end() and not re.search(r" (is|are) ", sentence):
                return _joined(text[: start + item.start()], text[start + item.end() :])
    return (text[:start] + text[end:].lstrip()).strip() if start else None


def _sentence(text: str, mention: Mention) -> tuple[int, int]:
    """Where the sentence of a mention begins and ends."""
    before, end = text.rfind(". ", 0, mention.start), text.find(".", mention.end)
    return before + 2 if before >= 0 else 0, len(text) if end < 0 else end + 1


def _joined(before: str, after: str) -> str:
    """Both parts of an enumeration; "a cat, a dog" before a full stop gets its "and" back."""
    last = before.rfind(", ")
    if after.startswith(".") and last > before.rfind(". ") and " and " not in before[before.rfind(". ") + 1 :]:
        before = f"{before[:last]} and {before[last + 2 :]}"
    return before + after


def repaired_rows(
    lvlm: LVLM,
    photos: Sequence[Photo],
    question: str,
    answers: int = 1,
    complete: bool = True,
    seed: int = 0,
    log: Callable[[str], None] = lambda line: None,
    store: KeptAnswers | None = None,
) -> list[dict[str, Any]]:
    """Rows of pairs: each of the model's answers that has a fault, and the same repaired; at most `answers` a photo.

    Sentences that the repair drops are in neither answer; what is left of the wrong one names something absent. The
    first answer of a photo is greedy, the others are drawn. complete: repaired enumerations name further objects that
    are there, up to as many mentions as before. store: as `own_answers.generate_answers` takes it.
    """
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    images = [photo.open for photo in photos]
    for texts in rounds_of_answers(lvlm, images, question, answers, seed, log, store):
        for photo, text in zip(photos, texts, strict=True):
            mended = repair(text, photo.present, photo.unsure, photo.offered)
            if mended and complete:
                mended = completed(mended, photo.offered, len(find_mentions(text)))
            wrong = aligned(text, mended) if mended else None
            if wrong and wrong != mended and names_absent(wrong, photo):
                rows[photo.name, wrong] = {
                    "image": photo.name, "question": question, "chosen": mended, "rejected": wrong, "kind": "repaired",
                    "objects": sorted(photo.present),
                }  # fmt: skip
    return [rows[key] for key in sorted(rows)]


def names_absent(text: str, photo: Photo) -> bool:
    """Whether a text is wrong about the photo; one that only repeats itself teaches no truth."""
    return any(not _right(mention.object, photo.present, list(photo.unsure)) for mention in find_mentions(text))


def offered_objects(record: Mapping[str, Any]) -> list[str]:
    """Objects that people boxed in a photo, the largest first; people once, as "person". [] without such boxes."""
    areas: defaultdict[str, float] = defaultdict(float)
    boxes = [(name, box) for name, *box in record.get("boxes", [])]
    if not boxes:
        boxes = read_record({**record, "detections": [], "qa": []}).boxes
    for name, (x0, y0, x1, y1) in boxes:
        name = "person" if name in vocabulary.PEOPLE else name
        areas[name] += (x1 - x0) * (y1 - y0)
    by_area = sorted(areas, key=lambda name: -areas[name])
    return [name for name in by_area if name in vocabulary.objects()]
