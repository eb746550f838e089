"""PAI: the newest token looks harder at the photo, and what the text alone would say counts less."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from halluapp.methods.base import Combination, Intervention, Method, Row, parameter
from halluapp.methods.formulas.contrast import contrast, full_precision


def guide(logits: Tensor, without: Tensor, gamma: float, beta: float) -> Tensor:
    """gamma lp + (1 - gamma) lp_text where p >= beta max p; gamma = 1 gives lp itself, without the set.

    [..., V], [..., V] -> [..., V] in float32 or 64. Source: PAI, equation 5, and the authors' classifier-free guidance.
    """
    conditioned = full_precision(logits).log_softmax(-1)
    if gamma == 1:
        return conditioned
    return contrast(conditioned, full_precision(without).log_softmax(-1), gamma - 1, beta)


@dataclass(frozen=True)
class PAI(Method):
    """Liu et al., ECCV 2024: attention scores s + alpha |s| on the photo's keys, and guidance away from the text.

    The attention changes at the last position only, in prefill and in decoding, from the sixteenth part of the layers
    on (layer 2 of 32), for this method's main row. The text row is the chat-formatted prompt without the photo. A
    known re-implementation loses the causal mask in the prefill; here the model's own attention runs with its own
    mask. alpha = 0 and gamma = 1 are the baseline.
    """

    name: ClassVar[str] = "pai"
    title: ClassVar[str] = "PAI"
    summary: ClassVar[str] = (
        "Raises the attention to the photo, s + α|s|, and guides away from what the text alone says."
    )
    source: ClassVar[str] = "PAI, ECCV 2024"
    default: ClassVar[bool] = False

    alpha: float = parameter(0.2, "Attention α", "How much the photo's scores are raised.", 0.0, 1.0, 0.05)
    gamma: float = parameter(1.1, "Guidance γ", "1 is none; larger: away from the text.", 1.0, 3.0, 0.05)
    beta: float = parameter(
        0.1, "Plausibility β", "With guidance: tokens below β times the best are excluded.", 0.0, 1.0, 0.01
    )

    @property
    def idle(self) -> bool:
        return self.alpha == 0 and self.gamma == 1

    def _rows(self, prompt: str) -> tuple[Row, ...]:
        main = Row(intervention=Intervention(attention_strength=self.alpha)) if self.alpha else Row()
        return (main, Row("none")) if self.gamma > 1 else (main,)

    def _explain(self, lvlm, prompt: str) -> str:
        return (
            f"Attention to the photo raised by {self.alpha:g}·|s|, guidance γ {self.gamma:g} away from the text alone."
        )

    def _combine(self, logits, step, lvlm) -> Combination:
        if len(logits) == 1:
            return Combination(logits[0])
        return Combination(guide(logits[0], logits[1], self.gamma, self.beta))
