"""On-policy pairs: of several answers that the model itself gives about a photo, the truest and the least true one.

After RLHF-V and RLAIF-V (Yu et al., CVPR 2024 and CVPR 2025), with annotated objects instead of people or another model
as judge: both answers are the model's own, so they differ in truth and hardly in style.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from halluapp.data.photos import pixels_id
from halluapp.evaluation import chair
from halluapp.grounding.words import vocabulary
from halluapp.lvlm.base import LVLM
from halluapp.methods.baseline import Baseline

if TYPE_CHECKING:
    from halluapp.training.pairs.kept_answers import KeptAnswers

BATCH = 8
MAX_TOKENS = 80
TEMPERATURE = 0.7
MAX_MENTIONS = 2  # of one object in an answer: named once, located once
MIN_LENGTH_RATIO = 0.75  # the shorter of two answers has at least this share of the longer one's words


def generate_answers(
    lvlm: LVLM, images: Sequence[Callable], question: str, method=None, temperature: float = 0.0, seed: int = 0,
    store: KeptAnswers | None = None,
) -> list[str]:  # fmt: skip
    """Answers to one question about every image (a callable that opens it), by a method with one answer.

    store: has the answers of the baseline that are not decoded again, and gets the others as they come.
    """
    from halluapp.decoding import engine
    from halluapp.decoding.events import Decoded
    from halluapp.decoding.plan import Sampling
    from halluapp.decoding.views import Views

    texts = [""] * len(images)
    for first in range(0, len(images), BATCH):
        part = [image() for image in images[first : first + BATCH]]
        if store and method is None:
            key = store.key(list(map(pixels_id, part)), question, MAX_TOKENS, temperature, seed + first)
            if (earlier := store.read(key, len(part))) is not None:
                texts[first : first + BATCH] = earlier
                continue
        jobs = [engine.Job(Views(lvlm, image), question, [method or Baseline()]) for image in part]
        # One seed for jobs that are decoded together would give them equal draws, and equal photos equal answers.
        for index, event in engine.decode_many(lvlm, jobs, Sampling(MAX_TOKENS, temperature, seed=seed + first)):
            if isinstance(event, Decoded):
                texts[first + index] = event.text
        if store and method is None:
            store.write(key, texts[first : first + BATCH])
    return texts


def rounds_of_answers(
    lvlm: LVLM, images: Sequence[Callable], question: str, rounds: int, seed: int, log: Callable[[str], None],
    store: KeptAnswers | None,
) -> Iterator[list[str]]:  # fmt: skip
    """A round after the other of an answer about each image: greedy ones first, then drawn ones."""
    reused = store.reused if store else 0
    for number in range(rounds):
        yield generate_answers(
            lvlm, images, question, None, TEMPERATURE if number else 0.0, seed + 1_000_003 * number, store
        )
        log(f"answer {number + 1} of {rounds} about {len(images)} photos")
    if store and store.reused > reused:
        log(f"{store.reused - reused} of {rounds * len(images)} answers were there already")


def score(answer: str, present: Iterable[str], unsure: Iterable[str] = ()) -> int:
    """Distinct objects that an answer rightly names, minus wrong mentions, minus mentions beyond an object's second.

    unsure: neither right nor wrong. Repetitions count, so that an answer in a loop scores low.
    """
    mentions = chair.object_mentions(answer, "wide")
    repeated = sum(max(0, count - MAX_MENTIONS) for count in Counter(mentions).values())
    row = chair.chair_row([name for name in mentions if not _is_one_of(name, unsure)], set(present), exact=False)
    return row.correct - row.hallucinated - repeated


def _is_one_of(name: str, others: Iterable[str]) -> bool:
    return any(vocabulary.same_or_kind(name, other) for other in others)


def best_and_worst(
    answers: Sequence[str], present: Iterable[str], unsure: Iterable[str] = ()
) -> tuple[str, str] | None:
    """Of two answers the truer and the less true one, where the gap in score times their likeness is largest.

    Both have about the same length, or a run would learn to say less or more instead of what is true. Alike, because
    what differs is what is learned: with other words for the same it would be style. None if all are equally true.
    """
    scored = [(score(text, present, unsure), chair.count_words(text), text) for text in dict.fromkeys(answers)]
    candidates = [
        ((good - bad) * SequenceMatcher(None, right.split(), wrong.split(), autojunk=False).ratio(), right, wrong)
        for good, long, right in scored
        for bad, other, wrong in scored
        if good > bad and min(long, other) >= MIN_LENGTH_RATIO * max(long, other)
    ]
    return max(candidates, key=lambda item: item[0])[1:] if candidates else None


def own_answer_rows(
    lvlm: LVLM,
    photos: Sequence[tuple[str, Callable, Sequence[str], Sequence[str]]],
    question: str,
    answers: int,
    seed: int = 0,
    exact: Mapping[str, str] | None = None,
    log: Callable[[str], None] = lambda line: None,
    store: KeptAnswers | None = None,
) -> list[dict[str, Any]]:
    """Rows of pairs, at most one a photo.

    photos: (file name, what opens the image, all objects in it, objects that may be in it). answers: how many the model
    gives about each, the first one greedy. exact: file name -> a description that is chosen instead of an answer.
    store: as `generate_answers` takes it.
    """
    answer_rounds = list(
        rounds_of_answers(lvlm, [image for _, image, *_ in photos], question, answers, seed, log, store)
    )
    rows = []
    for (name, _, present, unsure), texts in zip(photos, zip(*answer_rounds, strict=True), strict=True):
        pair = best_and_worst(texts, present, unsure)
        if exact and name in exact:
            worst = min(texts, key=lambda text: score(text, present))
            pair = (exact[name], worst) if worst and worst != exact[name] else None
        if pair:
            rows.append({"image": name, "question": question, "chosen": pair[0], "rejected": pair[1], "kind": "own",
                         "objects": sorted(present)})  # fmt: skip
    return rows
