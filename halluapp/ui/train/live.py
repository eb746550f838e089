"""Keeps the page up to date: a timer reads the run folders, so that nothing is lost with a reloaded page."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import gradio as gr

from halluapp.settings import Settings
from halluapp.ui.train import state

QUICK, SLOW = 1.5, 10.0  # seconds between looks while a run lives, and otherwise


@dataclass(frozen=True)
class View:
    """The board and what it shows. chosen: a run's name; overlay: runs plotted with it; seen: digest of what is
    drawn, so that nothing is sent twice; actions: buttons by what `state.possible` calls them."""

    board: gr.HTML
    chosen: gr.State
    overlay: gr.State
    seen: gr.State
    timer: gr.Timer
    start: gr.Button
    stop: gr.Button
    actions: dict[str, gr.Button]

    @property
    def outputs(self) -> list[gr.components.Component]:
        """What `look` writes, in its order."""
        return [self.board, self.seen, self.timer, self.stop, self.chosen, *self.actions.values()]


def look(settings: Settings, chosen: str | None, overlay: list[str], seen: str = "", *, keep: bool = False) -> list:
    """Values of `View.outputs`; nothing is sent when the folders are as they were.

    keep: `chosen` is what the page has chosen already. Then it is only sent when it is another: a look that took long
    must not undo a click that came meanwhile.
    """
    made = state.snapshot(settings.runs, chosen, overlay or [])
    digest = hashlib.sha256(json.dumps(made, sort_keys=True, default=str).encode()).hexdigest()
    if digest == seen:
        return [gr.skip()] * (5 + len(state.ACTIONS))
    live = any(row["live"] for row in made["list"])
    busy = live or any(row["measuring"] for row in made["list"])
    shown = gr.skip() if keep and made["chosen"] == chosen else made["chosen"]
    buttons = [gr.update(visible=name in made["possible"]) for name in state.ACTIONS]
    return [made, digest, gr.Timer(QUICK if busy else SLOW), gr.update(interactive=live), shown, *buttons]


def choose(settings: Settings, name: str, what: str, chosen: str | None, overlay: list[str]) -> list[Any]:
    """A click in the list -> overlay, and `View.outputs`. what: "choose", or "plot" to switch its curves."""
    overlay = list(overlay or [])
    if what == "choose":
        chosen = str(name)
    elif name in overlay:
        overlay.remove(name)
    else:
        overlay = [*overlay, str(name)][-state.MOST_RUNS :]
    return [overlay, *look(settings, chosen, overlay)]


def connect(settings: Settings, view: View, instant: dict[str, Any]) -> None:
    """The timer, and clicks in the list."""

    def tick(chosen, overlay, seen):
        return look(settings, chosen, overlay, seen, keep=True)

    def select(event: gr.EventData, chosen, overlay):
        return choose(settings, event.name, event.what, chosen, overlay)

    view.timer.tick(tick, [view.chosen, view.overlay, view.seen], view.outputs, **instant)
    view.board.select(select, [view.chosen, view.overlay], [view.overlay, *view.outputs], **instant)
