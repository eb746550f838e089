"""The model as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from halluapp.methods.base import Method


@dataclass(frozen=True)
class Baseline(Method):
    """Plain decoding of the quantized model; what every other panel is compared with."""

    name: ClassVar[str] = "baseline"
    title: ClassVar[str] = "Baseline"
    summary: ClassVar[str] = "The model as it is, without any mitigation."
    source: ClassVar[str] = ""
