"""A model whose memory ends at a number of rows."""

from __future__ import annotations

from contextlib import contextmanager

import torch


@contextmanager
def memory_limit(model, rows: int, after: int = 0):
    """A machine on which a forward of more rows runs out of memory, from the `after`th forward on."""
    calls = []

    def check(_module, given, named) -> None:
        calls.append(1)
        hidden = given[0] if given else named["hidden_states"]
        if len(calls) > after and len(hidden) > rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    handle = model.layers[0].register_forward_pre_hook(check, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()
