"""Lines of answers that an evaluation kept, or that another program wrote: what each says, or why nobody can tell.

A line whose meaning is not certain is left out and named; it is never scored as something that it may not be.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from halluapp.data.photos import printable
from halluapp.data.records import KINDS
from halluapp.data.shards import LeftOut
from halluapp.errors import InputError
from halluapp.evaluation.answers.store import KEY

# Names that other programs give to the parts of an answer, the first one that a line has.
PHOTO_NAMES = ("key", "photo", "image", "image_id", "image_path", "file_name", "id")
TEXT_NAMES = ("text", "answer", "caption", "response", "output", "prediction")
PROMPT_NAMES = ("prompt", "question", "query")
METHOD_NAMES = ("method", "model", "model_id")
LIST_NAMES = ("annotations", "answers", "results", "predictions")  # of the list in a file that is one object
YES_NO = re.compile(r"(is|are|was|were|do|does|did|can|has|have)\b", re.IGNORECASE)
UNREADABLE = object()  # stands for a line that is no JSON


class Unclear(ValueError):
    """What a line says is not certain; the text says why."""


@dataclass(frozen=True)
class SavedMethod:
    """What answered, as the scores show it."""

    name: str
    settings: dict[str, Any] = field(default_factory=dict)

    def parameters(self) -> dict[str, Any]:
        """Its parameters, as far as the file says them."""
        return self.settings


@dataclass(frozen=True)
class Line:
    """One answer. prompt: "" where the line says none."""

    number: int
    photo: str
    prompt: str
    method: str
    text: str
    seconds: float
    p_yes: float | None


@dataclass
class SavedAnswers:
    """A file of answers. ours: of an evaluation of ours. models: their names. left_out: with `lines`, all it holds."""

    path: Path
    ours: bool
    methods: list[SavedMethod]
    lines: list[Line]
    models: list[str]
    left_out: list[LeftOut]


def left_out(number: int, reason: str) -> LeftOut:
    """An answer that is not scored; numbers from 1, of lines or of a list's items."""
    return LeftOut(f"answer {number}", reason)


def read(path: Path) -> SavedAnswers:
    """Reads JSON lines, a JSON list, or an object with one, of answers.

    A line is an object with the photo (its key or file name, a COCO id), the text and, where they are known, the prompt
    and the method, under the names that programs use for them. What else is there is left out, each with its reason.
    Raises InputError where no line is an answer.
    """
    rows = list(_rows(path))
    if not rows:
        raise InputError(f"{path} holds no answers.")
    ours = any(_is_ours(row) for _, row in rows)
    named = any(isinstance(row, dict) and _first(row, METHOD_NAMES) is not None for _, row in rows)
    labels: dict[str, SavedMethod] = {}
    lines: list[Line] = []
    others: list[LeftOut] = []
    for number, row in rows:
        try:
            lines.append(_our_line(number, row, labels) if ours else _line(number, row, labels, path.stem, named))
        except Unclear as reason:
            others.append(left_out(number, str(reason)))
    if not lines:
        raise InputError(f"Answer {others[0].key.split()[-1]} of {path.name} cannot be scored: {others[0].reason}.")
    models = sorted({str(row["name"]) for _, row in rows if ours and _is_ours(row) and row.get("name")})
    return SavedAnswers(path, ours, list(labels.values()), lines, models, others)


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    """(number, value) of every line or item; UNREADABLE stands for a line that is no JSON. Raises InputError."""
    try:
        # At line feeds alone: a text may hold other characters that Python's splitlines takes for a line's end.
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The answers in {path} cannot be read ({error}).") from error
    whole = _parsed(text) if text.lstrip()[:1] in ("[", "{") else None
    if isinstance(whole, dict) and _first(whole, PHOTO_NAMES) is None:
        whole = next((whole[name] for name in LIST_NAMES if isinstance(whole.get(name), list)), whole)
    if isinstance(whole, list):
        yield from enumerate(whole, 1)
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, _parsed(line)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return UNREADABLE


def _is_ours(row: Any) -> bool:
    if not isinstance(row, dict) or any(part not in row for part in (*KEY, "text")):
        return False
    return (
        isinstance(row["sampling"], dict) and isinstance(row["parameters"], dict)
        and all(isinstance(row[part], str) for part in ("photo", "prompt", "method", "text"))
    )  # fmt: skip


def _our_line(number: int, row: Any, labels: dict[str, SavedMethod]) -> Line:
    if not _is_ours(row):
        raise Unclear("it is not JSON" if row is UNREADABLE else "it is no answer that an evaluation kept")
    identity = [row["method"], row["parameters"], _sampler(row), row["model"]]
    name = _label(labels, row["method"], json.dumps(identity, sort_keys=True), row["parameters"])
    p_yes = _number(row.get("p_yes"))
    return Line(number, row["photo"], row["prompt"], name, row["text"], _number(row.get("seconds")) or 0.0,
                p_yes if p_yes is not None and 0 <= p_yes <= 1 else None)  # fmt: skip


def _sampler(row: dict[str, Any]) -> dict[str, Any]:
    """The sampling without the length, which differs from prompt to prompt."""
    return {key: value for key, value in row["sampling"].items() if key != "max_new_tokens"}


def _number(value: Any) -> float | None:
    """A finite number of a line; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300 or math.isnan(value):
        return None
    return float(value)


def _label(labels: dict[str, SavedMethod], name: str, identity: str, settings: dict[str, Any]) -> str:
    """The method's name in the scores: as the file says it, with a number where several are of one name."""
    if identity not in labels:
        others = sum(method.name.partition(" #")[0] == name for method in labels.values())
        labels[identity] = SavedMethod(f"{name} #{others + 1}" if others else name, settings)
    return labels[identity].name


def _line(number: int, row: Any, labels: dict[str, SavedMethod], stem: str, named: bool) -> Line:
    """A line of another program. stem: the method's name where no line says one; named: one does. Raises Unclear."""
    if not isinstance(row, dict):
        raise Unclear("it is not JSON" if row is UNREADABLE else "it is no object with a photo and a text")
    photo, prompt, method = (_first(row, names) for names in (PHOTO_NAMES, PROMPT_NAMES, METHOD_NAMES))
    if photo is None:
        raise Unclear(f"it names no photo; give it as one of {', '.join(PHOTO_NAMES)}")
    if isinstance(photo, bool) or not isinstance(photo, str | int):
        raise Unclear(f"its photo is {_kind(photo)}, not a key, a file name or a COCO id")
    texts = [row[name] for name in TEXT_NAMES if row.get(name) is not None]
    if not texts:
        raise Unclear(f"it has no text; give it as one of {', '.join(TEXT_NAMES)}")
    if prompt is None and len(texts) > 1 and isinstance(texts[0], str) and texts[0].rstrip().endswith("?"):
        prompt, texts = texts[0], texts[1:]  # POPE's own files call the question "text"
    if prompt is not None and not isinstance(prompt, str):
        raise Unclear(f"its prompt is {_kind(prompt)}")
    if (method is None and named) or (method is not None and not isinstance(method, str | int)):
        raise Unclear("it names no method, as others do" if method is None else f"its method is {_kind(method)}")
    text = _text(texts[0], prompt or "")
    name = stem if method is None else printable(str(method).strip()) or stem
    return Line(number, str(photo).strip(), prompt or "", _label(labels, name, name, {}), text, 0.0, None)


def _text(value: Any, prompt: str) -> str:
    """An answer's text; a list of one is that one, and true or false answer a yes/no question. Raises Unclear."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool) and YES_NO.match(bare(prompt)):
        return "Yes." if value else "No."
    if not isinstance(value, str):
        raise Unclear(f"its text is {_kind(value)}")
    return value


def bare(prompt: str) -> str:
    """A prompt without place holders of the photo, without case and with single spaces."""
    return " ".join(re.sub(r"<[^<>\s]{1,20}>", " ", prompt).casefold().split())


def _kind(value: Any) -> str:
    return KINDS.get(type(value), "a number")


def _first(row: dict[str, Any], names: Sequence[str]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)
