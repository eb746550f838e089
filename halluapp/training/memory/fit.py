"""Whether a run fits the memory of this machine, in one sentence before it starts; it is said, and never refused."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from halluapp.errors import InputError
from halluapp.training import recipes
from halluapp.training.recipes import Recipe

if TYPE_CHECKING:
    from halluapp.training.memory.plan import MemoryPlan

TEXT_TOKENS, ANSWER_TOKENS = 64, 120  # of a question with its template, and of an answer; of small models shorter
BATCHES = (32, 16, 8, 4, 2, 1)
GIB = 2**30
ROUNDING = GIB // 4  # of what is free, so that a form that is filled asks once for the same settings
UNKNOWN = "There is no memory plan for {title} steps; the table of runs shows what each of them took."
FITS = "Memory, an estimate: {total} of the {free} GiB that are free on {where} ({parts})."
SHORT = "{line} It will probably not fit: {advice}."
NOTHING_HELPS = "no smaller batch helps; take a smaller model or another machine"


def configuration(model: str, assets: Path) -> Any:
    """The configuration of "pocket", random:NAME, a folder or a hub id, without weights. Raises InputError."""
    from halluapp.lvlm import catalog, loading, random_weights
    from halluapp.lvlm.families import pocket

    if model == "auto":
        model = catalog.automatic()
    if model.startswith(random_weights.PREFIX):
        return random_weights.configuration(model.removeprefix(random_weights.PREFIX))
    pocket.register()
    return loading.configuration(str(assets / "pocket") if model == "pocket" else model)


def free_memory(device: str = "auto") -> tuple[int, str]:
    """(free bytes, where): of the GPU that runs train on, else of this machine."""
    from halluapp.lvlm.weights import memory

    free, on_gpu = memory.free_memory(device)
    return free, "the GPU" if on_gpu else "this machine"


def sentence_apart(model: str, quantization: str, recipe: Recipe, assets: Path, free: int, where: str) -> str:
    """`sentence` by a process of its own, once for the same question. Raises InputError.

    To build a model, though of shapes alone, transformers changes the default type of numbers of the whole process, and
    a model that another thread of a server loads meanwhile would be of two types.
    """
    _check_kind(recipe)
    values = [model, quantization, recipe.kind, asdict(recipe), str(assets), free // ROUNDING * ROUNDING, where]
    success, line = _answer_apart(json.dumps(values))
    if not success:
        raise InputError(line)
    return line


@lru_cache(maxsize=64)
def _answer_apart(arguments: str) -> tuple[bool, str]:
    result = subprocess.run(
        [sys.executable, "-m", "halluapp.training.memory.fit", arguments], capture_output=True, text=True,
        encoding="utf-8", stdin=subprocess.DEVNULL, cwd=Path(__file__).resolve().parents[3],
    )  # fmt: skip
    lines = (result.stdout if result.returncode == 0 else result.stderr).strip().splitlines()
    return result.returncode == 0, lines[-1] if lines else "The memory of the run could not be planned."


def _check_kind(recipe: Recipe) -> None:
    if recipe.kind not in ("chip", "dpo"):
        raise InputError(UNKNOWN.format(title=recipe.title))


def sentence(model: str, quantization: str, recipe: Recipe, assets: Path, free: int, where: str) -> str:
    """What a run needs beside what is free, by part, and what to try where it is more. Raises InputError.

    recipe: of a CHiP run, or of a DPO run, which keeps what CHiP keeps without its rows of corrupted photos.
    """
    from halluapp.training.methods.chip_recipe import ChipRecipe

    _check_kind(recipe)
    shared = {name: value for name, value in asdict(recipe).items() if name in ChipRecipe.__dataclass_fields__}
    planned = ChipRecipe(**{**shared, "best_by": "loss", **({} if recipe.kind == "chip" else {"visual": 0.0})})
    plan = _plan(model, quantization, _memory_settings(planned), assets)
    parts = ", ".join(f"{name} {value / GIB:.2f}" for name, value in asdict(plan).items())
    line = FITS.format(total=f"{plan.total / GIB:.1f}", free=f"{free / GIB:.1f}", where=where, parts=parts)
    if plan.total <= free:
        return line
    return SHORT.format(line=line, advice=_advice(model, quantization, planned, assets, free))


def _advice(model: str, quantization: str, recipe, assets: Path, free: int) -> str:
    """The largest batch that fits, without gradient checkpointing before with it."""
    for checkpointing in dict.fromkeys((recipe.checkpointing, True)):
        for batch in (size for size in BATCHES if size <= recipe.batch):
            other = replace(recipe, batch=batch, checkpointing=checkpointing)
            if _plan(model, quantization, _memory_settings(other), assets).total <= free:
                parts = [f"batch {batch}"] if batch != recipe.batch else []
                parts += ["gradient checkpointing"] if checkpointing and not recipe.checkpointing else []
                return f"try {' and '.join(parts)}"
    return NOTHING_HELPS


def _memory_settings(recipe) -> tuple[tuple[str, Any], ...]:
    """The settings on which memory depends, so that the others do not make the plan anew."""
    names = ("batch", "targets", "rank", "alpha", "checkpointing", "vision", "visual", "segment", "token", "mode")
    return tuple((name, getattr(recipe, name)) for name in names)


@lru_cache(maxsize=64)
def _plan(model: str, quantization: str, settings: tuple[tuple[str, Any], ...], assets: Path) -> MemoryPlan:
    from halluapp.training.memory.plan import plan_memory
    from halluapp.training.methods.chip_recipe import ChipRecipe

    config = configuration(model, assets)
    photo = getattr(config, "image_seq_length", 576)  # tokens
    answer = min(ANSWER_TOKENS, photo)
    return plan_memory(config, ChipRecipe(**dict(settings)), TEXT_TOKENS + photo, answer, quantization)


def main(arguments: str) -> int:
    """Prints the sentence about the run that `sentence_apart` describes -> exit code."""
    model, quantization, kind, settings, assets, free, where = json.loads(arguments)
    try:
        print(sentence(model, quantization, recipes.create(kind, **settings), Path(assets), free, where))
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
