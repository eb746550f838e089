"""How many tensors of a checkpoint are read, while transformers loads (and quantizes) them one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

LOADING = "Loading weights"  # what transformers calls this loop of its own


class _Counted:
    """transformers' progress bar over the tensors, which reports how many have passed."""

    def __init__(self, bar: Any, items: Any, progress: Callable[[int, int], None]):
        self._bar, self._items, self._progress = bar, items, progress

    def __iter__(self) -> Iterator[Any]:
        total = len(self._items)
        for index, item in enumerate(self._bar):
            self._progress(index, total)
            yield item
        self._progress(total, total)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bar, name)


@contextmanager
def listener(progress: Callable[[int, int], None]) -> Iterator[None]:
    """Calls progress(tensors read, tensors in all) while a model is loaded in this block."""
    from transformers.utils import logging

    def hook(factory: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        bar = factory(*args, **kwargs)
        if kwargs.get("desc") != LOADING or not args or not hasattr(args[0], "__len__"):
            return bar
        return _Counted(bar, args[0], progress)

    previous = logging.set_tqdm_hook(hook)
    try:
        yield
    finally:
        logging.set_tqdm_hook(previous)
