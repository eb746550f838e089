"""Nullu: the directions in which hallucinated captions differ are removed from what the MLPs write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from halluapp.errors import MissingWeights
from halluapp.methods.base import Intervention, Method, Row, parameter
from halluapp.methods.formulas.hallu_space import hallu_space, project_out

__all__ = ["Nullu", "hallu_space", "project_out"]


@dataclass(frozen=True)
class Nullu(Method):
    """Yang et al., CVPR 2025: W' = (I - V V^T) W for the MLP output weights of the upper layers.

    Applied as a projection of the layer's output, which is the same for the quantized weights, exactly, and leaves
    them untouched: y - strength * V V^T y, for this method's row only, in prefill and decoding.
    """

    name: ClassVar[str] = "nullu"
    title: ClassVar[str] = "Nullu"
    summary: ClassVar[str] = "Projects a HalluSpace out of the MLP outputs of the upper layers: y − s·VVᵀy."
    source: ClassVar[str] = "Nullu, CVPR 2025"
    edits: ClassVar[bool] = True

    strength: float = parameter(1.0, "Strength s", "1 is the paper's projection, 0 the baseline.", 0.0, 1.0, 0.05)
    rank: int = parameter(4, "Rank k", "How many directions of the HalluSpace are removed.", 0, 8, 1)

    @property
    def idle(self) -> bool:
        return self.strength == 0 or self.rank == 0

    def _rows(self, prompt: str) -> tuple[Row, ...]:
        return (Row("photo", Intervention(space="default", rank=self.rank, space_strength=self.strength)),)

    def _prepare(self, lvlm) -> None:
        layers, width = lvlm.space("default").layers, lvlm.decoder.get_input_embeddings().weight.shape[1]
        for layer, directions in layers.items():
            if layer >= len(lvlm.layers) or len(directions) != width:
                raise MissingWeights(f"The HalluSpace beside {lvlm.name} was made for another model; compute one anew.")
        widest = min(directions.shape[1] for directions in layers.values())
        if self.rank > widest:
            raise MissingWeights(f"The HalluSpace of {lvlm.name} has {widest} directions; set rank to at most that.")

    def _explain(self, lvlm, prompt: str) -> str:
        layers = sorted(lvlm.space("default").layers)
        where = f"the MLP output of layers {layers[0]}–{layers[-1]}"
        return f"{self.rank} directions removed from {where}, strength {self.strength:g}."
