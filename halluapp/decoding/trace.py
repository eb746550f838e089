"""The tokens of one step with their probabilities: all streams in a few operations, one wait for a GPU."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from halluapp.decoding.events import Token
from halluapp.decoding.hooks.interventions import row_index
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
    ids = [choice.token_id for choice in choices]
    of_rows = [token_id for part, token_id in zip(rows, ids, strict=True) for _ in part]
    on_device = torch.tensor([*of_rows, *ids], device=log_p.device)
    final = torch.stack([choice.combination.scores for choice in choices]).softmax(-1)  # [S, V]
    best = final.topk(min(ALTERNATIVES, final.shape[-1]))
    all_rows = row_index(tuple(row for part in rows for row in part), log_p.device)
    branches = log_p[all_rows, on_device[: len(of_rows)]].exp()
    main = log_p[row_index(tuple(part[0] for part in rows), log_p.device)].argmax(-1)
    chosen = final.gather(1, on_device[len(of_rows) :, None])[:, 0]
    # Doubles hold ids exactly: all of a step travels at once.
    columns = torch.cat([chosen[:, None], main[:, None], best.values.double(), best.indices], 1)
    values = torch.cat([columns.flatten(), branches]).tolist()
    width, of_branches = columns.shape[1], iter(values[columns.numel() :])
    results = []
    for index, (choice, part) in enumerate(zip(choices, rows, strict=True)):
        p, main_choice, *ranks = values[index * width : (index + 1) * width]
        half = len(ranks) // 2
        ranking = [(int(token_id), value) for value, token_id in zip(ranks[:half], ranks[half:], strict=True)]
        of_part = [next(of_branches) for _ in part]
        results.append(_token(lvlm, choice, p, of_part, int(main_choice), ranking, sampling))
    return results


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
