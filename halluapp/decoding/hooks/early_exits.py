"""Early exits: logits of some rows after fewer decoder layers, by hooks that live for one forward."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from halluapp.lvlm.base import LVLM
from halluapp.lvlm.weights.placement import device_of

# (row, depth) -> residual stream [D] or logits [V]; [n, D] or [n, V] of n positions
EarlyStates = dict[tuple[int, int], Tensor]


@contextmanager
def record_depths(lvlm: LVLM, depths: dict[int, tuple[int, ...]], count: int | None = None) -> Iterator[EarlyStates]:
    """Within the context, records the residual stream [D] of each row's last position at that row's depths.

    depths: row -> depths; 0 is the embeddings, n the output of the nth decoder layer, before any final norm. count:
    of so many last positions, [count, D], where a text is read as a whole; None: of the last one alone. The model
    is locked meanwhile; the hooks are removed whatever happens. Raises ValueError for a depth that the model lacks.
    """
    by_depth: dict[int, list[int]] = {}
    for row, row_depths in depths.items():
        for depth in row_depths:
            by_depth.setdefault(depth, []).append(row)
    if any(not 0 <= depth <= len(lvlm.layers) for depth in by_depth):
        raise ValueError(f"early exits lie between 0 and {len(lvlm.layers)}, not at {sorted(by_depth)}")
    states: EarlyStates = {}
    with lvlm.lock:
        handles = [_hook(lvlm, depth, rows, states, count) for depth, rows in by_depth.items()]
        try:
            yield states
        finally:
            for handle in handles:
                handle.remove()


def _hook(lvlm: LVLM, depth: int, rows: list[int], states: EarlyStates, count: int | None):
    where = -1 if count is None else slice(-count, None)

    def record(hidden: Tensor) -> None:  # [R, S, D], padded on the left: the last position is that of every row
        states.update({(row, depth): hidden[row, where] for row in rows})

    if depth == 0:
        first = lvlm.layers[0]
        return first.register_forward_pre_hook(
            lambda _module, inputs, named: record(inputs[0] if inputs else named["hidden_states"]), with_kwargs=True
        )
    return lvlm.layers[depth - 1].register_forward_hook(
        lambda _module, _inputs, output: record(output[0] if isinstance(output, tuple) else output)
    )


def read_out(lvlm: LVLM, hidden: EarlyStates) -> EarlyStates:
    """Residual streams [D] -> logits [V] in float32; one norm and one product with the LM head for all of them."""
    if not hidden:
        return {}
    device = device_of(lvlm.final_norm)  # layers of one model may lie on several
    states = torch.stack([state.to(device) for state in hidden.values()])
    return dict(zip(hidden, lvlm.read_out(states), strict=True))
