"""VDD: the answer with the photo, contrasted with the answer without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from halluapp.methods.base import Combination, Method, Row, parameter
from halluapp.methods.formulas.contrast import contrast

REFERENCES = {"none": ("none",), "unk": ("unk",), "both": ("none", "unk")}


@dataclass(frozen=True)
class VDD(Method):
    """Zhang et al. 2024 (arXiv 2403.05262), Visual Debias Decoding: (1 + alpha) z - alpha z_ref where p >= beta max p.

    reference: "none" deletes the image tokens, "unk" puts one unknown token in their place, "both" averages the two
    branches' logits. With alpha = 0 the main logits are used as they are, without the plausibility mask.
    Unlike the authors' code, which patches the sampling loop only, it acts in greedy decoding too.
    """

    name: ClassVar[str] = "vdd"
    title: ClassVar[str] = "VDD"
    summary: ClassVar[str] = "Subtracts what the model would say without the photo: (1+α)z − αz_ref where p ≥ β·max p."
    source: ClassVar[str] = "VDD, arXiv 2403.05262"
    contrasts: ClassVar[bool] = True

    alpha: float = parameter(
        1.0, "Strength α", "How strongly the image-free answer is subtracted; 0 is the baseline.", 0.0, 3.0, 0.05
    )
    beta: float = parameter(
        0.1, "Plausibility β", "Tokens below β times the best probability with the photo are excluded.", 0.0, 1.0, 0.01
    )
    reference: str = parameter("unk", "Reference", "What stands in for the photo.", choices=tuple(REFERENCES))

    @property
    def idle(self) -> bool:
        return self.alpha == 0

    def _rows(self, prompt: str) -> tuple[Row, ...]:
        return (Row(), *(Row(view) for view in REFERENCES[self.reference]))

    def _explain(self, lvlm, prompt: str) -> str:
        note = f" ({lvlm.unknown_note})" if lvlm.unknown_note else ""
        none, unk = "no image tokens", f"one unknown token{note}"
        how = {"none": none, "unk": unk, "both": f"{none} and {unk}, averaged"}[self.reference]
        return f"Contrast with the image-free answer ({how}), α {self.alpha:g}, β {self.beta:g}."

    def _combine(self, logits, step, lvlm) -> Combination:
        return Combination(contrast(logits[0], logits[1:].mean(0), self.alpha, self.beta))
