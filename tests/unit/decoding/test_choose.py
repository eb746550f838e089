"""From scores to a token: what every setting of the sampler guarantees, for any scores."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from halluapp.decoding.choose import choose
from halluapp.decoding.plan import Sampling

scores_strategy = arrays("float32", st.integers(1, 30), elements=st.floats(-40, 40, width=32)).map(torch.from_numpy)


def _choose(scores: torch.Tensor, seed: int = 0, **sampling) -> int:
    return choose(scores, Sampling(seed=seed, **sampling), torch.Generator().manual_seed(seed))


def _nucleus(scores: torch.Tensor, top_p: float) -> int:
    """Size of the smallest set of most probable tokens that reaches top_p, whatever float32 rounds."""
    ordered = scores.double().softmax(-1).sort(descending=True).values.tolist()
    total, size = 0.0, 0
    while size < len(ordered) and total < top_p + 1e-5:
        total, size = total + ordered[size], size + 1
    return size


@given(scores_strategy, st.integers(0, 9))
def test_greedy_takes_the_best(scores: torch.Tensor, seed: int) -> None:
    best = float(scores.max())
    assert float(scores[_choose(scores, seed)]) == best
    assert float(scores[_choose(scores, seed, temperature=1.0, top_k=1)]) == best
    assert float(scores[_choose(scores, seed, temperature=1e-6)]) == pytest.approx(best, abs=1e-4)


@settings(deadline=None)
@given(scores_strategy, st.integers(0, 9), st.floats(0.01, 0.99), st.integers(1, 10))
def test_top_k_and_top_p_exclude(scores: torch.Tensor, seed: int, top_p: float, top_k: int) -> None:
    rank = int((scores > scores[_choose(scores, seed, temperature=1.0, top_k=top_k)]).sum())
    assert rank < top_k
    p = scores.softmax(-1)
    rank = int((p > p[_choose(scores, seed, temperature=1.0, top_p=top_p)] + 1e-6).sum())
    assert rank < _nucleus(scores, top_p)


@settings(deadline=None)
@given(scores_strategy, st.data())
def test_excluded_tokens_are_never_chosen(scores: torch.Tensor, data: st.DataObject) -> None:
    remaining = data.draw(st.sets(st.integers(0, len(scores) - 1), min_size=1))
    scores = scores.masked_fill(torch.tensor([i not in remaining for i in range(len(scores))]), -math.inf)
    for options in ({}, {"temperature": 1.5}, {"temperature": 0.7, "top_p": 0.9, "top_k": 20}):
        assert _choose(scores, data.draw(st.integers(0, 99)), **options) in remaining


def test_frequencies_are_the_probabilities() -> None:
    scores, generator = torch.tensor([2.0, 1.0, 0.0, -math.inf]), torch.Generator().manual_seed(0)
    for temperature in (0.5, 1.0, 2.0):
        drawn = [choose(scores, Sampling(temperature=temperature), generator) for _ in range(4000)]
        for token, p in enumerate((scores / temperature).softmax(-1).tolist()):
            assert drawn.count(token) / 4000 == pytest.approx(p, abs=0.03)


def test_one_seed_one_choice() -> None:
    scores = torch.zeros(1000)
    drawn = [_choose(scores, seed, temperature=1.0) for seed in range(20)]
    assert drawn == [_choose(scores, seed, temperature=1.0) for seed in range(20)]
    assert len(set(drawn)) > 15
    torch.manual_seed(1)  # the global generator has no say
    assert drawn[0] == _choose(scores, 0, temperature=1.0)


@pytest.mark.parametrize("scores", [[math.nan, 1.0], [-math.inf, -math.inf], [math.inf, 0.0]])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_scores_without_a_finite_best_are_refused(scores, temperature) -> None:
    with pytest.raises(ValueError, match="finite"):
        _choose(torch.tensor(scores), temperature=temperature)


def test_the_scores_are_not_changed() -> None:
    scores = torch.randn(50)
    before = scores.clone()
    _choose(scores, temperature=0.7, top_p=0.5, top_k=5)
    assert torch.equal(scores, before)
