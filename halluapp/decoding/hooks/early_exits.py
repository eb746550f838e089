"""Early exits: what some rows would say after fewer decoder layers, by hooks that live for one forward."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from halluapp.lvlm.base import LVLM

EarlyStates = dict[tuple[int, int], Tensor]  # (row, depth) -> [D] or [V]


@contextmanager
def record_depths(lvlm: LVLM, wanted: dict[int, tuple[int, ...]]) -> Iterator[EarlyStates]:
    """Within the context, keeps the residual stream [D] of each row's last position at the depths wanted of that row.

    wanted: row -> depths; 0 is the embeddings, n the output of the nth decoder layer, before any final norm. The model
    is locked meanwhile; the hooks are removed whatever happens. Raises ValueError for a depth that the model lacks.
    """
    by_depth: dict[int, list[int]] = {}
    for row, depths in wanted.items():
        for depth in depths:
            by_depth.setdefault(depth, []).append(row)
    if any(not 0 <= depth <= len(lvlm.layers) for depth in by_depth):
        raise ValueError(f"early exits lie between 0 and {len(lvlm.layers)}, not at {sorted(by_depth)}")
    found: EarlyStates = {}
    with lvlm.lock:
        handles = [_hook(lvlm, depth, rows, found) for depth, rows in by_depth.items()]
        try:
            yield found
        finally:
            for handle in handles:
                handle.remove()


def _hook(lvlm: LVLM, depth: int, rows: list[int], found: EarlyStates):
    def keep(hidden: Tensor) -> None:  # [R, S, D]; rows are padded on the left, so the last position is everyone's last
        found.update({(row, depth): hidden[row, -1] for row in rows})

    if depth == 0:
        first = lvlm.layers[0]
        return first.register_forward_pre_hook(
            lambda _module, given, named: keep(given[0] if given else named["hidden_states"]), with_kwargs=True
        )
    return lvlm.layers[depth - 1].register_forward_hook(
        lambda _module, _given, output: keep(output[0] if isinstance(output, tuple) else output)
    )


def read_out(lvlm: LVLM, hidden: EarlyStates) -> EarlyStates:
    """Residual stream [D] at each place -> logits [V] in float32; one norm and one product with the LM head for all."""
    if not hidden:
        return {}
    return dict(zip(hidden, lvlm.read_out(torch.stack(list(hidden.values()))), strict=True))
