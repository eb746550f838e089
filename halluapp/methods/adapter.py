"""Adapters of training runs as panels: the same 4-bit weights with low-rank additions or another projector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from halluapp.errors import MissingWeights
from halluapp.methods.base import Intervention, Method, Row, parameter


@dataclass(frozen=True)
class AdapterMethod(Method):
    """A loaded adapter: y + s * scale * B(A(x)) in the layers of its training, another projector, or both.

    Added to this method's rows only, in prefill and decoding, so that the shared weights stay as they are.
    """

    source: ClassVar[str] = "LoRA, Hu et al. 2022, equation 3; QLoRA, Dettmers et al. 2023"
    default: ClassVar[bool] = False
    edits: ClassVar[bool] = True

    strength: float = parameter(
        1.0, "Strength s", "1 is the trained adapter, 0 the baseline; between them its additions are scaled.",
        0.0, 1.0, 0.05,
    )  # fmt: skip

    @property
    def adapter_name(self) -> str:
        """The name of the adapter."""
        return self.name

    @property
    def idle(self) -> bool:
        return self.strength == 0

    def _rows(self, prompt: str) -> tuple[Row, ...]:
        return (Row("photo", Intervention(adapter=self.adapter_name, adapter_strength=self.strength)),)

    def _prepare(self, lvlm) -> None:
        modules = dict(lvlm.model.named_modules())
        adapter = lvlm.adapter(self.adapter_name)
        for name, delta in (adapter.deltas | adapter.vision_deltas).items():
            if not delta.fits(modules.get(name)):
                raise MissingWeights(f"The adapter {self.adapter_name} was made for another model than {lvlm.name}.")

    def _explain(self, lvlm, prompt: str) -> str:
        adapter = lvlm.adapter(self.adapter_name)
        parts = [f"additions to {len(adapter.deltas)} linear layers"] if adapter.deltas else []
        parts += (
            [f"additions to {len(adapter.vision_deltas)} layers that see the photo"] if adapter.vision_deltas else []
        )
        parts += ["a projector of its own"] if adapter.projector is not None else []
        kind, step, steps = (adapter.about.get(name) for name in ("kind", "step", "steps"))  # of a run of ours
        origin = f" ({kind[:20]})" if isinstance(kind, str) and kind not in ("", self.adapter_name) else ""
        origin += f" after step {step} of {steps}" if step is not None and steps is not None else ""
        return f"Adapter {self.adapter_name}{origin}: {' and '.join(parts)}, strength {self.strength:g}."


@dataclass(frozen=True)
class CHiP(AdapterMethod):
    """Fu et al., ICLR 2025: preference of truthful answers and true photos, at four levels; at inference an adapter."""

    name: ClassVar[str] = "chip"
    title: ClassVar[str] = "CHiP"
    summary: ClassVar[str] = "Fine-tuned to prefer truthful answers, changed segments, single tokens and true photos."
    source: ClassVar[str] = "CHiP, ICLR 2025"


@dataclass(frozen=True)
class HACL(AdapterMethod):
    """Jiang et al., CVPR 2024: photos told from hallucinated captions by contrast; at inference another projector."""

    name: ClassVar[str] = "hacl"
    title: ClassVar[str] = "HACL"
    summary: ClassVar[str] = "Trained by contrast to keep photos apart from hallucinated captions of them."
    source: ClassVar[str] = "HACL, CVPR 2024"


@dataclass(frozen=True)
class NamedAdapter(AdapterMethod):
    """Any loaded adapter, chosen by name: "adapter:NAME". Not among METHODS, because it is as many panels as runs."""

    summary: ClassVar[str] = "The same 4-bit weights with what a training run has made."

    adapter: str = parameter("chip", "Adapter", "The name of a loaded adapter.")

    @property
    def name(self) -> str:  # type: ignore[override]  # a class variable of other methods
        return f"adapter:{self.adapter}"

    @property
    def title(self) -> str:  # type: ignore[override]  # as `name`
        return f"Adapter {self.adapter}"

    @property
    def adapter_name(self) -> str:
        return self.adapter
