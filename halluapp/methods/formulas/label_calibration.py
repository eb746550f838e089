"""Affine calibration of answer probabilities with an image-free prior: of label scores, and of the next token."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from halluapp.methods.formulas.contrast import full_precision, plausible

# A prior of exactly 0 divides by this without smoothing: large enough for float32 quotients.
PRIOR_FLOOR = 1e-12
# In identity mode p - prior is divided by its sum only above this; with a normalised prior the sum is rounding noise.
SMALLEST_SUM = 1e-2
AUTHORS_TOP_TOKENS = 10


def normalise(masses: Any, authors: bool = False) -> Tensor:
    """Non-negative masses [..., C] -> probabilities [..., C].

    A row without any mass says nothing and becomes uniform; with `authors=True` it becomes NaN (0/0).
    Takes tensors, arrays or nested lists. Raises ValueError for negative or non-finite masses (not in authors mode).
    """
    masses = _tensor(masses)
    if not authors:
        _refuse_bad_masses(masses)
    total = masses.sum(dim=-1, keepdim=True)  # [..., 1]
    probs = masses / total
    return probs if authors else torch.where(total > 0, probs, torch.full_like(probs, 1.0 / masses.shape[-1]))


def calibrate(
    label_probs: Any,
    prior: Any,
    mode: Literal["diagonal", "identity"] = "diagonal",
    smoothing: float = 1e-4,
    authors: bool = False,
) -> Tensor:
    """q = normalise(W p + b): the answer with the photo, corrected by the answer without it.

    `label_probs` [..., C] probabilities or masses of C labels with the photo, `prior` [..., C] or [C] without it
    -> [..., C], rows sum to 1.

    - diagonal: W = diag(prior + smoothing)^-1, b = 0. Masses of any scale may be given as prior. A label that the
      prior lacks is amplified by at most 1 / smoothing (1 / PRIOR_FLOOR for smoothing 0).
    - identity: W = 1, b = -(prior + smoothing), the prior taken as given. Divided by the sum where that is at least
      SMALLEST_SUM (entries may then be negative), else softmax: with a normalised prior the sum is 0 up to rounding.

    A row without any mass counts as uniform, so the default mode never gives NaN; `authors=True` divides as the
    authors' script does, NaN and infinities included. Raises ValueError for an unknown mode, different numbers of
    labels, negative smoothing, and negative or non-finite masses. Source: Debiasing MLLMs (VDD paper), post-hoc debias.
    """
    p, pri = normalise(label_probs, authors), _tensor(prior)
    if p.shape[-1] != pri.shape[-1]:
        raise ValueError(f"{p.shape[-1]} label probabilities but a prior over {pri.shape[-1]} labels")
    if not smoothing >= 0.0:
        raise ValueError(f"smoothing must not be negative, got {smoothing}")
    if mode == "diagonal":
        return _diagonal(p, pri, smoothing, authors)
    if mode == "identity":
        return _identity(p, pri, smoothing, authors)
    raise ValueError(f"mode must be 'diagonal' or 'identity', got {mode!r}")


def combine_priors(none: Any, unk: Any, authors: bool = False) -> Tensor:
    """The prior "Both" out of the None and the Unk prior: [..., C], [..., C] -> probabilities [..., C].

    The mean of both after each is normalised; `authors=True` normalises the sum of the masses as they are, in which
    the prior with more label mass weighs more. Source: VDD paper, post-hoc debias, None + Unk.
    """
    if authors:
        return normalise(_tensor(none) + _tensor(unk), authors=True)
    return (normalise(none) + normalise(unk)) / 2


def label_scores(logits: Any, label_token_ids: Sequence[Sequence[int]], authors: bool = False) -> Tensor:
    """Scores of C labels out of the raw logits of the first answer token.

    `logits` [..., V] before any temperature or truncation; `label_token_ids` one list of token ids a label (its
    surface forms) -> [..., C] probabilities over the labels, surface forms added up. Where every form of every label
    is excluded (-inf) the labels are equally probable.
    `authors=True`: masses, not normalised; only the 10 most probable tokens count, and of several forms of a label only
    the most probable one; 0 for a label that is not among them.
    Raises ValueError for a label without token ids. Source: VDD paper, post-hoc debias; the sum over forms is ours.
    """
    if not label_token_ids or any(len(ids) == 0 for ids in label_token_ids):
        raise ValueError("every label needs at least one token id")
    logits = _tensor(logits)
    if authors:
        return _top_masses(logits.softmax(dim=-1), label_token_ids)
    log_mass = torch.stack([logits[..., list(ids)].logsumexp(dim=-1) for ids in label_token_ids], dim=-1)  # [..., C]
    empty = log_mass.amax(dim=-1, keepdim=True) == -math.inf
    return log_mass.masked_fill(empty, 0.0).softmax(dim=-1)


def calibrate_next_token(
    logits: Tensor, prior_logits: Tensor, strength: float, beta: float, smoothing: float = 1e-4
) -> Tensor:
    """log q = log p - strength * log(prior + smoothing) on the plausible set of p, -inf outside it.

    `logits` (with the photo) and `prior_logits` (without) [..., V] -> logits [..., V], float32 or float64. The tokens
    of the set play the part of the labels: the prior is normalised over the set before `smoothing` is added, so at
    strength 1 the softmax of the result equals `calibrate` on the set. Strength 0 is the baseline: its logits come back
    without a mask, so sampling is the baseline's too. Raises ValueError for a negative strength or smoothing, beta
    outside [0, 1] or different vocabularies. Source: VDD paper, post-hoc debias, with VDD's plausible set for labels.
    """
    if not (strength >= 0.0 and smoothing >= 0.0):
        raise ValueError(f"strength and smoothing must not be negative, got {strength} and {smoothing}")
    if logits.shape[-1] != prior_logits.shape[-1]:
        raise ValueError(f"vocabularies differ: {logits.shape[-1]} and {prior_logits.shape[-1]} logits")
    z = full_precision(logits)
    if strength == 0.0:
        return z
    keep = plausible(z, beta)
    inside = full_precision(prior_logits).masked_fill(~keep, -math.inf)  # [..., V]
    empty = inside.amax(dim=-1, keepdim=True) == -math.inf
    inside = torch.where(empty & keep, torch.zeros_like(inside), inside)
    prior = inside.softmax(dim=-1) + smoothing
    corrected = z - strength * prior.clamp(min=PRIOR_FLOOR).log()
    return corrected.masked_fill(~keep, -math.inf)


def _tensor(values: Any) -> Tensor:
    return full_precision(values if torch.is_tensor(values) else torch.from_numpy(np.array(values, dtype=np.float64)))


def _refuse_bad_masses(masses: Tensor) -> None:
    if not bool((torch.isfinite(masses) & (masses >= 0)).all()):
        raise ValueError("probabilities must be finite and not negative")


def _diagonal(p: Tensor, prior: Tensor, smoothing: float, authors: bool) -> Tensor:
    weight = normalise(prior, authors) + smoothing
    q = p / (weight if authors else weight.clamp(min=PRIOR_FLOOR))
    return q / q.sum(dim=-1, keepdim=True)


def _identity(p: Tensor, prior: Tensor, smoothing: float, authors: bool) -> Tensor:
    if not authors:
        _refuse_bad_masses(prior)
    q = p - (prior + smoothing)
    total = q.sum(dim=-1, keepdim=True)  # [..., 1]
    return q / total if authors else torch.where(total >= SMALLEST_SUM, q / total, q.softmax(dim=-1))


def _top_masses(probs: Tensor, label_token_ids: Sequence[Sequence[int]]) -> Tensor:
    """probs [..., V] -> [..., C]: per label the largest probability among the top tokens, else 0."""
    top = probs.topk(min(AUTHORS_TOP_TOKENS, probs.shape[-1]), dim=-1)
    top_probs = torch.zeros_like(probs).scatter(-1, top.indices, top.values)
    return torch.stack([top_probs[..., list(ids)].amax(dim=-1) for ids in label_token_ids], dim=-1)
