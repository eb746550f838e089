"""Strengths of methods from pairs: the model of Bradley and Terry, P(i is preferred to j) = g_i / (g_i + g_j).

Fitted by the MM algorithm of D. R. Hunter, MM algorithms for generalized Bradley-Terry models, Annals of Statistics
32(1), 2004, eq. (3), and then by Newton steps: MM alone creeps where few pairs join two groups of methods. A tie counts
as half a win of each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from halluapp.votes.intervals import NORMAL

ROUNDS, STEPS, HALVINGS = 200, 100, 60  # of MM; of Newton; of one step
RESIDUAL, TOLERANCE = 1e-6, 1e-9  # wins less expected wins; the last step in ln g
NOTHING = "Nobody has ranked answers yet."
FEW = "Intervals need two rankings or more."
APART = (
    "The strengths are not determined yet: {better} {verb} never behind {worse} in any ranking. More votes settle it."
)
UNSETTLED = "The strengths of these votes cannot be computed: the fit does not converge."
SEPARATE = "The strengths cannot be compared yet: no ranking holds {one} against {other}."
Pairs = Sequence[tuple[str, str, float]]  # better, worse, 1.0; or of a tie: one, other, 0.5


@dataclass(frozen=True)
class Strengths:
    """Of methods, in the order of `methods`. values: ln g, of mean 0; low, high: 95 %; empty where `problem` says why
    there are none. wins: ties count half. comparisons: of each method with any other.
    """

    methods: tuple[str, ...]
    values: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    wins: tuple[float, ...]
    comparisons: tuple[int, ...]
    problem: str = ""


def strengths(votes: Iterable[Pairs], titles: Mapping[str, str] | None = None) -> Strengths:
    """The strengths from the pairs of every vote. titles: what methods are called in sentences.

    The interval of a method is the wider one of two: from the Fisher information, as if all pairs were independent, and
    the sandwich over votes, since the pairs of one ranking are not.
    """
    votes = [pairs for pairs in votes if pairs]
    methods = tuple(sorted({name for pairs in votes for one, two, _ in pairs for name in (one, two)}))
    tables = [_wins(pairs, methods) for pairs in votes]  # [K, K] each: what the row won against the column
    total = sum(tables, np.zeros((len(methods), len(methods))))
    counts = total + total.T
    sums = tuple(total.sum(1).tolist()), tuple(round(n) for n in counts.sum(1).tolist())
    names = [(titles or {}).get(method, method) for method in methods]
    problem = _problem(total, names)
    if problem:
        return Strengths(methods, (), (), (), *sums, problem)
    try:
        gammas = fit(total)
    except ArithmeticError:
        return Strengths(methods, (), (), (), *sums, UNSETTLED)
    values = np.log(gammas)
    if len(votes) < 2:
        return Strengths(methods, tuple(values.tolist()), (), (), *sums, FEW)
    half = NORMAL * np.sqrt(_variances(values, counts, tables))
    low, high = (tuple(ends.tolist()) for ends in (values - half, values + half))
    return Strengths(methods, tuple(values.tolist()), low, high, *sums)


def fit(wins: np.ndarray) -> np.ndarray:
    """Strengths g [K] of geometric mean 1 from wins [K, K]. Every method can be reached from every other one along
    wins, or no maximum exists (assumption 1 of Hunter, 2004). Raises ArithmeticError where wins and expected wins do
    not become equal."""
    counts, gammas = wins + wins.T, np.ones(len(wins))
    for _ in range(ROUNDS):
        gammas = wins.sum(1) / (counts / (gammas[:, None] + gammas[None, :])).sum(1)
        gammas /= np.exp(np.log(gammas).mean())
    values = np.log(gammas)
    for _ in range(STEPS):
        score = _score(wins, values)
        step = np.linalg.pinv(_information(values, counts)) @ score
        if np.abs(score).max() <= RESIDUAL and np.abs(step).max() <= TOLERANCE:
            return np.exp(values - values.mean())
        values = _update(wins, values, step)
    raise ArithmeticError(UNSETTLED)


def _update(wins: np.ndarray, values: np.ndarray, step: np.ndarray) -> np.ndarray:
    """The step halved until the likelihood, which is concave in ln g, does not fall -> new ln g [K]."""
    start = _likelihood(wins, values)
    for half in range(HALVINGS):
        update = values + step / 2**half
        if _likelihood(wins, update) >= start - 1e-12 * abs(start):
            return update
    return values


def _likelihood(wins: np.ndarray, values: np.ndarray) -> float:
    return -float((wins * np.logaddexp(0, values[None, :] - values[:, None])).sum())


def _chances(values: np.ndarray) -> np.ndarray:
    """P(the row is preferred to the column) from ln g -> [K, K]."""
    return np.exp(-np.logaddexp(0, values[None, :] - values[:, None]))


def _score(wins: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Wins less expected wins [K]: the gradient of the likelihood in ln g."""
    return (wins - (wins + wins.T) * _chances(values)).sum(1)


def _information(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Fisher's, of ln g [K, K]; the constant direction has none, hence pseudo-inverses."""
    p = _chances(values)
    weights = counts * p * p.T
    return np.diag(weights.sum(1)) - weights


def _wins(pairs: Pairs, methods: tuple[str, ...]) -> np.ndarray:
    wins = np.zeros((len(methods), len(methods)))
    for one, two, share in pairs:
        wins[methods.index(one), methods.index(two)] += share
        wins[methods.index(two), methods.index(one)] += 1.0 - share
    return wins


def _variances(values: np.ndarray, counts: np.ndarray, tables: list[np.ndarray]) -> np.ndarray:
    """Of ln g with mean 0 -> [K]."""
    inverse = np.linalg.pinv(_information(values, counts))
    scores = np.stack([_score(table, values) for table in tables])  # [votes, K]
    correction = len(tables) / (len(tables) - 1)
    sandwich = inverse @ (correction * scores.T @ scores) @ inverse
    return np.maximum(np.diag(inverse), np.diag(sandwich))


def _problem(wins: np.ndarray, names: Sequence[str]) -> str:
    """Why there is no maximum, in one sentence; "" where there is one."""
    count = len(names)
    if count < 2:
        return NOTHING
    met = _reach(wins + wins.T)
    if not met[0].all():
        one, other = ([names[j] for j in range(count) if met[0, j] == reached] for reached in (True, False))
        return SEPARATE.format(one=_listed(one), other=_listed(other))
    reach = _reach(wins)
    if reach.all():
        return ""
    # Some group never loses to the others: who is reached by nobody but those whom they reach themselves.
    top = next(i for i in range(count) if all(reach[i, j] or not reach[j, i] for j in range(count)))
    group = reach[top] & reach[:, top]
    better, worse = ([names[j] for j in range(count) if group[j] == inside] for inside in (True, False))
    return APART.format(better=_listed(better), verb="is" if len(better) == 1 else "are", worse=_listed(worse))


def _reach(wins: np.ndarray) -> np.ndarray:
    """Who is reached from whom along wins, oneself included: [K, K] of booleans."""
    reach = (wins > 0) | np.eye(len(wins), dtype=bool)
    for middle in range(len(wins)):
        reach |= reach[:, middle : middle + 1] & reach[middle : middle + 1, :]
    return reach


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
