"""Changes to some rows of a batch: hooks that live for one forward and touch no weight."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
from torch import Tensor, nn

from halluapp.decoding.hooks.attention import amplify_attention
from halluapp.lvlm.base import LVLM
from halluapp.lvlm.types import Delta
from halluapp.lvlm.weights.placement import device_of
from halluapp.methods.base import Intervention
from halluapp.methods.formulas.hallu_space import project_out


@contextmanager
def apply_interventions(
    lvlm: LVLM, rows: list[Intervention | None], image_mask: Tensor | None = None, positions: int = 1
) -> Iterator[list[Callable]]:
    """Within the context, intervention rows[r] acts on row r of every forward; rows without one are unchanged.

    image_mask [R, S]: visual tokens of the prefill, for changes of attention, which are those of the last `positions`
    positions. An adapter's additions come before a
    projection of the same output. The caller holds `lvlm.lock`; the hooks are removed whatever happens.
    Yields the hooks: they own the tensors that they add to a forward, which a CUDA graph of it must keep alive.
    """
    hooks = intervention_hooks(lvlm, rows)
    handles = [module.register_forward_hook(hook) for module, hook in hooks]
    try:
        with amplify_attention(lvlm, rows, image_mask, positions):
            yield [hook for _, hook in hooks]
    finally:
        for handle in handles:
            handle.remove()


def intervention_hooks(lvlm: LVLM, rows: list[Intervention | None]) -> list[tuple[nn.Module, Callable]]:
    """(module, forward hook) for every module whose output interventions rows[r] change, in the order of acting."""
    by_layer: dict[int, list[tuple[Tensor, Tensor, float]]] = {}
    for change, name in {row: row.space for row in rows if row is not None and row.space}.items():
        space, indices = lvlm.space(name), tuple(index for index, row in enumerate(rows) if row == change)
        for layer in space.layers:
            device = device_of(lvlm.output_projection(layer))
            basis = space.basis(layer, change.rank, device)
            by_layer.setdefault(layer, []).append((row_index(indices, device), basis, change.space_strength))
    additions = _adapter_hooks(lvlm, rows)
    return additions + [
        (lvlm.output_projection(layer), _projection_hook(changes)) for layer, changes in by_layer.items()
    ]


@lru_cache(maxsize=512)
def row_index(rows: tuple[int, ...], device: torch.device) -> Tensor:
    """Numbers of rows as an index on a device, copied there once: the GPU is waited for at every copy.

    Before the forward: a CUDA graph cannot record a copy from the CPU. Shared: never written to.
    """
    return torch.tensor(rows, device=device)


def _projection_hook(changes: list[tuple[Tensor, Tensor, float]]):
    def project(_module, _inputs, output: Tensor) -> Tensor:
        result = output.clone()
        for index, directions, strength in changes:
            result[index] = project_out(output[index], directions, strength)
        return result

    return project


def _adapter_hooks(lvlm: LVLM, rows: list[Intervention | None]) -> list:
    """(linear layer, hook) for every layer to which the adapter of any row adds."""
    by_module: dict[str, list[tuple[tuple[int, ...], Delta, float]]] = {}
    for change, adapter in {row: row.adapter for row in rows if row is not None and row.adapter}.items():
        indices = tuple(index for index, row in enumerate(rows) if row == change)
        for name, delta in lvlm.adapter(adapter).deltas.items():
            by_module.setdefault(name, []).append((indices, delta, change.adapter_strength))
    modules = {name: lvlm.model.get_submodule(name) for name in by_module}
    # The head is called through the module that computes it in float32.
    modules = {name: lvlm.logits if module is lvlm.head else module for name, module in modules.items()}
    layers = {name: lvlm.head if module is lvlm.logits else module for name, module in modules.items()}
    return [(modules[name], _addition_hook(changes, device_of(layers[name]))) for name, changes in by_module.items()]


def _addition_hook(changes: list[tuple[tuple[int, ...], Delta, float]], device: torch.device):
    on_device = [(row_index(rows, device), delta, share) for rows, delta, share in changes]

    def add(_module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        result = output.clone()
        for index, delta, share in on_device:
            result[index] += (share * delta(inputs[0].to(device)[index])).to(output.dtype)
        return result

    return add
