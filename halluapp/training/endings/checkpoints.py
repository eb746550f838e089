"""Checkpoints of a run: which stay, which one its panel uses, and when it has gained nothing for too long.

All of it follows from metrics.jsonl and the folders checkpoints/step-N, so that a run that was killed and resumed
decides like one that was not: a checkpoint is whole before the state of its step is written, others are removed after
it, and those later than the state are computed again.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from halluapp.data.files import atomic_write
from halluapp.errors import InputError
from halluapp.training.recipes import HIGHER_IS_BETTER, Recipe
from halluapp.training.runs import LIVE, Run

FOLDER, PREFIX, ABOUT, CARD = "checkpoints", "step-", "about.json", "README.md"
LAST, BEST = "last", "best"  # of `Recipe.keep`


def wants_checkpoints(recipe: Recipe) -> bool:
    """Whether adapters of earlier steps stay on the disk."""
    return recipe.keep == BEST or recipe.keep_checkpoints > 0


def evaluations(run: Run, number: str, rows: list[dict[str, Any]] | None = None) -> list[tuple[int, float]]:
    """(step, value) of a held-out number, by step; step 0 is the untrained model. rows: of metrics.jsonl, if read."""
    rows = run.metrics() if rows is None else rows
    values = {row["step"]: row["held"].get(number) for row in rows if isinstance(row.get("held"), dict)}
    return sorted((step, value) for step, value in values.items() if value is not None and math.isfinite(value))


def by_quality(rows: list[tuple[int, float]], number: str) -> list[tuple[int, float]]:
    """Evaluations, the best first; of equal ones the earlier."""
    sign = -1 if number in HIGHER_IS_BETTER else 1
    return sorted(rows, key=lambda row: (sign * row[1], row[0]))


def gainless(run: Run, recipe: Recipe) -> int:
    """Regular evaluations since the best one. What was evaluated at a stop between them does not count."""
    rows = [row for row in evaluations(run, recipe.best_by) if row[0] % recipe.evaluate_every == 0]
    return sum(step > by_quality(rows, recipe.best_by)[0][0] for step, _ in rows)


def is_exhausted(run: Run, recipe: Recipe) -> bool:
    """Whether the run has gained nothing for as long as its patience lasts (0: without end)."""
    return recipe.patience > 0 and gainless(run, recipe) >= recipe.patience


def early_end(run: Run, recipe: Recipe) -> str:
    """One sentence: why it ended before its last step."""
    rows = by_quality(evaluations(run, recipe.best_by), recipe.best_by)
    return (
        f"It stopped early: {gainless(run, recipe)} evaluations brought no better {number_name(recipe.best_by)} than "
        f"step {rows[0][0]} ({rows[0][1]:.4g})."
    )


def number_name(number: str) -> str:
    """A held-out number in words."""
    return "held-out " + number.replace("_", " ")


def step_folders(run: Run) -> dict[int, Path]:
    """Step -> folder of every checkpoint on the disk, by step."""
    folders = (run.folder / FOLDER).glob(f"{PREFIX}*")
    numbers = {path.name.removeprefix(PREFIX): path for path in folders}
    return {int(name): numbers[name] for name in sorted(filter(str.isdigit, numbers), key=int)}


def write(run: Run, step: int, save: Callable[[Path], None]) -> None:
    """Writes checkpoints/step-N by `save`, whole or not at all. Raises OSError."""
    folder, partial = run.folder / FOLDER / f"{PREFIX}{step}", run.folder / FOLDER / ".partial"
    for path in (partial, folder):
        shutil.rmtree(path, ignore_errors=True)
    save(partial)
    partial.rename(folder)


def settle(run: Run, recipe: Recipe, step: int) -> None:
    """Makes the checkpoint that `recipe.keep` names the run's adapter, and removes those that need not stay.

    step: of the state on the disk; what is later will be computed again.
    """
    folders = step_folders(run)
    for later in [number for number in folders if number > step]:
        shutil.rmtree(folders.pop(later))
    best = by_quality([row for row in evaluations(run, recipe.best_by) if row[0] in folders], recipe.best_by)
    choice = best[0][0] if best and recipe.keep == BEST else step
    if choice in folders:
        publish(run, choice)
    if wants_checkpoints(recipe) and folders:
        stay = {number for number, _ in best[: max(1, recipe.keep_checkpoints)]} | {max(folders)}
        for number in set(folders) - stay:
            shutil.rmtree(folders[number])


def publish(run: Run, step: int) -> None:
    """Makes a checkpoint the run's adapter, about.json last: it says which one is there."""
    source = run.folder / FOLDER / f"{PREFIX}{step}"
    if step == adapter_step(run):
        return
    run.adapter.mkdir(exist_ok=True)
    for path in sorted(source.iterdir(), key=lambda path: path.name == ABOUT):
        with atomic_write(run.adapter / path.name) as partial:
            shutil.copyfile(path, partial)


def adapter_step(run: Run) -> int | None:
    """After how many steps the run's adapter was saved; None where there is none."""
    try:
        return int(json.loads((run.adapter / ABOUT).read_text(encoding="utf-8"))["step"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def choose(run: Run, which: str) -> int:
    """Makes the best, the last or another checkpoint the adapter that the panel uses -> its step. Raises InputError.

    which: "best", "last" or a step. The card, if there is one, says so from then on.
    """
    recipe, folders = run.config().recipe, step_folders(run)
    if run.status()["state"] in LIVE:
        raise InputError(f"The run {run.name} is not over; stop it first.")
    if not folders:
        raise InputError(
            f"The run {run.name} has its last adapter only; start another with --keep best or --keep-checkpoints N."
        )
    rows = [row for row in evaluations(run, recipe.best_by) if row[0] in folders]
    named = {LAST: max(folders), BEST: by_quality(rows, recipe.best_by)[0][0] if rows else max(folders)}
    step = named[which] if which in named else int(which) if which.isdecimal() else None
    if step not in folders:
        steps = ", ".join(map(str, folders))
        raise InputError(f"The run {run.name} has no checkpoint {which!r}; it has best, last and the steps {steps}.")
    publish(run, step)
    return step


def summary(run: Run, metrics: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """step: of the adapter; number: what says which is best; best: [step, value]; steps: on the disk; sentence.

    metrics: rows of metrics.jsonl, if they are read already. Raises InputError where no run is.
    """
    number = run.config().recipe.best_by
    rows, step = evaluations(run, number, metrics), adapter_step(run)
    trained = by_quality([row for row in rows if row[0] > 0], number)
    about = {"step": step, "number": number, "best": list(trained[0]) if trained else None}
    return {**about, "steps": list(step_folders(run)), "sentence": _sentence(rows, trained, number, step)}


def _sentence(rows: list[tuple[int, float]], trained: list[tuple[int, float]], number: str, step: int | None) -> str:
    if step is None or not trained:
        return ""
    values, (best, value), name = dict(rows), trained[0], number_name(number)
    if step == best:
        text = f"The adapter is that of step {step}, the best of {len(trained)} by {name} ({value:.4g})"
    else:
        brackets = f" ({values[step]:.4g})" if step in values else ""
        text = f"The adapter is that of step {step}{brackets}"
        text += f"; the best of {len(trained)} by {name} is step {best} ({value:.4g})"
    if 0 in values and by_quality([(0, values[0]), (best, value)], number)[0][0] == 0:
        text += f"; none is better than the untrained model ({values[0]:.4g})"
    return text + "."
