"""DoLa: logits of the last layer, contrasted with those of an early layer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from halluapp.methods.base import Combination, Method, parameter
from halluapp.methods.formulas.contrast import full_precision, plausible

DEEP = 40  # decoders with more layers than this have buckets of 20 layers, as in the authors' code


def bucket(layers: int, which: str, tied: bool) -> tuple[int, ...]:
    """The candidate depths among a decoder's layers: every second one of its lower or upper half, never the last.

    Depth n is the output of the nth layer, 0 the embeddings; with tied embeddings these only repeat the last token, so
    the buckets begin above them. Source: DoLa, section 3.1 and the authors' defaults (32 layers, low: 0, 2, ..., 14).
    """
    half = layers // 2
    start = min(2, max(half - 1, 0)) if tied else 0
    low = range(start, 20 if layers > DEEP else half, 2)
    high = range(layers - 20 if layers > DEEP else half, layers, 2)
    return tuple(low if which == "low" else high) or (start,)


def divergence(final: Tensor, early: Tensor) -> Tensor:
    """Jensen-Shannon divergence of each early distribution from the final one, in nats.

    final [V] and early [E, V] logits -> [E]. Source: DoLa, equation 4.
    """
    p, q = full_precision(final).softmax(-1), full_precision(early).softmax(-1)
    middle = (p + q) / 2
    halves = (torch.special.xlogy(part, part) - torch.special.xlogy(part, middle) for part in (p, q))
    return sum(half.sum(-1) for half in halves) / 2


def dola(final: Tensor, early: Tensor, strength: float = 1.0, beta: float = 0.1) -> tuple[Tensor, int]:
    """log p_final - strength * log p_M where p_final >= beta max p_final -> (scores [V], index of M in `early`).

    final [V] and early [E, V] logits; M is the early exit that differs most from the final distribution.
    Source: DoLa, equations 2 to 5; strength is ours (1 in the paper).
    """
    index = int(divergence(final, early).argmax())
    last, premature = full_precision(final).log_softmax(-1), full_precision(early[index]).log_softmax(-1)
    return (last - strength * premature).masked_fill(~plausible(final, beta), -math.inf), index


@dataclass(frozen=True)
class DoLa(Method):
    """Chuang et al., ICLR 2024: contrast of the last layer with the early layer that disagrees most, token by token.

    Early logits are read from the residual stream through the final norm and the LM head, the norm once. The last
    layer is never a candidate: contrasted with itself it would leave a uniform distribution. strength = 0 is the
    baseline, without mask and repetition penalty.
    """

    name: ClassVar[str] = "dola"
    title: ClassVar[str] = "DoLa"
    summary: ClassVar[str] = "Contrasts the last layer with an early one: log p_N − s·log p_M where p_N ≥ β·max p_N."
    source: ClassVar[str] = "DoLa, ICLR 2024"
    default: ClassVar[bool] = False

    strength: float = parameter(1.0, "Strength s", "1 is the paper, 0 the baseline.", 0.0, 1.0, 0.05)
    beta: float = parameter(
        0.1, "Plausibility β", "Tokens below β times the last layer's best probability are excluded.", 0.0, 1.0, 0.01
    )
    layers: str = parameter("low", "Early layers", "Which half of the decoder they are from.", choices=("low", "high"))
    repetition: float = parameter(
        1.2, "Repetition penalty", "On tokens that the answer holds already; 1 is none.", 1.0, 2.0, 0.05
    )

    @property
    def idle(self) -> bool:
        return self.strength == 0

    def _exits(self, lvlm) -> tuple[int, ...]:
        return bucket(len(lvlm.layers), self.layers, lvlm.tied)

    def _explain(self, lvlm, prompt: str) -> str:
        return f"Contrast with one of the depths {', '.join(map(str, self.exits(lvlm)))} of {len(lvlm.layers)}."

    def _combine(self, logits, step, lvlm) -> Combination:
        scores, index = dola(logits[0], step.exits, self.strength, self.beta)
        return Combination(scores, {"depth": self.exits(lvlm)[index]}, self.repetition)
