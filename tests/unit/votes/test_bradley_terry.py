"""Strengths from pairs: a published table, planted strengths, symmetry, and what cannot be determined."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from halluapp.votes import bradley_terry
from halluapp.votes.bradley_terry import fit, strengths

# A. Agresti, Categorical Data Analysis, American League 1987: home and away wins of the row against the column, and the
# estimates of its Bradley-Terry model, Baltimore at 0.
TEAMS = ("Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore")
WINS = np.array([
    [0, 7, 9, 7, 7, 9, 11], [6, 0, 7, 5, 11, 9, 9], [4, 6, 0, 7, 7, 8, 12], [6, 8, 6, 0, 6, 7, 10],
    [6, 2, 6, 7, 0, 7, 12], [4, 4, 5, 6, 6, 0, 6], [2, 4, 1, 3, 1, 7, 0],
], dtype=float)  # fmt: skip
ESTIMATES = (1.58, 1.44, 1.29, 1.25, 1.11, 0.68, 0.0)


def test_a_published_table_is_met():
    values = np.log(fit(WINS))
    assert (values - values[-1]).round(2).tolist() == list(ESTIMATES)
    assert abs(values.mean()) < 1e-9


def test_the_fit_is_the_optimum_of_the_likelihood():
    """At the maximum every method has as many wins as the model expects, and no small step does better."""
    gammas = fit(WINS)
    counts, p = WINS + WINS.T, gammas[:, None] / (gammas[:, None] + gammas[None, :])
    assert np.allclose((counts * p).sum(1), WINS.sum(1), atol=1e-6)

    def likelihood(values: np.ndarray) -> float:
        return float((WINS * -np.log1p(np.exp(values[None, :] - values[:, None]))).sum())

    best, generator = likelihood(np.log(gammas)), np.random.default_rng(0)
    assert all(likelihood(np.log(gammas) + generator.normal(0, 0.05, len(gammas))) <= best for _ in range(200))


def test_two_groups_joined_by_one_and_a_half_wins_are_fitted_to_the_maximum():
    """MM alone creeps along the difference of the groups; a tie and a win settle it: ln 3 between the two who met."""
    wins = np.zeros((6, 6))
    for group in ((0, 1, 2), (3, 4, 5)):
        for one, two in itertools.permutations(group, 2):
            wins[one, two] = 40_000.0
    wins[2, 3], wins[3, 2] = 1.5, 0.5
    values = np.log(fit(wins))
    p = 1 / (1 + np.exp(values[None, :] - values[:, None]))
    assert np.abs(wins.sum(1) - ((wins + wins.T) * p).sum(1)).max() < 1e-6
    assert values[2] - values[3] == pytest.approx(np.log(3), abs=1e-7)


def test_a_fit_that_stops_early_is_said_and_no_result(monkeypatch):
    monkeypatch.setattr(bradley_terry, "STEPS", 1)
    result = strengths([[("a", "b", 1.0)] * 40, [("b", "c", 1.0)] * 3, [("c", "a", 1.0)], [("c", "b", 0.5)] * 50])
    assert "does not converge" in result.problem
    assert result.values == result.low == ()


def ranking(truth: dict[str, float], generator: random.Random) -> list[tuple[str, str, float]]:
    """Independent pairs of all methods, drawn from planted strengths."""
    pairs = []
    for one, two in itertools.combinations(truth, 2):
        first = generator.random() < 1 / (1 + np.exp(truth[two] - truth[one]))
        pairs.append((one, two, 1.0) if first else (two, one, 1.0))
    return pairs


def test_planted_strengths_are_recovered_and_lie_in_their_intervals():
    truth = {"a": 1.0, "b": 0.3, "c": 0.0, "d": -1.3}
    generator = random.Random(1)
    hits, trials = 0, 60
    for _ in range(trials):
        result = strengths([ranking(truth, generator) for _ in range(80)])
        assert result.problem == ""
        assert np.allclose(result.values, list(truth.values()), atol=0.75)
        hits += sum(
            low <= value <= high for low, value, high in zip(result.low, truth.values(), result.high, strict=True)
        )
    assert hits / (4 * trials) > 0.92
    close = strengths([ranking(truth, generator) for _ in range(4000)])
    assert np.allclose(close.values, list(truth.values()), atol=0.08)


def test_repeated_rankings_of_the_same_order_do_not_count_as_independent_pairs():
    """The wider interval is taken: whole rankings that agree carry less than as many pairs of strangers would."""
    up, down = [("a", "b", 1.0), ("b", "c", 1.0), ("a", "c", 1.0)], [("b", "a", 1.0), ("c", "b", 1.0), ("c", "a", 1.0)]
    whole = strengths([up, down] * 20)
    parts = strengths([[pair] for pair in (up + down) * 20])
    assert whole.high[0] - whole.low[0] > 1.2 * (parts.high[0] - parts.low[0])
    assert np.allclose(whole.values, 0, atol=1e-6)


def test_methods_that_win_alike_are_alike_and_order_does_not_matter():
    pairs = [("a", "b", 1.0), ("b", "c", 1.0), ("c", "a", 1.0)]
    result = strengths([pairs, pairs[::-1]])
    assert np.allclose(result.values, 0)
    assert np.allclose(np.array(result.high), -np.array(result.low))
    ties = strengths([[("a", "b", 0.5)], [("a", "b", 0.5)]])
    assert np.allclose(ties.values, 0)
    assert ties.wins == (1.0, 1.0)
    assert ties.comparisons == (2, 2)


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        ([("a", "b", 1.0), ("b", "a", 1.0), ("c", "d", 0.5)], "no ranking holds a and b against c and d"),
        ([("a", "b", 1.0), ("b", "c", 0.5)], "a is never behind b and c"),
        ([("a", "b", 0.5), ("a", "c", 1.0)], "a and b are never behind c"),
        ([], "Nobody has ranked"),
    ],
)  # fmt: skip
def test_what_is_not_determined_is_said(pairs, words):
    result = strengths([pairs])
    assert words in result.problem
    assert result.values == result.low == ()
    assert len(result.wins) == len(result.methods)


def test_a_single_ranking_has_strengths_and_no_interval():
    result = strengths([[("a", "b", 0.5)]])
    assert result.values == (0.0, 0.0)
    assert result.low == ()
    assert "two rankings" in result.problem
