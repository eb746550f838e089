"""The JSON outputs of `halluapp train` as pydantic models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from halluapp.report.outputs import LeftOut
from halluapp.report.record import Record


class PairsResult(Record):
    """A folder of preference pairs: what `halluapp train pairs --json` writes."""

    schema_number: Literal[1] = Field(alias="schema")
    file: str
    """The pairs, a JSON object a line; their photos lie beside it."""
    pairs: int
    photos: int
    kinds: dict[str, int]
    """What is wrong with the rejected answer -> how many pairs."""
    seed: int
    model: str | None
    """Whose own answers are among the pairs (--own)."""
    left_out: list[LeftOut]
    """With `photos`, all that the data holds (up to --limit): no record, no photo, or no pair could be made of it."""


class TrainingBenchResult(Record):
    """CHiP's packed step against six separate forwards: what `halluapp train bench` prints, a key a line."""

    schema_number: Literal[1] = Field(alias="schema")
    model: str
    quantization: str
    batch: int
    rounds: int
    threads: int
    loss: float
    loss_plain: float
    loss_difference: float
    seconds: float
    """A packed step, forward and backward (median)."""
    seconds_plain: float
    seconds_plain_features_kept: float
    """Six forwards with the features of the vision tower given."""
    ratio: float
    ratio_features_kept: float


Estimate = Annotated[tuple[float | None, float | None, float | None], Field(strict=False)]  # value, low, high
Points = dict[str, list[list[float]]]  # photo, truthful, hallucinated -> [[x, y]]


class RepresentationMap(Record):
    """Photos and captions on the two main axes of all, the same axes before and after."""

    before: Points
    after: Points


class RunMeasurement(Record):
    """What a training run has changed: `measured.json` in its folder, by `halluapp train measure`.

    Metric -> [value, low, high], 95 % intervals over photos; `training.measure.measure` says what each metric is.
    """

    pairs: int
    photos: int
    seed: int
    before: dict[str, Estimate]
    after: dict[str, Estimate]
    difference: dict[str, Estimate]
    map: RepresentationMap | None = None
