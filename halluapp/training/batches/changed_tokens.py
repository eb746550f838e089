"""Which tokens of a truthful and a hallucinated answer differ (CHiP, segment level)."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

import torch
from torch import Tensor


def changed_tokens(
    chosen: Sequence[int], rejected: Sequence[int], min_match: int = 3, authors: bool = False
) -> tuple[list[int], list[int]]:
    """Token ids of both answers -> (positions that changed in chosen, in rejected), ascending.

    Matching runs shorter than `min_match` tokens count as changed with what surrounds them. A token that only one side
    has is marked on that side. `authors=True`: such insertions are left out, and ids that make up more than 1 % of an
    answer of 200 tokens or more are never matched. Source: CHiP, section 3.2 (segment-level preference optimization).
    """
    chosen, rejected = list(chosen), list(rejected)
    matcher = SequenceMatcher(None, rejected, chosen, autojunk=authors)
    marks: tuple[list[int], list[int]] = ([], [])
    at_rejected = at_chosen = 0
    for first_rejected, first_chosen, size in matcher.get_matching_blocks():
        if size and size < min_match:
            continue
        gaps = (range(at_chosen, first_chosen), range(at_rejected, first_rejected))
        if not authors or all(len(gap) for gap in gaps):
            for mark, gap in zip(marks, gaps, strict=True):
                mark += gap
        at_rejected, at_chosen = first_rejected + size, first_chosen + size
    return marks


def token_weights(
    chosen: Sequence[int], rejected: Sequence[int], weight: float, min_match: int = 3, authors: bool = False
) -> tuple[Tensor, Tensor]:
    """`weight` on changed tokens and 1 elsewhere: ids [T], [U] -> [T], [U]. Parameters as `changed_tokens`."""
    both_weights = []
    for ids, changed in zip((chosen, rejected), changed_tokens(chosen, rejected, min_match, authors), strict=True):
        weights = torch.ones(len(ids))
        weights[changed] = weight
        both_weights.append(weights)
    return both_weights[0], both_weights[1]
