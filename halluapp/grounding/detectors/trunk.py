"""The presence detector's trunk: EfficientNet-Lite1, frozen, at 448 px in float32.

It shares no weight with the pocket LVLM, whose tower is Lite2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from halluapp.efficientnet import LITE1, Trunk, fold

if TYPE_CHECKING:
    from PIL import Image

FINE_CHANNELS = 112  # stride 16
COARSE_CHANNELS = 320  # stride 32
WIDE_CHANNELS = 1280
IMAGENET_CLASSES = 1000
SHARPNESS = 3.0  # the classifier learned at 240 px; at 448 its order of classes holds, its logits are flat
PIXELS = 448  # at 256 small things are missed
GRID = PIXELS // 32


class OwnTrunk(Trunk):
    """Photo -> maps of stride 16 [B, 112, H/16, W/16] and of stride 32 [B, 320, H/32, W/32].

    Input: pixels [B, 3, H, W] in (-1, 1), H and W divisible by 32.
    """

    def __init__(self):
        super().__init__(LITE1)
        self.last = nn.Conv2d(COARSE_CHANNELS, WIDE_CHANNELS, 1)
        self.classifier = nn.Linear(WIDE_CHANNELS, IMAGENET_CLASSES)

    def widen(self, coarse: Tensor) -> Tensor:
        """The last convolution of the ImageNet classifier: coarse [B, 320, h, w] -> [B, 1280, h, w] in 0..6."""
        return F.relu6(self.last(coarse))

    def classify(self, wide: Tensor) -> Tensor:
        """What the ImageNet classifier makes of widened maps [B, 1280, h, w]: probabilities [B, 1000]."""
        return (SHARPNESS * self.classifier(wide.mean((2, 3)))).softmax(-1)

    def _read(self, state: dict[str, Tensor]) -> None:
        super()._read(state)
        fold(self.last, state, "_conv_head", "_bn1")
        self.classifier.weight.copy_(state["_fc.weight"])
        self.classifier.bias.copy_(state["_fc.bias"])


def to_pixels(photos: list[Image.Image]) -> Tensor:
    """RGB photos of any shape -> [B, 3, 448, 448] in (-1, 1); a photo is squashed to the square."""
    import numpy as np
    from PIL import Image

    squares = [p.convert("RGB").resize((PIXELS, PIXELS), Image.Resampling.BICUBIC) for p in photos]
    return torch.from_numpy(np.stack([np.asarray(square) for square in squares])).permute(0, 3, 1, 2) / 127.5 - 1
