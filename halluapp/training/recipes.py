"""Settings of training runs as frozen dataclasses: form, command line flags and documentation follow from them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from halluapp.errors import InputError
from halluapp.parameters import parameter

TARGETS = {
    "attention": ("q_proj", "k_proj", "v_proj", "o_proj"),
    "mlp": ("gate_proj", "up_proj", "down_proj"),
    "all": ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
}
STRATEGIES = ("diffusion", "crop", "rotation", "black", "random")


@dataclass(frozen=True)
class Recipe:
    """What every run has. Rates rise linearly over `warmup` of the steps and fall along a cosine to a tenth."""

    kind: ClassVar[str] = ""
    title: ClassVar[str] = ""

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


@dataclass(frozen=True)
class ChipRecipe(Lora):
    """CHiP, ICLR 2025: preference at response, segment and token level, and on photos."""

    kind: ClassVar[str] = "chip"
    title: ClassVar[str] = "CHiP"

    rate: float = parameter(2e-4, "Learning rate", "Lower it when the loss becomes NaN.", 0.0, 0.1, 1e-6)
    mode: str = parameter(
        "paper", "Objective", "Four losses, or one sigmoid as in the code.", choices=("paper", "joint")
    )
    beta: float = parameter(0.1, "Beta", "How strongly the policy is held to the reference.", 0.001, 10.0, 0.01)
    segment: float = parameter(1.0, "Segment weight", "Of the segment loss, or of changed tokens.", 0.0, 10.0, 0.1)
    changed: float = parameter(3.0, "Changed-token weight", "Extra weight in the segment score.", 0.0, 10.0, 0.1)
    token: float = parameter(0.1, "Token weight", "Of the sequential KL.", 0.0, 10.0, 0.01)
    visual: float = parameter(1.0, "Visual weight", "Of the preference for the true photo.", 0.0, 10.0, 0.1)
    anchor: float = parameter(
        0.0, "Likelihood weight", "Of the chosen answer's cross entropy; 0 is the paper.", 0.0, 10.0
    )
    rejected_photo: str = parameter("diffusion", "Rejected photo", "How the photo is corrupted.", choices=STRATEGIES)
    noise_step: int = parameter(500, "Noise step", "Of the diffusion, 0 to 999.", 0, 999, 1)


@dataclass(frozen=True)
class HaclRecipe(Lora):
    """HACL, CVPR 2024: contrast of photos with captions, hallucinated captions as hard negatives."""

    kind: ClassVar[str] = "hacl"
    title: ClassVar[str] = "HACL"

    batch: int = parameter(8, "Batch", "Pairs in one forward, and negatives of each other.", 1, 256, 1)
    rate: float = parameter(5e-4, "Learning rate", "Lower it when the loss becomes NaN.", 0.0, 0.1, 1e-6)
    train: str = parameter(
        "projector", "What is trained", "The projector (the paper), an adapter, or both.",
        choices=("projector", "adapter", "both"),
    )  # fmt: skip
    heads: bool = parameter(True, "Train heads", "Off: heads stay random, as in the published command.")
    contrast: float = parameter(1.0, "Contrast weight", "Of the contrastive loss.", 0.0, 10.0, 0.1)
    temperature: float = parameter(0.07, "Temperature", "Of the contrast.", 0.001, 0.5, 0.001)
    hard_negatives: str = parameter("own", "Hard negatives", "The photo's own, or all.", choices=("own", "all"))
    queue: int = parameter(0, "Queue", "Features of earlier batches as further negatives.", 0, 65_536, 1)


@dataclass(frozen=True)
class AdavibRecipe(Recipe):
    """AdaVIB, AAAI 2025: a variational information bottleneck on the projector, weighted photo by photo."""

    kind: ClassVar[str] = "adavib"
    title: ClassVar[str] = "AdaVIB"

    rate: float = parameter(3e-4, "Learning rate", "Of the mean (the projector).", 0.0, 0.1, 1e-6)
    rate_std: float = parameter(
        1e-3, "Learning rate of the deviation", "Of the std head and the prior.", 0.0, 0.1, 1e-6
    )
    weight_decay: float = parameter(0.05, "Weight decay", "Of AdamW, for matrices only.", 0.0, 1.0, 0.01)
    beta: float = parameter(1e-6, "Beta", "Of the KL, which is summed over D.", 0.0, 1.0, 1e-8)
    adaptive: bool = parameter(True, "Adaptive weight", "Over-confident photos get a larger KL weight.")
    samples: int = parameter(2, "Samples S", "Noisy draws of the visual tokens.", 1, 16, 1)
    std_bias: float = parameter(-4.0, "Start of the deviation", "softplus of it.", -20.0, 5.0, 0.1)
    authors_pooling: bool = parameter(False, "Authors' pooling", "Deviations are pooled like means, as in the code.")


RECIPES: dict[str, type[Recipe]] = {recipe.kind: recipe for recipe in (ChipRecipe, HaclRecipe, AdavibRecipe)}
# Ablations of the papers: levels on and off, weights, how the photo is corrupted, what is trained.
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "chip": {
        "CHiP": {},
        "DPO": {"segment": 0.0, "token": 0.0, "visual": 0.0},
        "with photos (CMDPO)": {"segment": 0.0, "token": 0.0},
        "without photos": {"visual": 0.0},
        "vision tower trained": {"vision": True},
        "DPO, vision tower trained": {"segment": 0.0, "token": 0.0, "visual": 0.0, "vision": True},
        "as in the code": {"mode": "joint", "segment": 3.0},
        **{f"rejected photo: {name}": {"rejected_photo": name} for name in STRATEGIES[1:]},
        **{f"noise step {step}": {"noise_step": step} for step in (100, 300, 700, 900)},
    },
    "hacl": {
        "HACL": {},
        "queue of 512": {"queue": 512},
        "hard negatives of the batch": {"hard_negatives": "all"},
        "random heads, as published": {"heads": False},
        "adapter": {"train": "adapter"},
        "vision tower trained": {"vision": True},
        "captions only": {"contrast": 0.0},
    },
    "adavib": {
        "AdaVIB": {},
        "fixed weight": {"adaptive": False},
        "projector fine-tuning": {"beta": 0.0, "std_bias": -20.0},
        "as in the code": {"beta": 1e-7, "samples": 3, "authors_pooling": True},
    },
}


def create(kind: str, /, **values: Any) -> Recipe:
    """A recipe by kind with some of its settings; raises InputError for an unknown kind, setting or value."""
    if kind not in RECIPES:
        raise InputError(f"There is no training method {kind!r}; known are {', '.join(RECIPES)}.")
    recipe = RECIPES[kind]()
    known = {item.name: item for item in fields(recipe)}
    for name, value in values.items():
        if name not in known:
            raise InputError(f"{recipe.title} has no setting {name!r}; it has {', '.join(known)}.")
        recipe = replace(recipe, **{name: _checked(recipe.title, known[name], value)})
    return recipe


def _checked(title: str, item, value: Any) -> Any:
    about, default = item.metadata, item.default
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise InputError(f"{title}: {item.name} must be true or false, not {value!r}.")
        return value
    if about["choices"]:
        if value not in about["choices"]:
            raise InputError(f"{title}: {item.name} must be one of {', '.join(about['choices'])}, not {value!r}.")
        return value
    whole = isinstance(default, int)
    number = isinstance(value, int | float) and not isinstance(value, bool) and about["least"] <= value <= about["most"]
    if not number or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        raise InputError(
            f"{title}: {item.name} must be {kind} from {about['least']} to {about['most']}, not {value!r}."
        )
    return int(value) if whole else float(value)
