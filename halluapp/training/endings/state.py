"""The state of a run on the disk: what was saved, in an order that a kill between any two files cannot spoil."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from halluapp.data.files import atomic_write
from halluapp.errors import InputError
from halluapp.training.endings import checkpoints
from halluapp.training.runs import Run

if TYPE_CHECKING:
    from halluapp.training.objective import Objective

FILE = "state.pt"


def save(run: Run, objective: Objective, optimizer, step: int, seconds: float, evaluated: bool = False) -> None:
    """Adapter first, then the state: both whole files, so that a killed process leaves the last good ones.

    evaluated: this step has held-out numbers, so that its adapter may be the best one.
    """
    config, lvlm = run.config(), objective.lvlm
    about = {"kind": config.kind, "model": lvlm.name, "quantization": lvlm.quantization, "step": step,
             "steps": config.recipe.steps, "data": Path(config.data).name, "pairs": len(objective.pairs),
             "recipe": json.loads((run.folder / "config.json").read_text(encoding="utf-8"))["recipe"]}  # fmt: skip
    write_adapter = partial(objective.save, about=about)
    if evaluated and checkpoints.wants_checkpoints(config.recipe):
        checkpoints.write(run, step, write_adapter)
    if config.recipe.keep == checkpoints.LAST or not checkpoints.step_folders(run):
        write_adapter(run.adapter)
    content = {"step": step, "seconds": seconds, "optimizer": optimizer.state_dict(), "objective": objective.state(),
               "rng": torch.get_rng_state()}  # fmt: skip
    with atomic_write(run.folder / FILE) as path:
        torch.save(content, path)
    checkpoints.settle(run, config.recipe, step)


def restore(run: Run, objective: Objective, optimizer) -> tuple[int, float]:
    """Restores the last state, if there is one -> (steps done, seconds spent). Raises InputError."""
    path = run.folder / FILE
    if not path.exists():
        run.drop_rows_after(-1)
        return 0, 0.0
    try:
        content = torch.load(path, weights_only=True)
        objective.load_state(content["objective"])
        optimizer.load_state_dict(content["optimizer"])
    except (RuntimeError, ValueError, KeyError, EOFError) as error:
        raise InputError(f"The state of {run.folder} is damaged or of another recipe; start the run anew.") from error
    torch.set_rng_state(content["rng"])
    run.drop_rows_after(content["step"])
    return content["step"], content["seconds"]
