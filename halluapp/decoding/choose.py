"""From scores to a token: a repetition penalty, then greedy, or temperature, top-k and top-p with a generator."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from halluapp.decoding.plan import Sampling


def penalise(scores: Tensor, tokens: Iterable[int], penalty: float) -> Tensor:
    """Lowers the scores of the answer's earlier tokens: scores [V] -> [V], x / penalty if x > 0, else x * penalty.

    The rule of transformers' `repetition_penalty`, for the answer's tokens only: an object that the question names is
    not made improbable. 1 changes nothing. Source: Keskar et al. 2019 (CTRL), section 4.1, as DoLa uses it.
    """
    earlier = sorted(set(tokens))
    if penalty == 1 or not earlier:
        return scores
    index = torch.tensor(earlier, device=scores.device)
    values = scores[index]
    return scores.index_copy(0, index, torch.where(values > 0, values / penalty, values * penalty))


def choose_greedily(scores: list[Tensor]) -> list[int | None]:
    """The best token of each of several scores [V], read at once; None where `choose` must say what is wrong."""
    if not scores:
        return []
    stacked = torch.stack(scores)
    finite = torch.isfinite(stacked.amax(-1))  # a NaN is the largest of all
    indices = stacked.argmax(-1).masked_fill(~finite, -1).tolist()
    return [index if index >= 0 else None for index in indices]


def choose(scores: Tensor, sampling: Sampling, generator: torch.Generator) -> int:
    """Scores [V] (-inf: excluded) -> token id. Warpers come after the contrast: the rows are combined already.

    Raises ValueError for scores that hold NaN or exclude every token.
    """
    best = scores.max()
    if not bool(torch.isfinite(best)):
        raise ValueError("the scores of the next token are not finite")
    if sampling.temperature <= 0:
        return int(scores.argmax())
    scores = (scores - best) / sampling.temperature  # a small temperature cannot overflow
    if sampling.top_k:
        least = scores.topk(min(sampling.top_k, len(scores))).values[-1]
        scores = scores.masked_fill(scores < least, -torch.inf)
    probabilities = scores.softmax(-1)
    if sampling.top_p < 1:
        descending, index = probabilities.sort(descending=True)
        beyond = descending.cumsum(0) - descending >= sampling.top_p  # the token that crosses top_p is still in
        probabilities = probabilities.index_fill(0, index[beyond], 0.0)
    return int(torch.multinomial(probabilities.cpu(), 1, generator=generator))
