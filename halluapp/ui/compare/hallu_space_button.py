"""One click computes Nullu's HalluSpace of the loaded model, where it has none, from the shipped or given pairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import gradio as gr

from halluapp.data.pairs import read_pairs
from halluapp.errors import InputError
from halluapp.serving.models import Models
from halluapp.settings import Settings
from halluapp.training.hallu_space.command import Computed, compute_for
from halluapp.training.pairs.lengths import check_lengths
from halluapp.ui.event_options import QUEUED

PAIRS = ("Pairs", "Folder or file of preference pairs on this machine; empty: the shipped ones.")
BUTTON = "Compute the HalluSpace of this model"
THERE = "{model} has a HalluSpace already, of {pairs} pairs; `halluapp halluspace` computes another one."
READING = "Reading the pairs…"
PROGRESS = "Pair {done} of {total}…"
HELD = "A HalluSpace is being computed"
DONE = "Done: {file}. Nullu uses it from now on with {model}."


@dataclass(frozen=True)
class HalluSpaceControls:
    """The pairs' path, the button, and the line below it."""

    path: gr.Textbox
    button: gr.Button
    line: gr.Textbox


def build(settings: Settings) -> HalluSpaceControls | None:
    """Builds them, in the place where it is called; None on a public server, whose model belongs to all visitors."""
    if settings.public or settings.zero_gpu:
        return None
    path = gr.Textbox("", label=PAIRS[0], info=PAIRS[1], lines=1, elem_id="hallu-space-pairs")
    button = gr.Button(BUTTON, size="sm", elem_id="hallu-space")
    line = gr.Textbox("", show_label=False, lines=2, interactive=False, visible=False, elem_id="hallu-space-line")
    return HalluSpaceControls(path, button, line)


def connect(models: Models, controls: HalluSpaceControls | None) -> None:
    """A click computes, with its progress in the line."""
    if controls:
        controls.button.click(
            partial(compute, models), controls.path, [controls.button, controls.line],
            concurrency_id="hallu-space", concurrency_limit=1, **QUEUED,
        )  # fmt: skip


def compute(models: Models, path: str) -> Iterator[tuple]:
    """Input: path of the pairs. Outputs: button, line. Closing it ends the work, which goes on at the next click."""
    try:
        for sentence in sentences(models, path):
            yield gr.update(interactive=False), gr.update(value=sentence, visible=True)
        yield gr.update(interactive=True), gr.skip()
    except (InputError, ValueError, OSError) as error:
        yield gr.update(interactive=True), gr.update(value=" ".join(str(error).split()), visible=True)


def sentences(models: Models, path: str = "") -> Iterator[str]:
    """What is being done, sentence by sentence. Raises InputError."""
    with models.switch.use(HELD):
        yield from _sentences(models, path)


def _sentences(models: Models, path: str) -> Iterator[str]:
    settings, lvlm = models.current, models.session().lvlm
    if there := lvlm.spaces.get("default"):
        yield THERE.format(model=lvlm.name, pairs=there.about.get("pairs", "unknown"))
        return
    yield READING
    pairs = read_pairs(Path(path.strip()) if path.strip() else settings.assets / "pairs")
    check_lengths(pairs, settings.model, settings.assets)
    for event in compute_for(lvlm, pairs, None, settings.assets):
        if isinstance(event, Computed):
            yield DONE.format(file=event.file, model=lvlm.name)
        else:
            yield PROGRESS.format(done=event.done, total=event.total)
