"""Interventions touch their own rows only: Nullu's projection and AdaVIB's projector, and nothing stays behind."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from tiny import KINDS, LAYERS, MODELS, OPEN, YES_NO, Answer, RecordingMethod, hooks, inputs, lvlm, run, run_many, views

from halluapp.decoding import engine
from halluapp.decoding.engine import Job
from halluapp.decoding.events import Decoded, Failed, Finished
from halluapp.decoding.plan import Sampling
from halluapp.lvlm.base import HalluSpace
from halluapp.methods.registry import METHODS, VDD, AdaVIB, Baseline, Nullu

over_models = pytest.mark.parametrize(("kind", "quantization"), MODELS)


def _all() -> list:
    return [method() for method in METHODS.values()]


def _dense(layer) -> torch.Tensor:
    """The weight that a linear layer computes with: [out, in]."""
    if not hasattr(layer.weight, "quant_state"):
        return layer.weight.data
    import bitsandbytes

    return bitsandbytes.functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state)


@contextmanager
def _watched(model, layer: int) -> Iterator[list]:
    """Collects (input of the output projection, its raw output, what the residual stream gets) of every forward."""
    raw, calls = {}, []
    block = model.layers[layer].mlp
    handles = [
        # Registered before the engine's own hook, hence called before it.
        block.down_proj.register_forward_hook(lambda _m, given, out: raw.update(x=given[0].clone(), y=out.clone())),
        block.register_forward_hook(lambda _m, _given, out: calls.append((raw["x"], raw["y"], out.clone()))),
    ]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


@over_models
@pytest.mark.parametrize(("strength", "rank"), [(1.0, 4), (1.0, 6), (0.4, 2)])
def test_nullu_projects_its_row_and_no_other(kind, quantization, strength, rank) -> None:
    """Rows: photo, Nullu, no image, and one more photo from where VDD's text is another one: Nullu's is the second."""
    model, methods = lvlm(kind, quantization), [Baseline(), Nullu(strength=strength, rank=rank), VDD(reference="none")]
    for layer in range(LAYERS):
        basis = model.space("default").layers[layer][:, :rank]
        with _watched(model, layer) as forwards, torch.no_grad():
            run(model, views(kind, quantization), OPEN, methods, max_new_tokens=5, ignore_end=True)
            weight = _dense(model.output_projection(layer))
        rows = [x.shape[0] for x, _, _ in forwards]
        assert rows[0] == 3
        assert rows == sorted(rows)
        assert rows[-1] <= 4
        assert forwards[0][0].shape[1] > 10
        for x, raw, out in forwards:
            torch.testing.assert_close(raw, x @ weight.T, atol=1e-5, rtol=1e-5)
            expected = x[1] @ ((torch.eye(len(basis)) - strength * basis @ basis.T) @ weight).T
            torch.testing.assert_close(out[1], expected, atol=1e-5, rtol=1e-5)
            left = (out[1] @ basis).abs().amax(-1) / raw[1].norm(dim=-1).clamp(min=1e-6)
            assert float(left.max()) < 1e-5 or strength < 1
            others = [row for row in range(len(out)) if row != 1]
            assert torch.equal(out[others], raw[others])
            assert not torch.equal(out[1], raw[1])


@over_models
def test_nullu_is_the_edited_model(kind, quantization) -> None:
    """Its row's logits are those of a dense copy whose weights were multiplied by I - V V^T."""
    model, method = lvlm(kind, quantization), RecordingMethod(Nullu(rank=4))
    tensors = inputs(model, OPEN)
    run(model, views(kind, quantization), OPEN, [method], max_new_tokens=1)
    edited = []
    for layer, space in model.space("default").layers.items():
        basis = space[:, :4]
        weight = (torch.eye(len(basis)) - basis @ basis.T) @ _dense(model.output_projection(layer))
        swap = lambda _m, x, _y, weight=weight: x[0] @ weight.T  # noqa: E731
        edited.append(model.output_projection(layer).register_forward_hook(swap))
    try:
        with torch.no_grad():
            logits = model.model(**tensors).logits[0, -1]
    finally:
        for handle in edited:
            handle.remove()
    torch.testing.assert_close(method.logits[0][0], logits, atol=1e-4, rtol=1e-4)


def test_nothing_stays_behind_when_a_decode_ends_closes_stops_or_fails() -> None:
    model, job = lvlm("llava", "nf4"), Job(views("llava", "nf4"), OPEN, _all())
    before = {name: weight.clone() for name, weight in model.model.named_parameters()}
    seen_inside = []
    probe = model.layers[0].mlp.register_forward_hook(lambda *_: seen_inside.append(hooks(model)))
    for ending in ("end", "close", "stop", "drop"):
        stream = engine.decode(model, job, Sampling(max_new_tokens=6), lambda ending=ending: ending == "stop")
        for number, _ in enumerate(stream):
            assert hooks(model) == 1  # the probe: between events no hook of ours hangs anywhere
            if number == 7 and ending in ("close", "drop"):
                break
        if ending == "close":
            stream.close()
        del stream
        assert hooks(model) == 1
        assert model.lock.acquire(blocking=False)
        model.lock.release()
    probe.remove()
    # Inside a forward they do hang: Nullu's, two of CHiP's adapter a layer, and where DoLa and DeCo read (the
    # embeddings, the first layer).
    assert max(seen_inside) == 1 + 3 * LAYERS + 2
    assert hooks(model) == 0
    assert not model.model.training
    assert all(torch.equal(weight, before[name]) for name, weight in model.model.named_parameters())


def test_nothing_stays_behind_after_an_exception_inside_the_model() -> None:
    model, job = lvlm("llava", "none"), Job(views("llava", "none"), OPEN, _all())
    calls = []

    def fail_in_the_third(*_):
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("the device is lost")  # not of memory: that is handled by smaller groups

    probe = model.layers[-1].register_forward_pre_hook(fail_in_the_third)
    with pytest.raises(RuntimeError, match="lost"):
        list(engine.decode(model, job, Sampling(max_new_tokens=6)))
    probe.remove()
    assert hooks(model) == 0
    free = []
    other = threading.Thread(target=lambda: free.append(model.lock.acquire(timeout=1)))  # an RLock is a thread's own
    other.start()
    other.join()
    assert free == [True]
    model.lock = threading.RLock()  # the other thread has gone with the lock
    assert run(model, views("llava", "none"), OPEN, [Baseline()], max_new_tokens=3)["baseline"].ids


def _texts(events) -> dict[str, list[int]]:
    answers: dict[str, Answer] = {}
    for event in events:
        answers.setdefault(event.method, Answer()).add(event)
    return {name: answer.ids for name, answer in answers.items()}


@over_models
def test_different_strengths_in_one_batch(kind, quantization) -> None:
    model, image = lvlm(kind, quantization), views(kind, quantization)
    methods = [Nullu(), Nullu(strength=0.5), Nullu(rank=1), AdaVIB(), AdaVIB(strength=0.5)]
    together = run_many(model, [Job(image, OPEN, [method]) for method in methods], max_new_tokens=8)
    for index, method in enumerate(methods):
        alone = run(model, image, OPEN, [method], max_new_tokens=8)[method.name]
        assert together[index, method.name].ids == alone.ids, method
    assert len({answer.events[0].token.p for answer in together.values()}) == len(methods)


@over_models
def test_interleaved_decodes_do_not_mix(kind, quantization) -> None:
    model, sampling = lvlm(kind, quantization), Sampling(max_new_tokens=8)
    first, second = (views(kind, quantization, seed) for seed in (0, 1))
    jobs = [Job(first, OPEN, [Nullu(), VDD()]), Job(second, YES_NO, _all())]
    alone = [_texts(engine.decode(model, job, sampling)) for job in jobs]
    streams, events = [engine.decode(model, job, sampling) for job in jobs], ([], [])
    waiting = [0, 1]
    while waiting:
        for index in list(waiting):
            event = next(streams[index], None)
            if event is None:
                waiting.remove(index)
            else:
                events[index].append(event)
    assert [_texts(results) for results in events] == alone


@pytest.mark.parametrize("kind", KINDS)
def test_two_threads_on_one_model_do_not_mix(kind) -> None:
    model, sampling = lvlm(kind, "nf4"), Sampling(max_new_tokens=12)
    jobs = [Job(views(kind, "nf4", 0), OPEN, [Nullu(), AdaVIB()]), Job(views(kind, "nf4", 1), YES_NO, _all())]
    alone = [_texts(engine.decode(model, job, sampling)) for job in jobs]
    results: dict[int, dict] = {}
    threads = [
        threading.Thread(target=lambda i=i: results.update({i: _texts(engine.decode(model, jobs[i], sampling))}))
        for i in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [results[0], results[1]] == alone
    assert hooks(model) == 0


@over_models
def test_adavib_with_the_own_projector_is_the_baseline(kind, quantization, monkeypatch) -> None:
    model, image = lvlm(kind, quantization), views(kind, quantization)
    trained = model.projectors["adavib"]
    base = copy.deepcopy(model.model.model.multi_modal_projector)
    for strength in (1.0, 0.35):
        monkeypatch.setitem(model.projectors, "adavib", base)
        methods = [RecordingMethod(Baseline()), RecordingMethod(AdaVIB(strength=strength))]
        answers = run(model, image, OPEN, list(methods), max_new_tokens=10)
        assert answers["adavib"].ids == answers["baseline"].ids
        torch.testing.assert_close(torch.stack(methods[0].logits), torch.stack(methods[1].logits), atol=1e-4, rtol=1e-4)
        monkeypatch.setitem(model.projectors, "adavib", trained)
        other = run(model, image, OPEN, [Baseline(), AdaVIB(strength=strength)], max_new_tokens=10)
        assert other["adavib"].ids != other["baseline"].ids == answers["baseline"].ids


@over_models
@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_adavib_blends_visual_tokens(kind, quantization, strength) -> None:
    model, image, method = (
        lvlm(kind, quantization),
        views(kind, quantization),
        RecordingMethod(AdaVIB(strength=strength)),
    )
    run(model, image, YES_NO, [Baseline(), method], max_new_tokens=1)
    with torch.no_grad():
        base = model.model.model.multi_modal_projector(image.clean.features[None])[0]
        trained = model.projectors["adavib"](image.clean.features[None])[0]
        tensors = inputs(model, YES_NO)["input_ids"]
        embeds = model.model.get_input_embeddings()(tensors)
        embeds[tensors == model.image_token] = (1 - strength) * base + strength * trained
        logits = model.model(inputs_embeds=embeds).logits[0, -1]
    torch.testing.assert_close(method.logits[0][0], logits, atol=1e-4, rtol=1e-4)


def test_a_space_of_another_model_is_missing_weights(monkeypatch) -> None:
    model, image = lvlm("llava", "none"), views("llava", "none")
    plain = run(model, image, OPEN, [Baseline()], max_new_tokens=4)["baseline"].ids
    right = model.space("default")
    wrong = {
        "too wide": {0: torch.eye(80)[:, :4]},
        "too deep": {**right.layers, LAYERS: right.layers[0]},
        "too few": {0: right.layers[0][:, :2]},
    }
    for layers in wrong.values():
        monkeypatch.setitem(model.spaces, "default", replace(right, layers=layers))
        answers = run(model, image, OPEN, [Baseline(), Nullu(rank=4)], max_new_tokens=4)
        assert isinstance(answers["nullu"].end, Failed)
        assert "HalluSpace" in answers["nullu"].end.error
        assert answers["baseline"].ids == plain
        assert isinstance(answers["baseline"].end, Finished)


def test_a_space_of_some_layers_leaves_the_others(monkeypatch) -> None:
    model, image = lvlm("llava", "nf4"), views("llava", "nf4")
    right = model.space("default").layers
    monkeypatch.setitem(model.spaces, "default", HalluSpace({1: right[1]}))
    with _watched(model, 0) as first, _watched(model, 1) as second:
        events = list(engine.decode(model, Job(image, OPEN, [Nullu()]), Sampling(max_new_tokens=2)))
    assert all(torch.equal(raw, out) for _, raw, out in first)
    assert not any(torch.equal(raw, out) for _, raw, out in second)
    assert sum(isinstance(event, Decoded) for event in events) == 2
