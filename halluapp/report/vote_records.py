"""Blind votes: a vote on one report, and the table of all votes that `halluapp votes --json` writes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from halluapp.report.record import Record

MOST_WORDS, MOST_PANELS = 500, 200  # of one vote
MOST_VOTES = 500  # on one report
FULL = f"This comparison has {MOST_VOTES} votes, which is as many as it may have; vote on another one."


class ReportWord(Record):
    """A word that a person holds to be wrong."""

    method: str
    start: int = Field(ge=0)
    """First character in the panel's text."""
    end: int = Field(ge=0)
    """The character after the last."""
    text: str


class ReportVote(Record):
    """What a person said of the answers without knowing their methods."""

    id: str = Field(pattern=r"^[\w-]{1,40}$")
    """Random; the same vote in two files counts once."""
    date: str = Field("", max_length=40)
    """ISO 8601, in UTC."""
    seed: int = Field(ge=0, lt=2**32)
    """Of the order in which the panels stood."""
    order: list[str] = Field(max_length=MOST_PANELS)
    """Their methods in that order; those that gave no answer are left out."""
    ranks: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict, max_length=MOST_PANELS)
    """method: rank, 1 the best; equal ranks are a tie, and one without a rank is below those with one."""
    wrong: list[ReportWord] = Field(default_factory=list, max_length=MOST_WORDS)
    """Ticked words."""
    complete: bool = False
    """Whether the person looked for wrong words in every answer: words without a tick are held to be right."""


class VotesMethod(Record):
    """A method among all rankings of one model's answers."""

    method: str
    title: str
    strength: float | None
    """ln of the Bradley-Terry strength, of mean 0 over the methods; null where it is not determined."""
    low: float | None
    high: float | None
    """95 % interval; null from a single ranking."""
    wins: float
    """Pairs won; a tie is half a win."""
    n: int
    """Pairs with any other method."""


class VotesShare(Record):
    """Mentions of one verdict that people held to be wrong."""

    n: int
    wrong: int
    share: float | None
    low: float | None
    high: float | None
    """95 % interval over votes drawn again with replacement, as wide as Wilson's at least; null from a single vote."""
    undefined: int
    """Draws without such a mention, which are left out of the interval."""


class VotesKappa(Record):
    """Cohen's kappa of judge and people over grounded and contradicted mentions."""

    value: float | None
    low: float | None
    high: float | None
    """95 % interval: votes drawn again with replacement; null from a single vote."""
    undefined: int
    """Draws in which kappa has no value, which are left out of the interval."""
    n: int
    """Mentions."""


class VotesAgreement(Record):
    """People against the judge, in the votes that looked for wrong words."""

    votes: int
    unnamed: int
    """Ticked words that lie in no mention."""
    verdicts: dict[str, VotesShare]
    kappa: VotesKappa


class VotesModel(Record):
    """The rankings of one model's answers."""

    model: str
    rankings: int
    problem: str
    """Why there are no strengths or intervals, one sentence; "" where there are."""
    note: str
    """Which methods were compared with different parameters, one sentence; "" for none."""
    methods: list[VotesMethod]


class VotesResult(Record):
    """All votes of some reports: what `halluapp votes --json` writes."""

    schema_number: Literal[1] = Field(alias="schema")
    votes: int
    comparisons: int
    rankings: int
    problem: str
    """That there are no votes, one sentence; "" where there are."""
    note: str
    """That several models answered, one sentence; "" for one."""
    models: list[VotesModel]
    """Strengths of different models are not pooled; the model with the most rankings is first."""
    agreement: VotesAgreement
