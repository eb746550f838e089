"""Short memory: smaller groups of methods give the same tokens, each said once; what never fits fails alone."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import torch
from short_memory import memory_limit
from tiny import OPEN, folder, hooks, lvlm, photo, views

from halluapp.decoding import engine, memory
from halluapp.decoding.events import Decoded, Failed, Finished
from halluapp.decoding.plan import Sampling
from halluapp.decoding.views import Views
from halluapp.lvlm import catalog
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
    assert memory.is_short(torch.AcceleratorError("CUDA error: out of memory"))
    assert memory.is_short(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"))
    assert memory.is_short(RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"))
    assert not memory.is_short(RuntimeError("CUDA error: CUBLAS_STATUS_NOT_SUPPORTED when calling `cublasGemmEx`"))
    assert not memory.is_short(torch.AcceleratorError("CUDA error: device-side assert triggered"))
    assert not memory.is_short(RuntimeError("shapes cannot be multiplied"))
    assert not memory.is_short(ValueError("no"))


def test_halves_keep_order_and_jobs() -> None:
    a, b, c = Baseline(), Nullu(), VDD()
    assert memory.halves([[a, b], [c]]) == [[[a, b], []], [[], [c]]]
    assert memory.halves([[a], []]) == [[[a], []]]


@contextmanager
def _rounding_by_rows(model, strength: float):
    """Sums that come out otherwise for another number of rows, as kernels for half precision do."""

    def disturb(_module, _inputs, output):
        noise = torch.randn(output.shape[-1], generator=torch.Generator().manual_seed(len(output)))
        return output + (strength * output.std() * noise).to(output.dtype)

    handle = model.layers[0].mlp.down_proj.register_forward_hook(disturb)
    try:
        yield
    finally:
        handle.remove()


@pytest.mark.parametrize("strength", [0.0, 0.5])
@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_in_half_precision_what_was_shown_stays_and_the_rest_follows_from_it(strength, temperature) -> None:
    """The kind: a smaller batch rounds to another token, and the end of one text is hung on the start of another."""
    model, _ = catalog.load(str(folder("llava")), "none", "cpu", folder("llava"), "bfloat16")
    job = engine.Job(Views(model, photo(0)), OPEN, [create(name) for name in defaults()])
    sampling = Sampling(max_new_tokens=9, temperature=temperature, ignore_end=True)
    with _rounding_by_rows(model, strength):
        plenty = list(engine.decode(model, job, sampling))
        runs = []
        for _ in range(2):
            with memory_limit(model, rows=4, after=5):
                runs.append(list(engine.decode(model, job, sampling)))
    assert _tokens(runs[0]) == _tokens(runs[1]), "the same shortage, the same texts"
    whole, short = _tokens(plenty), _tokens(runs[0])
    for name, answer in short.items():
        assert [index for index, _ in answer] == list(range(9))
        assert answer[:5] == whole[name][:5]
        text = [event.text for event in runs[0] if isinstance(event, Decoded) and event.method == name][-1]
        assert text == model.decode([token for _, token in answer])
    if strength == 0:
        assert short == whole
    else:
        assert short != whole, "the sums must matter"
