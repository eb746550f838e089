"""What is copied to a GPU and how often it is waited for, without one: tensors of no memory, and counted calls."""

from __future__ import annotations

import pytest
import tiny
import torch
from replay_modes import replay_mode
from tiny import OPEN, run, views
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from halluapp.decoding.hooks.interventions import apply_interventions, row_index
from halluapp.lvlm.families.llava import Llava
from halluapp.lvlm.types import Adapter, Delta, HalluSpace
from halluapp.methods.base import Intervention
from halluapp.methods.registry import VDD, AdaVIB, Baseline, Calibration, Nullu, create, defaults

WAITS = ("tolist", "item", "__int__", "__float__", "__bool__", "cpu")
UPLOADS = ("tensor", "as_tensor")  # a copy to the GPU is waited for as well


class _Copies(TorchDispatchMode):
    """Counts copies from one device to another."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.aten._to_copy.default and result.device != args[0].device:
            self.count += 1
        return result


class _Waits(TorchFunctionMode):
    """Counts calls for which the host waits for a GPU."""

    def __init__(self, names: tuple[str, ...] = WAITS) -> None:
        super().__init__()
        self.count, self.names = 0, names

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.count += getattr(func, "__name__", "") in self.names
        return func(*args, **(kwargs or {}))


@pytest.fixture
def no_shared_indices():
    """Indices without memory serve no other test."""
    row_index.cache_clear()
    yield
    row_index.cache_clear()


def test_row_indices_adapters_and_hallu_spaces_are_copied_once_and_stay_on_their_card(no_shared_indices) -> None:
    """Kind: 224 copies a token for an adapter of a 7B model, each of which waits for the GPU."""
    model = tiny._llava().to("meta")
    lvlm = Llava(model, tiny.tokenizer(), None, "on another device")
    linears = {
        name: module
        for name, module in model.named_modules()
        if ".language_model.layers." in name and isinstance(module, torch.nn.Linear)
    }
    deltas = {
        name: Delta(
            torch.zeros(2, module.in_features, device="meta"), torch.zeros(module.out_features, 2, device="meta"), 1.0
        )
        for name, module in linears.items()
    }
    assert len(deltas) == 14
    lvlm.adapters["mine"] = Adapter("mine", deltas)
    lvlm.spaces["default"] = HalluSpace({layer: torch.zeros(64, 4) for layer in range(2)})  # on the CPU, as loaded
    rows, counts = [None, Intervention(adapter="mine"), Intervention(space="default", rank=2)], []
    for _ in range(3):
        with _Copies() as copies, torch.no_grad(), apply_interventions(lvlm, rows):
            for module in linears.values():
                output = module(torch.zeros(3, 1, module.in_features, device="meta"))
                assert output.device.type == "meta"
        counts.append(copies.count)
    assert counts == [2, 0, 0]  # the directions of two layers
    assert row_index.cache_info().misses == 2  # the rows of two interventions


@pytest.mark.parametrize("steps", [6])
def test_waiting_for_the_gpu_does_not_grow_with_the_number_of_panels(steps: int) -> None:
    few, many = [Baseline(), Nullu(rank=4)], [Baseline(), Nullu(rank=4), AdaVIB(), VDD(), Nullu(rank=2, strength=0.5)]
    model, image, counts = tiny.lvlm("llava"), views("llava", "none"), []
    for methods in (few, many):
        totals = []
        for length in (1, 1 + steps):
            run(model, image, OPEN, methods, max_new_tokens=length, ignore_end=True)  # what is measured once, is
            with _Waits() as waits:
                run(model, image, OPEN, methods, max_new_tokens=length, ignore_end=True)
            totals.append(waits.count)
        counts.append((totals[1] - totals[0]) / steps)
    assert counts[0] == counts[1] <= 2


@pytest.mark.parametrize(("mode", "most"), [("on", 4), ("off", 5)])
def test_a_token_of_five_panels_is_waited_for_so_often(mode: str, most: int) -> None:
    """Chosen tokens, their probabilities, their ids up twice; transformers' own mask asks once more ("off").

    A step whose rows part or end copies their new order, once: between two whole numbers.
    """
    methods, image, totals, steps = [create(name) for name in defaults()], views("llava", "none"), [], 12
    with replay_mode(tiny.lvlm("llava"), mode) as model:
        for length in (2, 2 + steps):
            run(model, image, OPEN, methods, max_new_tokens=length, ignore_end=True)
            with _Waits(WAITS + UPLOADS) as waits:
                run(model, image, OPEN, methods, max_new_tokens=length, ignore_end=True)
            totals.append(waits.count)
    assert most <= (totals[1] - totals[0]) / steps < most + 1


def test_labels_are_the_only_notes_that_wait() -> None:
    method = Calibration(strength=1.0)
    model, image = tiny.lvlm("llava"), views("llava", "none")
    with _Waits() as waits:
        run(model, image, OPEN, [Baseline(), method], max_new_tokens=4, ignore_end=True)
    assert waits.count < 4 * 16
