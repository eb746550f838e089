"""Answers on disk, one JSON object a line, kept as they come: an evaluation that was killed decodes none of them twice.

An answer is found again by everything that it depends on: the photo's bytes, the prompt, the method with its
parameters, the sampling, and the model with its adapters and HalluSpaces.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from halluapp.data.files import content_hash
from halluapp.decoding.plan import Sampling
from halluapp.errors import InputError
from halluapp.lvlm.weights.fingerprint import fingerprint, sidecar_hash

if TYPE_CHECKING:
    from halluapp.methods.base import Method

AnswerFunction = Callable[[Any, Sequence[str], int], "Answers"]  # photo, prompts, max_new_tokens
SIDECARS = ("space", "projector", "adapter")  # fields of an Intervention: names of what lies beside the model
KEY = ("photo", "prompt", "method", "parameters", "sampling", "model")  # of a line; the rest is for people


@dataclass
class Answers:
    """texts: of each prompt, by method name; errors: of methods that failed; seconds: until the end of each method.

    p_yes: of each prompt, by method name, P(yes) against P(no) in the answer's first token, where one of them is likely
    ([] where nobody measured it).
    """

    texts: list[dict[str, str]]
    errors: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    p_yes: list[dict[str, float]] = field(default_factory=list)


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
        self, jpeg: bytes, name: str, methods: Sequence[Method], sampling: Mapping[str, Sampling],
        decoder: Callable[[tuple[Method, ...]], AnswerFunction],
    ) -> AnswerFunction:  # fmt: skip
        """An AnswerFunction for one photo that decodes what the file lacks, by `decoder(methods)`, and adds it."""
        photo = content_hash(jpeg)

        def answer(image: Any, prompts: Sequence[str], max_new_tokens: int) -> Answers:
            result = Answers([{} for _ in prompts], p_yes=[{} for _ in prompts])
            lacking: dict[tuple[int, ...], list[int]] = {}  # indices of methods -> prompts that all of these lack
            for index, prompt in enumerate(prompts):
                missing = []
                for number, method in enumerate(methods):
                    settings = replace(sampling.get(method.name, Sampling()), max_new_tokens=max_new_tokens)
                    line = self.lines.get(_key(self._line(photo, prompt, method, settings)))
                    if line is None:
                        missing.append(number)
                    else:
                        result.texts[index][method.name] = line["text"]
                        if line.get("p_yes") is not None:
                            result.p_yes[index][method.name] = line["p_yes"]
                        _add(result.seconds, method.name, line.get("seconds", 0.0))
                if missing:
                    lacking.setdefault(tuple(missing), []).append(index)
            for numbers, rows in lacking.items():
                part = tuple(methods[number] for number in numbers)
                new = decoder(part)(image, [prompts[row] for row in rows], max_new_tokens)
                self._keep(photo, name, part, sampling, max_new_tokens, [prompts[row] for row in rows], new)
                for row, texts in zip(rows, new.texts, strict=True):
                    result.texts[row].update({m.name: texts[m.name] for m in part if m.name in texts})
                for row, values in zip(rows, new.p_yes, strict=False):
                    result.p_yes[row].update(values)
                result.errors.update(new.errors)
                for method in part:
                    _add(result.seconds, method.name, new.seconds.get(method.name, 0.0))
            return result

        return answer

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


def _add(seconds: dict[str, float], name: str, value: float) -> None:
    seconds[name] = seconds.get(name, 0.0) + value
