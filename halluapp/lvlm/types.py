"""Data between an LVLM and the engine: image features, an embedded prompt, a HalluSpace, an adapter."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class HalluSpace:
    """Orthonormal directions per decoder layer, V [D, K] each, strongest first, and what they were computed from."""

    layers: dict[int, Tensor]
    about: dict = field(default_factory=dict)
    _on_devices: dict[tuple[int, torch.device], Tensor] = field(default_factory=dict, compare=False, repr=False)

    def basis(self, layer: int, rank: int, device: torch.device) -> Tensor:
        """The first `rank` directions of a layer (0: all) on a device, where they stay after their first use."""
        if (layer, device) not in self._on_devices:
            self._on_devices[layer, device] = self.layers[layer].to(device)
        directions = self._on_devices[layer, device]
        return directions[:, :rank] if rank else directions


@dataclass(frozen=True)
class ImageFeatures:
    """Features of one photo from the vision tower: [n, d] or, of a photo cut into tiles, [tiles, n, d].

    maps: feature maps that a detector can share. layout: the family's note on how the visual tokens lie in the photo
    (grid, tiles, size). deepstack: further visual tokens [n, D] that are added to the first decoder layers' outputs.
    """

    features: Tensor
    maps: tuple[Tensor, ...] = ()
    layout: tuple[int, ...] = ()
    deepstack: tuple[Tensor, ...] = ()

    def to(self, *target: Any) -> ImageFeatures:
        """The same on a device or in a dtype, as `Tensor.to`; without the maps of a detector."""
        levels = tuple(level.to(*target) for level in self.deepstack)
        return replace(self, features=self.features.to(*target), maps=(), deepstack=levels)


@dataclass(frozen=True)
class EmbeddedPrompt:
    """The decoder's input for one prompt: embeds [S, D]; positions [S] or, for M-RoPE, [3, S].

    image_mask [S]: visual tokens; deepstack: additions there to the outputs of the first decoder layers, [n, D].
    """

    embeds: Tensor
    positions: Tensor
    image_mask: Tensor
    deepstack: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class Delta:
    """A low-rank addition to one linear layer: down A [r, in], up B [out, r], float32. Hu et al. 2022, equation 3."""

    down: Tensor
    up: Tensor
    scale: float

    def __call__(self, inputs: Tensor) -> Tensor:
        """x [..., in] -> scale * B(A(x)) [..., out] in float32."""
        return (inputs.to(self.down.dtype) @ self.down.T @ self.up.T) * self.scale

    def fits(self, module: nn.Module | None) -> bool:
        """Whether a module is a linear layer whose input and output have the widths of this addition."""
        sizes = getattr(module, "in_features", None), getattr(module, "out_features", None)
        return self.down.dim() == self.up.dim() == 2 and sizes == (self.down.shape[1], len(self.up))


@dataclass(frozen=True, eq=False)
class Adapter:
    """The result of a training run, as additions to a model and a projector.

    deltas: additions to the language model, by full module name; vision_deltas: additions to the modules before it
    (vision tower, Q-Former, projector). projector: in place of the base projector (None: that).
    about: the folder's about.json, {} without one.
    """

    name: str
    deltas: dict[str, Delta] = field(default_factory=dict)
    vision_deltas: dict[str, Delta] = field(default_factory=dict)
    projector: nn.Module | None = None
    about: dict = field(default_factory=dict)
