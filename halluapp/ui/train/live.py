"""Keeps the page up to date: a timer reads the run folders, so that nothing is lost with a reloaded page."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr
from gradio.components import Component

from halluapp.serving.visitors import Visitor, visitor_of
from halluapp.settings import Settings
from halluapp.ui.event_options import EACH, INSTANT, LATEST, NEXT, Notice
from halluapp.ui.train import state

QUICK, SLOW = 1.5, 10.0  # seconds between refreshes while a run lives, and otherwise


@dataclass(frozen=True)
class BoardView:
    """The board and what it shows. selection: a run's name; overlay: runs plotted with it; digest: of what is
    drawn, so that nothing is sent twice; actions: buttons by what `state.possible_actions` calls them."""

    board: gr.HTML
    selection: gr.State
    overlay: gr.State
    digest: gr.State
    timer: gr.Timer
    start: gr.Button
    stop: gr.Button
    actions: dict[str, gr.Button]

    @property
    def outputs(self) -> list[Component]:
        """What `refresh` writes, in its order."""
        return [self.board, self.digest, self.timer, self.stop, self.selection, *self.actions.values()]


def refresh(
    settings: Settings,
    visitor: Visitor,
    selection: str | None,
    overlay: list[str],
    digest: str = "",
    *,
    keep: bool = False,
) -> list[Any]:
    """Values of `BoardView.outputs`; nothing is sent when the folders are as they were.

    keep: `selection` is what the page shows already. Then it is only sent when it is another: a slow refresh must not
    undo a click that came meanwhile.
    """
    board = state.snapshot(settings.runs, selection, overlay or [], visitor)
    current = hashlib.sha256(json.dumps(board, sort_keys=True, default=str).encode()).hexdigest()
    current += " " + json.dumps(busy_runs(board))
    if current == digest:
        return [gr.skip()] * (5 + len(state.ACTIONS))
    live, busy = any(row["live"] for row in board["list"]), busy_runs(board)
    choice = gr.skip() if keep and board["chosen"] == selection else board["chosen"]
    buttons = [gr.update(visible=name in board["possible"]) for name in state.ACTIONS]
    return [board, current, gr.Timer(QUICK if busy else SLOW), gr.update(interactive=live), choice, *buttons]


def tick(settings: Settings, visitor: Visitor, selection: str | None, overlay: list[str], digest: str) -> list[Any]:
    """Inputs: chosen run, overlay, digest. Outputs: `BoardView.outputs`, notice.

    "Has started" and "is being measured" are no news any more when something that went on is over.
    """
    outputs = refresh(settings, visitor, selection, overlay, digest, keep=True)
    board = outputs[0]
    ended = "list" in board and not set(_names(digest)) <= set(busy_runs(board))
    return [*outputs, "" if ended else gr.skip()]


def busy_runs(board: dict[str, Any]) -> list[str]:
    """Names of the runs that train, wait or are measured."""
    return [row["name"] for row in board["list"] if row["live"] or row["measuring"]]


def _names(digest: str) -> list[str]:
    """The runs that were busy when this was drawn."""
    return json.loads(digest.partition(" ")[2] or "[]")


def select_run(
    settings: Settings, visitor: Visitor, name: str, what: str, selection: str | None, overlay: list[str]
) -> list[Any]:
    """A click in the list -> overlay, and `BoardView.outputs`. what: "choose", or "plot" to switch its curves."""
    overlay = list(overlay or [])
    if what == "choose":
        selection = str(name)
    elif name in overlay:
        overlay.remove(name)
    else:
        overlay = [*overlay, str(name)][-state.MOST_RUNS :]
    return [overlay, *refresh(settings, visitor, selection, overlay)]


def connect(settings: Settings, view: BoardView, notice: Notice) -> None:
    """The timer, and clicks in the list: another run makes a notice about the one before stale."""

    selected = [view.overlay, *view.outputs, notice.component]

    def choose(visitor: Visitor, name: str, what: str, selection: str | None, overlay: list[str]) -> list[Any]:
        outputs = select_run(settings, visitor, name, what, selection, overlay)
        return [*outputs, "" if what == "choose" else gr.skip()]

    numbered = notice.numbered(choose, selected)

    # gradio gives request and event to a function that names their types
    def select(request: gr.Request, event: gr.EventData, *inputs: Any) -> list[Any]:
        return numbered(visitor_of(settings, request), event.name, event.what, *inputs)

    board_inputs = [view.selection, view.overlay, view.digest]
    ticked = [*view.outputs, notice.component]
    notice.connect(view.timer.tick, partial(tick, settings), board_inputs, ticked, settings, LATEST, **INSTANT)
    view.board.select(select, [view.selection, view.overlay, notice.number], selected, js=NEXT, **EACH)
