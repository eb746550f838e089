"""What a word was worth under every method, given this answer's own beginning; and each token's reliance on the photo.

The k-th tokens of two answers stand in different sentences and cannot be compared. Here one answer is read as a whole
(teacher forcing) by the rows of all methods, in one batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from halluapp.decoding.choose import penalise
from halluapp.decoding.forced import final_logits, final_states, read_answer
from halluapp.decoding.hooks.early_exits import EarlyStates, read_out
from halluapp.decoding.hooks.vision_adapter import tower_adapter
from halluapp.decoding.plan import Prefix, plan
from halluapp.decoding.views import Views
from halluapp.errors import InputError, MissingWeights
from halluapp.lvlm.base import LVLM
from halluapp.methods.base import Intervention, Method, Row, Step
from halluapp.methods.baseline import Baseline

ALTERNATIVES = 5
CHUNK = 32  # positions whose logits are held at once
PLAIN = {"photo": Prefix(0, "photo", None), "none": Prefix(0, "none", None)}


def evidence(
    lvlm: LVLM,
    views: Views,
    prompt: str,
    methods: Sequence[Method],
    ids: Sequence[int],
    first: int,
    last: int,
    repetition_penalty: float = 0.0,
) -> dict[str, Any]:
    """The probability of tokens `first` to `last` of an answer under every method, behind the answer's own beginning.

    -> {"methods": [{"method", "title", "p", "tokens": [p], "top": [[text, p]], "error"}], "photo", "none"}: p of all
    tokens together, of each, and what each method would rather have said at the first one; photo, none: p under the
    plain model with and without the photo. repetition_penalty: as in `Sampling`. Probabilities at temperature 1.
    """
    runnable, errors = _runnable(lvlm, views, prompt, methods)
    rows = plan([(prompt, runnable)])
    prefixes = list(dict.fromkeys([*rows.prefixes, *PLAIN.values()]))
    final = len(lvlm.layers)
    depths: dict[int, tuple[int, ...]] = {row: (final,) for row in range(len(prefixes))}
    for _, method, parts in rows.streams:
        depths[parts[0]] = tuple(sorted({*depths[parts[0]], *method.exits(lvlm)}))
    count = last - first + 1
    forced = read_answer(lvlm, prefixes, [prompt], [views], ids[:last], count, depths)
    logits = read_out(lvlm, {key: state for key, state in forced.states.items() if key[1] != final})
    for row, prefix in enumerate(prefixes):
        logits[row, final] = final_logits(lvlm, forced.states[row, final], prefix.intervention)
    results = {}
    for _, method, parts in rows.streams:
        try:
            scores = [
                _scores(lvlm, method, prompt, list(parts), logits, final, offset, ids[: first + offset],
                        repetition_penalty)
                for offset in range(count)
            ]  # fmt: skip
            results[method.name] = _worth(lvlm, torch.stack(scores), ids[first : last + 1])
        except (RuntimeError, ValueError, InputError) as error:
            errors[method.name] = " ".join(str(error).split())
    lines = [
        {"method": method.name, "title": method.title, "error": errors.get(method.name, ""),
         **results.get(method.name, {"p": None, "tokens": [], "top": []})}
        for method in methods
    ]  # fmt: skip
    plain = {
        name: _worth(lvlm, logits[prefixes.index(prefix), final], ids[first : last + 1])["p"]
        for name, prefix in PLAIN.items()
    }
    return {"methods": lines, **plain}


def _runnable(lvlm: LVLM, views: Views, prompt: str, methods: Sequence[Method]) -> tuple[list[Method], dict[str, str]]:
    """The methods that this model has the weights for, and for each other one the sentence that says why not."""
    runnable, errors = [], {}
    for method in methods:
        try:
            method.prepare(lvlm)
            for row in method.rows(prompt):
                if row.view == "photo":
                    views.at(row.noise_step, tower_adapter(lvlm, row.intervention))
            runnable.append(method)
        except (MissingWeights, InputError) as error:
            errors[method.name] = str(error)
    return runnable, errors


def _scores(
    lvlm: LVLM,
    method: Method,
    prompt: str,
    rows: list[int],
    logits: EarlyStates,
    final: int,
    offset: int,
    before: Sequence[int],
    repetition_penalty: float,
) -> Tensor:
    """A method's scores [V] of the token behind `before`, as the engine computes them."""
    depths = method.exits(lvlm)
    exits = torch.stack([logits[rows[0], depth][offset] for depth in depths]) if depths else None
    rows_logits = torch.stack([logits[row, final][offset] for row in rows])
    combination = method.combine(rows_logits, Step(len(before), prompt, tuple(before), exits), lvlm)
    return penalise(combination.scores, before, repetition_penalty or combination.repetition)


def _worth(lvlm: LVLM, scores: Tensor, tokens: Sequence[int]) -> dict[str, Any]:
    """scores [n, V] of n tokens -> p of all of them, of each, and the most probable ones at the first."""
    probabilities = scores.softmax(-1)
    each = [float(row[token]) for row, token in zip(probabilities, tokens, strict=True)]
    best = probabilities[0].topk(min(ALTERNATIVES, probabilities.shape[-1]))
    top = [[lvlm.piece(i), p] for i, p in zip(best.indices.tolist(), best.values.tolist(), strict=True) if p > 0]
    return {"p": float(torch.tensor(each, dtype=torch.float64).prod()), "tokens": each, "top": top}


def token_logps(lvlm: LVLM, states: Tensor, tokens: Sequence[int], intervention: Intervention | None) -> Tensor:
    """log p of each token: states [n, D] after the last layer, one before each of n tokens -> [n] in float32.

    intervention: of the row that the states are of.
    """
    parts = []
    for start in range(0, len(tokens), CHUNK):
        logits = final_logits(lvlm, states[start : start + CHUNK], intervention)
        index = torch.tensor(tokens[start : start + CHUNK], device=logits.device)
        parts.append(logits.log_softmax(-1).gather(-1, index[:, None])[:, 0])
    return torch.cat(parts)


def main_prefix(method: Method, prompt: str, job: int = 0) -> Prefix:
    """The prefix of a method's main row: the model with the method's change, before anything is contrasted."""
    return Prefix.of(job, method.rows(prompt)[0])


def reliance(lvlm: LVLM, views: Views, prompt: str, ids: Sequence[int], method: Method | None = None) -> list[float]:
    """log p(token | photo) - log p(token | no photo), in nats, for every token of an answer behind its own beginning.

    method: whose main row; its change acts in both, where it can without a photo. None: the plain model.
    """
    method = method or Baseline()
    method.prepare(lvlm)
    main = method.rows(prompt)[0]
    without = Row("none", main.intervention, 0, main.instruction)
    prefixes = [Prefix.of(0, main), Prefix.of(0, without)]
    states = list(final_states(lvlm, prefixes, [prompt], [views], ids[:-1], len(ids)))
    sighted, blind = (token_logps(lvlm, state, ids, main.intervention) for state in states)
    return (sighted - blind).tolist()
