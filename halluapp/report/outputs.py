"""The other JSON outputs as pydantic models: what `evaluate`, `search`, `bench` and `halluspace` write.

They describe what is written, for people who read it elsewhere and for `docs/schemas`; the tests of each command check
that its output is as described, without a key that is not.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from halluapp.report.record import Interval, Record


class ChairScores(Record):
    """CHAIR of captions (Rohrbach et al. 2018); shares from 0 to 1, 0 where undefined."""

    chair_i: float
    """Hallucinated mentions of all mentions."""
    chair_s: float
    """Captions with at least one, of all captions."""
    recall: float
    """Objects found, of all objects in the photos."""
    length: float
    """Mean number of words."""
    correct_objects_per_caption: float
    chair_i_asserted: float
    """chair_i over what captions assert: without objects that they deny ("no dog"), compare with or only picture."""
    chair_s_asserted: float
    """chair_s over what captions assert."""
    false_objects_per_caption: float
    repetition: float
    """Captions that name one object three times or more, of all."""


class PopeScores(Record):
    """Yes/no questions (POPE, Li et al. 2023), "yes" as the positive class; 0 where undefined."""

    accuracy: float
    precision: float
    recall: float
    f1: float
    yes_ratio: float
    unparsed: int
    """Answers that are neither yes nor no; they count as yes, as in POPE."""
    count: int
    """Questions."""


class PopeResult(PopeScores):
    """The scores of all questions, and of each way of choosing absent objects."""

    splits: dict[str, PopeScores]
    """random, popular, adversarial."""
    ece: float | None = None
    """Expected calibration error of P(yes) against P(no) in the first token; null where no answer has it."""
    with_probability: int = 0
    """Questions that have it."""


class DifferenceResult(Record):
    """Method minus baseline on the same photos, with its 95 % interval; null where undefined."""

    value: float | None
    low: float | None
    high: float | None


class MatchResult(Record):
    """A method and the baseline at equal recall or length; pairs are (baseline, method), null where undefined."""

    level: float | None
    shares: Interval
    """Of their words that both methods' texts keep; one of them is 1."""
    chair_i: Interval
    recall: Interval
    length: Interval
    differences: dict[str, DifferenceResult]
    """Of chair_i and recall."""


class WorstCaption(Record):
    """One of the captions with most hallucinated mentions."""

    photo: str
    text: str
    hallucinated: list[str]
    truth: list[str]


class MethodResult(Record):
    """One method's scores. A metric that was not asked for, or was impossible, has no key."""

    method: str
    parameters: dict[str, Any]
    error: str | None
    """Why it has no scores."""
    chair: ChairScores | None = None
    pope: PopeResult | None = None
    intervals: dict[str, dict[str, Interval]] = Field(default_factory=dict)
    """metric -> score -> 95 % interval over photos (bootstrap)."""
    differences: dict[str, dict[str, DifferenceResult]] = Field(default_factory=dict)
    """metric -> score -> difference to the baseline, where that was measured too."""
    matched: dict[str, MatchResult] = Field(default_factory=dict)
    """recall, length -> the two there (`evaluation.scores.matched` says how), where the baseline was measured too."""
    worst: list[WorstCaption] = Field(default_factory=list)
    seconds: float


class LeftOut(Record):
    """A photo or record that is not among the scored ones, or an archive of which a part may be missing."""

    key: str
    reason: str


class SavedAnswersUse(Record):
    """What became of the answers of a file that was scored without a model; `used` and `left_out` are all of them."""

    file: str
    read: int
    used: int
    left_out: list[LeftOut]
    """key: "answer N", by lines or the items of a list."""


class EvaluationResult(Record):
    """Scores of the chosen methods on annotated photos: what `halluapp evaluate --json` writes."""

    schema_number: Literal[1] = Field(alias="schema")
    data: str
    photos: int
    vocabulary: Literal["coco", "wide"]
    seed: int
    half: Literal["all", "reported", "calibrated"] = "all"
    """Of the photos, by their keys."""
    notes: list[str]
    """Why a metric is left out."""
    left_out: list[LeftOut] = Field(default_factory=list)
    """With `photos`, all that the data holds (up to --limit)."""
    answers: SavedAnswersUse | None = None
    """Of --answers, where they were scored without a model."""
    model: str | None
    quantization: str | None
    methods: list[MethodResult]


class SearchScore(Record):
    """One configuration on the tuning photos."""

    method: str
    """Its number, as #0 (the defaults)."""
    score: float | None
    """Of the objective."""
    interval: Interval
    settings: dict[str, Any]


class SearchPhotos(Record):
    """How many photos chose, and how many tested."""

    tuning: int
    test: int


class SearchGain(Record):
    """The best configuration's score minus the defaults'; one that shrinks from tuning to test was selection."""

    tuning: float | None
    test: float | None


class SearchResult(Record):
    """A configuration chosen on some photos, tested on the others: what `halluapp search --json` writes."""

    schema_number: Literal[1] = Field(alias="schema")
    data: str
    method: str
    grid: dict[str, list[Any]]
    one_at_a_time: bool
    objective: str
    more_is_better: bool
    seed: int
    left_out: list[LeftOut] = Field(default_factory=list)
    """With `photos`, all that the data holds (up to --limit)."""
    photos: SearchPhotos
    model: str | None
    quantization: str | None
    tuning: list[SearchScore]
    best: dict[str, Any]
    """The settings chosen; empty for the defaults."""
    test: list[MethodResult]
    """baseline, defaults, best, and the baseline with the sampling of the best where that differs."""
    gain: SearchGain


class Operation(Record):
    """Where five panels spend their time (`--profile`)."""

    name: str
    share: float
    calls: int


class BenchResult(Record):
    """Speed and memory of all panels against one plain generate: what `halluapp bench --json` writes.

    Ratios and seconds are medians over the rounds.
    """

    schema_number: Literal[2] = Field(alias="schema")
    model: str
    quantization: str
    device: str
    threads: int
    prefix_tokens: int
    """Photo and prompt."""
    new_tokens: int
    rounds: int
    fast: str
    """The setting of the fast decode step: auto, off or on."""
    fast_obstacle: str
    """Why no step could be replayed; empty if it could."""
    fast_by_rows: dict[str, str]
    """Rows of the batch -> which step was taken, and why."""
    one: str
    """The fastest plain generate: a quantization, or "dense" for small 4-bit layers that are decoded once a process."""
    ratio_five_panels_to_each_generate: dict[str, float]
    ratio_five_panels_to_one: float
    """To the fastest."""
    ratio_least: float
    ratio_most: float
    ratio_eleven_panels_to_one: float
    ratio_sequential_to_five: float
    seconds_of_each_generate: dict[str, float]
    seconds_one: float
    seconds_five: float
    seconds_eleven: float
    seconds_sequential: float
    seconds_to_first_token_five: float
    tokens_per_second_five: float
    rows_five: int
    rows_eleven: int
    left_out: dict[str, str] = Field(default_factory=dict)
    """Panels whose weights the model lacks, and what they lack; all figures are of the others."""
    peak_memory_one_mb: float
    peak_memory_five_mb: float
    peak_memory_ratio: float
    memory_of_model_mb: float | None = None
    """On a GPU only."""
    memory_beyond_model_five_mb: float | None = None
    """On a GPU only."""
    operations_five: list[Operation] = Field(default_factory=list)


class DirectionWords(Record):
    """What the model would say at each end of a direction (Nullu, section 4.3)."""

    hallucinated: list[str]
    truthful: list[str]


class LayerDirections(Record):
    """One layer of a HalluSpace."""

    singular: list[float]
    """The largest singular values of the differences, twice as many as directions."""
    share: float
    """Of the energy of all differences that the directions hold."""
    length_correlation: float | None
    """Near 1 or -1 the first direction encodes the length of an answer, not hallucination."""
    words: list[DirectionWords]
    """A direction each."""


class HalluSpaceAbout(Record):
    """What a HalluSpace was computed from: what `halluapp halluspace --json` (once `calibrate`) writes,
    also in the file's metadata.

    Keys of `spectrum` and `directions` are layers, zero-based.
    """

    pairs: int
    pooling: str
    rank: int
    model: str
    quantization: str
    spectrum: dict[str, list[float]]
    mean_length_difference: float
    """In tokens, hallucinated against truthful answer."""
    directions: dict[str, LayerDirections]
