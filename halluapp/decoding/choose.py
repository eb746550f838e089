"""From scores to a token: a repetition penalty, then greedy, or temperature, top-k and top-p with a generator.

And the end of an answer at a stop string, which is not part of it (`cut`).
"""

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


def cut(text: str, stops: tuple[str, ...]) -> tuple[str, bool]:
    """The part of a growing answer that can be shown -> (text, whether a stop string has ended it).

    The text ends before the earliest stop string. Until one is complete, its beginning at the end of the text is held
    back too: what has been shown never has to be taken back.
    """
    starts = [start for stop in stops if (start := text.find(stop)) >= 0]
    if starts:
        return text[: min(starts)], True
    partial = max((_partial_length(text, stop) for stop in stops), default=0)
    return text[: len(text) - partial], False


def _partial_length(text: str, stop: str) -> int:
    """The number of characters at the end of the text that begin the stop string."""
    return next((n for n in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:n])), 0)
