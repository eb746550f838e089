"""AdaVIB: the same language model behind a projector trained with a variational information bottleneck."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from halluapp.methods.base import Intervention, Method, Row, parameter


@dataclass(frozen=True)
class AdaVIB(Method):
    """Bai et al., AAAI 2025: at inference the mean of the bottleneck, so no extra cost.

    strength blends the visual tokens: (1 - s) * base projector + s * AdaVIB projector; 1 is the paper, 0 the baseline.
    """

    name: ClassVar[str] = "adavib"
    title: ClassVar[str] = "AdaVIB"
    summary: ClassVar[str] = "The same model behind a projector trained with the adaptive information bottleneck."
    source: ClassVar[str] = "AdaVIB, AAAI 2025"
    edits: ClassVar[bool] = True

    strength: float = parameter(
        1.0, "Strength s", "1 is the trained projector, 0 the model's own; between them visual tokens are blended.",
        0.0, 1.0, 0.05,
    )  # fmt: skip

    @property
    def idle(self) -> bool:
        return self.strength == 0

    def _rows(self, prompt: str) -> tuple[Row, ...]:
        return (Row("photo", Intervention(projector="adavib", projector_strength=self.strength)),)

    def _prepare(self, lvlm) -> None:
        lvlm.projector("adavib")

    def _explain(self, lvlm, prompt: str) -> str:
        return f"Visual tokens from the AdaVIB projector (mean of the bottleneck), strength {self.strength:g}."
