"""Precision: the dtype of the weights by what the device can do, and logits in float32 whatever that dtype is."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from halluapp.errors import InputError
from halluapp.lvlm.weights.placement import device_of, weights

CHOICES = ("auto", "float32", "bfloat16", "float16")
LEAST_BFLOAT16_CAPABILITY = 8  # compute capability of NVIDIA cards; T4 and V100, with 7, only emulate bfloat16
VOCABULARY_SLICE = 16384  # rows of the LM head of which a float32 copy exists at a time


def weight_dtype(choice: str, device: str | torch.device) -> torch.dtype:
    """The dtype of dense weights. "auto": float32 on a CPU, bfloat16 where the card has it, else float16.

    Raises InputError for another choice.
    """
    if choice not in CHOICES:
        raise InputError(f"HALLUAPP_DTYPE is {choice!r}; use {', '.join(CHOICES[:-1])} or {CHOICES[-1]}.")
    if choice != "auto":
        return getattr(torch, choice)
    device = torch.device(device)
    if device.type == "cpu":
        return torch.float32
    if device.type == "cuda" and torch.cuda.get_device_capability(device)[0] < LEAST_BFLOAT16_CAPABILITY:
        return torch.float16
    return torch.bfloat16


def dtype_name(dtype: torch.dtype) -> str:
    """ "bfloat16" for torch.bfloat16."""
    return str(dtype).removeprefix("torch.")


class Float32Head(nn.Module):
    """The LM head as it is called everywhere: the product of its half-precision weights in float32.

    Logits rounded to bfloat16 have three digits, and methods subtract them. Hooks of an adapter on the head hang here
    (`LVLM.module`). A quantized head computes as it was made to, and its output is widened.
    """

    def __init__(self, head: nn.Module):
        super().__init__()
        self._head = (head,)  # not a submodule: nothing is registered twice

    @property
    def weight(self) -> Any:
        return self._head[0].weight

    def forward(self, hidden: Tensor) -> Tensor:
        """Hidden states [..., D] after the final norm -> logits [..., V] in float32."""
        head = self._head[0]
        with weights(head):
            return self._product(hidden.to(device_of(head)), head)

    def _product(self, hidden: Tensor, head: Any) -> Tensor:
        if type(head) is not nn.Linear or head.weight.dtype not in (torch.bfloat16, torch.float16):
            return head(hidden).float()
        if head.weight.requires_grad and torch.is_grad_enabled():
            logits = functional.linear(hidden.float(), head.weight.float())
        else:
            logits = _Float32Product.apply(hidden, head.weight)
        return logits if head.bias is None else logits + head.bias.float()


class _Float32Product(torch.autograd.Function):
    """Hidden states times frozen weights; backward widens the weights again instead of keeping them widened."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.dtype = hidden.dtype
        if hidden.dtype == weight.dtype and has_float32_output(weight.device, weight.dtype):
            rows = hidden.reshape(-1, hidden.shape[-1])
            return torch.mm(rows, weight.T, out_dtype=torch.float32).reshape(*hidden.shape[:-1], -1)
        parts = weight.split(VOCABULARY_SLICE)
        return torch.cat([functional.linear(hidden.float(), part.float()) for part in parts], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (weight,) = ctx.saved_tensors
        slices = zip(gradients[0].split(VOCABULARY_SLICE, -1), weight.split(VOCABULARY_SLICE), strict=True)
        return sum(gradient @ part.float() for gradient, part in slices).to(ctx.dtype), None


@lru_cache
def has_float32_output(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether this device multiplies half-precision matrices with a float32 result, without float32 copies of them."""
    sample = torch.ones(16, 16, dtype=dtype, device=device)
    try:
        return torch.mm(sample, sample, out_dtype=torch.float32).dtype == torch.float32
    except (RuntimeError, TypeError):  # another device or version of PyTorch
        return False
