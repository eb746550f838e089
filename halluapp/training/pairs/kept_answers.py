"""A model's own answers on disk, a batch a line, as they come: after a kill none is decoded twice.

A line is found again by everything that its answers depend on: the model, the photos of the batch, question and
sampling.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from halluapp.data.files import content_hash

if TYPE_CHECKING:
    from halluapp.lvlm.base import LVLM

NAME = "answers.jsonl"  # in the folder of the pairs


class KeptAnswers:
    """Batches of answers of one model. Lines that are not ours are left as they are, half a line is cut off.

    On a full disk the work goes on, and nothing more is kept.
    """

    def __init__(self, path: Path, lvlm: LVLM):
        from halluapp.lvlm.weights.fingerprint import fingerprint

        self.path, self.model, self.full = path, fingerprint(lvlm), False
        self.texts: dict[str, list[str]] = {}
        self.reused = 0  # answers that were read instead of decoded
        with suppress(OSError):
            self._open()

    def _open(self) -> None:
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            with self.path.open("r+b") as file:
                file.truncate(len(whole))
        for line in whole.splitlines():
            with suppress(ValueError, KeyError, TypeError):
                values = json.loads(line)
                if all(isinstance(text, str) for text in values["texts"]):
                    self.texts[str(values["key"])] = list(values["texts"])

    def key(self, photos: Sequence[str], *sampling: object) -> str:
        """The name of a batch. photos: hashes of their pixels."""
        return content_hash(json.dumps([self.model, list(photos), *sampling]).encode())

    def read(self, key: str, count: int) -> list[str] | None:
        """The answers of a batch of `count` photos; None where they are not there."""
        texts = self.texts.get(key)
        if texts is None or len(texts) != count:
            return None
        self.reused += count
        return texts

    def write(self, key: str, texts: Sequence[str]) -> None:
        """Appends the answers of a batch, which `read` gives from then on."""
        self.texts[key] = list(texts)
        if self.full:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="ascii") as file:  # in ASCII: a lone surrogate is no UTF-8
                file.write(json.dumps({"key": key, "texts": list(texts)}) + "\n")
        except OSError:
            self.full = True
