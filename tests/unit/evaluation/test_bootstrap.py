"""Intervals over photos: coverage, pairing, repeatability; and the calibration error."""

from __future__ import annotations

import math

import numpy as np
import pytest

from halluapp.evaluation.bootstrap import bootstrap, calibration_error, paired_difference


def share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return part / whole


def mean(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    return total / count


def with_ones(values: np.ndarray) -> np.ndarray:
    return np.stack([values, np.ones_like(values)], axis=1)


def test_interval_of_a_mean_is_that_of_theory() -> None:
    values = np.random.default_rng(1).normal(3.0, 2.0, size=400)
    low, high = bootstrap(with_ones(values), mean, draws=4000)
    error = values.std() / math.sqrt(len(values))
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(2)
    hits = 0
    for repeat in range(200):
        low, high = bootstrap(with_ones(generator.normal(size=60)), mean, draws=300, seed=repeat, level=0.9)
        hits += low <= 0.0 <= high
    assert 165 <= hits <= 195


def test_photos_are_the_unit() -> None:
    """Ten questions of a photo answered alike are no ten observations."""
    right = np.random.default_rng(3).integers(0, 2, size=50)
    narrow = bootstrap(with_ones(np.repeat(right, 10).astype(float)), mean)
    wide = bootstrap(np.stack([10 * right, np.full(50, 10)], axis=1), mean)
    assert wide[1] - wide[0] > 2 * (narrow[1] - narrow[0])


def test_same_seed_same_interval_and_wider_level_wider_interval() -> None:
    rows = np.random.default_rng(4).integers(0, 5, size=(30, 2)) + np.array([0, 5])
    assert bootstrap(rows, share) == bootstrap(rows, share)
    assert bootstrap(rows, share, seed=1) != bootstrap(rows, share)
    low, high = bootstrap(rows, share, level=0.5)
    outer = bootstrap(rows, share, level=0.99)
    assert outer[0] < low < high < outer[1]


def test_photos_without_mentions_and_undefined_statistics() -> None:
    assert all(math.isnan(bound) for bound in bootstrap([(0, 0), (0, 0)], share))
    low, high = bootstrap([(1, 2), (0, 0)], share)
    assert low == high == 0.5


def test_one_column_needs_no_nesting() -> None:
    assert bootstrap([2.0, 2.0, 2.0], lambda total: total) == (6.0, 6.0)


def test_pairing_removes_what_both_methods_share() -> None:
    generator = np.random.default_rng(5)
    hard = generator.normal(0, 5, size=80)
    first = with_ones(hard)
    second = with_ones(hard + 0.5 + generator.normal(0, 0.1, size=80))
    result = paired_difference(first, second, mean)
    assert 0.4 < result.low < result.value < result.high < 0.6
    assert result.value == pytest.approx((second[:, 0] - first[:, 0]).mean())
    back = paired_difference(second, first, mean)
    assert (back.value, back.low, back.high) == pytest.approx((-result.value, -result.high, -result.low))


def test_a_method_does_not_differ_from_itself() -> None:
    rows = np.random.default_rng(6).integers(1, 9, size=(20, 2))
    result = paired_difference(rows, rows, share)
    assert (result.value, result.low, result.high) == (0.0, 0.0, 0.0)


def test_calibration_error_of_known_tables() -> None:
    sure = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert calibration_error(sure, [0, 1]) == 0.0
    assert calibration_error(sure, [1, 0]) == 1.0
    assert calibration_error(np.tile([0.8, 0.2], (10, 1)), [0] * 8 + [1] * 2) == pytest.approx(0.0)
    assert calibration_error(np.tile([0.8, 0.2], (10, 1)), [0] * 5 + [1] * 5) == pytest.approx(0.3)


def test_refuses_what_has_no_meaning() -> None:
    with pytest.raises(ValueError, match="photo"):
        bootstrap(np.zeros((0, 2)), share)
    with pytest.raises(ValueError, match="draws"):
        bootstrap([(1, 2)], share, draws=0)
    with pytest.raises(ValueError, match="level"):
        bootstrap([(1, 2)], share, level=95)
    with pytest.raises(ValueError, match="different photos"):
        paired_difference([(1, 2)], [(1, 2), (1, 2)], share)
    with pytest.raises(ValueError, match="labels"):
        calibration_error([[0.5, 0.5]], [0, 1])
