"""CHiP: preference on answers at response, segment and token level, and on photos (Fu et al., ICLR 2025)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from halluapp.methods.formulas.contrast import full_precision

IGNORE = -100
MODES = ("paper", "joint")


def answer_logps(logits: Tensor, ids: Tensor) -> Tensor:
    """Log-probability of each id under the logits in its own place: [N, A, V], [N, A] -> [N, A]."""
    return full_precision(logits).log_softmax(-1).gather(-1, ids.unsqueeze(-1)).squeeze(-1)


def token_kl(reference_logits: Tensor, policy_logits: Tensor) -> Tensor:
    """KL(reference || policy) over the vocabulary, place by place: [..., V], [..., V] -> [...]."""
    reference = full_precision(reference_logits).log_softmax(-1)
    policy = full_precision(policy_logits).log_softmax(-1)
    # Where a token has no mass under the reference it adds nothing, even if both log-probabilities are -inf.
    return (reference.exp() * (reference - policy)).masked_fill(reference == -torch.inf, 0.0).sum(-1)


def token_logps(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probability of every label under the logits one position before it -> ([R, T-1], mask [R, T-1] bool).

    logits [R, T, V], labels [R, T], -100 = masked (such positions hold the log-probability of token 0).
    """
    mask = labels[:, 1:] != IGNORE
    return answer_logps(logits[:, :-1], labels[:, 1:].masked_fill(~mask, 0)), mask


def sequence_logps(logits: Tensor, labels: Tensor, average: bool = False, weights: Tensor | None = None) -> Tensor:
    """Log-probability of each row's answer: logits [R, T, V], labels [R, T] (-100 = masked) -> [R].

    Position t is predicted by the logits at t-1. `weights` [R, T-1] multiply the tokens; `average` divides by the
    number of answer tokens (0 for a row without any). Any number of rows, padded on either side.
    """
    logps, mask = token_logps(logits, labels)
    return masked_sum(logps if weights is None else logps * weights, mask, average)


def sequential_kl(reference_logits: Tensor, policy_logits: Tensor, labels: Tensor, average: bool = False) -> Tensor:
    """D(y) = sum over answer positions of KL(reference || policy): [R, T, V], [R, T, V], [R, T] -> [R], at least 0.

    Source: CHiP, section 3.2 (token level); Zeng et al. 2024 (TDPO), equation 8.
    """
    return masked_sum(token_kl(reference_logits[:, :-1], policy_logits[:, :-1]), labels[:, 1:] != IGNORE, average)


def segment_logps(logps: Tensor, mask: Tensor, changed: Tensor, weight: float) -> Tensor:
    """(sum of log-probs + weight * sum over changed tokens) / (|y| + weight * |changed|): three [R, U] -> [R].

    Source: CHiP, section 3.2 (segment level), with its normalisation; the authors' code has none.
    """
    share = mask.to(logps.dtype) * (1 + weight * changed.to(logps.dtype))
    return (logps * share).masked_fill(~mask, 0.0).sum(-1) / share.sum(-1).clamp(min=1e-12)


def preferred_share(margin: Tensor) -> float:
    """The share of pairs whose truthful answer has the larger reward; margins [B]. A tie counts half.

    Before the first step all margins are 0: nothing is preferred, and the share says so, .5 and not 0.
    """
    return float(((margin > 0).float() + 0.5 * (margin == 0).float()).mean())


def masked_sum(values: Tensor, mask: Tensor, average: bool = False) -> Tensor:
    """Sum (or mean) of the values where `mask` is True, of each row: [R, U], [R, U] -> [R]; 0 for a row without any."""
    total = values.masked_fill(~mask, 0.0).sum(-1)
    return total / mask.sum(-1).clamp(min=1) if average else total


@dataclass(frozen=True)
class Answers:
    """Log-probabilities [B] that one model gives: to the chosen and the rejected answer, and to the chosen answer
    beside the corrupted photo. segment_*: `segment_logps` of the first two (paper mode)."""

    chosen: Tensor
    rejected: Tensor
    corrupted: Tensor | None = None
    segment_chosen: Tensor | None = None
    segment_rejected: Tensor | None = None


@dataclass(frozen=True)
class ChipLoss:
    """loss: scalar, mean over pairs. losses: its parts, [B]. terms: what it consists of, scalars.

    margin: before beta, [B]. rewards: of chosen and rejected answers [B], to log: beta * (log-ratio + KL), as TDPO.
    """

    loss: Tensor
    terms: dict[str, Tensor]
    margin: Tensor
    rewards: dict[str, Tensor]
    losses: Tensor


def chip_loss(
    policy: Answers,
    reference: Answers,
    kl_chosen: Tensor | None = None,
    kl_rejected: Tensor | None = None,
    mode: str = "paper",
    beta: float = 0.1,
    segment: float = 1.0,
    token: float = 0.1,
    visual: float = 1.0,
) -> ChipLoss:
    """The objective from log-probabilities [B] of policy and reference. Terms whose inputs are None are left out.

    "paper": L_v + L_r + segment * L_s + token * L_k, each -ln sigmoid(beta * margin) but L_k = beta * (D_l - sg D_w).
    "joint", the authors' code: -ln sigmoid(beta * (text + visual margin - token * (D_l - sg D_w))), one sigmoid; here
    `chosen`, `rejected` and `corrupted` may hold log-probabilities weighted by segment (`token_weights`).
    sg: no gradient through the KL of the chosen answer; the sign is TDPO2's: a policy that leaves the reference on
    rejected answers pays. The visual weight multiplies its loss or, in joint mode, its margin. Raises ValueError.
    Source: CHiP, equations 5-10.
    """
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, not {mode!r}")
    margins = _margins(policy, reference, mode)
    drift = None if kl_rejected is None or kl_chosen is None else kl_rejected - kl_chosen.detach()
    losses = {"response": -logsigmoid(beta * margins["response"])}
    total = margins["response"]
    if "visual" in margins:
        losses["visual"] = -logsigmoid(beta * margins["visual"])
        total = total + visual * margins["visual"]
    if "segment" in margins:
        losses["segment"] = -logsigmoid(beta * margins["segment"])
    if drift is not None:
        losses["token"] = beta * drift
        total = total - token * drift
    if mode == "joint":
        each = -logsigmoid(beta * total)
    else:
        weights = {"response": 1.0, "visual": visual, "segment": segment, "token": token}
        each = sum(weights[name] * loss for name, loss in losses.items())
    with torch.no_grad():
        rewards = {
            "chosen": beta * (policy.chosen - reference.chosen + (0 if drift is None else kl_chosen)),
            "rejected": beta * (policy.rejected - reference.rejected + (0 if drift is None else kl_rejected)),
        }
    return ChipLoss(each.mean(), {name: loss.mean() for name, loss in losses.items()}, total, rewards, each)


def _margins(policy: Answers, reference: Answers, mode: str) -> dict[str, Tensor]:
    """How much more the policy prefers, compared with the reference: chosen answers, segments, true photos."""
    chosen = policy.chosen - reference.chosen
    margins = {"response": chosen - (policy.rejected - reference.rejected)}
    if policy.corrupted is not None and reference.corrupted is not None:
        margins["visual"] = chosen - (policy.corrupted - reference.corrupted)
    segments = (policy.segment_chosen, policy.segment_rejected, reference.segment_chosen, reference.segment_rejected)
    if mode == "paper" and all(part is not None for part in segments):
        policy_chosen, policy_rejected, reference_chosen, reference_rejected = segments
        margins["segment"] = (policy_chosen - reference_chosen) - (policy_rejected - reference_rejected)
    return margins
