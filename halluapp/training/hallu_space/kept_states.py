"""Hidden states on disk, a pair at a time, while a HalluSpace is computed: after a kill none is computed twice.

The file stands beside the result, begins with a line of JSON that says what its states depend on, and holds records of
one length: 16 bytes that name the pair, two lengths, the states. It is removed when the result is written.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from halluapp.training.hallu_space.compute import PairStates

if TYPE_CHECKING:
    from halluapp.data.pairs import Pair
    from halluapp.lvlm.base import LVLM

SUFFIX = ".states"
FORMAT = 1


class KeptStates:
    """States of pairs, by what the pair is: its photo's bytes and its texts.

    path: of the result, which the file is named after. Files of another model, other layers or another pooling are
    begun anew. On a full disk the work goes on, and nothing more is kept.
    """

    def __init__(self, path: Path, lvlm: LVLM, layers: list[int], pooling: str):
        from halluapp.lvlm.weights.fingerprint import fingerprint

        width = lvlm.decoder.get_input_embeddings().weight.shape[1]
        self.path = path.with_name(path.name + SUFFIX)
        self.shape = (2, len(layers), width)
        self.record = np.dtype([("pair", "V16"), ("lengths", "<i4", 2), ("states", "<f4", self.shape)])
        about = {"format": FORMAT, "model": fingerprint(lvlm), "layers": layers, "pooling": pooling, "width": width}
        self.header = (json.dumps(about) + "\n").encode()
        self.offsets: dict[bytes, int] = {}
        self.full = False
        self._open()
        self.earlier = frozenset(self.offsets)  # of a process that was ended

    def _open(self) -> None:
        """Finds what is there; cuts off half a record of a killed process."""
        with suppress(OSError), self.path.open("rb") as file:
            if file.read(len(self.header)) == self.header:
                size, step = self.path.stat().st_size, self.record.itemsize
                for offset in range(len(self.header), size - step + 1, step):
                    file.seek(offset)
                    self.offsets[file.read(16)] = offset
                end = len(self.header) + (size - len(self.header)) // step * step
                if end < size:
                    with self.path.open("r+b") as cut:
                        cut.truncate(end)
                return
        try:
            self.path.write_bytes(self.header)
        except OSError:
            self.full = True

    def was_there(self, pair: Pair) -> bool:
        """Whether a process that was ended has computed this pair."""
        return _name(pair) in self.earlier

    def read(self, pair: Pair) -> PairStates | None:
        """What was computed of a pair; None where it was not."""
        offset = self.offsets.get(_name(pair))
        if offset is None:
            return None
        with self.path.open("rb") as file:
            file.seek(offset)
            record = np.frombuffer(file.read(self.record.itemsize), self.record)[0]
        truthful, hallucinated = map(int, record["lengths"])
        return PairStates(torch.from_numpy(record["states"].copy()), (truthful, hallucinated))

    def write(self, pair: Pair, states: PairStates) -> None:
        """Appends what was computed of a pair."""
        if self.full:
            return
        record = np.zeros(1, self.record)
        record["pair"], record["lengths"] = np.void(_name(pair)), states.lengths
        record["states"] = states.states.numpy()
        try:
            with self.path.open("ab") as file:
                offset = file.tell()
                file.write(record.tobytes())
        except OSError:
            self.full = True
            return
        self.offsets[_name(pair)] = offset

    def remove(self) -> None:
        """The result is written: the states have served."""
        self.path.unlink(missing_ok=True)


def _name(pair: Pair) -> bytes:
    parts = [pair.content_hash(), pair.question, pair.chosen, pair.rejected]
    return hashlib.sha256(json.dumps(parts).encode()).digest()[:16]
