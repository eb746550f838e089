"""What every method must have, so that panels, sliders, flags and schemas can follow from its dataclass."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, fields
from math import inf, nan

import pytest
from tiny import CHOICE, OPEN, YES_NO, lvlm

from halluapp.errors import InputError
from halluapp.methods.base import Method
from halluapp.methods.registry import METHODS, create, defaults

over_methods = pytest.mark.parametrize("name", METHODS)
PARAMETERS = [(name, item) for name, method in METHODS.items() for item in fields(method)]
over_parameters = pytest.mark.parametrize(("name", "item"), PARAMETERS, ids=lambda value: getattr(value, "name", value))


def test_the_panel_order() -> None:
    assert defaults() == ["baseline", "nullu", "adavib", "vdd", "calibration"]  # the page's five panels
    others = ["vcd", "icd", "m3id", "pai", "dola", "deco"]
    assert list(METHODS) == ["baseline", "nullu", "adavib", "chip", "hacl", "vdd", "calibration", *others]


@over_methods
def test_a_method_says_what_it_is(name: str) -> None:
    method = METHODS[name]
    assert issubclass(method, Method)
    assert method.name == name
    assert name.isidentifier()
    assert method.title
    assert method.summary.endswith(".")
    assert "\n" not in method.summary
    assert method.source or name == "baseline"
    assert method.__doc__


@over_methods
def test_rows_start_with_a_main_row_and_explanations_are_sentences(name: str) -> None:
    method = create(name)
    for prompt in (OPEN, YES_NO, CHOICE):
        rows = method.rows(prompt)
        assert rows
        assert rows[0].view == "photo"
        assert all(row.view in ("photo", "none", "unk") for row in rows)
        assert hash(rows) == hash(method.rows(prompt))
        sentence = method.explain(lvlm(), prompt)
        assert sentence.endswith(".")
        assert "\n" not in sentence
    method.prepare(lvlm())


@over_methods
def test_methods_are_values(name: str) -> None:
    assert create(name) == METHODS[name]()
    assert hash(create(name)) == hash(create(name))
    with pytest.raises(FrozenInstanceError):
        create(name).other = 1
    assert json.loads(json.dumps(create(name).parameters())) == create(name).parameters()
    assert set(create(name).parameters()) == {item.name for item in fields(METHODS[name])}


@over_parameters
def test_a_parameter_has_what_a_slider_needs(name: str, item) -> None:
    about = item.metadata
    assert about["label"]
    assert about["help"].endswith(".")
    if about["choices"] is not None:
        assert item.default in about["choices"]
        assert len(about["choices"]) > 1
    else:
        assert about["least"] <= item.default <= about["most"]
        assert 0 < about["step"] <= about["most"] - about["least"]


@over_parameters
def test_create_takes_what_the_bounds_allow_and_nothing_else(name: str, item) -> None:
    about, key = item.metadata, item.name
    good = about["choices"] or (about["least"], about["most"], item.default)
    for value in good:
        assert getattr(create(name, **{key: value}), key) == value
    bad = ("nothing", None, [1], {}, True, nan, inf, -1e9, "0.5")
    for value in bad:
        with pytest.raises(InputError) as caught:
            create(name, **{key: value})
        assert str(caught.value).endswith(".")
        assert "\n" not in str(caught.value)
        assert key in str(caught.value)


def test_whole_numbers_stay_whole() -> None:
    rank = create("nullu", rank=3.0).rank  # as a slider sends it
    assert rank == 3
    assert isinstance(rank, int)
    with pytest.raises(InputError, match="whole number"):
        create("nullu", rank=2.5)


@over_methods
def test_unknown_parameters_are_named(name: str) -> None:
    known = [item.name for item in fields(METHODS[name])]
    for key in ("zeta", "name", "title", "summary", "source"):
        with pytest.raises(InputError) as caught:
            create(name, **{key: 1})
        message = str(caught.value)
        assert message.endswith(".")
        assert all(parameter in message for parameter in known or ["none"])
        assert "summary" not in message.split("it has")[1]


def test_unknown_methods_are_named() -> None:
    for name in ("", "Baseline", "opera", "base line\n"):
        with pytest.raises(InputError) as caught:
            create(name)
        assert all(known in str(caught.value) for known in METHODS)
        assert "\n" not in str(caught.value)
