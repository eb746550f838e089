"""Linear layers of a vision tower that an adapter can train: those that its features depend on."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from halluapp.errors import InputError
from halluapp.lvlm.base import LVLM


def trainable_layers(lvlm: LVLM) -> list[str]:
    """Full names of the linear layers of the tower that gradients of a photo's features reach, sorted.

    Found by one forward and backward pass, because names do not tell: LLaVA-1.5 does not use the tower's last layer,
    and an adapter has no effect on a layer whose weights are read without calling it. Raises InputError where there are
    none.
    """
    inside = {id(module) for module in lvlm.tower.modules() if isinstance(module, nn.Linear)}
    linears = {name: module for name, module in lvlm.model.named_modules() if id(module) in inside}
    reached = _layers_with_gradient(lvlm, linears)
    if not reached:
        raise InputError(
            f"The vision tower of {lvlm.name} has no linear layer that an adapter could train; leave the tower frozen."
        )
    return sorted(reached)


def _layers_with_gradient(lvlm: LVLM, linears: dict[str, nn.Linear]) -> list[str]:
    """The names of those that are called and that the features depend on."""
    from PIL import Image

    zeros: dict[str, Tensor] = {}

    def watch(name: str):
        def add(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            return output + zeros.setdefault(name, output.new_zeros((), requires_grad=True))

        return add

    with lvlm.lock, torch.enable_grad():
        handles = [module.register_forward_hook(watch(name)) for name, module in linears.items()]
        try:
            features = lvlm.encode_pixels(lvlm.to_device(lvlm.pixels(Image.new("RGB", (64, 64))))).features
        finally:
            for handle in handles:
                handle.remove()
    if not zeros or not features.requires_grad:
        return []
    gradients = torch.autograd.grad(features.float().sum(), list(zeros.values()), allow_unused=True)
    return [name for name, gradient in zip(zeros, gradients, strict=True) if gradient is not None]


def switch_dropout(tower: nn.Module, training: bool) -> None:
    """Switches the dropout of adapters in the tower alone: the tower's own dropout would make policy and reference
    differ."""
    tower.eval()
    for name, module in tower.named_modules():
        if name.endswith("lora_dropout"):
            module.train(training)
