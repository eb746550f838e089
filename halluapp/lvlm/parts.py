"""What passes between an LVLM and the engine: a photo as it is seen, a prompt as it is read, a HalluSpace."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class HalluSpace:
    """Orthonormal directions per decoder layer, V [D, K] each, strongest first, and what they were computed from."""

    layers: dict[int, Tensor]
    about: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Visual:
    """A photo as the model sees it: what the vision tower says, [n, d] or, of a photo cut into tiles, [tiles, n, d].

    maps: feature maps that a detector can share. layout: the family's note on how the visual tokens lie in the photo
    (grid, tiles, size). deep: further visual tokens [n, D] that are added to the first decoder layers' outputs.
    """

    features: Tensor
    maps: tuple[Tensor, ...] = ()
    layout: tuple[int, ...] = ()
    deep: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class Embedded:
    """A prompt as the decoder reads it: embeds [S, D]; positions [S] or, for M-RoPE, [3, S].

    spots [S]: where visual tokens stand; deep: what is added there to the outputs of the first decoder layers, [n, D].
    """

    embeds: Tensor
    positions: Tensor
    spots: Tensor
    deep: tuple[Tensor, ...] = ()
