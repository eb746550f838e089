"""What a training run has made, as panels: the same 4-bit weights with a low-rank addition or another projector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from halluapp.errors import MissingWeights
from halluapp.methods.base import Intervention, Method, Row, parameter

STRENGTH = "1 is the trained adapter, 0 the baseline; between them its additions are scaled."


@dataclass(frozen=True)
class Adapter(Method):
    """Any loaded adapter, by the name of its folder: y + s * scale * B(A(x)) in the layers it was trained for.

    Added to this method's rows only, in prefill and decoding, so that the shared weights stay as they are.
    """

    name: ClassVar[str] = "adapter"
    title: ClassVar[str] = "Adapter"
    summary: ClassVar[str] = "The same 4-bit weights with what a training run has made."
    source: ClassVar[str] = "LoRA, Hu et al. 2022, equation 3; QLoRA, Dettmers et al. 2023"

    strength: float = parameter(1.0, "Strength s", STRENGTH, 0.0, 1.0, 0.05)
    adapter: str = parameter("chip", "Adapter", "The name of a loaded adapter.")

    def rows(self, prompt: str) -> tuple[Row, ...]:
        if self.strength == 0:
            return (Row(),)
        return (Row("photo", Intervention(adapter=self.adapter, strength=self.strength)),)

    def prepare(self, lvlm) -> None:
        modules = dict(lvlm.model.named_modules())
        for name, delta in lvlm.adapter(self.adapter).deltas.items():
            module = modules.get(name)
            if module is None or (module.in_features, module.out_features) != (delta.down.shape[1], len(delta.up)):
                raise MissingWeights(f"The adapter {self.adapter} was made for another model than {lvlm.name}.")

    def explain(self, lvlm, prompt: str) -> str:
        loaded = lvlm.adapter(self.adapter)
        parts = [f"additions to {len(loaded.deltas)} linear layers"] if loaded.deltas else []
        parts += ["a projector of its own"] if loaded.projector is not None else []
        return f"Adapter {self.adapter}: {' and '.join(parts)}, strength {self.strength:g}."


@dataclass(frozen=True)
class CHiP(Adapter):
    """Fu et al., ICLR 2025: preference of truthful answers and true photos, at four levels; at inference an adapter."""

    name: ClassVar[str] = "chip"
    title: ClassVar[str] = "CHiP"
    summary: ClassVar[str] = "Fine-tuned to prefer truthful answers, changed segments, single tokens and true photos."
    source: ClassVar[str] = "CHiP, ICLR 2025"


@dataclass(frozen=True)
class HACL(Adapter):
    """Jiang et al., CVPR 2024: photos told from hallucinated captions by contrast; at inference another projector."""

    name: ClassVar[str] = "hacl"
    title: ClassVar[str] = "HACL"
    summary: ClassVar[str] = "Trained by contrast to keep photos apart from hallucinated captions of them."
    source: ClassVar[str] = "HACL, CVPR 2024"

    adapter: str = parameter("hacl", "Adapter", "The name of a loaded adapter.")
