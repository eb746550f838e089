"""A card that is not there: real numbers in main memory under another device's name, and every crossing is counted.

What a GPU would refuse, tensors of two devices in one operation, raises; what it would wait for is in `Crossings`. The
device is torch's spare kind ("PrivateUse1"), since a CPU build has no guard for CUDA, without which no tensor of that
device can be subscripted, a FakeTensor as little as any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only

NAME = "card"
HOST = torch.device("cpu")
aten = torch.ops.aten
SCALARS = {aten._local_scalar_dense.default, aten.is_nonzero.default, aten.equal.default}
SIZES = {  # of results that depend on values: the host waits to learn them
    aten.nonzero.default, aten.masked_select.default, aten._unique2.default, aten.unique_dim.default,
    aten.unique_consecutive.default, aten.bincount.default, aten.repeat_interleave.Tensor,
}  # fmt: skip
SUBSCRIPTS = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default}


@dataclass
class Crossings:
    """Copies to the card and from it; single values and sizes that the host has waited for. calls: where, by kind."""

    up: int = 0
    down: int = 0
    values: int = 0
    sizes: int = 0

    def waits(self) -> int:
        """How often the host has waited for the card."""
        return self.down + self.values + self.sizes


class CardTensor(torch.Tensor):
    """A tensor of the card. numbers: the same in main memory."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, numbers: torch.Tensor) -> CardTensor:
        tensor = torch.Tensor._make_wrapper_subclass(
            cls, numbers.shape, strides=numbers.stride(), storage_offset=numbers.storage_offset(),
            dtype=numbers.dtype, device=torch.device(NAME, 0),
        )  # fmt: skip
        tensor.numbers = numbers
        return tensor

    def __repr__(self, **options: Any) -> str:
        return f"CardTensor({self.numbers!r})"

    def tolist(self) -> Any:
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise RuntimeError(f"{func} of a tensor of the card, outside of `card`")


class _Card(TorchDispatchMode):
    """Runs every operation in main memory and counts what would have crossed."""

    def __init__(self) -> None:
        super().__init__()
        self.crossings = Crossings()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        tensors = [each for each in tree_flatten((args, kwargs))[0] if isinstance(each, torch.Tensor)]
        cards = [each for each in tensors if isinstance(each, CardTensor)]
        target = torch.device(kwargs.get("device") or (NAME if cards else HOST))
        self._count(func, args, cards, [each for each in tensors if not isinstance(each, CardTensor)], target)
        if cards and kwargs.get("generator") is not None:
            raise RuntimeError(f"{func} on the card needs a generator of the card")
        if "device" in kwargs:
            kwargs = {**kwargs, "device": HOST}
        wrappers = {id(each.numbers): each for each in cards}  # an operation in place gives back what it was given
        result = func(*tree_map_only(CardTensor, _numbers, args), **tree_map_only(CardTensor, _numbers, kwargs))
        if target.type != NAME:
            return result
        return tree_map_only(
            torch.Tensor, lambda each: wrappers[id(each)] if id(each) in wrappers else CardTensor(each), result
        )

    def _count(self, func, args, cards, hosts, target: torch.device) -> None:
        """Raises RuntimeError for an operation that takes tensors of both, where CUDA has none."""
        if func is aten._to_copy.default:
            self.crossings.up += target.type == NAME and not cards
            self.crossings.down += target.type != NAME and bool(cards)
        elif func is aten.copy_.default and cards and hosts:
            self.crossings.up += isinstance(args[0], CardTensor)
            self.crossings.down += not isinstance(args[0], CardTensor)
        elif cards and func in SUBSCRIPTS:
            self.crossings.up += len(hosts)
            self.crossings.sizes += any(
                each is not None and each.dtype in (torch.bool, torch.uint8) for each in args[1]
            )
        elif cards and any(each.dim() for each in hosts):
            raise RuntimeError(f"{func} of tensors on two devices")
        self.crossings.values += bool(cards) and func in SCALARS
        self.crossings.sizes += bool(cards) and func in SIZES


def _numbers(tensor: CardTensor) -> torch.Tensor:
    return tensor.numbers


class _Module(backend_registration._DummyBackendModule):
    """`torch.card`: there for whoever names it, chosen by nobody."""

    def is_available(self) -> bool:
        return False


def exists() -> bool:
    """Whether this torch lets a device be made in Python (from 2.10 on)."""
    return hasattr(backend_registration, "_setup_privateuseone_for_python_backend")


@contextmanager
def card() -> Iterator[Crossings]:
    """Within the context there is a device "card:0" -> what crosses."""
    if not hasattr(torch, NAME):
        backend_registration._setup_privateuseone_for_python_backend(NAME, _Module())
    mode, lifts = _Card(), torch._C._only_lift_cpu_tensors()
    torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(..., device=) is a copy that the mode sees
    try:
        with mode:
            yield mode.crossings
    finally:
        torch._C._set_only_lift_cpu_tensors(lifts)
