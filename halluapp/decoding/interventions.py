"""Changes to some rows of a batch: hooks that live for one forward and touch no weight."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from halluapp.decoding.attention import attending
from halluapp.lvlm.adapters import Delta
from halluapp.lvlm.base import LVLM
from halluapp.methods.base import Intervention
from halluapp.methods.hallu_space import project_out


@contextmanager
def applied(lvlm: LVLM, rows: list[Intervention | None], spots: Tensor | None = None) -> Iterator[None]:
    """Within the context, row r of every forward is changed as rows[r] says; other rows are left alone.

    spots [R, S]: where visual tokens stood in the prefill, for changes of attention. An adapter's additions come before
    a projection of the same output. The caller holds `lvlm.lock`; the hooks are removed whatever happens.
    """
    by_layer: dict[int, list[tuple[list[int], Tensor, float]]] = {}
    for change in dict.fromkeys(row for row in rows if row is not None and row.space):
        mine = [index for index, row in enumerate(rows) if row == change]
        for layer, directions in lvlm.space(change.space).layers.items():
            kept = directions[:, : change.rank] if change.rank else directions
            by_layer.setdefault(layer, []).append((mine, kept, change.strength))
    handles = _add_adapters(lvlm, rows)
    handles += [
        lvlm.output_projection(layer).register_forward_hook(_hook(changes)) for layer, changes in by_layer.items()
    ]
    try:
        with attending(lvlm, rows, spots):
            yield
    finally:
        for handle in handles:
            handle.remove()


def _hook(changes: list[tuple[list[int], Tensor, float]]):
    def project(_module, _inputs, output: Tensor) -> Tensor:
        result = output.clone()
        for rows, directions, strength in changes:
            index = torch.tensor(rows, device=output.device)
            result[index] = project_out(output[index], directions.to(output.device), strength)
        return result

    return project


def _add_adapters(lvlm: LVLM, rows: list[Intervention | None]) -> list:
    """Hooks on the linear layers that any row's adapter adds to -> their handles."""
    by_module: dict[str, list[tuple[list[int], Delta, float]]] = {}
    for change in dict.fromkeys(row for row in rows if row is not None and row.adapter):
        mine = [index for index, row in enumerate(rows) if row == change]
        for name, delta in lvlm.adapter(change.adapter).deltas.items():
            by_module.setdefault(name, []).append((mine, delta, change.share))
    return [
        lvlm.model.get_submodule(name).register_forward_hook(_addition(changes)) for name, changes in by_module.items()
    ]


def _addition(changes: list[tuple[list[int], Delta, float]]):
    def add(_module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        result = output.clone()
        for rows, delta, share in changes:
            index = torch.tensor(rows, device=output.device)
            result[index] += (share * delta(inputs[0][index])).to(output.dtype)
        return result

    return add
