"""Settings, presets and card of CHiP runs. No torch here: forms and `--help` read this file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from halluapp.parameters import parameter
from halluapp.training.recipes import Lora, held_out_number

# How a rejected image is made, see `batches.corruption`.
STRATEGIES = ("diffusion", "crop", "rotation", "quarter-turns", "black", "random")


@dataclass(frozen=True)
class ChipRecipe(Lora):
    """CHiP, ICLR 2025: preference at response, segment and token level, and on photos."""

    kind: ClassVar[str] = "chip"
    title: ClassVar[str] = "CHiP"
    source: ClassVar[str] = "CHiP: cross-modal hierarchical direct preference optimization (Fu et al., ICLR 2025)"
    objective: ClassVar[str] = "halluapp.training.methods.chip:ChipObjective"
    # Ablations of the paper, and what its code does.
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "CHiP": {},
        "DPO": {"segment": 0.0, "token": 0.0, "visual": 0.0},
        "with photos (CMDPO)": {"segment": 0.0, "token": 0.0},
        "without photos": {"visual": 0.0},
        "vision tower trained": {"vision": True},
        "DPO, vision tower trained": {"segment": 0.0, "token": 0.0, "visual": 0.0, "vision": True},
        "as in the code": {"mode": "joint", "segment": 3.0},
        **{f"rejected photo: {name}": {"rejected_photo": name} for name in STRATEGIES[1:]},
        **{f"noise step {step}": {"noise_step": step} for step in (100, 300, 700, 900)},
    }

    best_by: str = held_out_number("reward_margin", "preferred")
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
