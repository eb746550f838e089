"""Settings, presets and card of DPO runs. No torch here: forms and `--help` read this file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from halluapp.parameters import parameter
from halluapp.training.recipes import Lora, held_out_number


@dataclass(frozen=True)
class DpoRecipe(Lora):
    """DPO, NeurIPS 2023: preference of the truthful answer, the baseline that CHiP starts from."""

    kind: ClassVar[str] = "dpo"
    title: ClassVar[str] = "DPO"
    source: ClassVar[str] = "DPO: direct preference optimization (Rafailov et al., NeurIPS 2023)"
    objective: ClassVar[str] = "halluapp.training.methods.dpo:DpoObjective"
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "DPO": {},
        "with an anchor": {"anchor": 1.0},
        "IPO": {"ipo": True},
        "vision tower trained": {"vision": True},
    }

    best_by: str = held_out_number("reward_margin", "preferred")
    rate: float = parameter(2e-4, "Learning rate", "Lower it when the loss becomes NaN.", 0.0, 0.1, 1e-6)
    beta: float = parameter(0.1, "Beta", "How strongly the policy is held to the reference.", 0.001, 10.0, 0.01)
    anchor: float = parameter(
        0.0, "Likelihood weight", "Of the chosen answer's cross entropy; 0 is the paper.", 0.0, 10.0
    )
    ipo: bool = parameter(False, "IPO", "Squared distance of the margin to 1 / (2 beta) (Azar et al. 2024).")
