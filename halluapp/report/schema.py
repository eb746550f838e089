"""The report of a comparison as pydantic models; the verdicts and their signs."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from halluapp.report.record import Box, Record
from halluapp.report.vote_records import ReportVote

Verdict = Literal["grounded", "contradicted", "not sure", "not checkable"]
# verdict -> symbol, underline style, what it says in words: never colour alone.
MARKS: dict[Verdict, tuple[str, str, str]] = {
    "grounded": ("✓", "solid", "grounded: very probably in the photo"),
    "contradicted": ("✗", "wavy", "contradicted: very probably not in the photo"),
    "not sure": ("~", "dashed", "not sure: the detector knows it and cannot decide"),
    "not checkable": ("?", "dotted", "not checkable: outside what the detector knows, or denied by the text"),
}
Choice = Annotated[tuple[str, float | None], Field(strict=False)]  # text, probability


class ReportModel(Record):
    """Which LVLM answered, and which detector judged."""

    name: str
    quantization: str | None = None
    dtype: str | None = None
    """Of the weights that are not quantized."""
    detector: str | None = None


class ReportPhoto(Record):
    """The photo; its own pixels are not part of a report."""

    sha256: str
    """Of the upright RGB pixels, row by row."""
    width: int
    height: int
    name: str = ""
    """Of its file, without the folder."""
    preview: str = ""
    """A small JPEG of it in base64, which the page's own reports carry; "" without one."""


class ReportDetection(Record):
    """One object that the detector found."""

    label: str
    score: float
    box: Box
    """x0, y0, x1, y1 as shares of width and height."""


class ReportToken(Record):
    """One decoded token. Probabilities are at temperature 1."""

    id: int = Field(ge=0, lt=2**31)
    text: str
    p: float | None
    """Its probability under the method's final distribution."""
    p_main: float | None = None
    """Under the method's main row alone."""
    p_reference: float | None
    """Under its reference rows (mean); null without one."""
    top: list[Choice]
    """The most probable tokens of the final distribution: [text, probability]."""
    instead: str | None = None
    """What the main row alone would have chosen, where that is another token."""
    notes: dict[str, Any] = Field(default_factory=dict)
    """What a method adds, as calibrated label probabilities."""
    branches: list[float | None] = Field(default_factory=list)
    """Its probability under each row, the main one first."""
    end: int | None = None
    """The character of the panel's text after this token."""


class ReportMention(Record):
    """An object that an answer names, and whether the photo shows it."""

    text: str
    start: int
    """First character in the panel's text."""
    end: int
    """The character after the last."""
    object: str
    """The object that the words stand for."""
    verdict: Verdict
    box: Box | None
    """Of the detection that backs it."""
    score: float | None
    """Of that detection, or of the best one below the threshold."""
    label: str | None = None
    """Of the same detection."""
    presence: float | None = None
    """P(checked_as in photo), calibrated; null where the detector is not."""
    checked_as: str | None = None
    """The detector's label that answers for the object."""
    reason: str = ""


class ReportInventions(Record):
    """How many of the named things are expected not to be in the photo."""

    expected: float
    """Sum of 1 - p over the things that are checked, each once."""
    low: float
    high: float
    """95 % interval of their number, if every p is right."""
    named: int
    """How many things are checked."""


class ReportDifference(Record):
    """Expected inventions minus the baseline's; what both name cancels."""

    value: float
    low: float
    high: float
    """95 % interval, if every p is right."""


class ReportAnswer(Record):
    """A yes/no or choice answer, judged by the same probabilities."""

    answer: str
    object: str
    presence: float
    verdict: Literal["right", "wrong", "unsure"]
    reason: str = ""


class AnswerRecord(Record):
    """What a panel and a sample have in common; a schema shows its fields where those of a second base stand before."""

    text: str
    error: str | None
    tokens: list[ReportToken]
    mentions: list[ReportMention]
    seconds: float | None
    forward_passes: int | None
    reason: str | None = None
    note: str = ""
    inventions: ReportInventions | None = None
    difference: ReportDifference | None = None
    answer: ReportAnswer | None = None

    @model_validator(mode="after")
    def _mentions_lie_in_the_text(self) -> Self:
        for index, mention in enumerate(self.mentions):
            if not 0 <= mention.start <= mention.end <= len(self.text):
                sentence = ".mentions[{index}] points outside the panel's text"
                raise PydanticCustomError("outside", sentence, {"index": index})
        return self


class SeedRecord(Record):
    """What a sample begins with."""

    seed: int


class ReportSample(AnswerRecord, SeedRecord):
    """A further sample of a method: its answer with another seed, in the fields of a panel."""

    difference: ReportDifference | None = None
    """To the baseline's answer with the same seed."""


class ReportSpread(Record):
    """A panel's samples together, this panel's own answer among them."""

    n: int
    """Samples that were answered; the means are over them."""
    words: float
    """Mean number of words."""
    named: float | None
    """Mean number of named things that are checked; null, as all that follow, where nothing is."""
    mean: float | None
    """Of their expected inventions."""
    deviation: float | None
    """Standard deviation of them; null for one sample."""
    least: float | None
    most: float | None
    difference: ReportDifference | None = None
    """Mean difference to the baseline's samples of the same seeds, with a t interval over the pairs."""


class MethodRecord(Record):
    """What a panel begins with."""

    method: str
    title: str = ""
    """Of the panel."""
    parameters: dict[str, Any]
    explanation: str = ""
    source: str = ""
    """Paper and equation."""
    reference: str = ""
    """What the reference rows are."""
    rows: list[str] = Field(default_factory=list)
    """What each row sees, the main one first."""


class ReportPanel(AnswerRecord, MethodRecord):
    """One method's answer; its first one where it has several samples."""

    error: str | None
    """Why the method could not answer, one sentence."""
    reason: str | None = None
    """Why the answer ended: end, length or stopped."""
    note: str = ""
    """What was unusual, one sentence."""
    difference: ReportDifference | None = None
    """Null for the baseline, and without one."""
    samples: list[ReportSample] = Field(default_factory=list)
    """The further samples, of the seeds that follow."""
    spread: ReportSpread | None = None
    """Null for one sample."""


class ReportSampling(Record):
    """How tokens were chosen."""

    max_new_tokens: int
    temperature: float
    top_p: float
    top_k: int
    seed: int
    ignore_end: bool = False
    repetition_penalty: float = 0.0
    """0: each method's own."""
    stop: list[str] = Field(default_factory=list)


class ReportVerdict(Record):
    """How often a verdict was right on photos with certain labels: the judge's own record."""

    precision: float | None
    low: float | None = None
    high: float | None = None
    n: int
    """Mentions that it was measured on."""


class ReportFlag(Record):
    """A verdict that a person holds to be wrong."""

    method: str
    start: int
    end: int
    text: str
    verdict: Verdict
    sample: int = 0
    """Of which sample, from 0."""


class ReportJudge(Record):
    """What a calibrated detector knows of the photo, and how right its verdicts are."""

    presence: dict[str, float]
    """label: P(label in photo)."""
    support: dict[str, dict[str, bool]] = Field(default_factory=dict)
    """label: which verdicts it may have."""
    cuts: dict[str, float] = Field(default_factory=dict)
    """Least p that grounds, greatest p that contradicts, at sureness 0.9."""
    measured: dict[str, ReportVerdict] = Field(default_factory=dict)


class Report(Record):
    """One photo, one prompt, the answers of the chosen methods: what `halluapp compare --json` writes."""

    schema_number: Literal[1] = Field(alias="schema")
    id: str = Field("", pattern=r"^([\w-]{22})?$")
    """Random, of a comparison on the page; where a server keeps results, the end of its link."""
    date: str = Field("", pattern=r"^(\d{4}-\d\d-\d\d(T[\d:.]+(Z|[+-]\d\d:\d\d)?)?)?$")
    """When it was made: ISO 8601, in UTC."""
    model: ReportModel
    prompt: str
    seed: int
    sampling: ReportSampling | None = None
    sure: float | None = None
    """How sure verdicts have to be."""
    samples: int = 1
    """Answers of every method."""
    photo: ReportPhoto
    versions: dict[str, str]
    """Of halluapp and the packages that decide the numbers; one that is not installed is left out."""
    detections: list[ReportDetection]
    labels: list[str] | None = None
    """What the detector can find; nothing else is contradicted."""
    judge: ReportJudge | None = None
    """Null for a detector whose scores are not calibrated."""
    panels: list[ReportPanel]
    flags: list[ReportFlag] = Field(default_factory=list)
    """Verdicts that a person held to be wrong."""
    votes: list[ReportVote] = Field(default_factory=list, max_length=1000)
    """Blind votes of people."""
