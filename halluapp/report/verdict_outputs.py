"""The JSON output of `halluapp evaluate --verdicts` as pydantic models; figures are made by `evaluation.verdicts`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from halluapp.report.outputs import LeftOut
from halluapp.report.record import Interval, Record


class VerdictFigure(Record):
    """How right one verdict is; null where no mention got it."""

    precision: float | None
    interval: Interval | None
    """95 %, over photos (bootstrap)."""
    mentions: int
    pairs: int
    """Different photos and labels."""


class CalibrationBin(Record):
    """Mentions whose probability lies in (low, high]."""

    low: float
    high: float
    p: float
    """Their mean probability."""
    present: float
    """The share of them that is in the photo."""
    mentions: int


class CurvePoint(Record):
    """The surest mentions decided first."""

    coverage: float
    """The share that is decided."""
    precision: float


class VerdictFigures(Record):
    """Figures of some mentions; a mention counts once a photo, method and label."""

    mentions: int
    present: float | None
    """The share whose object is in the photo."""
    grounded: VerdictFigure
    contradicted: VerdictFigure
    decided: float | None
    """The share that is grounded or contradicted."""
    decided_interval: Interval | None
    ece: float | None
    """Expected calibration error of the probabilities."""
    bins: list[CalibrationBin]
    curve: list[CurvePoint]


class LabelFigure(Record):
    """One verdict about one label."""

    precision: float | None
    mentions: int


class LabelFigures(Record):
    """Figures of one label."""

    mentions: int
    present: float | None
    grounded: LabelFigure
    contradicted: LabelFigure
    decided: float | None


class InventionShare(Record):
    """Of the objects that a method names, the share that is not in the photo: as the judge expects it, and in truth."""

    method: str
    mentions: int
    expected: float | None
    true: float | None


class ShareDifference(Record):
    """Second method minus first, with its 95 % interval; null where undefined."""

    value: float | None
    interval: Interval


class MethodPair(Record):
    """Two methods, compared by the judge and by the truth."""

    first: str
    second: str
    clear: bool
    """Whether the true difference's interval leaves 0 out."""
    agree: bool
    """Whether both differences have one sign."""
    true: ShareDifference
    expected: ShareDifference


class MethodRanking(Record):
    """Whether the page orders the methods as the truth does."""

    methods: list[InventionShare]
    """Best by truth first."""
    pairs: list[MethodPair]


class VerdictsResult(Record):
    """How right the page's verdicts are on annotated photos: what `halluapp evaluate --verdicts --json` writes."""

    schema_number: Literal[1] = Field(alias="schema")
    data: str
    half: Literal["all", "reported", "calibrated"]
    """Of the development sets: the photos that did not, or did, calibrate the judge."""
    photos: int
    left_out: list[LeftOut]
    sure: float
    """How sure a verdict must be, from 0.5 to 1."""
    detector: str
    all: VerdictFigures
    without_persons: VerdictFigures
    persons: VerdictFigures
    labels: dict[str, LabelFigures]
    """Most mentioned first."""
    methods: MethodRanking
