"""M3ID: the longer the answer, the more what the photo adds to it is amplified."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from halluapp.methods.base import Combination, Method, Row, parameter
from halluapp.methods.formulas.contrast import contrast, full_precision

NO_CAP = 200.0  # (1 - g) / g reaches 166 after 256 tokens of lambda 0.02


def weight(index: int, decay: float, cap: float = math.inf, first: int = 1) -> float:
    """(1 - g) / g with g = exp(-decay t), t = index + first, at most `cap`. Source: M3ID, section 4.

    The weight is 1.7 at t = 50, 6.4 at 100 and 166 at 256 (decay 0.02): without a cap, long answers are the language
    prior turned upside down. Re-implementations count t from 1 (AvisC), or from 0 (ONLY: the first token has none).
    """
    return min(math.expm1(min(decay * (index + first), 700.0)), cap)


def amplify(logits: Tensor, without: Tensor, strength: float, beta: float) -> Tensor:
    """lp + strength (lp - lp_without) where p >= beta max p: [..., V], [..., V] -> [..., V] in float32 or 64."""
    conditioned, free = full_precision(logits).log_softmax(-1), full_precision(without).log_softmax(-1)
    return contrast(conditioned, free, strength, beta)


@dataclass(frozen=True)
class M3ID(Method):
    """Favero et al., CVPR 2024: lp + (1 - g_t) / g_t (lp - lp_text), g_t = exp(-decay t).

    The reference row is the chat-formatted prompt without the photo. gate "plausible" acts at every token inside the
    plausible set, as re-implementations do and as the other contrasts here; "unsure" is the paper's: only where the
    best probability is below `unsure`, and then without the set. decay = 0 is the baseline.
    """

    name: ClassVar[str] = "m3id"
    title: ClassVar[str] = "M3ID"
    summary: ClassVar[str] = (
        "Amplifies what the photo adds, more with every token: lp + (1−g)/g·(lp − lp_text), g = e^(−λt)."
    )
    source: ClassVar[str] = "M3ID, CVPR 2024"
    default: ClassVar[bool] = False
    contrasts: ClassVar[bool] = True

    decay: float = parameter(
        0.02, "Forgetting λ", "How fast the photo is assumed to fade; 0 is the baseline.", 0.0, 0.2, 0.005
    )
    cap: float = parameter(
        4.0, "Largest weight", f"The weight grows with the length up to this; {NO_CAP:g}: no cap, as the authors.",
        0.0, NO_CAP, 0.5,
    )  # fmt: skip
    beta: float = parameter(
        0.1, "Plausibility β", "Tokens below β times the best probability with the photo are excluded.", 0.0, 1.0, 0.01
    )
    gate: str = parameter(
        "plausible", "Gate", "plausible: every token, where p ≥ β·max p; unsure: only where the best p is low (paper).",
        choices=("plausible", "unsure"),
    )  # fmt: skip
    unsure: float = parameter(
        0.5, "Unsure below", "For the gate “unsure”: acts where the best probability is below this.", 0.0, 1.0, 0.05
    )

    @property
    def idle(self) -> bool:
        return self.decay == 0 or self.cap == 0

    def _rows(self, prompt: str) -> tuple[Row, ...]:
        return (Row(), Row("none"))

    def _explain(self, lvlm, prompt: str) -> str:
        return (
            f"Weight e^({self.decay:g}·t) − 1 at token t, at most {self.cap:g}, against the prompt without the photo."
        )

    def _combine(self, logits, step, lvlm) -> Combination:
        strength = weight(step.index, self.decay, math.inf if self.cap == NO_CAP else self.cap)
        if self.gate == "plausible":
            return Combination(amplify(logits[0], logits[1], strength, self.beta))
        if float(logits[0].softmax(-1).max()) >= self.unsure:
            return Combination(logits[0])
        return Combination(amplify(logits[0], logits[1], strength, 0.0))
