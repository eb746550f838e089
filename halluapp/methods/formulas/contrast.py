"""The contrast step shared by VDD and its relatives: main logits against reference logits, inside a plausible set."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def full_precision(values: Tensor) -> Tensor:
    """`values` in float64 if they are float64 already, else in float32.

    Half precision overflows in (1 + alpha) * z beyond 32752 and loses the digits in which two branches differ.
    """
    return values if values.dtype == torch.float64 else values.to(torch.float32)


def plausible(logits: Tensor, beta: float) -> Tensor:
    """Which tokens are at least `beta` times as probable as the most probable one.

    `logits` [..., V] -> bool [..., V]. Written as z >= ln(beta) + max z, which is the same condition without a softmax.
    beta = 0 keeps every token, beta = 1 only the most probable one; that one and exact ties with it always survive.
    Raises ValueError for beta outside [0, 1]. Source: adaptive plausibility constraint of VCD, which VDD keeps.
    """
    if not 0.0 <= beta <= 1.0:
        raise ValueError(f"beta must lie in [0, 1], got {beta}")
    z = full_precision(logits)
    if beta == 0.0:
        return torch.ones_like(z, dtype=torch.bool)
    cutoff = z.amax(dim=-1, keepdim=True) + math.log(beta)  # [..., 1]
    return z >= cutoff


def contrast(logits: Tensor, reference: Tensor, alpha: float, beta: float) -> Tensor:
    """(1 + alpha) z - alpha z_ref inside the plausible set of z, -inf outside it.

    `logits` and `reference` [..., V] (the reference may broadcast) -> [..., V], float32, or float64 if either is
    float64. The set depends on `logits` alone. alpha = 0 gives the main logits unchanged on the set. A token that the
    reference excludes (-inf) counts as its least probable allowed token, so that the result stays finite.
    Raises ValueError for a negative alpha, beta outside [0, 1] or different vocabularies.
    Source: VDD, visual debias decoding.
    """
    if not alpha >= 0.0:
        raise ValueError(f"alpha must not be negative, got {alpha}")
    if logits.shape[-1] != reference.shape[-1]:
        raise ValueError(f"vocabularies differ: {logits.shape[-1]} main and {reference.shape[-1]} reference logits")
    keep = plausible(logits, beta)
    z, z_ref = full_precision(logits), full_precision(reference)
    if alpha > 0.0:
        # This form gives z itself, bit by bit, where both branches agree; the factored one only nearly.
        z = z + alpha * (z - _finite(z_ref))
    return z.masked_fill(~keep, -math.inf)


def _finite(z_ref: Tensor) -> Tensor:
    """Replaces -inf by the row's smallest finite value, 0 in a row that has none. [..., V] -> [..., V]"""
    banned = z_ref == -math.inf
    floor = z_ref.masked_fill(banned, math.inf).amin(dim=-1, keepdim=True)  # [..., 1]
    floor = floor.masked_fill(floor == math.inf, 0.0)
    return torch.where(banned, floor, z_ref)
