"""Measures a run with and without its adapter, writes the numbers beside it and its model card."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from halluapp.data.files import write_text
from halluapp.data.pairs import read_pairs, split
from halluapp.lvlm import adapters
from halluapp.lvlm.base import LVLM
from halluapp.methods.registry import create
from halluapp.training.endings import checkpoints
from halluapp.training.endings.resume import check_pairs
from halluapp.training.measure import before_after, model_card
from halluapp.training.methods import hacl
from halluapp.training.runs import Config, Run


def measure_run(
    run: Run, lvlm: LVLM, data: str = "", photos: int = 60, log: Callable[[str], None] = lambda line: None
) -> str:
    """Writes measured.json (measured-NAME.json for other pairs) and the card -> the numbers as a table.

    data: pairs to measure on ("": those that the run held out). photos: how many are captioned. Raises InputError.
    """
    config = run.config()
    lvlm.adapters["run"] = adapters.load(lvlm, run.adapter)
    pairs = read_pairs(data or config.data)
    if not data:
        check_pairs(run, config, pairs)  # other pairs under the same path were not held out
        pairs = [pairs[row] for row in split(pairs, config.recipe.held_out, config.recipe.seed)[1]]
    method = create("adapter", adapter="run")
    result = before_after.measure_effect(
        lvlm, pairs, method, config.recipe.seed, photos, log, _heads(lvlm, run, config)
    )
    result["step"] = checkpoints.adapter_step(run)
    name = f"measured-{Path(data).stem}.json" if data else "measured.json"
    write_text(run.folder / name, json.dumps(result, indent=1))
    model_card.write(run)
    return before_after.table(result)


def _heads(lvlm: LVLM, run: Run, config: Config):
    """HACL's heads as the run began and as it left them; None for other runs."""
    if not (run.adapter / hacl.HEADS_FILE).exists():
        return None
    width = lvlm.decoder.get_input_embeddings().weight.shape[1]
    return hacl.load_heads(width, None, config.recipe.seed), hacl.load_heads(width, run.adapter)
