"""The tokens of one step with their probabilities: all streams in a few operations, one wait for a GPU."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from halluapp.decoding.events import Token
from halluapp.decoding.plan import Sampling
from halluapp.lvlm.base import LVLM
from halluapp.methods.base import Combination

ALTERNATIVES = 5


@dataclass(frozen=True)
class Choice:
    """A method's combination for the next token, and the token that was chosen of it."""

    combination: Combination
    token_id: int


def tokens(lvlm: LVLM, choices: list[Choice], rows: list[list[int]], log_p: Tensor, sampling: Sampling) -> list[Token]:
    """The chosen tokens with their probabilities under the final distribution and under each row.

    rows: of the batch, for every choice, its main row first; log_p [R, V] of the batch.
    """
    if not choices:
        return []
    device, ids = log_p.device, [choice.token_id for choice in choices]
    final = torch.stack([choice.combination.scores for choice in choices]).softmax(-1)  # [S, V]
    best = final.topk(min(ALTERNATIVES, final.shape[-1]))
    of_rows = torch.tensor(
        [(row, token_id) for part, token_id in zip(rows, ids, strict=True) for row in part], device=device
    )
    branches = iter(log_p[of_rows[:, 0], of_rows[:, 1]].exp().tolist())
    main_choices = log_p[torch.tensor([part[0] for part in rows], device=device)].argmax(-1).tolist()
    chosen = final.gather(1, torch.tensor(ids, device=final.device)[:, None])[:, 0].tolist()
    ranked = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return [
        _token(lvlm, choice, p, [next(branches) for _ in part], main, list(zip(*ranking, strict=True)), sampling)
        for choice, p, part, main, ranking in zip(choices, chosen, rows, main_choices, ranked, strict=True)
    ]


def _token(
    lvlm: LVLM,
    choice: Choice,
    p: float,
    of_rows: list[float],
    main_choice: int,
    ranking: list[tuple[int, float]],
    sampling: Sampling,
) -> Token:
    """p: of the chosen token; of_rows: the same under each row; ranking: (id, probability), the best first."""
    differs = sampling.temperature <= 0 and main_choice != choice.token_id
    branches = [round(each, 5) for each in of_rows]
    return Token(
        id=choice.token_id,
        text=lvlm.piece(choice.token_id),
        p=round(p, 5),
        p_main=branches[0],
        p_reference=round(sum(branches[1:]) / (len(branches) - 1), 5) if len(branches) > 1 else None,
        top=tuple((lvlm.piece(index), round(value, 5)) for index, value in ranking if value > 0),
        instead=lvlm.piece(main_choice) if differs else None,
        notes=choice.combination.notes,
        branches=tuple(branches),
    )
