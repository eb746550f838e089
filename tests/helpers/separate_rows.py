"""What a row gives when it is computed by itself, without a cache."""

from __future__ import annotations

from functools import cache

import torch
from tiny import folder, inputs

from halluapp.lvlm import catalog


@torch.no_grad()
def from_scratch(model, prompt: str, view: str, answer: list[int], seed: int = 0) -> torch.Tensor:
    """Logits [T, V] that precede each of T answer tokens, by one forward of the whole text without a cache."""
    if view == "photo":
        tensors = inputs(model, prompt, seed)
        ids, pixels = tensors["input_ids"], {"pixel_values": tensors["pixel_values"]}
    else:
        ids, pixels = torch.tensor([model.prompt_ids(prompt, view)]), {}
    whole = torch.cat([ids, torch.tensor([answer[:-1]], dtype=torch.long)], dim=1)
    logits = model.model(input_ids=whole, use_cache=False, **pixels).logits[0]
    return logits[ids.shape[1] - 1 :].float()


@cache
def second_copy(kind: str, quantization: str):
    """A second copy of the model: asking transformers for hidden states leaves hooks of its own in a model."""
    return catalog.load(str(folder(kind)), quantization, "cpu", folder(kind))[0].model
