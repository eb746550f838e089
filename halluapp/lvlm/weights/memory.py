"""Memory of a model: estimated from its counts of weights, measured once it is loaded, and what is free."""

from __future__ import annotations

from typing import Any

GIGABYTE = 1_000_000_000
NF4_BYTES = 0.516  # a weight: 4 bits, and 0.127 bits for its doubly quantized scale
CLEARLY_MORE = 1.25  # times the free memory of the current card
# To start with: activations, and caches of a few rows. Those of five panels of a 7B model are more (docs/hosting.md).
WORKING_BYTES = int(2.5 * GIGABYTE)


def estimate(weights: float, quantized: float, quantization: str, dense_bytes: float = 2.0) -> int:
    """Bytes that a model needs to start with: its weights and WORKING_BYTES; panels and longer answers can need more.

    weights, quantized: parameters in all and those that a quantization reaches. dense_bytes: of a weight that is not
    quantized (4 in float32). A small model has small caches: room to work is never more than its weights in 16 bits.
    """
    each = {"nf4": NF4_BYTES, "int8": 1.0, "none": dense_bytes}[quantization]
    working = min(WORKING_BYTES, 2.0 * weights)
    return int(each * quantized + dense_bytes * (weights - quantized) + working)


def footprint(model: Any) -> int:
    """Bytes of the parameters and buffers of a loaded model, each tensor once."""
    parts = (model.parameters(), model.buffers())
    tensors = {tensor.data_ptr(): tensor for part in parts for tensor in part if not tensor.is_meta}  # not offloaded
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def dense_bytes(dtype: str, on_gpu: bool) -> float:
    """Bytes of a weight that is not quantized. dtype: "auto" (16 bits on a GPU, else 32) or a name of torch."""
    return 4.0 if dtype == "float32" or (dtype == "auto" and not on_gpu) else 2.0


def free_memory(device: str = "auto", spread: bool = False) -> tuple[int, bool]:
    """(free bytes, whether on a GPU): of the GPU that models are loaded on, else of this machine.

    device: "auto" (see `device_of`), "cpu", "cuda" (the current card) or "cuda:N". spread: of all cards and of
    this machine, over which a model can be laid.
    """
    import psutil
    import torch

    machine = psutil.virtual_memory().available
    if device == "cpu" or not torch.cuda.is_available():
        return machine, False
    if spread:
        return machine + sum(free_on_cards()), True
    return torch.cuda.mem_get_info(torch.device(device_of(device)))[0], True


def free_on_cards() -> list[int]:
    """Free bytes of every card that can be seen, by its number."""
    import torch

    return [torch.cuda.mem_get_info(card)[0] for card in range(torch.cuda.device_count())]


def device_of(device: str) -> str:
    """The device that a model is loaded on, which "auto" leaves open: the CPU where there is no card.

    "auto" is the current card, on which steps can be replayed, unless another one has clearly more free memory.
    """
    import torch

    if device != "auto":
        return device
    if not torch.cuda.is_available():
        return "cpu"
    free = free_on_cards()
    return f"cuda:{free.index(max(free))}" if max(free) > CLEARLY_MORE * torch.cuda.mem_get_info()[0] else "cuda"
