"""Settings, presets and card of AdaVIB runs. No torch here: forms and `--help` read this file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from halluapp.parameters import parameter
from halluapp.training.recipes import Recipe, held_out_number


@dataclass(frozen=True)
class AdavibRecipe(Recipe):
    """AdaVIB, AAAI 2025: a variational information bottleneck on the projector, weighted photo by photo."""

    kind: ClassVar[str] = "adavib"
    title: ClassVar[str] = "AdaVIB"
    source: ClassVar[str] = "AdaVIB: adaptive variational information bottleneck (Bai et al., AAAI 2025)"
    objective: ClassVar[str] = "halluapp.training.methods.adavib:AdavibObjective"
    # Ablations of the paper, and what its code does.
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "AdaVIB": {},
        "fixed weight": {"adaptive": False},
        "weight of the mean token": {"mean_similarity": True},
        "projector fine-tuning": {"beta": 0.0, "std_bias": -20.0},
        "as in the code": {"beta": 1e-7, "samples": 3, "authors_pooling": True},
    }

    best_by: str = held_out_number("generation")
    rate: float = parameter(3e-4, "Learning rate", "Of the mean (the projector).", 0.0, 0.1, 1e-6)
    rate_std: float = parameter(
        1e-3, "Learning rate of the deviation", "Of the std head and the prior.", 0.0, 0.1, 1e-6
    )
    weight_decay: float = parameter(0.05, "Weight decay", "Of AdamW, for matrices only.", 0.0, 1.0, 0.01)
    beta: float = parameter(1e-6, "Beta", "Of the KL, which is summed over D.", 0.0, 1.0, 1e-8)
    adaptive: bool = parameter(True, "Adaptive weight", "Over-confident photos get a larger KL weight.")
    mean_similarity: bool = parameter(
        False,
        "Mean similarity",
        "The weight reads the mean visual token, for where that of the paper's sum is at its ceiling.",
    )
    samples: int = parameter(2, "Samples S", "Noisy draws of the visual tokens.", 1, 16, 1)
    std_bias: float = parameter(-4.0, "Start of the deviation", "softplus of it.", -20.0, 5.0, 0.1)
    authors_pooling: bool = parameter(False, "Authors' pooling", "Deviations are pooled like means, as in the code.")
