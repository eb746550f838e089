"""CHiP's step as we do it against the plain way, in one run: six forwards, whole logits, the tower each time."""

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

    The plain way: policy and reference each on (chosen, photo), (rejected, photo), (chosen, corrupted photo), six
    forwards, the vision tower in each, logits at all positions; forward and backward are timed. `..._features_kept`:
    the same, but with features of the tower given.
    """
    made = ChipObjective(lvlm, ChipRecipe(batch=batch, rank=16), pairs, log=lambda line: None)
    try:
        with torch.no_grad():  # an adapter that does something, so that equal losses mean something
            for parameter in peft_adapter.trainable_parameters(made.wrapped):
                parameter.add_(0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
        rows = list(range(min(batch, len(pairs))))
        forwards = (
            lambda: made.losses(rows, 0)[0],
            lambda: separate_forwards_loss(made, rows, True),
            lambda: separate_forwards_loss(made, rows, False),
        )
        losses = [float(work().detach()) for work in forwards]
        times = [[_seconds(work, made) for work in forwards] for _ in range(rounds)]
    finally:
        made.undo()
    middle = [statistics.median(column) for column in zip(*times, strict=True)]
    return {
        "schema": 1, "model": lvlm.name, "quantization": lvlm.quantization, "batch": len(rows), "rounds": rounds,
        "threads": torch.get_num_threads(), "loss": losses[0], "loss_plain": losses[1],
        "loss_difference": abs(losses[0] - losses[1]), "seconds": round(middle[0], 4),
        "seconds_plain": round(middle[1], 4), "seconds_plain_features_kept": round(middle[2], 4),
        "ratio": round(statistics.median(b / a for a, b, _ in times), 3),
        "ratio_features_kept": round(statistics.median(c / a for a, _, c in times), 3),
    }  # fmt: skip


def _seconds(work, made: ChipObjective) -> float:
    started = time.perf_counter()
    work().backward()
    for parameter in peft_adapter.trainable_parameters(made.wrapped):
        parameter.grad = None
    return time.perf_counter() - started


def separate_forwards_loss(made: ChipObjective, rows: list[int], look: bool) -> Tensor:
    """The same loss in paper mode from six separate batches, written without any of the shared code paths."""
    recipe = made.recipe
    with torch.no_grad(), peft_adapter.reference(made.wrapped):
        reference = [_logits(made, rows, *kind, look) for kind in _FORWARDS]
    policy = [_logits(made, rows, *kind, look) for kind in _FORWARDS]
    sides = []
    for side in (policy, reference):
        totals = [sequence_logps(logits, labels) for logits, labels in side]
        segments = [_segment(made, rows, *side[place], kind) for place, kind in ((0, "chosen"), (1, "rejected"))]
        sides.append(Answers(*totals, *segments))
    drift = [sequential_kl(reference[place][0], *policy[place]) for place in (0, 1)]
    return chip_loss(
        *sides, *drift, mode="paper", beta=recipe.beta, segment=recipe.segment, token=recipe.token, visual=recipe.visual
    ).loss


_FORWARDS = (("chosen", False), ("rejected", False), ("chosen", True))


def _segment(made: ChipObjective, rows: list[int], logits: Tensor, labels: Tensor, kind: str) -> Tensor:
    logps, counted = token_logps(logits, labels)
    changed = torch.zeros_like(counted)
    for place, row in enumerate(rows):
        start = int(counted[place].nonzero()[0])
        for token in getattr(made.examples[row], f"changed_{kind}"):
            changed[place, start + token] = True
    return segment_logps(logps, counted, changed, made.recipe.changed)


def _logits(made: ChipObjective, rows: list[int], kind: str, corrupted: bool, look: bool) -> tuple[Tensor, Tensor]:
    """Right-padded rows of one kind of answer -> logits [B, T, V] at all positions, labels [B, T]."""
    lvlm = made.lvlm
    if look:
        for row in rows:
            _encode_again(made, row, corrupted)
    sequences, labels = [], []
    for row in rows:
        answer = getattr(made.examples[row], kind)
        prefix = made.prefix(row, lvlm.project(made.projector_input(row, corrupted)))
        said = lvlm.decoder.get_input_embeddings()(torch.tensor(answer, device=lvlm.device))
        sequences.append(torch.cat([prefix, said]))
        labels.append([-100] * len(prefix) + answer)
    longest = max(map(len, sequences))
    embeds = sequences[0].new_zeros(len(rows), longest, sequences[0].shape[-1])
    mask = torch.zeros(len(rows), longest, dtype=torch.long, device=embeds.device)
    for place, sequence in enumerate(sequences):
        embeds[place, : len(sequence)] = sequence
        mask[place, : len(sequence)] = 1
        labels[place] += [-100] * (longest - len(labels[place]))
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    hidden = run_decoder(lvlm, embeds, mask, positions)
    return lm_logits(lvlm, hidden), torch.tensor(labels, device=embeds.device)


def _encode_again(made: ChipObjective, row: int, corrupted: bool) -> None:
    """The tower's work for one photo; its result is the one that is kept already."""
    of = made.pixels.corrupted if corrupted else made.pixels.clean
    with torch.no_grad():
        examples.encode_pixels(made.lvlm, of(made.examples[row].photo))
