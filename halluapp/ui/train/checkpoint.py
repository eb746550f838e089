"""Which step of a run its panel answers with: one sentence for the board, and the question that changes it."""

from __future__ import annotations

from typing import Any

import gradio as gr

from halluapp.errors import InputError
from halluapp.training.endings import checkpoints
from halluapp.training.runs import Run
from halluapp.ui.train import texts


def sentence(run: Run, status: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """Why the run ended early, if it did, and which step its adapter is of; "" while there is nothing to say.

    status: of the run; rows: of metrics.jsonl.
    """
    try:
        adapter = checkpoints.summary(run, rows)["sentence"]
    except InputError:
        return ""
    return " ".join(part for part in (str(status.get("note", "")), adapter) if part)


def choices(run: Run) -> list[tuple[str, str]]:
    """(title, step) of every checkpoint on the disk, the best first."""
    number, steps = run.config().recipe.best_by, checkpoints.step_folders(run)
    ranking = checkpoints.by_quality([row for row in checkpoints.evaluations(run, number) if row[0] in steps], number)
    titles = {
        step: texts.STEP_CHOICE.format(step=step, number=checkpoints.number_name(number), value=f"{value:.4g}")
        for step, value in ranking
    }
    if ranking:
        titles[ranking[0][0]] += texts.BEST_STEP
    others = [step for step in steps if step not in titles]
    return [(titles.get(step, str(step)), str(step)) for step in [*titles, *others]]


def question(run: Run) -> Any:
    """The update of the list of steps: all, and the present one chosen."""
    return gr.update(choices=choices(run), value=str(checkpoints.adapter_step(run)))
