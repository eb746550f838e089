"""ICD: the answer, contrasted with the answer under an instruction that invites hallucination."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from halluapp.methods.base import Combination, Method, Row, parameter
from halluapp.methods.formulas.contrast import contrast, full_precision, plausible

DISTURBANCE = "You are a confused object detector to provide a fuzzy overview or impression of the image."


def subtract(logits: Tensor, disturbed: Tensor, strength: float, beta: float) -> Tensor:
    """z - strength * z_disturbed inside the plausible set of z: the formula as the paper prints it.

    `logits`, `disturbed` [..., V] -> [..., V] in float32 or 64, -inf outside the set. Unlike `contrast`, equal branches
    with strength 1 leave a uniform distribution over the set. Raises ValueError for beta outside [0, 1].
    """
    z, z_ref = full_precision(logits), full_precision(disturbed)
    return (z - strength * z_ref).masked_fill(~plausible(z, beta), -math.inf)


@dataclass(frozen=True)
class ICD(Method):
    """Wang et al., Findings of ACL 2024: instruction contrastive decoding, with one disturbed reference row.

    The reference row reads a disturbing role before the prompt. formula "code" is what the authors run, VCD's
    (1 + alpha) z - alpha z_disturbed; "paper" is z - alpha z_disturbed. They put the role into InstructBLIP's Q-Former;
    here it stands before the question, the only text that every model reads. Their code adds the contrasts of two
    references, so that the main logits count twice; one reference has no such choice. alpha = 0 is the baseline.
    """

    name: ClassVar[str] = "icd"
    title: ClassVar[str] = "ICD"
    summary: ClassVar[str] = "Subtracts what the model would say in the role of a confused object detector."
    source: ClassVar[str] = "ICD, Findings of ACL 2024"
    default: ClassVar[bool] = False
    reference_description: ClassVar[str] = "model in the confused role"
    contrasts: ClassVar[bool] = True

    alpha: float = parameter(
        1.0, "Strength α", "How strongly the disturbed answer is subtracted; 0 is the baseline.", 0.0, 3.0, 0.05
    )
    beta: float = parameter(
        0.1, "Plausibility β", "Tokens below β times the best undisturbed probability are excluded.", 0.0, 1.0, 0.01
    )
    formula: str = parameter(
        "code", "Formula", "code: (1+α)z − αz_ref, as the authors run it; paper: z − αz_ref.", choices=("code", "paper")
    )

    @property
    def idle(self) -> bool:
        return self.alpha == 0

    def _rows(self, prompt: str) -> tuple[Row, ...]:
        return (Row(), Row(instruction=DISTURBANCE))

    def _explain(self, lvlm, prompt: str) -> str:
        return f"Contrast with the prompt after “{DISTURBANCE[:-1]}”, α {self.alpha:g}, β {self.beta:g}."

    def _combine(self, logits, step, lvlm) -> Combination:
        combination = subtract if self.formula == "paper" else contrast
        return Combination(combination(logits[0], logits[1], self.alpha, self.beta))
