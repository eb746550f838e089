"""CHAIR: which of the objects that captions mention are not in the photo, with recall and length beside it.

Source: Rohrbach et al. 2018 (arXiv 1809.02156); recall and length as in the later copy of its script.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal

from halluapp.evaluation.annotations import read_record
from halluapp.grounding.words import vocabulary as object_names
from halluapp.grounding.words.denial import denied
from halluapp.grounding.words.mentions import Mention, find_mentions

Vocabulary = Literal["coco", "wide"]
REPETITION = 3  # mentions of one object in a caption: named, located, and named again


@dataclass(frozen=True)
class ChairScore:
    """Scores in [0, 1] (0 where undefined), except length and the two numbers of objects.

    chair_i: hallucinated mentions of all mentions. chair_s: captions with at least one, of all captions. recall:
    mentioned objects of all objects in the photos. length: mean number of words. correct_objects_per_caption: distinct
    correct ones; false_objects_per_caption: distinct hallucinated ones. repetition: captions that name one object
    REPETITION times or more, of all captions.
    chair_i_asserted, chair_s_asserted: the first two over what captions assert, without objects they deny ("no dog") or
    only compare with; the original counts those too.
    """

    chair_i: float
    chair_s: float
    recall: float
    length: float
    correct_objects_per_caption: float
    chair_i_asserted: float
    chair_s_asserted: float
    false_objects_per_caption: float
    repetition: float


@dataclass(frozen=True)
class ChairRow:
    """One caption's counts; they add up over photos (the rows of the bootstrap).

    hallucinated_captions is 0 or 1 and captions is 1; correct, false: distinct objects; recalled: of the `truth`
    objects; repetitions: 1 if one object is named REPETITION times or more. asserted_*: the same counts of the mentions
    that the caption asserts.
    """

    hallucinated: int
    mentions: int
    hallucinated_captions: int
    captions: int
    recalled: int
    truth: int
    words: int
    correct: int
    asserted_hallucinated: int
    asserted_mentions: int
    asserted_hallucinated_captions: int
    false: int
    repetitions: int

    def sums(self) -> tuple[int, ...]:
        """The counts in the order in which STATISTICS take them."""
        return (
            self.hallucinated,
            self.mentions,
            self.hallucinated_captions,
            self.captions,
            self.recalled,
            self.truth,
            self.words,
            self.correct,
            self.asserted_hallucinated,
            self.asserted_mentions,
            self.asserted_hallucinated_captions,
            self.false,
            self.repetitions,
        )


# Score by name from the summed counts; elementwise, so that a bootstrap can call them on many draws at once.
STATISTICS = {
    "chair_i": lambda wrong, mentions, *rest: wrong / mentions,
    "chair_s": lambda wrong, mentions, bad, captions, *rest: bad / captions,
    "recall": lambda wrong, mentions, bad, captions, recalled, truth, *rest: recalled / truth,
    "length": lambda wrong, mentions, bad, captions, recalled, truth, words, *rest: words / captions,
    "correct_objects_per_caption": lambda *sums: sums[7] / sums[3],
    "chair_i_asserted": lambda *sums: sums[8] / sums[9],
    "chair_s_asserted": lambda *sums: sums[10] / sums[3],
    "false_objects_per_caption": lambda *sums: sums[11] / sums[3],
    "repetition": lambda *sums: sums[12] / sums[3],
}


def object_mentions(caption: str, vocabulary: Vocabulary = "coco") -> list[str]:
    """The objects that a caption names, in order, repetitions included.

    "coco": COCO-80 categories ("puppy" -> dog, "woman" -> person; what is outside COCO is left out). "wide": all names
    of our vocabulary ("woman", "tree").
    """
    return _in_vocabulary(find_mentions(caption), vocabulary)


def asserted_mentions(caption: str, vocabulary: Vocabulary = "coco") -> list[str]:
    """As `object_mentions`, without objects that the caption denies, compares with or only pictures ("no dog")."""
    mentions = find_mentions(caption)
    absent = denied(mentions, caption)
    return _in_vocabulary([mention for mention, no in zip(mentions, absent, strict=True) if not no], vocabulary)


def mention_ends(caption: str, vocabulary: Vocabulary = "coco") -> list[tuple[str, int]]:
    """The names of `object_mentions`, each with the position in the caption where its words end."""
    mentions = find_mentions(caption)
    names = ((_name(mention, vocabulary), mention.end) for mention in mentions)
    return [(name, end) for name, end in names if name]


def _in_vocabulary(mentions: Sequence[Mention], vocabulary: Vocabulary) -> list[str]:
    return [name for mention in mentions if (name := _name(mention, vocabulary))]


def _name(mention: Mention, vocabulary: Vocabulary) -> str | None:
    return mention.object if vocabulary == "wide" else object_names.objects()[mention.object].coco


def truth_of(record: Mapping, vocabulary: Vocabulary = "coco") -> set[str]:
    """The objects in a photo, by its record.

    "coco": annotated categories united with those named in the reference captions (CHAIR's rule). "wide": also what
    human phrases name, and the wider object of each ("man" -> "person"). Detections by a model are never truth.
    """
    if vocabulary == "coco":
        return coco_objects(record).union(*(object_mentions(caption) for caption in record.get("captions", [])))
    objects = set(record.get("objects", []))
    objects |= read_record({**record, "detections": [], "qa": []}).present
    return objects | {wider for name in objects if (wider := object_names.parent(name))}


def coco_objects(record: Mapping) -> set[str]:
    """The annotated objects as COCO-80 categories ("man" -> "person"); what is outside COCO is left out."""
    objects = [object_names.objects().get(name) for name in record.get("objects", [])]
    return {item.coco for item in objects if item and item.coco}


def vocabulary_of(records: Iterable[Mapping]) -> Vocabulary:
    """ "coco" if all photos have COCO annotations, else "wide"."""
    return "coco" if all("objects" in record for record in records) else "wide"


def chair_row(
    mentions: Sequence[str],
    truth: AbstractSet[str],
    words: int = 0,
    exact: bool = True,
    asserted: Sequence[str] | None = None,
) -> ChairRow:
    """Counts of one caption. exact: a mention is right if truth holds it; else also if truth holds a kind of it.

    asserted: those of the mentions that the caption asserts (None: all).
    """
    if exact:
        recalled = truth & set(mentions)
        right = recalled
    else:
        right = {name for name in mentions if any(object_names.same_or_kind(name, other) for other in truth)}
        recalled = {name for name in truth if any(object_names.same_or_kind(name, other) for other in mentions)}
    wrong = sum(name not in right for name in mentions)
    stated = mentions if asserted is None else asserted
    false = sum(name not in right for name in stated)
    return ChairRow(
        wrong, len(mentions), int(wrong > 0), 1, len(recalled), len(truth), words, len(right),
        false, len(stated), int(false > 0), len(set(mentions) - right),
        int(max(Counter(mentions).values(), default=0) >= REPETITION),
    )  # fmt: skip


def chair_rows(
    mentions: Sequence[Sequence[str]],
    truth: Sequence[AbstractSet[str]],
    lengths: Sequence[int] | None = None,
    vocabulary: Vocabulary = "coco",
    asserted: Sequence[Sequence[str]] | None = None,
) -> list[ChairRow]:
    """Counts of every caption; row i of all arguments is photo i. Raises ValueError for different numbers."""
    words = [0] * len(mentions) if lengths is None else lengths
    rows = zip(mentions, truth, words, mentions if asserted is None else asserted, strict=True)
    return [chair_row(names, objects, count, vocabulary == "coco", stated) for names, objects, count, stated in rows]


def chair(
    mentions: Sequence[Sequence[str]],
    truth: Sequence[AbstractSet[str]],
    lengths: Sequence[int] | None = None,
    vocabulary: Vocabulary = "coco",
    asserted: Sequence[Sequence[str]] | None = None,
) -> ChairScore:
    """Scores of captions: the mentions of each (`object_mentions`), the objects in each photo, the words of each.

    asserted: those of the mentions that each caption asserts (`asserted_mentions`; None: all).

    Repeated mentions count repeatedly in chair_i; captions without objects count in chair_s. "wide" accepts kinds: a
    "man" where the truth says "person". Raises ValueError for different numbers. Source: Rohrbach et al. 2018, Sec. 3.
    """
    return score_of(chair_rows(mentions, truth, lengths, vocabulary, asserted))


def score_of(rows: Sequence[ChairRow]) -> ChairScore:
    """Scores of summed counts; undefined quotients are 0."""
    sums = [sum(column) for column in zip(*(row.sums() for row in rows), strict=True)] or [0] * 13
    return ChairScore(**{name: _or_zero(statistic, sums) for name, statistic in STATISTICS.items()})


def _or_zero(statistic, sums: list[int]) -> float:
    try:
        return float(statistic(*sums))
    except ZeroDivisionError:
        return 0.0


def count_words(caption: str) -> int:
    """Words of a caption, punctuation not counted."""
    return sum(any(letter.isalnum() for letter in word) for word in caption.split())
