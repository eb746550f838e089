"""Tiny models in every replay mode: answers, what is equal in them, and what a CUDA graph could not hold."""

from __future__ import annotations

import gc
import weakref
from contextlib import contextmanager
from dataclasses import replace
from itertools import combinations

import pytest
import tiny
import tiny_families
import torch
from tiny import OPEN, photo, run
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from halluapp.decoding.batch import RowBatch, prefill
from halluapp.decoding.plan import plan
from halluapp.decoding.replay.fixed_cache import FixedCache
from halluapp.decoding.views import Views
from halluapp.methods.registry import create

MODELS = (*tiny_families.MODELS, ("llava", "none"), ("llava", "nf4"), ("pocket", "nf4"))
REFERENCES = ("vcd", "icd", "m3id", "pai", "dola", "deco", "nullu+vdd", "adavib+pai", "nullu+dola")
LENGTH = 12


def model_of(kind: str, quantization: str):
    return (tiny if kind in tiny.KINDS else tiny_families).lvlm(kind, quantization)


@contextmanager
def replay_mode(model, mode: str):
    """The model in another replay mode, without earlier verdicts."""
    before, model.replay_mode, model.replay_verdicts = model.replay_mode, mode, {}
    try:
        yield model
    finally:
        model.replay_mode, model.replay_verdicts = before, {}


def answers(model, mode: str, methods, photo_seed: int = 0, prompt: str = OPEN, **sampling):
    """Answers by method name about photo `photo_seed`."""
    with replay_mode(model, mode):
        sampling = {"max_new_tokens": LENGTH, **sampling}
        return run(model, Views(model, photo(photo_seed)), prompt, [create(name) for name in methods], **sampling)


def assert_same(actual, expected) -> None:
    """Tokens, texts and ends are equal, and each token's probabilities, up to rounding."""
    assert actual.keys() == expected.keys()
    for name, answer in actual.items():
        other = expected[name]
        assert answer.ids == other.ids, (name, answer.end)
        assert answer.ids, (name, answer.end)
        assert replace(answer.end, seconds=0) == replace(other.end, seconds=0)
        for one, two in zip(answer.events, other.events, strict=True):
            assert one.text == two.text
            assert one.token.instead == two.token.instead
            assert one.token.branches == pytest.approx(two.token.branches, abs=1e-4)
            assert one.token.p == pytest.approx(two.token.p, abs=1e-4)
            assert [p for _, p in one.token.top] == pytest.approx([p for _, p in two.token.top], abs=1e-4)


def staggered_end_tokens(free) -> frozenset[int]:
    """Two tokens that would end these answers at as many different places as possible."""

    def ends(tokens) -> set[int]:
        return {next((at for at, token in enumerate(a.ids) if token in tokens), len(a.ids)) for a in free.values()}

    tokens = sorted({token for answer in free.values() for token in answer.ids})
    return frozenset(max(combinations(tokens, 2), key=lambda pair: (len(ends(pair)), sum(ends(pair)))))


def count_fixed_caches() -> int:
    """Fixed caches that are still referenced."""
    gc.collect()
    return sum(type(thing) is FixedCache for thing in gc.get_objects())


def begin_batch(model, names) -> RowBatch:
    """The prefilled rows of these methods for one open prompt."""
    rows = plan([(OPEN, [create(name) for name in names])])
    return prefill(model, rows.prefixes, [OPEN], [Views(model, photo(0))])[0]


class GraphHazards(TorchDispatchMode):
    """Collects what a CUDA graph cannot hold: values read by Python, sizes that depend on values, constants copied.

    read: tensors from outside the forward; a graph reads their memory again at every replay.
    """

    FORBIDDEN = ("_local_scalar_dense", "nonzero", "masked_select", "lift_fresh", "is_nonzero", "unique", "equal")

    def __init__(self):
        super().__init__()
        self.hazards: list[str] = []
        self.read: dict[int, weakref.ref] = {}
        self._outputs: set[int] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        by_mask = name in ("index", "index_put", "index_put_") and any(
            each is not None and each.dtype == torch.bool for each in args[1]
        )
        if name in self.FORBIDDEN or by_mask:
            self.hazards.append(str(func))
        output = func(*args, **(kwargs or {}))
        for tensor in self._tensors((args, kwargs)):
            if tensor.data_ptr() not in self._outputs:
                self.read.setdefault(tensor.data_ptr(), weakref.ref(tensor.untyped_storage()))
        self._outputs |= {tensor.data_ptr() for tensor in self._tensors(output)} - self.read.keys()
        return output

    @staticmethod
    def _tensors(values) -> list[torch.Tensor]:
        return [value for value in tree_iter(values) if isinstance(value, torch.Tensor)]

    def freed(self) -> int:
        """The number of tensors in `read` whose memory is gone."""
        return sum(storage() is None for storage in self.read.values())
