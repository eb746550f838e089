"""What every method must have, so that panels, sliders, flags and schemas can follow from its dataclass."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, fields
from math import inf, nan

import pytest
import torch
from tiny import CHOICE, OPEN, YES_NO, lvlm

from halluapp.errors import InputError
from halluapp.methods.base import Method, Row, Step
from halluapp.methods.registry import METHODS, create, defaults

PARAMETERS = [(name, item) for name, method in METHODS.items() for item in fields(method)]


def test_the_panel_order() -> None:
    assert defaults() == ["baseline", "nullu", "adavib", "vdd", "calibration"]  # the page's five panels
    others = ["vcd", "icd", "m3id", "pai", "dola", "deco"]
    assert list(METHODS) == ["baseline", "nullu", "adavib", "chip", "hacl", "vdd", "calibration", *others]


def test_a_method_says_what_it_is() -> None:
    for name, method in METHODS.items():
        assert issubclass(method, Method), name
        assert method.name == name
        assert name.isidentifier()
        assert method.title, name
        assert method.summary.endswith("."), name
        assert "\n" not in method.summary, name
        assert method.source or name == "baseline", name
        assert method.__doc__, name


def test_rows_start_with_a_main_row_and_explanations_are_sentences() -> None:
    for name in METHODS:
        method = create(name)
        for prompt in (OPEN, YES_NO, CHOICE):
            rows = method.rows(prompt)
            assert rows, name
            assert rows[0].view == "photo", name
            assert all(row.view in ("photo", "none", "unk") for row in rows), name
            assert hash(rows) == hash(method.rows(prompt)), name
            sentence = method.explain(lvlm(), prompt)
            assert sentence.endswith("."), name
            assert "\n" not in sentence, name
        method.prepare(lvlm())


STRENGTH_ZERO = {
    "nullu": ({"strength": 0}, {"rank": 0}), "adavib": ({"strength": 0},), "chip": ({"strength": 0},),
    "hacl": ({"strength": 0},), "vdd": ({"alpha": 0},), "calibration": ({"strength": 0, "label_strength": 0},),
    "vcd": ({"alpha": 0}, {"noise_step": 0}), "icd": ({"alpha": 0},), "m3id": ({"decay": 0}, {"cap": 0}),
    "pai": ({"alpha": 0, "gamma": 1},), "dola": ({"strength": 0},), "deco": ({"alpha": 0},),
    "adapter:gone": ({"strength": 0},), "nullu+vdd": ({"strength": 0, "vdd.alpha": 0},),
}  # fmt: skip


def test_a_method_of_strength_0_is_idle_and_needs_no_weights() -> None:
    """No model is looked at: what an idle method says and declares holds for all of them."""
    assert {name.partition(":")[0].partition("+")[0] for name in STRENGTH_ZERO} == {*METHODS, "adapter"} - {"baseline"}
    logits = torch.tensor([[1.0, 3.0, 2.0]])
    for name, settings in STRENGTH_ZERO.items():
        assert not create(name).idle, name
        for values in settings:
            method, step = create(name, **values), Step(0, OPEN)
            assert method.idle, name
            assert method.rows(OPEN) == method.rows(YES_NO) == (Row(),), name
            assert method.exits(None) == (), name
            assert method.prepare(None) is None
            assert method.explain(None, OPEN) == "Nothing is changed: this is the baseline.", name
            assert torch.equal(method.combine(logits, step, None).scores, logits[0]), name
            assert method.combine(logits, step, None).repetition == 1, name


def test_calibration_is_the_baseline_for_the_prompts_whose_strength_is_0() -> None:
    """With no strength for labels an answer that begins with none is still open; its first token shows which."""
    method = create("calibration", strength=0)
    assert not method.idle
    assert method.rows(OPEN) == (Row(),)
    assert method.explain(lvlm(), OPEN) == create("vdd", alpha=0).explain(lvlm(), OPEN)
    assert len(method.rows(YES_NO)) == 3
    method = create("calibration", label_strength=0)
    assert len(method.rows(YES_NO)) == len(method.rows(OPEN)) == 3
    assert method.explain(lvlm(), YES_NO).startswith("An answer without a label")


def test_methods_are_values() -> None:
    for name, kind in METHODS.items():
        assert create(name) == kind()
        assert hash(create(name)) == hash(create(name))
        with pytest.raises(FrozenInstanceError):
            create(name).other = 1
        assert json.loads(json.dumps(create(name).parameters())) == create(name).parameters()
        assert set(create(name).parameters()) == {item.name for item in fields(kind)}


def test_a_parameter_has_what_a_slider_needs() -> None:
    for name, item in PARAMETERS:
        about = item.metadata
        assert about["label"], (name, item.name)
        assert about["help"].endswith("."), (name, item.name)
        if about["choices"] is not None:
            assert item.default in about["choices"], (name, item.name)
            assert len(about["choices"]) > 1, (name, item.name)
        else:
            assert about["least"] <= item.default <= about["most"], (name, item.name)
            assert 0 < about["step"] <= about["most"] - about["least"], (name, item.name)


def test_create_takes_what_the_bounds_allow_and_nothing_else() -> None:
    for name, item in PARAMETERS:
        about, key = item.metadata, item.name
        good = about["choices"] or (about["least"], about["most"], item.default)
        for value in good:
            assert getattr(create(name, **{key: value}), key) == value, (name, key)
        bad = ("nothing", None, [1], {}, True, nan, inf, -1e9, "0.5")
        for value in bad:
            with pytest.raises(InputError) as caught:
                create(name, **{key: value})
            assert str(caught.value).endswith("."), (name, key, value)
            assert "\n" not in str(caught.value), (name, key, value)
            assert key in str(caught.value), (name, key, value)


def test_whole_numbers_stay_whole() -> None:
    rank = create("nullu", rank=3.0).rank  # as a slider sends it
    assert rank == 3
    assert isinstance(rank, int)
    with pytest.raises(InputError, match="whole number"):
        create("nullu", rank=2.5)


def test_unknown_parameters_are_named() -> None:
    for name, method in METHODS.items():
        names = [item.name for item in fields(method)]
        for key in ("zeta", "name", "title", "summary", "source"):
            with pytest.raises(InputError) as caught:
                create(name, **{key: 1})
            message = str(caught.value)
            assert message.endswith("."), (name, key)
            assert all(parameter in message for parameter in names or ["none"]), (name, key)
            assert "summary" not in message.split("it has")[1], (name, key)


def test_unknown_methods_are_named() -> None:
    for name in ("", "Baseline", "opera", "base line\n"):
        with pytest.raises(InputError) as caught:
            create(name)
        assert all(expected in str(caught.value) for expected in METHODS)
        assert "\n" not in str(caught.value)
