"""The fixed cache against the growing one: the same tokens and traces, and steps that a CUDA graph could hold."""

from __future__ import annotations

import gc

import pytest
import tiny
import tiny_families
import torch
from replay_modes import (
    LENGTH,
    MODELS,
    REFERENCES,
    GraphHazards,
    answers,
    assert_same,
    begin_batch,
    count_fixed_caches,
    model_of,
    replay_mode,
    staggered_end_tokens,
)
from short_memory import memory_limit
from tiny import OPEN, YES_NO, hooks, photo, run_many

from halluapp.decoding import engine
from halluapp.decoding.events import Decoded
from halluapp.decoding.hooks import interventions
from halluapp.decoding.plan import Sampling
from halluapp.decoding.replay.fixed_cache import ALIGNED, FixedRows
from halluapp.decoding.views import Views
from halluapp.methods.registry import METHODS, create, defaults

over_models = pytest.mark.parametrize(("kind", "quantization"), MODELS)


@pytest.mark.slow
@over_models
def test_a_fixed_cache_gives_the_same_answers(kind, quantization, monkeypatch) -> None:
    """Every method, rows that part, end at different times and are read early, greedy and sampled."""
    model, names = model_of(kind, quantization), [*defaults(), *REFERENCES]
    free = answers(model, "off", names, ignore_end=True)
    monkeypatch.setattr(type(model), "end_tokens", staggered_end_tokens(free))
    plain = answers(model, "off", names)
    assert len({len(answer.ids) for answer in plain.values()}) > 2
    assert_same(answers(model, "on", names), plain)
    warm = {"temperature": 0.8, "top_p": 0.9, "seed": 3, "prompt": YES_NO}
    assert_same(answers(model, "on", defaults(), 1, **warm), answers(model, "off", defaults(), 1, **warm))
    assert hooks(model) == 0
    assert count_fixed_caches() == 0


def test_every_method_is_tried_here() -> None:
    assert {*METHODS} - {"chip", "hacl"} <= {*defaults(), *REFERENCES}


@pytest.mark.parametrize("quantization", ["none", "nf4"])
def test_adapters_act_in_a_fixed_cache(quantization) -> None:
    model, names = model_of("llava", quantization), ["baseline", "chip", "hacl", "chip+vdd"]
    assert_same(answers(model, "on", names), answers(model, "off", names))


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize("kind", [*tiny_families.KINDS, "llava"])
def test_a_step_never_waits_for_a_value(kind) -> None:
    """What would make a recording fail or go stale on a GPU is seen on a CPU too."""
    model = model_of(kind, "none")
    names = ["baseline", "nullu", "vdd", "pai", "nullu+pai", *(("chip", "chip+vdd") if kind == "llava" else ())]
    fixed = FixedRows.of(begin_batch(model, names), 100)
    fixed.feed(torch.full((len(fixed.interventions),), 7))
    depths = {0: (0, 1), len(fixed.interventions) - 1: (2,)}
    with fixed.step_context(model, depths) as (forward, hooks_held), GraphHazards() as hazards:
        _, places = forward()
    assert hazards.hazards == []
    assert set(places) == {(0, 0), (0, 1), (len(fixed.interventions) - 1, 2)}
    del forward, places
    gc.collect()
    assert len(hazards.read) > 20
    interventions.row_index.cache_clear()  # what it holds may go at any time
    gc.collect()
    assert hazards.freed() == 0
    del hooks_held
    gc.collect()
    assert hazards.freed() >= 1  # the hooks' own tensors, such as row indices: so a recording keeps the hooks
    with GraphHazards() as hazards:  # and it would be seen
        torch.tensor([1.0, 2.0])[torch.tensor([True, False])].max().item()
    assert {"aten.lift_fresh.default", "aten._local_scalar_dense.default", "aten.index.Tensor"} <= {*hazards.hazards}


@torch.no_grad()
@pytest.mark.parametrize("kind", ["llava", "qwen2_5_vl"])
def test_a_step_can_be_taken_again_and_rows_can_go_back(kind) -> None:
    model = model_of(kind, "none")
    names = ["baseline", "nullu", "vdd"]
    expected, batch = begin_batch(model, names), begin_batch(model, names)
    fixed = FixedRows.of(batch, 100)
    assert fixed.mask.shape[-1] == 2 * ALIGNED
    assert fixed.past_length == batch.mask.shape[1]
    count = len(fixed.interventions)

    def feed(token: int, *several) -> list:
        return [rows.step(model, torch.full((len(rows.interventions),), token), {0: (1,)}) for rows in several]

    def assert_equal(one, other) -> None:
        torch.testing.assert_close(one[0], other[0], atol=1e-4, rtol=1e-4)
        assert one[1].keys() == other[1].keys() == {(0, 1)}

    assert_equal(*feed(7, fixed, expected))
    before = fixed.run(model, {0: (1,)})  # what was fed last lies in the next place too: nothing was counted
    assert torch.equal(before[0], fixed.run(model, {0: (1,)})[0])
    order = [count - 1, 0, 0, 1]
    for rows in (fixed, expected):
        rows.select(order)
    results = feed(9, fixed, expected)
    assert_equal(*results)
    fixed.advance(-1)
    assert torch.equal(fixed.run(model, {0: (1,)})[0], results[0][0])
    fixed.advance()
    grown = fixed.to_growing_batch()
    assert torch.equal(grown.mask, expected.mask)
    assert torch.equal(grown.positions, expected.positions)
    assert_equal(*feed(11, grown, expected))
    assert_equal(*feed(12, batch, begin_batch(model, names)))  # the batch that was taken over stayed usable


@pytest.mark.slow
@pytest.mark.parametrize("after", [0, 1, 7])
@pytest.mark.parametrize("closed", [False, True])
def test_nothing_is_left_behind_when_stopped(after, closed) -> None:
    model, decoded = model_of("llava", "nf4"), []
    job = engine.Job(Views(model, photo(0)), OPEN, [create(name) for name in defaults()])
    with replay_mode(model, "on"):
        events = engine.decode(model, job, Sampling(40), lambda: not closed and len(decoded) >= after)
        for event in events:
            decoded.extend([event] if isinstance(event, Decoded) else [])
            if closed and len(decoded) > after:
                events.close()
    assert count_fixed_caches() == 0
    assert hooks(model) == 0
    config = model.layers[0].self_attn.config
    assert config._attn_implementation == "sdpa"


def test_two_interleaved_requests_do_not_mix() -> None:
    model, names = model_of("qwen2_5_vl", "nf4"), [*defaults(), "pai", "dola"]
    alone = [answers(model, "off", names, seed, prompt) for seed, prompt in ((0, OPEN), (1, YES_NO))]
    with replay_mode(model, "on"):
        running = [
            engine.decode(model, engine.Job(Views(model, photo(seed)), prompt, list(map(create, names))),
                          Sampling(LENGTH))
            for seed, prompt in ((0, OPEN), (1, YES_NO))
        ]  # fmt: skip
        results = [{name: tiny.Answer() for name in names} for _ in running]
        unfinished = {0, 1}
        while unfinished:
            for index in sorted(unfinished):
                event = next(running[index], None)
                if event is None:
                    unfinished.discard(index)
                else:
                    results[index][event.method].add(event)
    for mine, expected in zip(results, alone, strict=True):
        assert_same(mine, expected)


def test_two_jobs_in_one_batch() -> None:
    model, results = model_of("qwen3_vl", "none"), {}
    for mode in ("off", "on"):
        jobs = [engine.Job(Views(model, photo(seed)), prompt, list(map(create, defaults())))
                for seed, prompt in ((0, OPEN), (1, YES_NO))]  # fmt: skip
        with replay_mode(model, mode):
            results[mode] = run_many(model, jobs, max_new_tokens=LENGTH)
    assert_same(results["on"], results["off"])


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "after"), [(4, 0), (3, 4)])
def test_smaller_groups_when_memory_is_short(rows, after) -> None:
    model = model_of("llava", "nf4")
    plenty = answers(model, "off", defaults())
    with memory_limit(model, rows, after):
        short = answers(model, "on", defaults())
    assert {name: answer.ids for name, answer in short.items()} == {name: a.ids for name, a in plenty.items()}
    assert all("group of" in answer.end.note for answer in short.values())
    assert count_fixed_caches() == 0
