"""Settings, presets and card of HACL runs. No torch here: forms and `--help` read this file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from halluapp.parameters import parameter
from halluapp.training.recipes import Lora, held_out_number


@dataclass(frozen=True)
class HaclRecipe(Lora):
    """HACL, CVPR 2024: contrast of photos with captions, hallucinated captions as hard negatives."""

    kind: ClassVar[str] = "hacl"
    title: ClassVar[str] = "HACL"
    source: ClassVar[str] = "HACL: hallucination augmented contrastive learning (Jiang et al., CVPR 2024)"
    objective: ClassVar[str] = "halluapp.training.methods.hacl:HaclObjective"
    # Ablations of the paper, and what its code does.
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "HACL": {},
        "queue of 512": {"queue": 512},
        "hard negatives of the batch": {"hard_negatives": "all"},
        "random heads, as published": {"heads": False},
        "adapter": {"train": "adapter"},
        "vision tower trained": {"vision": True},
        "captions only": {"contrast": 0.0},
    }

    best_by: str = held_out_number("told_apart", "retrieval")
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
