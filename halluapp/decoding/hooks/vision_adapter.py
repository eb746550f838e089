"""The visual tokens of one row: additions of its adapter to the vision tower and the projector, and another projector.

As in `interventions`, hooks live for one pass and touch no weight; but a photo's pass belongs to one row, so that they
need no row numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn

from halluapp.lvlm.base import LVLM, ImageFeatures
from halluapp.lvlm.types import Adapter, Delta
from halluapp.methods.base import Intervention


@dataclass(frozen=True)
class VisionAdapter:
    """An adapter that adds to what comes before the language model, and the strength of its additions (1: all)."""

    adapter: Adapter
    strength: float


def vision_adapter(lvlm: LVLM, change: Intervention | None) -> VisionAdapter | None:
    """The adapter of a row with this intervention for photos; None: the base model.

    Raises MissingWeights.
    """
    if change is None or not change.adapter:
        return None
    adapter = lvlm.adapter(change.adapter)
    active = adapter.vision_deltas and change.adapter_strength
    return VisionAdapter(adapter, change.adapter_strength) if active else None


def tower_adapter(lvlm: LVLM, change: Intervention | None) -> VisionAdapter | None:
    """As `vision_adapter`, but None too for an adapter that adds nothing inside the tower: features are the model's."""
    vision = vision_adapter(lvlm, change)
    if vision is None:
        return None
    tower = {id(module) for module in lvlm.tower.modules()}
    inside = any(id(lvlm.model.get_submodule(name)) in tower for name in vision.adapter.vision_deltas)
    return vision if inside else None


@contextmanager
def adapted_vision(lvlm: LVLM, vision: VisionAdapter | None) -> Iterator[None]:
    """Within the context, tower, Q-Former and projector compute with an adapter's additions.

    Holds `lvlm.lock`: nobody else's photo may pass meanwhile. The hooks are removed whatever happens.
    """
    deltas, strength = (vision.adapter.vision_deltas, vision.strength) if vision else ({}, 0.0)
    handles = []
    with lvlm.lock:
        try:
            for name, delta in deltas.items():
                handles.append(lvlm.model.get_submodule(name).register_forward_hook(_addition(delta, strength)))
            yield
        finally:
            for handle in handles:
                handle.remove()


def _addition(delta: Delta, strength: float):
    def add(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output + (strength * delta(inputs[0].to(delta.down.device))).to(output.dtype)

    return add


def visual_tokens(lvlm: LVLM, visual: ImageFeatures, prompt: str, change: Intervention | None) -> Tensor:
    """Visual tokens [n, D] of a photo, for a row with this intervention."""
    with adapted_vision(lvlm, vision_adapter(lvlm, change)):
        tokens = lvlm.visual_tokens(visual, prompt)
        if change is None or (projector := _projector(lvlm, change)) is None:
            return tokens
        strength = change.projector_strength if change.projector else change.adapter_strength
        other = lvlm.visual_tokens(visual, prompt, projector)
        return other if strength == 1 else (1 - strength) * tokens + strength * other


def _projector(lvlm: LVLM, change: Intervention) -> nn.Module | None:
    """The other projector that an intervention names, or that its adapter brings along; None: the model's."""
    if change.projector:
        return lvlm.projector(change.projector)
    return lvlm.adapter(change.adapter).projector if change.adapter else None
