"""VCD: the answer with the photo, contrasted with the answer to a photo lost in noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from halluapp.methods.base import Combination, Method, Row, parameter
from halluapp.methods.formulas.contrast import contrast


@dataclass(frozen=True)
class VCD(Method):
    """Leng et al., CVPR 2024: (1 + alpha) z - alpha z_noised where p >= beta max p.

    The reference row sees the normalised pixels after `noise_step` of 1000 diffusion steps; the noise is drawn once a
    request from its seed. With alpha = 0 or noise_step = 0 (the photo itself) the main logits are used as they are.
    The noised branch keeps a past of its own; the authors' code of before July 2024 continued the main branch's, so
    that the contrast vanished after the first token.
    """

    name: ClassVar[str] = "vcd"
    title: ClassVar[str] = "VCD"
    summary: ClassVar[str] = (
        "Subtracts what the model would say to a noised photo: (1+α)z − αz_noised where p ≥ β·max p."
    )
    source: ClassVar[str] = "VCD, CVPR 2024, equations 2 to 4"
    default: ClassVar[bool] = False
    reference_description: ClassVar[str] = "model with the noised photo"
    contrasts: ClassVar[bool] = True

    alpha: float = parameter(
        1.0, "Strength α", "How strongly the noised answer is subtracted; 0 is the baseline.", 0.0, 3.0, 0.05
    )
    beta: float = parameter(
        0.1, "Plausibility β", "Tokens below β times the best probability with the photo are excluded.", 0.0, 1.0, 0.01
    )
    noise_step: int = parameter(
        500, "Noise step", "How many of 1000 diffusion steps the photo goes through; 0 is the baseline.", 0, 999, 1
    )

    @property
    def idle(self) -> bool:
        return self.alpha == 0 or self.noise_step == 0

    def _rows(self, prompt: str) -> tuple[Row, ...]:
        return (Row(), Row(noise_step=self.noise_step))

    def _explain(self, lvlm, prompt: str) -> str:
        return f"Contrast with the photo after {self.noise_step} noise steps, α {self.alpha:g}, β {self.beta:g}."

    def _combine(self, logits, step, lvlm) -> Combination:
        return Combination(contrast(logits[0], logits[1], self.alpha, self.beta))
