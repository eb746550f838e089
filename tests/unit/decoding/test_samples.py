"""Several samples of every method: each is the run with its seed alone, and the photo is read once for all of them."""

from __future__ import annotations

import pytest
from short_memory import memory_limit
from tiny import OPEN, Answer, hooks, lvlm, photo, run

from halluapp.decoding import engine, samples
from halluapp.decoding.events import Failed, Finished
from halluapp.decoding.plan import Sampling
from halluapp.decoding.views import Views
from halluapp.methods.registry import create

NAMES = ("baseline", "nullu", "vdd", "vcd", "m3id", "nullu+vdd", "dola")
SAMPLING = {"max_new_tokens": 7, "temperature": 1.1, "top_p": 0.95, "seed": 4}


def sampled(model, seen: Views, n: int, names=NAMES) -> dict[tuple[int, str], Answer]:
    answers: dict[tuple[int, str], Answer] = {}
    job = engine.Job(seen, OPEN, [create(name) for name in names])
    for event in samples.decode_samples(model, job, Sampling(**SAMPLING), n):
        answers.setdefault((event.sample, event.method), Answer()).add(event)
    return answers


@pytest.mark.parametrize(("kind", "quantization"), [("llava", "none"), ("pocket", "nf4")])
def test_every_sample_is_the_run_with_its_seed_alone(kind, quantization) -> None:
    model = lvlm(kind, quantization)
    together = sampled(model, Views(model, photo(), 4), 3)
    for sample in range(3):
        seed, methods = 4 + sample, [create(name) for name in NAMES]
        alone = run(model, Views(model, photo(), seed), OPEN, methods, **{**SAMPLING, "seed": seed})
        for name, answer in alone.items():
            same = together[sample, name]
            assert same.ids == answer.ids, (sample, name)
            assert same.text == answer.text
            assert same.end.reason == answer.end.reason
            pairs = zip(same.events, answer.events, strict=True)
            assert all(one.token.branches == pytest.approx(two.token.branches, abs=3e-5) for one, two in pairs)
    assert len(together) == 3 * len(NAMES)
    assert len({tuple(together[sample, "baseline"].ids) for sample in range(3)}) == 3
    assert hooks(model) == 0


def test_what_samples_read_alike_is_read_once(monkeypatch) -> None:
    """One row a view of the photo, however many samples; noise alone is of its seed."""
    rows, prefill = [], engine.prefill_rows

    def counted(model, prefixes, *more):
        rows.append([(prefix.job, prefix.view, prefix.noise_step > 0) for prefix in prefixes])
        return prefill(model, prefixes, *more)

    monkeypatch.setattr(engine, "prefill_rows", counted)
    model = lvlm()
    encoded, encode = [], model.encode_image
    monkeypatch.setattr(model, "encode_image", lambda *given: encoded.append(given[1:]) or encode(*given))
    sampled(model, Views(model, photo(), 4), 5, ("baseline", "vdd"))
    assert len(rows) == 1
    assert {job for job, _, _ in rows[0]} == {0}
    assert encoded == [(0, 4)]
    rows.clear()
    sampled(model, Views(model, photo(), 4), 2, ("vcd",))
    assert sorted(job for job, _, noised in rows[0] if noised) == [0, 1]
    assert [job for job, _, noised in rows[0] if not noised] == [0]


def test_groups_of_samples_say_the_same(monkeypatch) -> None:
    model = lvlm()
    whole = sampled(model, Views(model, photo(), 4), 4)
    monkeypatch.setattr(samples, "MOST_ROWS", 20)  # one sample, or two, a batch
    groups = sampled(model, Views(model, photo(), 4), 4)
    with memory_limit(model, 9):
        short = sampled(model, Views(model, photo(), 4), 4)
    for key, answer in whole.items():
        assert groups[key].ids == answer.ids == short[key].ids
        assert isinstance(short[key].end, Finished)


def test_a_stop_ends_all_samples(monkeypatch) -> None:
    monkeypatch.setattr(samples, "MOST_ROWS", 2)
    model, tokens = lvlm(), []
    job = engine.Job(Views(model, photo(), 4), OPEN, [create("baseline"), create("vdd")])
    events = samples.decode_samples(model, job, Sampling(**SAMPLING), 3, lambda: len(tokens) > 3)
    ends = [event for event in events if tokens.append(event) or isinstance(event, Finished)]
    assert {(end.sample, end.method) for end in ends} == {(k, name) for k in range(3) for name in ("baseline", "vdd")}
    assert {end.reason for end in ends if end.sample} == {"stopped"}


def test_what_failed_fails_in_every_sample_also_after_a_stop(monkeypatch) -> None:
    monkeypatch.setattr(samples, "MOST_ROWS", 2)
    model, count = lvlm(), []
    job = engine.Job(Views(model, photo(), 4), OPEN, [create("baseline"), create("adapter:none")])
    events = list(samples.decode_samples(model, job, Sampling(**SAMPLING), 3, lambda: bool(count.append(0) or count)))
    failures = [event for event in events if isinstance(event, Failed)]
    assert [(one.method, one.sample) for one in failures] == [("adapter:none", sample) for sample in range(3)]
    assert {event.sample for event in events if isinstance(event, Finished)} == {0, 1, 2}
