"""CHiP's packed step against six separate forwards with logits at all positions and the tower run each time."""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch
from torch import Tensor

from halluapp.data.pairs import Pair
from halluapp.lvlm.base import LVLM
from halluapp.training import peft_adapter
from halluapp.training.batches import examples
from halluapp.training.batches.packed_forward import lm_logits, run_decoder
from halluapp.training.methods.chip import ChipObjective
from halluapp.training.methods.chip_loss import (
    Answers,
    chip_loss,
    segment_logps,
    sequence_logps,
    sequential_kl,
    token_logps,
)
from halluapp.training.methods.chip_recipe import ChipRecipe


def run(lvlm: LVLM, pairs: list[Pair], batch: int = 4, rounds: int = 5) -> dict[str, Any]:
    """Interleaved rounds on the same pairs -> losses, seconds a step (medians) and their ratio.

    Separate forwards: policy and reference each on (chosen, photo), (rejected, photo), (chosen, corrupted photo), six
    forwards, the vision tower in each, logits at all positions; forward and backward are timed. `..._features_kept`:
    the same with the tower's features read from the cache.
    """
    objective = ChipObjective(lvlm, ChipRecipe(batch=batch, rank=16), pairs, log=lambda line: None)
    try:
        with torch.no_grad():  # an adapter that changes outputs: with B = 0 any two losses are equal
            for parameter in peft_adapter.trainable_parameters(objective.wrapped):
                parameter.add_(0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
        rows = list(range(min(batch, len(pairs))))
        forwards = (
            lambda: objective.losses(rows, 0)[0],
            lambda: separate_forwards_loss(objective, rows, True),
            lambda: separate_forwards_loss(objective, rows, False),
        )
        losses = [float(work().detach()) for work in forwards]
        times = [[_seconds(work, objective) for work in forwards] for _ in range(rounds)]
    finally:
        objective.undo()
    middle = [statistics.median(column) for column in zip(*times, strict=True)]
    return {
        "schema": 1, "model": lvlm.name, "quantization": lvlm.quantization, "batch": len(rows), "rounds": rounds,
        "threads": torch.get_num_threads(), "loss": losses[0], "loss_plain": losses[1],
        "loss_difference": abs(losses[0] - losses[1]), "seconds": round(middle[0], 4),
        "seconds_plain": round(middle[1], 4), "seconds_plain_features_kept": round(middle[2], 4),
        "ratio": round(statistics.median(b / a for a, b, _ in times), 3),
        "ratio_features_kept": round(statistics.median(c / a for a, _, c in times), 3),
    }  # fmt: skip


def _seconds(work, objective: ChipObjective) -> float:
    started = time.perf_counter()
    work().backward()
    for parameter in peft_adapter.trainable_parameters(objective.wrapped):
        parameter.grad = None
    return time.perf_counter() - started


def separate_forwards_loss(objective: ChipObjective, rows: list[int], encode: bool) -> Tensor:
    """The loss in paper mode from six separate batches, scalar; shares no code path with `packed_forward`."""
    recipe = objective.recipe
    with torch.no_grad(), peft_adapter.reference(objective.wrapped):
        reference = [_logits(objective, rows, *kind, encode) for kind in _FORWARDS]
    policy = [_logits(objective, rows, *kind, encode) for kind in _FORWARDS]
    sides = []
    for side in (policy, reference):
        totals = [sequence_logps(logits, labels) for logits, labels in side]
        segments = [_segment(objective, rows, *side[index], kind) for index, kind in ((0, "chosen"), (1, "rejected"))]
        sides.append(Answers(*totals, *segments))
    kl = [sequential_kl(reference[index][0], *policy[index]) for index in (0, 1)]
    return chip_loss(
        *sides, *kl, mode="paper", beta=recipe.beta, segment=recipe.segment, token=recipe.token, visual=recipe.visual
    ).loss


_FORWARDS = (("chosen", False), ("rejected", False), ("chosen", True))


def _segment(objective: ChipObjective, rows: list[int], logits: Tensor, labels: Tensor, kind: str) -> Tensor:
    logps, mask = token_logps(logits, labels)
    changed = torch.zeros_like(mask)
    for index, row in enumerate(rows):
        start = int(mask[index].nonzero()[0])
        for token in getattr(objective.examples[row], f"changed_{kind}"):
            changed[index, start + token] = True
    return segment_logps(logps, mask, changed, objective.recipe.changed)


def _logits(
    objective: ChipObjective, rows: list[int], kind: str, corrupted: bool, encode: bool
) -> tuple[Tensor, Tensor]:
    """Right-padded rows of one kind of answer -> logits [B, T, V] at all positions, labels [B, T]."""
    lvlm = objective.lvlm
    if encode:
        for row in rows:
            _encode_again(objective, row, corrupted)
    sequences, labels = [], []
    for row in rows:
        answer = getattr(objective.examples[row], kind)
        prefix = objective.prefix(row, objective.image(row, corrupted)).embeds
        answer_embeds = lvlm.decoder.get_input_embeddings()(torch.tensor(answer, device=lvlm.device))
        sequences.append(torch.cat([prefix, answer_embeds]))
        labels.append([-100] * len(prefix) + answer)
    longest = max(map(len, sequences))
    embeds = sequences[0].new_zeros(len(rows), longest, sequences[0].shape[-1])
    mask = torch.zeros(len(rows), longest, dtype=torch.long, device=embeds.device)
    for index, sequence in enumerate(sequences):
        embeds[index, : len(sequence)] = sequence
        mask[index, : len(sequence)] = 1
        labels[index] += [-100] * (longest - len(labels[index]))
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    hidden = run_decoder(lvlm, embeds, mask, positions)
    return lm_logits(lvlm, hidden), torch.tensor(labels, device=embeds.device)


def _encode_again(objective: ChipObjective, row: int, corrupted: bool) -> None:
    """Runs the tower over one image for its cost alone; the result equals the cached features."""
    of = objective.pixels.corrupted if corrupted else objective.pixels.clean
    with torch.no_grad():
        examples.encode_pixels(objective.lvlm, of(objective.examples[row].photo))
