"""From scores to a token: greedy, or temperature, top-k and top-p with a generator of its own."""

from __future__ import annotations

import torch
from torch import Tensor

from halluapp.decoding.plan import Sampling


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
        ordered, index = probabilities.sort(descending=True)
        beyond = ordered.cumsum(0) - ordered >= sampling.top_p  # the token that crosses top_p is still in
        probabilities = probabilities.index_fill(0, index[beyond], 0.0)
    return int(torch.multinomial(probabilities.cpu(), 1, generator=generator))
