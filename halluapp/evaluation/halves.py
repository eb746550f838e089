"""Two halves of annotated photos, by their keys: what is chosen on one of them is reported on the other."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from halluapp.errors import InputError

if TYPE_CHECKING:
    from halluapp.data.shards import Sample

HALVES = ("all", "reported", "calibrated")


def reported(key: str) -> bool:
    """Whether a photo belongs to the half that figures are reported on; the other one calibrates."""
    return int(hashlib.sha1(f"half{key}".encode()).hexdigest(), 16) % 2 == 1


def of_half(samples: Sequence[Sample], half: str) -> list[Sample]:
    """The photos of one of HALVES. Raises InputError for another word, and where none belongs to it."""
    if half not in HALVES:
        raise InputError(f"The half must be one of {', '.join(HALVES)}, not {half!r}.")
    chosen = [sample for sample in samples if half == "all" or reported(sample.key) == (half == "reported")]
    if not chosen:
        raise InputError(f"No photo of the data belongs to the {half} half.")
    return chosen
