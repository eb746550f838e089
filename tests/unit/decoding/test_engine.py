"""The engine on tiny real models: baseline equals transformers, one batch each method alone, failures stay local."""

from __future__ import annotations

import pytest
import torch
from tiny import KINDS, MODELS, OPEN, PROMPTS, YES_NO, RecordingMethod, inputs, lvlm, run, run_many, views

from halluapp.decoding import engine
from halluapp.decoding.choose import penalise
from halluapp.decoding.engine import Job
from halluapp.decoding.events import Decoded, Failed, Finished
from halluapp.decoding.plan import Sampling, plan
from halluapp.methods.base import Combination
from halluapp.methods.registry import (
    ICD,
    M3ID,
    METHODS,
    PAI,
    VCD,
    VDD,
    AdaVIB,
    Baseline,
    Calibration,
    DeCo,
    DoLa,
    Nullu,
)

WARM = {"temperature": 0.9, "top_p": 0.95, "top_k": 60}
IDLE = (
    Nullu(strength=0.0), Nullu(rank=0), AdaVIB(strength=0.0), VDD(alpha=0.0),
    VDD(alpha=0.0, reference="both", beta=0.5),
    Calibration(label_strength=0.0, strength=0.0), Calibration(label_strength=0.0, strength=0.0, prior="unk", beta=0.9),
    VCD(alpha=0.0, beta=0.5), VCD(noise_step=0), ICD(alpha=0.0), ICD(alpha=0.0, formula="paper", beta=1.0),
    M3ID(decay=0.0), M3ID(cap=0.0), M3ID(decay=0.0, gate="unsure"), PAI(alpha=0.0, gamma=1.0),
    DoLa(strength=0.0), DeCo(alpha=0.0, top_k=1),
)  # fmt: skip
over_models = pytest.mark.parametrize(("kind", "quantization"), MODELS)


def _all() -> list:
    return [method() for method in METHODS.values()]


@over_models
@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize(("seed", "length"), [(0, 1), (1, 9), (2, 24)])
def test_the_baseline_is_what_transformers_generates(kind, quantization, prompt, seed, length) -> None:
    model = lvlm(kind, quantization)
    tensors = inputs(model, prompt, seed)
    output = model.model.generate(**tensors, do_sample=False, max_new_tokens=length)
    answer = run(model, views(kind, quantization, seed), prompt, [Baseline()], max_new_tokens=length)["baseline"]
    assert answer.ids == output[0, tensors["input_ids"].shape[1] :].tolist()
    assert answer.text == model.tokenizer.decode(answer.ids, skip_special_tokens=True).lstrip()


@over_models
def test_end_tokens_end_as_in_transformers(kind, quantization, monkeypatch) -> None:
    model, tensors = lvlm(kind, quantization), inputs(lvlm(kind, quantization), OPEN)
    free = run(model, views(kind, quantization), OPEN, [Baseline()], max_new_tokens=16)["baseline"].ids
    monkeypatch.setattr(model.model.generation_config, "eos_token_id", [free[5], model.tokenizer.eos_token_id])
    output = model.model.generate(**tensors, do_sample=False, max_new_tokens=16)
    answer = run(model, views(kind, quantization), OPEN, [Baseline()], max_new_tokens=16)["baseline"]
    assert answer.ids == output[0, tensors["input_ids"].shape[1] :].tolist()
    assert len(answer.ids) <= 6
    assert answer.end.reason == "end"
    speed = run(model, views(kind, quantization), OPEN, [Baseline()], max_new_tokens=16, ignore_end=True)["baseline"]
    assert speed.ids[: len(answer.ids)] == answer.ids
    assert len(speed.ids) == 16
    assert speed.end.reason == "length"


@over_models
def test_one_seed_one_text(kind, quantization) -> None:
    model, image = lvlm(kind, quantization), views(kind, quantization)
    texts = [run(model, image, OPEN, _all(), max_new_tokens=12, seed=seed, **WARM) for seed in (3, 3, 4, 5)]
    for name in METHODS:
        same, again, other, another = (results[name].ids for results in texts)
        assert same == again, name
        assert same != other or same != another, name
    assert texts[0]["baseline"].ids != run(model, image, OPEN, [Baseline()], max_new_tokens=12)["baseline"].ids


@over_models
@pytest.mark.parametrize("sampling", [{}, WARM])
def test_strength_zero_is_the_baseline(kind, quantization, sampling) -> None:
    model = lvlm(kind, quantization)
    for method in IDLE:
        for seed, prompt in ((0, OPEN), (1, YES_NO)):
            image, methods = views(kind, quantization, seed), [Baseline(), method]
            answers = run(model, image, prompt, methods, seed=11, max_new_tokens=14, **sampling)
            assert answers[method.name].ids == answers["baseline"].ids, method
            idle, plain = ([event.token.p for event in answers[name].events] for name in (method.name, "baseline"))
            assert idle == pytest.approx(plain, abs=1e-4), method


def _same(together: RecordingMethod, alone: RecordingMethod) -> None:
    assert len(together.logits) == len(alone.logits)
    for a, b in zip(together.logits, alone.logits, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


@over_models
@pytest.mark.parametrize("sampling", [{}, WARM])
def test_one_batch_equals_each_method_alone(kind, quantization, sampling) -> None:
    """Two photos, prompts of different length, all methods: 38 rows with different padding."""
    model, cases = lvlm(kind, quantization), ((0, OPEN), (1, PROMPTS[2]))
    recorded = [[RecordingMethod(method) for method in _all()] for _ in cases]
    jobs = [Job(views(kind, quantization, seed), prompt, list(methods))
            for (seed, prompt), methods in zip(cases, recorded, strict=True)]  # fmt: skip
    together = run_many(model, jobs, max_new_tokens=10, seed=5, **sampling)
    for index, (seed, prompt) in enumerate(cases):
        for method in recorded[index]:
            single = RecordingMethod(method.inner)
            image = views(kind, quantization, seed)
            alone = run(model, image, prompt, [single], max_new_tokens=10, seed=5, **sampling)
            mine = together[index, method.name]
            assert mine.ids == alone[method.name].ids, method.name
            _same(method, single)
            for a, b in zip(mine.events, alone[method.name].events, strict=True):
                assert abs(a.token.p - b.token.p) < 1e-4
                assert abs(a.token.p_main - b.token.p_main) < 1e-4
                assert (a.token.p_reference is None) == (b.token.p_reference is None)
                assert abs((a.token.p_reference or 0) - (b.token.p_reference or 0)) < 1e-4
                assert a.text == b.text
                assert a.token.instead == b.token.instead


@over_models
def test_methods_may_finish_at_different_times(kind, quantization, monkeypatch) -> None:
    model = lvlm(kind, quantization)
    jobs = [Job(views(kind, quantization, seed), prompt, _all()) for seed, prompt in enumerate(PROMPTS)]
    free = run_many(model, jobs, max_new_tokens=14, ignore_end=True)
    ends = {model.tokenizer.eos_token_id, free[0, "baseline"].ids[2], free[1, "vdd"].ids[5], free[2, "nullu"].ids[8]}
    monkeypatch.setattr(model.model.generation_config, "eos_token_id", sorted(ends))
    lengths = set()
    for key, answer in run_many(model, jobs, max_new_tokens=14).items():
        stop = next((i for i, token in enumerate(free[key].ids) if token in ends), 13)
        assert answer.ids == free[key].ids[: stop + 1], key
        assert answer.end.reason == ("end" if answer.ids[-1] in ends else "length")
        lengths.add(len(answer.ids))
    assert len(lengths) > 2


def test_equal_prefixes_are_shared() -> None:
    plan_rows = plan([(OPEN, _all()), (OPEN, [Baseline()])])
    # photo, nullu, adavib, chip, hacl, unk, none, noised, disturbed, attending; photo of the other job
    assert len(set(plan_rows.prefixes)) == len(plan_rows.prefixes) == 11
    rows = {(job, method.name): prefixes for job, method, prefixes in plan_rows.streams}
    assert rows[0, "baseline"][0] == rows[0, "vdd"][0] == rows[0, "calibration"][0] != rows[1, "baseline"][0]
    assert rows[0, "vdd"][1] in rows[0, "calibration"]
    assert rows[0, "m3id"] == (rows[0, "baseline"][0], rows[0, "calibration"][1])
    assert len({rows[0, name][0] for name in ("baseline", "nullu", "adavib", "chip", "hacl")}) == 5


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_token_was_worth(kind) -> None:
    model, methods = lvlm(kind), [RecordingMethod(method) for method in _all()]
    answers = run(model, views(kind, "none"), OPEN, list(methods), max_new_tokens=6)
    for method in methods:
        answer = answers[method.name]
        assert answer.end.forward_passes == len(method.rows(OPEN)) * 6
        assert answer.end.seconds > 0
        for event, raw, combined in zip(answer.events, method.logits, method.combined, strict=True):
            text = answer.ids[: event.index]
            token, final = event.token, penalise(combined.scores, text, combined.repetition).softmax(-1)
            assert token.id == int(final.argmax())
            assert token.p == token.top[0][1] == round(float(final.max()), 5)
            assert token.p_main == pytest.approx(float(raw[0].softmax(-1)[token.id]), abs=1e-5)
            if len(raw) > 1:
                each = raw.softmax(-1)[:, token.id].tolist()
                assert token.branches == pytest.approx(each, abs=1e-5)
                assert token.p_main == token.branches[0]
                assert token.p_reference == pytest.approx(float(raw[1:].softmax(-1)[:, token.id].mean()), abs=1e-5)
            main = int(raw[0].argmax())
            assert token.instead == (model.tokenizer.decode([main]) if main != token.id else None)
            assert [p for _, p in token.top] == sorted((p for _, p in token.top), reverse=True)


class _Broken(Baseline):
    """Fails at its third token."""

    name, title = "broken", "Broken"
    error: object = None

    def combine(self, logits, step, lvlm) -> Combination:
        if step.index < 2:
            return Combination(logits[0])
        if self.error is None:
            return Combination(logits[0] * float("nan"))
        if isinstance(self.error, slice):  # of another shape than a score a token
            return Combination(logits[0, self.error] if self.error.stop else logits[:1])
        raise self.error


def _broken(error) -> Baseline:
    return type("_Broken", (_Broken,), {"error": error})()


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("two\nlines"),
        ValueError(""),
        KeyError("x"),
        IndexError(),
        TypeError("no"),
        None,
        slice(-1),
        slice(None),
    ],
    ids=repr,
)
def test_a_failing_method_fails_alone(error) -> None:
    model, image = lvlm("llava", "nf4"), views("llava", "nf4")
    alone = run(model, image, OPEN, _all(), max_new_tokens=8)
    answers = run(model, image, OPEN, [*_all()[:2], _broken(error), *_all()[2:]], max_new_tokens=8)
    failed = answers.pop("broken")
    assert isinstance(failed.end, Failed)
    assert len(failed.ids) == 2
    assert "Broken" in failed.end.error
    assert "\n" not in failed.end.error
    assert {name: answer.ids for name, answer in answers.items()} == {name: a.ids for name, a in alone.items()}


@over_models
def test_missing_weights_are_said_and_the_others_go_on(kind, quantization, monkeypatch) -> None:
    model, image = lvlm(kind, quantization), views(kind, quantization)
    others = [method for method in _all() if method.name not in ("nullu", "adavib")]
    alone = run(model, image, OPEN, others, max_new_tokens=8)
    monkeypatch.delitem(model.projectors, "adavib")
    monkeypatch.delitem(model.spaces, "default")
    answers = run(model, image, OPEN, _all(), max_new_tokens=8)
    for name, word in (("nullu", "HalluSpace"), ("adavib", "projector")):
        failed = answers.pop(name)
        assert isinstance(failed.end, Failed)
        assert word in failed.end.error
        assert not failed.ids
        assert "\n" not in failed.end.error
    assert {name: answer.ids for name, answer in answers.items()} == {name: a.ids for name, a in alone.items()}
    only = run(model, image, OPEN, [Nullu(), AdaVIB()], max_new_tokens=8)
    assert all(isinstance(answer.end, Failed) for answer in only.values())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("after", [0, 1, 7, 12])
def test_stop_stops_within_a_token(kind, after) -> None:
    model, decoded = lvlm(kind), []
    answers = {}
    job = Job(views(kind, "none"), OPEN, _all())
    for event in engine.decode(model, job, Sampling(max_new_tokens=40), lambda: len(decoded) >= after):
        answers.setdefault(event.method, []).append(event)
        decoded.extend([event] if isinstance(event, Decoded) else [])
    assert len(decoded) <= after + len(METHODS)
    assert all(isinstance(events[-1], Finished) and events[-1].reason == "stopped" for events in answers.values())


def test_a_sampled_prior_and_main_row_see_the_same_tokens() -> None:
    """Reference rows must be fed what the method chose, not what they would have chosen."""
    model, method = lvlm("llava"), RecordingMethod(VDD(reference="none"))
    answers = run(model, views("llava", "none"), OPEN, [method], max_new_tokens=6, seed=2, **WARM)
    ids = model.prompt_ids(OPEN, "none") + answers["vdd"].ids[:-1]
    with torch.no_grad():
        logits = model.model(input_ids=torch.tensor([ids])).logits[0, -1]
    torch.testing.assert_close(method.logits[-1][1], logits, atol=1e-4, rtol=1e-4)


@over_models
def test_methods_share_a_row_while_they_say_the_same(kind, quantization) -> None:
    model, calls = lvlm(kind, quantization), []
    probe = model.layers[0].register_forward_pre_hook(
        lambda _m, given, named: calls.append(len(given[0] if given else named["hidden_states"])), with_kwargs=True
    )
    same = [Baseline(), Calibration(strength=1e-9, beta=0.0)]  # photo, no image, unknown token
    answers = run(model, views(kind, quantization), OPEN, same, max_new_tokens=7, ignore_end=True)
    assert answers["baseline"].ids == answers["calibration"].ids
    assert calls == [3] * 7
    assert answers["calibration"].end.forward_passes == 21  # what it would have cost alone
    calls.clear()
    apart = [Baseline(), VDD(alpha=3.0)]
    answers = run(model, views(kind, quantization), OPEN, apart, max_new_tokens=12, ignore_end=True)
    both = zip(answers["baseline"].ids, answers["vdd"].ids, strict=True)
    first = next(index for index, (one, other) in enumerate(both) if one != other)
    assert calls == [2] * (first + 1) + [3] * (11 - first)
    probe.remove()
