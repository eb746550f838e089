"""What may change when a run goes on: its length, what it shows, where its data lie; anything else is another run."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from halluapp.data.files import absolute_path, is_hub_id, relative_path
from halluapp.data.pairs import Pair, pairs_hash, read_pairs
from halluapp.errors import InputError
from halluapp.training import recipes
from halluapp.training.endings import checkpoints
from halluapp.training.recipes import Recipe
from halluapp.training.runs import Config, Run

CHANGEABLE = (
    "steps", "evaluate_every", "sample_every", "save_every", "checkpointing", "keep", "keep_checkpoints", "patience",
)  # fmt: skip
ANOTHER_RUN = "leave it out, or start another run with another --out."


def resumed_config(
    run: Run, kind: str, settings: dict[str, Any], data: str = "", photo: str = "", model: str | None = None,
    quantization: str | None = None,
) -> Config:  # fmt: skip
    """The configuration with which a run goes on, from its own and what was given beside --resume ("", None: nothing).

    A longer run follows the longer cosine of the learning rate from its present step on. Raises InputError in one
    sentence for what would make it another run.
    """
    config = run.config()
    if config.kind != kind:
        command = f"train {config.kind} --out {run.folder} --resume"
        raise InputError(f"{run.folder} is a {config.kind} run; resume it with: {command}")
    for flag, value, before in (("model", model, config.model), ("quantization", quantization, config.quantization)):
        if value is not None and not _same(value, before):
            raise InputError(
                f"The run {run.name} has the {flag} {before}; --{flag} {value} cannot change it: {ANOTHER_RUN}"
            )
    recipe = _resumed_recipe(run, config, settings)
    return replace(
        config, recipe=recipe, data=_resumed_data(run, config, data), photo=absolute_path(photo) or config.photo
    )


def _resumed_recipe(run: Run, config: Config, settings: dict[str, Any]) -> Recipe:
    recipe = recipes.create(config.kind, **{**asdict(config.recipe), **settings})
    for name in settings:
        before, value = getattr(config.recipe, name), getattr(recipe, name)
        if name not in CHANGEABLE and before != value:
            flag = "--" + name.replace("_", "-")
            raise InputError(
                f"The run {run.name} began with {flag} {before}; {flag} {value} cannot change it: {ANOTHER_RUN}"
            )
    done = run.status()["step"]
    if recipe.steps < done:
        raise InputError(f"The run {run.name} has done {done} steps; give --steps {done} or more, or leave it out.")
    if "steps" in settings and checkpoints.is_exhausted(run, recipe):
        raise InputError(
            f"The run {run.name} stopped early at step {done}; to go on add --patience 0, or a larger one."
        )
    return recipe


def _resumed_data(run: Run, config: Config, data: str) -> str:
    """Where the run's pairs are now; `data` ("": where they were) may name the same pairs elsewhere."""
    missing = not Path(config.data).exists() and not is_hub_id(config.data)
    if not data or _same(data, config.data):
        if missing:
            raise InputError(
                f"The pairs of the run {run.name} are not at {config.data} any more; say with --data where they are."
            )
        return config.data
    current = pairs_hash(read_pairs(data))  # raises InputError where there are none
    if config.pairs_hash == current or (missing and not config.pairs_hash):  # a run of an older version knows no hash
        return absolute_path(data)
    raise InputError(
        f"The run {run.name} learns from {relative_path(config.data)}, and {data} holds other pairs, so --data cannot "
        f"change it: {ANOTHER_RUN}"
    )


def _same(one: str, other: str) -> bool:
    """Whether two names mean the same folder, file or id."""
    return one == other or (Path(one).exists() and Path(one).resolve() == Path(other).resolve())


def check_pairs(run: Run, config: Config, pairs: list[Pair]) -> Config:
    """The configuration with the hash of the pairs. Raises InputError where they changed since the run's last state."""
    current = pairs_hash(pairs)
    if config.pairs_hash not in ("", current) and (run.folder / "state.pt").exists():
        raise InputError(
            f"The pairs or photos at {relative_path(config.data)} have changed since the run {run.name} began; put "
            "them back, or start another run with another --out."
        )
    return replace(config, pairs_hash=current)
