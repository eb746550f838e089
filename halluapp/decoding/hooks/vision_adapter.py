"""How one row sees the photo: additions of its adapter to the vision tower and the projector, and another projector.

As in `interventions`, hooks live for one pass and touch no weight; but a photo's pass belongs to one row, so that they
need no row numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn

from halluapp.lvlm.base import LVLM, Visual
from halluapp.lvlm.types import Adapter, Delta
from halluapp.methods.base import Intervention


@dataclass(frozen=True)
class Sight:
    """An adapter that adds to what comes before the language model, and how much of it acts (1: all)."""

    adapter: Adapter
    share: float


def sight(lvlm: LVLM, change: Intervention | None) -> Sight | None:
    """How a row with this change sees a photo; None: as the model itself does. Raises MissingWeights."""
    if change is None or not change.adapter:
        return None
    adapter = lvlm.adapter(change.adapter)
    return Sight(adapter, change.share) if adapter.sight and change.share else None


def tower_sight(lvlm: LVLM, change: Intervention | None) -> Sight | None:
    """As `sight`, but None too where the adapter leaves the tower alone: its features are then the model's own."""
    found = sight(lvlm, change)
    inside = {id(module) for module in lvlm.tower.modules()} if found else ()
    return found if found and any(id(lvlm.model.get_submodule(n)) in inside for n in found.adapter.sight) else None


@contextmanager
def seeing(lvlm: LVLM, sight: Sight | None) -> Iterator[None]:
    """Within the context, tower, Q-Former and projector compute with an adapter's additions.

    Holds `lvlm.lock`: nobody else's photo may pass meanwhile. The hooks are removed whatever happens.
    """
    handles = []
    with lvlm.lock:
        try:
            for name, delta in sight.adapter.sight.items() if sight else ():
                handles.append(lvlm.model.get_submodule(name).register_forward_hook(_addition(delta, sight.share)))
            yield
        finally:
            for handle in handles:
                handle.remove()


def _addition(delta: Delta, share: float):
    def add(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output + (share * delta(inputs[0])).to(output.dtype)

    return add


def visual_tokens(lvlm: LVLM, visual: Visual, prompt: str, change: Intervention | None) -> Tensor:
    """Visual tokens [n, D] of a photo, seen under this change, as the row with this change reads them."""
    with seeing(lvlm, sight(lvlm, change)):
        tokens = lvlm.visual_tokens(visual, prompt)
        if change is None or (projector := _projector(lvlm, change)) is None:
            return tokens
        other, share = lvlm.visual_tokens(visual, prompt, projector), change.blend if change.projector else change.share
        return other if share == 1 else (1 - share) * tokens + share * other


def _projector(lvlm: LVLM, change: Intervention) -> nn.Module | None:
    """The other projector that an intervention names, or that its adapter brings along; None: the model's own."""
    if change.projector:
        return lvlm.projector(change.projector)
    return lvlm.adapter(change.adapter).projector if change.adapter else None
