"""Scores of answers that are there already: kept by an evaluation, or written by another program, without a model.

Every answer of the file is used or left out with its reason; the result counts both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from halluapp.data import records
from halluapp.data.files import content_hash
from halluapp.data.photos import printable
from halluapp.data.shards import LeftOut
from halluapp.errors import InputError
from halluapp.evaluation import harness
from halluapp.evaluation.answers.lines import (
    YES_NO,
    Line,
    SavedAnswers,
    SavedMethod,
    Unclear,
    bare,
    left_out,
)
from halluapp.evaluation.scores import scoring
from halluapp.evaluation.scores.scoring import EvaluatedPhoto

NAMED = 5  # photos that a note names
LEAST_SHARE = (
    0.5  # of the photos that the busiest method answered about; a method with fewer would leave out the others
)
DESCRIPTION = re.compile(
    r"describ|descri[pb]t|caption|summar|what (do|can) you see|what is (shown|in th)", re.IGNORECASE
)
# What prompts for yes/no answers add behind the question.
SUFFIX = re.compile(r"(please )?(answer|respond|reply)\b.*\b(yes|single|one|word|phrase)\b.*")
BARE_ANSWER = re.compile(r"\W*(yes|no)\W*", re.IGNORECASE)


@dataclass
class _Placement:
    """Lines by what they are about. lines: (line, photo's number, its question, None: a description)."""

    lines: list[tuple[Line, int, str | None]] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    unknown: dict[str, None] = field(default_factory=dict)  # photos that are not among the data


def score(
    saved: SavedAnswers, data: str | Path, metrics: Sequence[str] = harness.METRICS, limit: int = 0, seed: int = 0,
    log: Callable[[str], None] = lambda line: None, half: str = "all",
) -> tuple[dict[str, Any], bool]:  # fmt: skip
    """-> (the JSON of `evaluate --json`, whether every photo and question has an answer of every method).

    A photo without a description by every method, and a question without an answer of every method, are left out, so
    that all are measured on the same; so is a method that answered about few photos. The notes count and name them.
    Of two answers to the same the first one counts. Raises InputError where nothing can be scored.
    """
    harness.check_metrics(metrics)
    samples, unusable = harness.read_half(data, half, limit)
    candidates, vocabulary = harness.annotated_photos(samples, metrics, seed)
    metrics, notes = harness.possible_metrics(metrics, candidates)
    placement = _placement(saved, candidates)
    if placement.unknown:
        notes.append(f"{_names(list(placement.unknown))} of {saved.path.name} are about no photo of {Path(data).name}.")
    methods = _busy_methods(saved, placement, notes)
    names = {method.name for method in methods}
    count_of_metrics, metrics = len(metrics), _answered_metrics(metrics, placement, notes)
    every_photo = [photo for photo, _ in candidates]
    seconds = _fill(placement, every_photo)
    photos, idle, complete = _select(every_photo, names, metrics)
    if not photos or not metrics:
        raise InputError(f"No photo of {Path(data).name} has answers of every method in {saved.path.name}.")
    unusable += [LeftOut(photo.key, "not every method answered") for photo in idle]
    lost = _lost(placement, every_photo, photos, names, metrics)
    for note in [*records.described(unusable), *notes, *records.described(lost)]:
        log(note)
    count = len(saved.lines) + len(saved.left_out)
    result = {
        "schema": 1, "data": Path(data).name, "photos": len(photos), "vocabulary": vocabulary, "seed": seed,
        "half": half,
        "notes": notes, "left_out": [asdict(item) for item in unusable],
        "answers": {"file": saved.path.name, "read": count, "used": count - len(lost),
                    "left_out": [asdict(item) for item in lost]},
        "model": saved.models[0] if len(saved.models) == 1 else None, "quantization": None,
        "methods": scoring.score(photos, methods, metrics, vocabulary, seed, {}, seconds),
    }  # fmt: skip
    return result, complete and not idle and len(methods) == len(saved.methods) and len(metrics) == count_of_metrics


def _placement(saved: SavedAnswers, candidates: list[tuple[EvaluatedPhoto, bytes]]) -> _Placement:
    """What each line is about; lines about nothing that is asked here, and repeated ones, are left out."""
    index = _index([[(0, content_hash(jpeg))] if saved.ours else list(enumerate(_names_of(photo.key)))
                    for photo, jpeg in candidates])  # fmt: skip
    questions = [
        {bare_question(question.text): question.text for question in photo.questions} for photo, _ in candidates
    ]
    placement = _Placement(left_out=list(saved.left_out))
    earlier: set[tuple[int, str | None, str]] = set()
    for line in saved.lines:
        try:
            number = _photo_of(line.photo, [line.photo] if saved.ours else _names_of(line.photo), index)
            if number is None:
                placement.unknown[line.photo] = None
                raise Unclear("it is about no photo that is scored here")
            question = _our_prompt(line, questions[number]) if saved.ours else _prompt(line, questions[number])
            if (number, question, line.method) in earlier:
                raise Unclear("its method has answered that before; the first answer counts")
            earlier.add((number, question, line.method))
            placement.lines.append((line, number, question))
        except Unclear as reason:
            placement.left_out.append(left_out(line.number, str(reason)))
    return placement


def _index(names_of_photos: list[list[tuple[int, str]]]) -> dict[str, dict[int, list[int]]]:
    """Name -> how certain a form of the photo's key it is (0: whole) -> numbers of photos."""
    index: dict[str, dict[int, list[int]]] = {}
    for number, names in enumerate(names_of_photos):
        for level, name in names:
            numbers = index.setdefault(name, {}).setdefault(level, [])
            if number not in numbers[-1:]:
                numbers.append(number)
    return index


def _photo_of(photo: str, names: Sequence[str], index: dict[str, dict[int, list[int]]]) -> int | None:
    """The number of the photo that a line names, by its most certain name. Raises Unclear where several are meant."""
    for name in names:
        if levels := index.get(name):
            numbers = levels[min(levels)]
            if len(numbers) > 1:
                raise Unclear(f"{printable(photo)!r} may be any of {len(numbers)} photos; write their whole keys")
            return numbers[0]
    return None


def _our_prompt(line: Line, questions: dict[str, str]) -> str | None:
    if line.prompt not in (harness.CAPTION_PROMPT, *questions.values()):
        raise Unclear("its prompt is none of those that are asked here")
    return None if line.prompt == harness.CAPTION_PROMPT else line.prompt


def _prompt(line: Line, questions: dict[str, str]) -> str | None:
    """The question that a line of another program answers, None: it describes the photo. Raises Unclear."""
    question = bare_question(line.prompt)
    if question in questions:
        return questions[question]
    if not question:
        if BARE_ANSWER.fullmatch(line.text):
            raise Unclear("it is a yes or no without its question")
        return None
    if YES_NO.match(question):
        raise Unclear(f"this data and seed do not ask {printable(line.prompt)!r}")
    if not DESCRIPTION.search(question):
        raise Unclear(f"{printable(line.prompt)!r} asks for no description and is no question of this data and seed")
    return None


def bare_question(prompt: str) -> str:
    """A prompt without what asks for one word behind its question, without case and white space."""
    question, mark, rest = bare(prompt).partition("?")
    return question if not mark or not rest.strip() or SUFFIX.fullmatch(rest.strip()) else bare(prompt)


def _fill(placement: _Placement, photos: list[EvaluatedPhoto]) -> dict[str, float]:
    """Gives the texts to their photos -> seconds by method."""
    seconds: dict[str, float] = {}
    for line, number, question in placement.lines:
        photo = photos[number]
        seconds[line.method] = seconds.get(line.method, 0.0) + line.seconds
        if question is None:
            photo.captions[line.method] = line.text
            continue
        photo.answers.setdefault(question, {})[line.method] = line.text
        if line.p_yes is not None:
            photo.p_yes.setdefault(question, {})[line.method] = line.p_yes
    return seconds


def _busy_methods(saved: SavedAnswers, placement: _Placement, notes: list[str]) -> list[SavedMethod]:
    """The methods that answered about most of the photos; a note names the others."""
    answered: dict[str, set[int]] = {method.name: set() for method in saved.methods}
    for line, number, _ in placement.lines:
        answered[line.method].add(number)
    most = max(map(len, answered.values()))
    busy = [method for method in saved.methods if len(answered[method.name]) >= LEAST_SHARE * most]
    for method in saved.methods:
        if method not in busy:
            notes.append(f"{method.name} answers about {len(answered[method.name])} photos only, others about {most}; "
                         "it is left out.")  # fmt: skip
    return busy


def _answered_metrics(metrics: Sequence[str], placement: _Placement, notes: list[str]) -> list[str]:
    """The metrics that the answers are to; a note says which other one they are not scored by."""
    kinds = {"chair" if question is None else "pope" for _, _, question in placement.lines}
    if "pope" in metrics and "pope" not in kinds:
        notes.append(
            "The answers are to none of the yes/no questions of this data and seed, so they are not scored by them."
        )
    if "chair" in metrics and kinds == {"pope"}:
        notes.append("None of the answers is a description, so they are not scored by CHAIR.")
    return [metric for metric in metrics if metric in kinds]


def _select(
    photos: list[EvaluatedPhoto], names: set[str], metrics: Sequence[str]
) -> tuple[list[EvaluatedPhoto], list[EvaluatedPhoto], bool]:
    """(Photos with the questions that all methods answered, those without, whether no question is lost)."""
    used: list[EvaluatedPhoto] = []
    idle: list[EvaluatedPhoto] = []
    complete = True
    for photo in photos:
        answered = [question for question in photo.questions if names <= set(photo.answers.get(question.text, {}))]
        complete &= len(answered) == len(photo.questions)
        photo.questions = answered
        described = "chair" not in metrics or names <= set(photo.captions)
        (used if described and (answered or "chair" in metrics) else idle).append(photo)
    return used, idle, complete


def _lost(
    placement: _Placement, every_photo: list[EvaluatedPhoto], photos: list[EvaluatedPhoto], names: set[str],
    metrics: Sequence[str],
) -> list[LeftOut]:  # fmt: skip
    """The answers of the file that the scores do not use, and why."""
    scored = {id(photo) for photo in photos}
    others = list(placement.left_out)
    for line, number, question in placement.lines:
        photo = every_photo[number]
        if line.method not in names:
            reason = "its method answered about few photos"
        elif id(photo) not in scored or (question and question not in {item.text for item in photo.questions}):
            reason = "not every method answered that"
        elif question is None and "chair" not in metrics:
            reason = "descriptions are not scored by pope"
        else:
            continue
        others.append(left_out(line.number, reason))
    return sorted(others, key=lambda item: int(item.key.split()[-1]))


def _names_of(photo: str) -> list[str]:
    """A photo's key or file name, the most certain form first: whole, without its ending, its last part, its number."""
    path = PurePosixPath(photo.replace("\\", "/"))
    stem = path.stem if re.fullmatch(r"\.(jpe?g|png|webp|gif|bmp|avif|heic|tiff?)", path.suffix.lower()) else path.name
    names = [photo, str(path.parent / stem), stem]
    if match := re.fullmatch(r"(?:COCO_\w+?_)?0*(\d+)", stem):  # COCO's ids, with and without their zeros
        names.append(f"COCO {match[1]}")
    return names


def _names(photos: Sequence[str]) -> str:
    more = f" and {len(photos) - NAMED} more" if len(photos) > NAMED else ""
    return f"{len(photos)} photos ({', '.join(map(printable, photos[:NAMED]))}{more})"
