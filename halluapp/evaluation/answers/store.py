"""Answers on disk, one JSON object a line, kept as they come: an evaluation that was killed decodes none of them twice.

An answer is found again by everything that it depends on: the photo's bytes, the prompt, the method with its
parameters, the sampling, and the model with its adapters and HalluSpaces.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from halluapp.data.files import content_hash
from halluapp.decoding.plan import Sampling
from halluapp.errors import InputError
from halluapp.evaluation.answers.work import Answers, Decoder, Work
from halluapp.lvlm.weights.fingerprint import fingerprint, sidecar_hash

if TYPE_CHECKING:
    from halluapp.methods.base import Method

SIDECARS = ("space", "projector", "adapter")  # fields of an Intervention: names of what lies beside the model
KEY = ("photo", "prompt", "method", "parameters", "sampling", "model")  # of a line; the rest is for people


def json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """(number, value) of every line, without a last one that a killed process left half written. Raises InputError."""
    try:
        # At line feeds alone: a text may hold other characters that Python's splitlines takes for a line's end.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The answers in {path} cannot be read ({error}).") from error
    for number, line in enumerate(lines, 1):
        try:
            if line.strip():
                yield number, json.loads(line)
        except (ValueError, RecursionError) as error:
            if number < len(lines):
                raise InputError(f"Line {number} of {path} is not JSON ({error}).") from error


class AnswersStore:
    """The file of answers of one or several evaluations. Raises InputError for a file that is none."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.lines: dict[str, dict[str, Any]] = {}
        self.lvlm: Any = None
        self.model = ""
        self._hashes: dict[Method, str] = {}
        if self.path.exists():
            self._read()

    def use(self, lvlm: Any) -> None:
        """Says which model answers from now on; None: a function does, and its answers belong to no model."""
        if lvlm is not self.lvlm:
            self.lvlm, self.model, self._hashes = lvlm, fingerprint(lvlm) if lvlm is not None else "", {}

    def _read(self) -> None:
        for number, line in json_lines(self.path):
            if (
                not isinstance(line, dict)
                or any(part not in line for part in (*KEY, "text"))
                or not isinstance(line["text"], str)
            ):
                raise InputError(
                    f"Line {number} of {self.path} is no answer that an evaluation kept, so it cannot go on there; "
                    "name another file for the answers, or score these alone: evaluate DATA --answers FILE"
                )
            self.lines.setdefault(_key(line), line)  # two processes may have written it
        text = self.path.read_bytes()
        if text and not text.endswith(b"\n"):  # half a line of a killed process: the next one must not be glued to it
            with open(self.path, "r+b") as file:
                file.truncate(text.rfind(b"\n") + 1)

    def recall(
        self, works: Sequence[Work], photos: Sequence[tuple[bytes, str]], sampling: Mapping[str, Sampling],
        decode: Decoder, max_new_tokens: int,
    ) -> list[Answers]:  # fmt: skip
        """The answers to the works: those of the file, and what it lacks by `decode`, added to it as it comes.

        photos: bytes and name of each work's photo.
        """
        hashes = [content_hash(jpeg) for jpeg, _ in photos]
        results = [Answers.to(work.prompts) for work in works]
        lacking: list[Work] = []
        origins: list[tuple[int, list[int]]] = []  # of each lacking work: its number, and the rows of its prompts
        for number, work in enumerate(works):
            for methods, rows in self._lacking(hashes[number], work, sampling, max_new_tokens, results[number]).items():
                lacking.append(Work(work.photo, [work.prompts[row] for row in rows], methods))
                origins.append((number, rows))
        for part in decode(lacking, max_new_tokens) if lacking else ():
            number, rows = origins[part.number]
            rows, work = [rows[row] for row in part.rows], lacking[part.number]
            prompts = [works[number].prompts[row] for row in rows]
            self._keep(hashes[number], photos[number][1], work.methods, sampling, max_new_tokens, prompts, part.answers)
            results[number].add(part.answers, rows, work.methods)
        return results

    def _lacking(
        self, photo: str, work: Work, sampling: Mapping[str, Sampling], max_new_tokens: int, result: Answers
    ) -> dict[tuple[Method, ...], list[int]]:
        """Methods -> rows of the prompts that all of these have yet to answer; `result` gets the others' answers."""
        lacking: dict[tuple[int, ...], list[int]] = {}  # by numbers of methods
        for row, prompt in enumerate(work.prompts):
            numbers = []
            for number, method in enumerate(work.methods):
                settings = replace(sampling.get(method.name, Sampling()), max_new_tokens=max_new_tokens)
                line = self.lines.get(_key(self._line(photo, prompt, method, settings)))
                if line is None:
                    numbers.append(number)
                    continue
                result.texts[row][method.name] = line["text"]
                if line.get("p_yes") is not None:
                    result.p_yes[row][method.name] = line["p_yes"]
                result.add_seconds(method.name, line.get("seconds", 0.0))
            if numbers:
                lacking.setdefault(tuple(numbers), []).append(row)
        return {tuple(work.methods[number] for number in numbers): rows for numbers, rows in lacking.items()}

    def _keep(
        self, photo: str, name: str, methods: Sequence[Method], sampling: Mapping[str, Sampling], max_new_tokens: int,
        prompts: Sequence[str], answers: Answers,
    ) -> None:  # fmt: skip
        """Appends answers; a method's seconds stand in its first line of the batch."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a", encoding="utf-8") as file:
            for method in methods:
                settings = replace(sampling.get(method.name, Sampling()), max_new_tokens=max_new_tokens)
                seconds = answers.seconds.get(method.name, 0.0)
                for prompt, texts, p_yes in zip(prompts, answers.texts, answers.p_yes or repeat({}), strict=False):
                    if method.name not in texts or method.name in answers.errors:
                        continue
                    line = self._line(photo, prompt, method, settings)
                    line |= {"text": texts[method.name], "seconds": round(seconds, 6), "key": name}
                    if method.name in p_yes:
                        line["p_yes"] = round(p_yes[method.name], 6)
                    line["name"] = getattr(self.lvlm, "name", None)
                    seconds = 0.0
                    file.write(json.dumps(line) + "\n")  # in ASCII: a lone surrogate is no UTF-8
                    self.lines[_key(line)] = line

    def _line(self, photo: str, prompt: str, method: Method, sampling: Sampling) -> dict[str, Any]:
        inner = getattr(method, "inner", method)  # a configuration of a search is a method under a label
        if inner not in self._hashes:
            self._hashes[inner] = self._model_of(inner)
        return {
            "photo": photo, "prompt": prompt, "method": inner.name, "parameters": inner.parameters(),
            "sampling": asdict(sampling), "model": self._hashes[inner],
        }  # fmt: skip

    def _model_of(self, method: Method) -> str:
        """The model with what this method takes from beside it, as a hash."""
        if self.lvlm is None:
            return ""
        changes = [row.intervention for row in method.rows("") if row.intervention]
        names = [[name for change in changes if (name := getattr(change, kind))] for kind in SIDECARS]
        return content_hash(f"{self.model} {sidecar_hash(self.lvlm, *names)}".encode())


def _key(line: dict[str, Any]) -> str:
    return json.dumps([line[part] for part in KEY], sort_keys=True)
