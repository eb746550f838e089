"""The results that this server keeps (HALLUAPP_RESULTS): written when a comparison ends, listed, opened by their id."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr

from halluapp.errors import InputError
from halluapp.results import Store, thumbnail_address
from halluapp.serving.visitors import Visitor, visitor_of
from halluapp.settings import Settings
from halluapp.ui.compare import exports
from halluapp.ui.compare.run import Result, stage_of

KEPT = "This server keeps finished comparisons, photo included, for {days} days."
KEPT_FOR = {True: "Everyone who can open this page sees them.", False: "Only who has a comparison's link can open it."}
MOST_LISTED = 48  # results in the page's history
REPORT_PARTS = ("prompt", "model", "seed", "sampling", "sure", "samples", "versions")  # of `outline`
PANEL_PARTS = ("method", "title", "parameters", "text", "error", "mentions", "inventions", "spread")
logger = logging.getLogger("halluapp.results")


def store_of(settings: Settings) -> Store | None:
    """The store of a server; None where it keeps nothing."""
    if not settings.results:
        return None
    return Store(settings.results, settings.results_days, settings.results_mb, discreet=True)


def notice(settings: Settings) -> str:
    """What a visitor should know before a photo is kept."""
    return f"{KEPT.format(days=settings.results_days)} {KEPT_FOR[lists_all(settings)]}"


def keep(store: Store | None, report: Mapping[str, Any]) -> bool:
    """Keeps a finished comparison -> whether it is kept; a full disk must not take the answer away."""
    try:
        if store:
            store.add(report)
    except InputError as error:
        logger.warning("A result is not kept: %s", error)
        return False
    return store is not None


def counterpart(store: Store | None, report: Mapping[str, Any]) -> dict[str, Any] | None:
    """The report that the store holds of this very comparison; None where it holds none.

    A file may carry any id, but not the same answers with it; all else in the file may be anybody's words.
    """
    name = report.get("id", "")
    try:
        one = store.report(name) if store and name and store.holds(name) else None
    except InputError:
        return None
    return one if one and _answers(one) == _answers(report) else None


def _answers(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(panel["method"], panel["text"]) for panel in report["panels"]]


def of_link(link: str, store: Store | None) -> str | dict[str, Any]:
    """The JSON of the report that a link leads to, or the report itself out of the store. Raises InputError."""
    try:
        return exports.stored(link).read_text(encoding="utf-8")
    except InputError:
        if store is None or not exports.KEY.fullmatch(link):
            raise
        return store.report(link)


def outline(source: str | dict[str, Any]) -> str:
    """What two reports side by side show of one: settings, texts, mentions and numbers, but no tokens and no photo.

    A report, or its JSON -> JSON, which gradio passes on as it is, whatever a method calls its parameters.
    """
    report = json.loads(source) if isinstance(source, str) else source
    panels = [{key: panel.get(key) for key in PANEL_PARTS} for panel in report["panels"]]
    photo = {key: report["photo"].get(key) for key in ("sha256", "name")}
    return json.dumps({**{key: report.get(key) for key in REPORT_PARTS}, "photo": photo, "panels": panels})


def lists_all(settings: Settings) -> bool:
    """Whether everyone who can open the page may see all results: on one's own machine, or behind a password."""
    return not settings.public or bool(settings.auth)


def may_list(settings: Settings, visitor: Visitor) -> bool:
    """Whether a visitor may see all results: strangers of a public server without a password may not."""
    return lists_all(settings) or visitor.all_runs


def listing_handler(settings: Settings) -> Callable[..., dict[str, Any]]:
    """The newest results, for the page's history. Input: result. Output: stage state."""
    store = store_of(settings)

    def handler(request: gr.Request, result: Result) -> dict[str, Any]:
        try:
            rows = store.newest(MOST_LISTED) if store and may_list(settings, visitor_of(settings, request)) else []
        except InputError as error:
            return {**stage_of(result), "error": str(error)}
        return {**stage_of(result), "lab": [_row(row) for row in rows]}

    return handler


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "link": row["id"], "prompt": row["prompt"], "photo": thumbnail_address(row["thumbnail"]),
        "date": 1000 * row["added"], "votes": row["votes"],
    }  # fmt: skip
