"""Adapters of tiny vision towers, trained for a moment with peft, and counters of passes and hooks."""

from __future__ import annotations

from pathlib import Path

import torch
from tiny_adapters import fresh_lvlm

from halluapp.training import peft_adapter, vision_tower
from halluapp.training.methods.chip_recipe import ChipRecipe


def roughen(wrapped, scale: float = 0.5) -> None:
    """Weights in both matrices, so that the adapter does something."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in peft_adapter.trainable_parameters(wrapped):
            parameter.normal_(0, scale / parameter.shape[1] ** 0.5, generator=generator)


def trained_tower(kind: str, quantization: str, out: Path, language: bool = True, rank: int = 4):
    """A model whose tower (and language model) peft has wrapped, saved to `out` -> (model, PeftModel)."""
    model = fresh_lvlm(kind, quantization)
    wrapped = peft_adapter.wrap(model, ChipRecipe(rank=rank, alpha=8.0), vision_tower.trainable_layers(model), language)
    roughen(wrapped)
    wrapped.eval()
    peft_adapter.save(out, wrapped, about={"model": model.name})
    return model, wrapped


def hooks(model) -> int:
    """Forward hooks on linear layers anywhere in the model; transformers itself hangs some on others."""
    linears = (part for part in model.model.modules() if isinstance(part, torch.nn.Linear))
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in linears)


class TowerPasses:
    """Counts the passes of a CLIP tower while it is entered."""

    def __init__(self, model):
        self.module, self.passes = model.tower.encoder.layers[0], 0

    def __enter__(self):
        def count(*_):
            self.passes += 1

        self.handle = self.module.register_forward_hook(count)
        return self

    def __exit__(self, *_):
        self.handle.remove()
