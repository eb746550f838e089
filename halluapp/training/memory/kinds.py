"""Memory of a training step by what it is for: counted in the tensors that stay, the rest measured at the peak."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from halluapp.training.memory.process import MEGABYTE


def by_kind(model: nn.Module, optimizer: torch.optim.Optimizer, peak: float) -> dict[str, float]:
    """MB of the frozen weights, the trained ones, their gradients, the optimizer's moments, and what else the peak
    holds: activations, work space, and on a CPU the process itself.

    peak: of `process.peak_memory`, MB.
    """
    trained = {id(p): p for group in optimizer.param_groups for p in group["params"]}
    frozen = {id(p): p for p in model.parameters() if id(p) not in trained}
    scales = [p.quant_state.absmax for p in frozen.values() if getattr(p, "quant_state", None) is not None]
    moments = [value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor)]
    parts = {
        "weights": _megabytes([*frozen.values(), *model.buffers(), *scales]),
        "trained": _megabytes(trained.values()),
        "gradients": _megabytes(trained.values()),
        "moments": _megabytes(moments),
    }
    return {name: round(size, 1) for name, size in {**parts, "rest": max(0.0, peak - sum(parts.values()))}.items()}


def _megabytes(tensors: Iterable[Tensor]) -> float:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors) / MEGABYTE
