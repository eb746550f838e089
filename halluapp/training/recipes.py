"""Settings of training runs as frozen dataclasses: form, command line flags and documentation follow from them.

The recipe of a method stands in the method's own file; `methods.registry` lists them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from halluapp.errors import InputError
from halluapp.parameters import check_parameter, parameter
from halluapp.training.methods.registry import PRESETS, RECIPES

__all__ = ["HIGHER_IS_BETTER", "PRESETS", "RECIPES", "TARGETS", "Lora", "Recipe", "create", "held_out_number"]

HIGHER_IS_BETTER = ("reward_margin", "preferred", "told_apart", "retrieval")  # of the held-out numbers; others: lower

TARGETS = {
    "attention": ("q_proj", "k_proj", "v_proj", "o_proj"),
    "mlp": ("gate_proj", "up_proj", "down_proj"),
    "all": ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
}


def held_out_number(*names: str):
    """The field `best_by` of a recipe whose objective gives these numbers beside the loss."""
    return parameter("loss", "Best by", "The held-out number that says which step is best.", choices=("loss", *names))


@dataclass(frozen=True)
class Recipe:
    """What every run has. Rates rise linearly over `warmup` of the steps and fall along a cosine to a tenth."""

    kind: ClassVar[str] = ""
    title: ClassVar[str] = ""
    source: ClassVar[str] = ""  # method and paper, for the model card
    objective: ClassVar[str] = ""  # "module:Class" of the `Objective`, imported when a run starts
    presets: ClassVar[dict[str, dict[str, Any]]] = {}  # title -> settings that differ from the defaults

    steps: int = parameter(100, "Steps", "Optimizer steps.", 1, 100_000, 1)
    batch: int = parameter(4, "Batch", "Pairs in one forward; lower it when memory runs out.", 1, 256, 1)
    accumulation: int = parameter(1, "Accumulation", "Batches whose gradients make one step.", 1, 256, 1)
    rate: float = parameter(1e-4, "Learning rate", "Lower it when the loss becomes NaN.", 0.0, 0.1, 1e-6)
    warmup: float = parameter(0.05, "Warm-up", "Share of the steps over which the rate rises.", 0.0, 1.0, 0.01)
    weight_decay: float = parameter(0.0, "Weight decay", "Of AdamW, for matrices only.", 0.0, 1.0, 0.01)
    clip: float = parameter(1.0, "Gradient clip", "Largest norm of the gradient.", 0.01, 100.0, 0.01)
    held_out: float = parameter(0.2, "Held-out share", "Share of the photos that the run never learns from.", 0, 0.9)
    evaluate_every: int = parameter(25, "Evaluate every", "Steps between losses on held-out pairs.", 1, 10_000, 1)
    sample_every: int = parameter(50, "Sample every", "Steps between captions of a photo.", 1, 10_000, 1)
    save_every: int = parameter(10, "Save every", "Steps between states from which a run resumes.", 1, 10_000, 1)
    keep: str = parameter(
        "last", "Keep", "Which step the run's panel uses: the last or the best.", choices=("last", "best")
    )
    best_by: str = held_out_number()
    keep_checkpoints: int = parameter(
        0, "Checkpoints", "Best steps that stay on the disk, beside the last one, to choose from.", 0, 20, 1
    )
    patience: int = parameter(
        0, "Patience", "Stops early after so many evaluations without gain; 0 never does.", 0, 1000, 1
    )
    checkpointing: bool = parameter(False, "Gradient checkpointing", "Less memory for a third more time.")
    seed: int = parameter(0, "Seed", "Of order, noise and dropout.", 0, 2**31 - 1, 1)


@dataclass(frozen=True)
class Lora(Recipe):
    """A low-rank adapter on the linear layers of the language model (QLoRA, Dettmers et al. 2023)."""

    targets: str = parameter("all", "Layers", "Which linear layers get an adapter.", choices=tuple(TARGETS))
    rank: int = parameter(16, "Rank r", "Of the adapter; lower it when memory runs out.", 1, 256, 1)
    alpha: float = parameter(32.0, "Alpha", "The adapter is scaled by alpha / r.", 0.1, 1024, 0.1)
    dropout: float = parameter(0.0, "Dropout", "Of the adapter's input while training.", 0.0, 0.9, 0.01)
    vision: bool = parameter(
        False,
        "Train the vision tower",
        "LoRA on the tower's linear layers too; every step then looks at its photos anew.",
    )


def create(kind: str, /, **values: Any) -> Recipe:
    """A recipe by kind with some of its settings; raises InputError for an unknown kind, setting or value."""
    if kind not in RECIPES:
        raise InputError(f"There is no training method {kind!r}; known are {', '.join(RECIPES)}.")
    recipe = RECIPES[kind]()
    settings = {item.name: item for item in fields(recipe)}
    for name, value in values.items():
        if name not in settings:
            raise InputError(f"{recipe.title} has no setting {name!r}; it has {', '.join(settings)}.")
        recipe = replace(recipe, **{name: _validated(recipe.title, settings[name], value)})
    if recipe.held_out == 0 and (recipe.keep == "best" or recipe.patience or recipe.keep_checkpoints):
        raise InputError(
            f"{recipe.title}: the best step and early stopping need held-out pairs; raise held_out (now 0), or set "
            "keep to last, keep_checkpoints and patience to 0."
        )
    return recipe


def _validated(title: str, item, value: Any) -> Any:
    number = check_parameter(title, item, value)
    return float(number) if isinstance(item.default, float) else number
