"""Curves from scores to P(present): planted truth is found, labels without data lean on their group."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halluapp.grounding.presence import GROUP_OF, Curve, Seen, fit, from_json, probabilities, sigmoid, to_json
from halluapp.grounding.words.vocabulary import coco_names

LABELS = ("dog", "cat", "cup", "fork", "kite")


def _planted(label: str, slope: float, offset: float, count: int, rng: random.Random) -> list[Seen]:
    scores = [rng.uniform(-5, 5) for _ in range(count)]
    return [Seen(label, score, rng.random() < sigmoid(slope * score + offset)) for score in scores]


def test_every_coco_label_has_a_group() -> None:
    assert set(GROUP_OF) == set(coco_names())


def test_planted_curves_are_found() -> None:
    rng = random.Random(0)
    curves = fit(_planted("dog", 1.5, 1.0, 3000, rng) + _planted("cup", 0.5, -1.0, 3000, rng), LABELS)
    for score in (-2.0, 0.0, 2.0):
        assert curves["dog"].probability(score) == pytest.approx(sigmoid(1.5 * score + 1.0), abs=0.05)
        assert curves["cup"].probability(score) == pytest.approx(sigmoid(0.5 * score - 1.0), abs=0.05)


def test_a_label_without_data_has_the_curve_of_its_group_and_a_group_without_data_that_of_all() -> None:
    rng = random.Random(1)
    curves = fit(_planted("dog", 1.0, 2.0, 800, rng) + _planted("cup", 1.0, -2.0, 800, rng), LABELS)
    assert curves["cat"].offset > curves["kite"].offset > curves["fork"].offset
    assert abs(curves["dog"].offset - 2.0) < abs(curves["cat"].offset - 2.0), "its own data count more than its group's"


def test_few_sights_move_a_label_little() -> None:
    rng = random.Random(2)
    many = _planted("dog", 1.0, 0.0, 2000, rng)
    alone = fit(many, LABELS)["cat"].probability(0.0)
    seldom = fit([*many, Seen("cat", 0.0, False)], LABELS)["cat"].probability(0.0)
    often = fit(many + [Seen("cat", 0.0, False)] * 60, LABELS)["cat"].probability(0.0)
    assert often < 0.2 < seldom < alone


def test_a_weight_counts_as_that_many_sights() -> None:
    rng = random.Random(3)
    seen = _planted("dog", 1.0, 0.0, 50, rng)
    assert fit(seen * 3, LABELS) == fit([one._replace(weight=3.0) for one in seen], LABELS)


def test_perfectly_separable_data_stay_finite_and_rise() -> None:
    curve = fit([Seen("dog", score, score > 0) for score in (-3.0, -1.0, 1.0, 3.0)] * 20, LABELS)["dog"]
    assert 0 < curve.probability(-3) < curve.probability(0) < curve.probability(3) < 1


def test_a_score_that_misleads_never_turns_the_curve_around() -> None:
    curve = fit([Seen("dog", score, score < 0) for score in (-3.0, -1.0, 1.0, 3.0)] * 50, LABELS)["dog"]
    assert curve.probability(5) > curve.probability(-5)


def test_what_cannot_be_fitted_is_said() -> None:
    with pytest.raises(ValueError, match="cannot calibrate"):
        fit([], LABELS)
    with pytest.raises(ValueError, match="unicorn"):
        fit([Seen("unicorn", 0.0, True)], LABELS)


@given(st.floats(-1e6, 1e6))
def test_sigmoid_never_overflows_and_is_symmetric(x: float) -> None:
    assert 0 <= sigmoid(x) <= 1
    assert sigmoid(x) == pytest.approx(1 - sigmoid(-x))


def test_curves_are_plain_data_and_read_back() -> None:
    curves = {"dog": Curve(1.25, -0.5), "cup": Curve(0.5, 0.0)}
    assert from_json(to_json(curves)) == curves
    p = probabilities({"dog": 0.4, "kite": 3.0}, curves)
    assert p == {"dog": pytest.approx(0.5)}, "a label without a curve gets no probability"
