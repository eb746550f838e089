"""DeCo: early logits of an upper middle layer are added to those of the last layer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from halluapp.methods.base import Combination, Method, parameter
from halluapp.methods.formulas.contrast import full_precision

SPAN = (20 / 32, 28 / 32)  # of the decoder: depths 20 to 28 of 32 in the authors' code


def depths(layers: int) -> tuple[int, ...]:
    """The early depths of a decoder: the authors' 20 to 28 of 32, in proportion; never the last layer."""
    first, last = (max(1, min(layers - 1, round(share * layers))) for share in SPAN)
    return tuple(range(first, last + 1))


def candidates(logits: Tensor, top_p: float, top_k: int) -> Tensor:
    """Which tokens are candidates: top-p within the top-k. [V] -> [V] of booleans, without a wait for the device.

    The token that crosses top_p is still in; the probabilities are those of the whole vocabulary.
    """
    best = full_precision(logits).softmax(-1).topk(min(top_k, logits.shape[-1]))
    inside = best.values.cumsum(-1) - best.values < top_p
    return torch.zeros_like(logits, dtype=torch.bool).scatter(-1, best.indices, inside)


def deco(final: Tensor, early: Tensor, alpha: float, top_p: float, top_k: int) -> tuple[Tensor, int, float]:
    """z + alpha * c * z_M on the candidates, -inf elsewhere -> (scores [V], index of M in `early`, confidence c).

    final [V] and early [E, V] logits; M is the early exit that gives a candidate the largest probability c.
    Source: DeCo, equations 4 to 6.
    """
    excluded = ~candidates(final, top_p, top_k)
    early_probs = full_precision(early).softmax(-1).masked_fill(excluded, 0.0)  # [E, V]
    surest = early_probs.amax(-1).max(0)
    confidence, index = torch.stack([surest.values.double(), surest.indices.double()]).tolist()  # both at once
    z = full_precision(final)
    z = z + alpha * confidence * full_precision(early[int(index)])
    return z.masked_fill(excluded, -math.inf), int(index), confidence


@dataclass(frozen=True)
class DeCo(Method):
    """Wang et al., ICLR 2025: the most confident of the layers that still see the photo corrects the last one.

    Early logits go through the final norm and the LM head. The trace shows the corrected scores; the authors' loop
    returns the unchanged ones. alpha = 0 is the baseline, without the candidates' restriction.
    """

    name: ClassVar[str] = "deco"
    title: ClassVar[str] = "DeCo"
    summary: ClassVar[str] = "Adds what the surest upper middle layer would say: z + α·c·z_M on the likely tokens."
    source: ClassVar[str] = "DeCo, ICLR 2025"
    default: ClassVar[bool] = False

    alpha: float = parameter(
        0.6, "Strength α", "How strongly the early layer is added; 0 is the baseline.", 0.0, 2.0, 0.05
    )
    top_p: float = parameter(
        0.9, "Candidates, top-p", "Candidates hold this probability in the last layer.", 0.05, 1.0, 0.05
    )
    top_k: int = parameter(20, "Candidates, at most", "No more candidates than this.", 1, 100, 1)

    @property
    def idle(self) -> bool:
        return self.alpha == 0

    def _exits(self, lvlm) -> tuple[int, ...]:
        return depths(len(lvlm.layers))

    def _explain(self, lvlm, prompt: str) -> str:
        first, last = self.exits(lvlm)[0], self.exits(lvlm)[-1]
        return f"The surest of depths {first}–{last} of {len(lvlm.layers)} is added, α {self.alpha:g}."

    def _combine(self, logits, step, lvlm) -> Combination:
        scores, index, confidence = deco(logits[0], step.exits, self.alpha, self.top_p, self.top_k)
        return Combination(scores, {"depth": self.exits(lvlm)[index], "confidence": round(confidence, 5)})
