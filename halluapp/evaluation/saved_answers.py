"""Scores of answers that are there already: kept by an evaluation, or written by another program, without a model."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from halluapp.data import records
from halluapp.data.files import content_hash
from halluapp.data.shards import LeftOut
from halluapp.errors import InputError
from halluapp.evaluation import harness
from halluapp.evaluation.answers_store import KEY, json_lines
from halluapp.evaluation.scores import scoring
from halluapp.evaluation.scores.scoring import EvaluatedPhoto

# Names that other programs give to the parts of an answer, the first one that a line has.
PHOTO_NAMES = ("key", "photo", "image", "image_id", "image_path", "file_name", "id")
TEXT_NAMES = ("text", "answer", "caption", "response", "output", "prediction")
PROMPT_NAMES = ("prompt", "question", "query")
METHOD_NAMES = ("method", "model", "model_id")
NAMED = 5  # photos that a note names


@dataclass(frozen=True)
class SavedMethod:
    """What answered, as the scores show it."""

    name: str
    settings: dict[str, Any] = field(default_factory=dict)

    def parameters(self) -> dict[str, Any]:
        """Its parameters, as far as the file says them."""
        return self.settings


@dataclass(frozen=True)
class _Line:
    number: int
    photo: str
    prompt: str
    method: str
    text: str
    seconds: float
    p_yes: float | None


@dataclass
class SavedAnswers:
    """A file of answers. ours: of an evaluation of ours. models: their names."""

    path: Path
    ours: bool
    methods: list[SavedMethod]
    lines: list[_Line]
    models: list[str]


def read(path: Path) -> SavedAnswers:
    """Reads JSON lines, or one JSON list, of answers.

    A line is an object with the photo (its key or file name, a COCO id), the text and, where they are known, the prompt
    and the method, under the names that programs use for them. Raises InputError that names the line.
    """
    rows = _rows(path)
    if not rows:
        raise InputError(f"{path} holds no answers.")
    ours = all(_is_ours(row) for _, row in rows)
    labels: dict[str, SavedMethod] = {}
    lines = [_line(path, number, row, ours, labels) for number, row in rows]
    models = sorted({str(row["name"]) for _, row in rows if ours and row.get("name")})
    return SavedAnswers(path, ours, list(labels.values()), lines, models)


def _rows(path: Path) -> list[tuple[int, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if text.lstrip().startswith("["):
            return list(enumerate(json.loads(text), 1))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"The answers in {path} cannot be read ({' '.join(str(error).split())[:160]}).") from error
    return list(json_lines(path))


def _is_ours(row: Any) -> bool:
    if not isinstance(row, dict) or any(part not in row for part in (*KEY, "text")):
        return False
    return isinstance(row["sampling"], dict) and isinstance(row.get("seconds", 0.0), int | float)


def _line(path: Path, number: int, row: Any, ours: bool, labels: dict[str, SavedMethod]) -> _Line:
    position = f"Answer {number} of {path.name}"
    if not isinstance(row, dict):
        raise InputError(f"{position} is no object with a photo and a text.")
    photo = row["photo"] if ours else _first(row, PHOTO_NAMES)
    text = _first(row, TEXT_NAMES)
    if photo is None or isinstance(photo, bool) or not isinstance(photo, str | int):
        raise InputError(f"{position} names no photo; give it as one of {', '.join(PHOTO_NAMES)}.")
    if not isinstance(text, str):
        raise InputError(f"{position} has no text; give it as one of {', '.join(TEXT_NAMES)}.")
    prompt, name = str(_first(row, PROMPT_NAMES) or ""), str(_first(row, METHOD_NAMES) or path.stem)
    settings = row["parameters"] if ours and isinstance(row["parameters"], dict) else {}
    identity = json.dumps([name, settings, _sampler(row), row["model"]] if ours else name, sort_keys=True)
    if identity not in labels:
        number_of_name = sum(method.name.partition(" #")[0] == name for method in labels.values())
        labels[identity] = SavedMethod(f"{name} #{number_of_name + 1}" if number_of_name else name, settings)
    seconds = row.get("seconds", 0.0) if ours else 0.0
    p_yes = row.get("p_yes") if ours and isinstance(row.get("p_yes"), float | int) else None
    return _Line(number, str(photo), prompt, labels[identity].name, text, float(seconds), p_yes)


def _sampler(row: dict[str, Any]) -> dict[str, Any]:
    """The sampling without the length, which differs from prompt to prompt."""
    return {key: value for key, value in dict(row["sampling"]).items() if key != "max_new_tokens"}


def _first(row: dict[str, Any], names: Sequence[str]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def score(
    saved: SavedAnswers, data: str | Path, metrics: Sequence[str] = harness.METRICS, limit: int = 0, seed: int = 0,
    log: Callable[[str], None] = lambda line: None, half: str = "all",
) -> tuple[dict[str, Any], bool]:  # fmt: skip
    """-> (the JSON of `evaluate --json`, whether every photo and question has an answer of every method).

    A photo without a description by every method, and a question without an answer of every method, are left out, so
    that all are measured on the same; the notes count and name them. Raises InputError where nothing can be scored.
    """
    harness.check_metrics(metrics)
    samples, unusable = harness.read_half(data, half, limit)
    candidates, vocabulary = harness.annotated_photos(samples, metrics, seed)
    metrics, notes = harness.possible_metrics(metrics, candidates)
    names = {method.name for method in saved.methods}
    answers, unknown = _by_photo(saved, candidates)
    notes += [f"{_names(unknown)} of {saved.path.name} are about no photo of {Path(data).name}."] if unknown else []
    seconds = dict.fromkeys(names, 0.0)
    photos: list[EvaluatedPhoto] = []
    left_out: list[EvaluatedPhoto] = []
    complete = True
    for (photo, _), lines in zip(candidates, answers, strict=True):
        prompts = {question.text for question in photo.questions}
        for line in lines:
            seconds[line.method] += line.seconds
            if line.prompt in prompts:
                photo.answers.setdefault(line.prompt, {})[line.method] = line.text
                if line.p_yes is not None:
                    photo.p_yes.setdefault(line.prompt, {})[line.method] = line.p_yes
            elif line.prompt in ("", harness.CAPTION_PROMPT) or not saved.ours:
                photo.captions.setdefault(line.method, line.text)
        answered = [question for question in photo.questions if names <= set(photo.answers.get(question.text, {}))]
        lacks_caption = "chair" in metrics and not names <= set(photo.captions)
        complete &= not lacks_caption and len(answered) == len(photo.questions)
        photo.questions = answered
        (left_out if lacks_caption or not (answered or "chair" in metrics) else photos).append(photo)
    metrics = _scored_metrics(metrics, photos, notes)
    if not photos or not metrics:
        raise InputError(f"No photo of {Path(data).name} has answers of every method in {saved.path.name}.")
    unusable += [LeftOut(photo.key, "not every method answered") for photo in left_out]
    for note in [*records.described(unusable), *notes]:
        log(note)
    result = {
        "schema": 1, "data": Path(data).name, "photos": len(photos), "vocabulary": vocabulary, "seed": seed,
        "half": half,
        "notes": notes, "left_out": [asdict(item) for item in unusable],
        "model": saved.models[0] if len(saved.models) == 1 else None, "quantization": None,
        "methods": scoring.score(photos, saved.methods, metrics, vocabulary, seed, {}, seconds),
    }  # fmt: skip
    return result, complete and not left_out


def _scored_metrics(metrics: Sequence[str], photos: list[EvaluatedPhoto], notes: list[str]) -> list[str]:
    """The metrics without yes/no accuracy where no question was answered, which a note then says."""
    if "pope" not in metrics or any(photo.questions for photo in photos):
        return list(metrics)
    notes.append(
        "The answers are to none of the yes/no questions of this data and seed, so they are not scored by them."
    )
    return [metric for metric in metrics if metric != "pope"]


def _by_photo(
    saved: SavedAnswers, candidates: list[tuple[EvaluatedPhoto, bytes]]
) -> tuple[list[list[_Line]], list[str]]:
    """The lines about each photo, and the names of photos that are not among them."""
    index: dict[str, int] = {}
    for number, (photo, content) in enumerate(candidates):
        for name in (content_hash(content),) if saved.ours else _names_of(photo.key):
            index.setdefault(name, number)
    lines: list[list[_Line]] = [[] for _ in candidates]
    unknown: dict[str, None] = {}
    for line in saved.lines:
        names = [line.photo] if saved.ours else _names_of(line.photo)
        matches = [index[name] for name in names if name in index]
        if matches:
            lines[matches[0]].append(line)
        else:
            unknown[line.photo] = None
    return lines, list(unknown)


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
    return f"{len(photos)} photos ({', '.join(photos[:NAMED])}{more})"
