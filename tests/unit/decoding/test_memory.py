"""Short memory: smaller groups of methods give the same tokens, each said once; what never fits fails alone."""

from __future__ import annotations

import pytest
import torch
from short_memory import memory_limit
from tiny import OPEN, hooks, lvlm, views

from halluapp.decoding import engine, memory
from halluapp.decoding.events import Decoded, Failed, Finished
from halluapp.decoding.plan import Sampling
from halluapp.methods.registry import VDD, Baseline, Calibration, Nullu, create, defaults

over_models = pytest.mark.parametrize(("kind", "quantization"), [("llava", "nf4"), ("pocket", "none")])


def _events(kind, quantization, methods, **sampling):
    job = engine.Job(views(kind, quantization), OPEN, methods)
    return list(engine.decode(lvlm(kind, quantization), job, Sampling(**{"max_new_tokens": 9, **sampling})))


def _tokens(events) -> dict:
    results: dict[str, list] = {}
    for event in events:
        if isinstance(event, Decoded):
            results.setdefault(event.method, []).append((event.index, event.token.id))
    return results


@pytest.mark.slow
@over_models
@pytest.mark.parametrize(("rows", "after"), [(4, 0), (3, 0), (3, 4), (4, 2)])
@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_smaller_groups_say_the_same_once(kind, quantization, rows, after, temperature) -> None:
    methods = [create(name) for name in defaults()]
    plenty = _events(kind, quantization, methods, temperature=temperature)
    with memory_limit(lvlm(kind, quantization), rows, after):
        short = _events(kind, quantization, methods, temperature=temperature)
    assert _tokens(short) == _tokens(plenty)
    ends = [event for event in short if isinstance(event, Finished)]
    assert len(ends) == len(methods)
    assert not any(isinstance(event, Failed) for event in short)
    assert all("group of" in event.note for event in ends)
    assert hooks(lvlm(kind, quantization)) == 0
    assert not any(event.note for event in plenty if isinstance(event, Finished))


@pytest.mark.slow
def test_a_method_that_never_fits_fails_alone() -> None:
    methods = [Baseline(), VDD(reference="both"), Nullu(), Calibration()]
    with memory_limit(lvlm("llava", "nf4"), 2):
        short = _events("llava", "nf4", methods)
    assert {event.method for event in short if isinstance(event, Failed)} == {"vdd", "calibration"}
    assert all(event.error == engine.OUT_OF_MEMORY for event in short if isinstance(event, Failed))
    whole = _tokens(_events("llava", "nf4", methods))
    results = _tokens(short)
    assert results["baseline"] == whole["baseline"]
    assert results["nullu"] == whole["nullu"]


def test_other_errors_are_not_taken_for_short_memory() -> None:
    assert memory.is_short(MemoryError())
    assert memory.is_short(torch.OutOfMemoryError("x"))
    assert memory.is_short(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"))
    assert not memory.is_short(RuntimeError("shapes cannot be multiplied"))
    assert not memory.is_short(ValueError("no"))


def test_halves_keep_order_and_jobs() -> None:
    a, b, c = Baseline(), Nullu(), VDD()
    assert memory.halves([[a, b], [c]]) == [[[a, b], []], [[], [c]]]
    assert memory.halves([[a], []]) == [[[a], []]]
