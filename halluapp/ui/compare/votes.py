"""Blind votes on the page: one that was cast, and the table of all that this visitor may see."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import gradio as gr
from pydantic import Field, TypeAdapter, ValidationError

from halluapp.errors import InputError
from halluapp.report import Verdict
from halluapp.report.record import Record
from halluapp.report.vote_records import MOST_VOTES, ReportVote
from halluapp.serving import callers
from halluapp.serving.lane import LEFT
from halluapp.serving.rates import Rates, address_of_caller
from halluapp.serving.visitors import visitor_of
from halluapp.settings import Settings
from halluapp.ui.compare import exports, stored
from halluapp.ui.compare.run import Result, fault, finished, stage_of
from halluapp.votes import ballot, tally
from halluapp.votes.size import MOST_COUNTED, MOST_METHODS, Prefix, Size

CAST = "Your vote is kept with this comparison; here are the names."
TWICE = "You have voted on this comparison; run another one to vote again."
NO_RESULT = "There is no comparison to vote on; run one first."
UNREADABLE = "The votes of this browser cannot be read; reload the page."
MOST_A_MINUTE = 30  # votes of one address, on a public server; tables as well
MOST_CHARACTERS = 4_000_000  # as text: strings in lists of an event are taken for paths (`serving.refusals`)
MOST_REPORTS, MOST_PANELS, MOST_MENTIONS, MOST_PARAMETERS = 64, 64, 1000, 64  # that a browser sends to be counted
MOST_STORED = 500  # results of the store, whose whole reports have to be read
TOO_MANY = (
    f"These votes are too many for one table, which holds {MOST_METHODS} methods and {MOST_COUNTED} votes at most; "
    "delete older results from this browser's history."
)
OLDER = "Older votes of this server are left out; `halluapp votes --results FOLDER` counts all."
DAMAGED = "{n} of this server's results cannot be read and are left out; its log names them."
RATES, TABLE_RATES = Rates("votes"), Rates("tables of votes")


class VotedMention(Record):
    """Of a report in a browser's history: what the table of votes needs."""

    start: int
    end: int
    verdict: Verdict


class VotedPanel(Record):
    """Likewise."""

    method: str = Field(max_length=200)
    title: str = Field("", max_length=200)
    parameters: dict[str, Any] = Field(default_factory=dict, max_length=MOST_PARAMETERS)
    error: str | None
    """Why there is no answer: such a panel has no part in a vote."""
    mentions: list[VotedMention] = Field(max_length=MOST_MENTIONS)
    text: str = Field(max_length=8)
    """A number that stands for it: equal texts have the same."""


class VotedModel(Record):
    """Likewise."""

    name: str = Field(max_length=400)


class VotedReport(Record):
    """Likewise."""

    model: VotedModel
    panels: list[VotedPanel] = Field(max_length=MOST_PANELS)
    votes: list[ReportVote] = Field(max_length=MOST_VOTES)


_reports = TypeAdapter(list[VotedReport])


def cast_handler(settings: Settings) -> Callable[..., tuple]:
    """A vote on the result that is shown. Input: result. Outputs: stage state, result, files of the report."""
    store, most = stored.store_of(settings), MOST_A_MINUTE if settings.public else 0

    def handler(event: gr.EventData, result: Result) -> tuple:
        try:
            if not result or not result["report"]:
                raise InputError(NO_RESULT)
            stage, report = result["stage"], result["report"]
            if stage.get("voted"):
                raise InputError(TWICE)
            RATES.check(address_of_caller(), most)
            with callers.slot():
                vote = ballot(report, event._data)
                if store and stage.get("kept") and store.holds(report["id"]):
                    store.add_vote(report["id"], vote)
                report = {**report, "votes": [*report.get("votes", []), vote]}
                voted = {"votes": len(report["votes"]), "vote": vote, "voted": True, "status": CAST, "error": ""}
                return finished({**stage, **voted}, report)
        except InputError as error:
            return fault(result, str(error)), gr.skip(), *exports.nothing_new()

    return handler


def count_handler(settings: Settings) -> Callable[..., dict[str, Any]]:
    """The table of all votes: of the result, of the browser's history, of the store where it may be seen.

    Input: result. Output: stage state.
    """
    store = stored.store_of(settings)

    def handler(request: gr.Request, event: gr.EventData, result: Result) -> dict[str, Any]:
        try:
            TABLE_RATES.check(address_of_caller(), MOST_A_MINUTE if settings.public else 0)
            has_left = callers.departure()
            with callers.slot():
                current = [*([result["report"]] if result and result["report"] else []), *_sent(event._data)]
                if (size := Size(current)).is_too_large:
                    raise InputError(TOO_MANY)
                sees_all = store and stored.may_list(settings, visitor_of(settings, request))
                damage: list[str] = []
                lab = Prefix(store.with_votes(damage) if store and sees_all else (), size, MOST_STORED)
                table = tally(_while_here(itertools.chain(current, lab), has_left))
                return {**stage_of(result), "tally": table, "left_out": _omissions(lab, damage)}
        except InputError as error:
            return fault(result, str(error))

    return handler


def _while_here(reports: Iterable[Mapping[str, Any]], has_left: Callable[[], bool]) -> Iterator[Mapping[str, Any]]:
    """The reports, one by one, for as long as the caller waits for the table. Raises InputError."""
    for report in reports:
        if has_left():
            raise InputError(LEFT)
        yield report


def _omissions(lab: Prefix, damage: Sequence[str]) -> list[str]:
    """Sentences on the results of the store that the table does not hold."""
    older, unreadable = [] if lab.is_whole else [OLDER], [DAMAGED.format(n=len(damage))] if damage else []
    return [*older, *unreadable]


def _sent(data: Any) -> list[dict[str, Any]]:
    """The reports of a browser's history, as far as votes need them. Raises InputError."""
    text = data.get("text") if isinstance(data, dict) else None
    try:
        if not isinstance(text, str) or len(text) > MOST_CHARACTERS:
            raise InputError(UNREADABLE)
        if len(checked := _reports.validate_json(text)) > MOST_REPORTS:
            raise InputError(UNREADABLE)
    except ValidationError as error:
        raise InputError(UNREADABLE) from error
    return [report.model_dump() for report in checked]
