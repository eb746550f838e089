"""Adapters of the tiny models, trained for a moment with peft."""

from __future__ import annotations

from pathlib import Path

import torch
from tiny import OPEN, folder, photo

from halluapp.decoding.batch import prefill
from halluapp.decoding.plan import Prefix
from halluapp.decoding.views import Views
from halluapp.lvlm import catalog
from halluapp.training import peft_adapter
from halluapp.training.methods.chip_recipe import ChipRecipe


def fresh_lvlm(kind: str, quantization: str):
    return catalog.load(str(folder(kind)), quantization, "cpu", Path("/nowhere"))[0]


def trained_adapter(kind: str, quantization: str, out: Path, scale: float = 1.0, **settings):
    """A wrapped model with random weights in both matrices, saved to `out` -> (model, PeftModel)."""
    model = fresh_lvlm(kind, quantization)
    wrapped = peft_adapter.wrap(model, ChipRecipe(**settings))
    with torch.no_grad():
        for parameter in peft_adapter.trainable_parameters(wrapped):
            parameter.normal_(0, scale * 0.3 / parameter.shape[1] ** 0.5)
    wrapped.eval()
    peft_adapter.save(out, wrapped, about={"model": model.name})
    return model, wrapped


def logits(model, intervention=None, prompt: str = OPEN) -> torch.Tensor:
    prefix = Prefix(0, "photo", intervention)
    with torch.no_grad():
        return prefill(model, (prefix,), [prompt], [Views(model, photo())])[1][0]
