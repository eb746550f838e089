"""Repetition penalty, end tokens and stop strings: after the contrast, for every method alike."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import KINDS, MODELS, OPEN, RecordingMethod, inputs, lvlm, photo, run, views

from halluapp.decoding.choose import cut, penalise
from halluapp.errors import InputError
from halluapp.methods.registry import METHODS, VDD, Baseline, DoLa
from halluapp.request import make_request

over_models = pytest.mark.parametrize(("kind", "quantization"), MODELS)


def _all() -> list:
    return [method() for method in METHODS.values()]


@pytest.mark.parametrize("penalty", [1.0, 1.2, 2.0])
def test_the_penalty_is_the_rule_of_transformers(penalty) -> None:
    from transformers import RepetitionPenaltyLogitsProcessor

    torch.manual_seed(0)
    scores, text = torch.randn(40) * 5, [3, 3, 17, 39]
    scores[17] = -torch.inf
    before = scores.clone()
    theirs = RepetitionPenaltyLogitsProcessor(penalty)(torch.tensor([text]), scores[None].clone())[0]
    torch.testing.assert_close(penalise(scores, text, penalty), theirs)
    assert torch.equal(scores, before)
    assert penalise(scores, [], penalty) is scores


@over_models
def test_a_penalised_baseline_is_what_transformers_generates(kind, quantization) -> None:
    """From embeddings, where transformers too sees the answer's tokens only."""
    model, prompt = lvlm(kind, quantization), inputs(lvlm(kind, quantization), OPEN)
    with torch.no_grad():
        embeds = model.model.get_input_embeddings()(prompt["input_ids"])
        embeds[prompt["input_ids"] == model.image_token] = model.project(views(kind, quantization).clean.features)
        theirs = model.model.generate(
            inputs_embeds=embeds, attention_mask=prompt["attention_mask"], do_sample=False, max_new_tokens=20,
            repetition_penalty=1.6,
        )  # fmt: skip
    image = views(kind, quantization)
    ours = run(model, image, OPEN, [Baseline(), VDD()], max_new_tokens=20, repetition_penalty=1.6)["baseline"].ids
    assert ours == theirs[0].tolist()
    assert ours != run(model, image, OPEN, [Baseline()], max_new_tokens=20)["baseline"].ids


def test_the_penalty_comes_after_the_contrast() -> None:
    """The plausible set and the contrast do not know of it; excluded tokens stay excluded."""
    model, method = lvlm(), RecordingMethod(VDD())
    ids = run(model, views("llava", "none"), OPEN, [method], max_new_tokens=10, repetition_penalty=2.0)["vdd"].ids
    for index, combined in enumerate(method.combined):
        scores = penalise(combined.scores, ids[:index], 2.0)
        assert int(scores.argmax()) == ids[index]
        assert torch.equal(scores.isfinite(), combined.scores.isfinite())


def test_a_request_overrides_the_methods_own_penalty() -> None:
    model, image = lvlm(), views("llava", "none")
    base, forced = (run(model, image, OPEN, [DoLa()], max_new_tokens=16, repetition_penalty=p) for p in (0.0, 1.2))
    assert base["dola"].ids == forced["dola"].ids
    assert run(model, image, OPEN, [DoLa(strength=0.0), Baseline()], max_new_tokens=16)["dola"].ids == (
        run(model, image, OPEN, [Baseline()], max_new_tokens=16)["baseline"].ids
    )


texts = st.text("ab#\n", max_size=12)


@given(texts, st.lists(st.text("ab#\n", min_size=1, max_size=4), max_size=3))
def test_cut_never_shows_a_stop_string_and_never_takes_back(text: str, stops: list[str]) -> None:
    shown_before = ""
    for end in range(len(text) + 1):
        display, ended = cut(text[:end], tuple(stops))
        assert text.startswith(display)
        assert display.startswith(shown_before)
        assert not any(stop in display for stop in stops)
        assert ended == any(stop in text[:end] for stop in stops)
        if ended:
            break
        shown_before = display
    else:
        assert len(text) - len(display) < max((len(stop) for stop in stops), default=1)  # only a beginning is held back


@over_models
def test_a_stop_string_ends_the_answer_and_is_not_shown(kind, quantization) -> None:
    model, image = lvlm(kind, quantization), views(kind, quantization)
    free = run(model, image, OPEN, _all(), max_new_tokens=14)
    whole = free["baseline"].text
    parts = [whole[i : i + 2] for i in range(4, len(whole) - 1)]
    stop = next(part for part in parts if part.isascii() and part.strip())
    answers = run(model, image, OPEN, _all(), max_new_tokens=14, stop=(stop,))
    for name, answer in answers.items():
        expected = free[name].text
        if stop in expected:
            assert answer.text == expected[: expected.index(stop)]
            assert answer.end.reason == "end"
            assert len(answer.ids) <= len(free[name].ids)
            assert answer.ids == free[name].ids[: len(answer.ids)]
        else:
            assert answer.ids == free[name].ids
            assert answer.text == expected
        display = [event.text for event in answer.events]
        assert all(stop not in text for text in display)
    assert stop in whole


@pytest.mark.parametrize("kind", KINDS)
def test_several_end_tokens(kind, monkeypatch) -> None:
    model, image = lvlm(kind), views(kind, "none")
    free = run(model, image, OPEN, [Baseline()], max_new_tokens=12)["baseline"].ids
    for ends in ([free[7], free[3]], [free[7]], free[7]):
        monkeypatch.setattr(model.model.generation_config, "eos_token_id", ends)
        answers = run(model, image, OPEN, [Baseline()], max_new_tokens=12)["baseline"]
        expected = {*(ends if isinstance(ends, list) else [ends]), model.tokenizer.eos_token_id}
        stop = next(i for i, token in enumerate(free) if token in expected)
        assert answers.ids == free[: stop + 1]
        assert answers.end.reason == "end"


@pytest.mark.parametrize(
    "wrong",
    [{"stop": [""]}, {"stop": ["  "]}, {"stop": [5]}, {"stop": 5}, {"stop": ["x" * 41]}, {"stop": list("abcdefghi")},
     {"repetition_penalty": 0.5}, {"repetition_penalty": 2.5}, {"repetition_penalty": float("nan")},
     {"repetition_penalty": "1"}, {"repetition_penalty": -1}],
)  # fmt: skip
def test_a_bad_setting_gets_one_sentence(wrong) -> None:
    with pytest.raises(InputError) as caught:
        make_request(photo(), OPEN, **wrong)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_good_settings_reach_the_sampler() -> None:
    request = make_request(photo(), OPEN, stop=["\n\n", "###", "###"], repetition_penalty=1.3)
    assert request.sampling.stop == ("\n\n", "###")
    assert request.sampling.repetition_penalty == 1.3
    assert make_request(photo(), OPEN, stop="###").sampling.stop == ("###",)
