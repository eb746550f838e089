"""The contrast step: golden vectors of VDD's authors, and what must hold for any logits."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from golden_cases import Case, cases
from torch import Tensor

from halluapp.numerics import contrast, plausible

HALF = ("step/normal-float16", "step/huge-float16", "step/normal-bfloat16")
EXCLUDED = "step/impossible-in-reference"
STRUNG_TOGETHER = "loop/none/batch-of-two"
STEPS = [case for case in cases("vdd", "step/") if case.id not in (*HALF, EXCLUDED)]
LOOPS = [case for case in cases("vdd", "loop/") if case.id != STRUNG_TOGETHER]


def settings(case: Case) -> tuple[float, float]:
    """alpha and beta; the authors' fall-back is (0.5, 0.1)."""
    alpha, beta = case.parameters["alpha"], case.parameters["beta"]
    return (0.5 if alpha == "default" else alpha, 0.1 if beta == "default" else beta)


def pair(case: Case) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(case.inputs["logits"]), torch.from_numpy(case.inputs["reference"])


@pytest.mark.parametrize("case", STEPS, ids=repr)
def test_golden_step(case: Case) -> None:
    (z, z_ref), (alpha, beta) = pair(case), settings(case)
    result = contrast(z, z_ref, alpha, beta)
    assert result.dtype == z.dtype
    tolerance = 1e-6 if z.dtype == torch.float64 else 1e-5
    np.testing.assert_allclose(result.numpy(), case.outputs["result"], rtol=tolerance, atol=tolerance)
    if "kept" in case.outputs:
        assert np.array_equal(plausible(z, beta).numpy(), case.outputs["kept"])
        assert np.array_equal((z >= torch.from_numpy(case.outputs["cutoff"])).numpy(), case.outputs["kept"])


@pytest.mark.parametrize("case", [case for case in cases("vdd", "step/") if case.id in HALF], ids=repr)
def test_golden_step_in_half_precision(case: Case) -> None:
    """The authors compute in half precision here; ours has no such mode by design, so only the digits that they have
    can agree: tokens that both keep, to the precision of the type."""
    assert set(case.authors_only) == {"cutoff", "kept", "result"}
    (z, z_ref), (alpha, beta) = pair(case), settings(case)
    result = contrast(z, z_ref, alpha, beta)
    assert result.dtype == torch.float32
    assert not result.isnan().any()
    assert torch.equal(result, contrast(z.float(), z_ref.float(), alpha, beta))
    theirs = torch.from_numpy(case.outputs["result"]).float()
    both = result.isfinite() & theirs.isfinite()
    assert both.any(dim=-1).all()
    torch.testing.assert_close(result[both], theirs[both], rtol=2e-2, atol=5e-2)


def test_golden_token_that_the_reference_excludes() -> None:
    """The authors get +inf, with which sampling fails; ours stays finite (there is no authors mode for that)."""
    (case,) = cases("vdd", EXCLUDED)
    (z, z_ref), (alpha, beta) = pair(case), settings(case)
    result = contrast(z, z_ref, alpha, beta)
    theirs = torch.from_numpy(case.outputs["result"])
    assert case.authors_only == ("result",)
    assert theirs.isposinf().any()
    remaining = plausible(z, beta)
    assert result[remaining].isfinite().all()
    assert result[~remaining].isneginf().all()
    finite = theirs.isfinite()
    torch.testing.assert_close(result[finite], theirs[finite])


@pytest.mark.parametrize("case", LOOPS, ids=repr)
def test_golden_loop(case: Case) -> None:
    """Scores of every step. Prompts and masks of the rows, and whose cache a row continued, are not numbers of
    `contrast` but of the rows that the VDD method declares; drawn tokens are recorded for information only."""
    z = torch.from_numpy(case.inputs["logits_main"])  # [steps, 1, V]
    names = {"none": ["none"], "unk": ["unk"], "both": ["none", "unk"], "noised": ["noised"], "off": []}
    rows = [torch.from_numpy(case.inputs[f"logits_{name}"]) for name in names[case.parameters["mode"]]]
    alpha, beta = settings(case)
    scores = contrast(z, torch.stack(rows).mean(dim=0), alpha, beta) if rows else contrast(z, z, 0.0, 0.0)
    if "temperature" in case.parameters:
        scores = warp(scores, **{name: case.parameters[name] for name in ("temperature", "top_k", "top_p")})
    np.testing.assert_allclose(scores.numpy(), case.outputs["scores"], rtol=1e-6)


def test_golden_loop_with_two_prompts() -> None:
    """The authors string two prompts of a batch together into one, before any logits: nothing that `contrast` sees.
    Ours must treat rows of a batch separately."""
    (case,) = cases("vdd", STRUNG_TOGETHER)
    assert case.authors_only == ("prompt_none", "mask_none")
    assert "scores" not in case.outputs
    z, z_ref = logits(2, 9, seed=1), logits(2, 9, seed=2)
    alone = torch.stack([contrast(z[row], z_ref[row], 1.0, 0.1) for row in range(2)])
    assert torch.equal(contrast(z, z_ref, 1.0, 0.1), alone)


def warp(scores: Tensor, temperature: float, top_k: int, top_p: float) -> Tensor:
    """Temperature, then top-k, then top-p, as sampling applies them after the contrast."""
    scores = scores / temperature
    scores = scores.masked_fill(scores < scores.topk(top_k, dim=-1).values[..., -1:], -math.inf)
    ordered, order = scores.sort(dim=-1)
    cut = ordered.softmax(dim=-1).cumsum(dim=-1) <= 1 - top_p
    cut[..., -1] = False
    return scores.masked_fill(torch.zeros_like(cut).scatter(-1, order, cut), -math.inf)


def logits(*shape: int, seed: int = 0) -> Tensor:
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("beta", [0.0, 1e-6, 0.1, 0.5, 1.0])
def test_the_most_probable_token_survives(beta: float) -> None:
    z, z_ref = logits(4, 3, 50, seed=3), logits(4, 3, 50, seed=4)
    result = contrast(z, z_ref, 2.0, beta)
    assert result.gather(-1, z.argmax(dim=-1, keepdim=True)).isfinite().all()
    assert torch.equal(result.isfinite(), contrast(z, -z_ref, 0.5, beta).isfinite())


def test_exact_ties_survive_at_beta_one() -> None:
    z = torch.tensor([[1.7, 0.1, 1.7, -3.0]])
    assert plausible(z, 1.0).tolist() == [[True, False, True, False]]


def test_the_set_is_that_of_the_probabilities() -> None:
    z = logits(20, 40, seed=5).double()
    p = z.softmax(dim=-1)
    assert torch.equal(plausible(z, 0.2), p >= 0.2 * p.amax(dim=-1, keepdim=True))


def test_strength_zero_is_the_baseline() -> None:
    z, z_ref = logits(3, 30, seed=6), logits(3, 30, seed=7)
    z[0, 4], z_ref[1, 5] = -math.inf, -math.inf
    assert torch.equal(contrast(z, z_ref, 0.0, 0.0), z)
    assert torch.equal(contrast(z, z_ref, 0.0, 0.1), z.masked_fill(~plausible(z, 0.1), -math.inf))


def test_an_equal_reference_changes_nothing_and_a_constant_one_scales() -> None:
    z = logits(3, 30, seed=8)
    assert torch.equal(contrast(z, z, 1.7, 0.0), z)
    scaled = contrast(z, torch.full_like(z, 2.5), 1.0, 0.0)
    torch.testing.assert_close(scaled.softmax(dim=-1), (2 * z).softmax(dim=-1))


def test_logits_and_log_probabilities_agree() -> None:
    z, z_ref = logits(3, 30, seed=9), logits(3, 30, seed=10)
    one = contrast(z, z_ref, 1.0, 0.1).softmax(dim=-1)
    two = contrast(z.log_softmax(dim=-1), z_ref.log_softmax(dim=-1), 1.0, 0.1).softmax(dim=-1)
    torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-6)


def test_overturns_the_argmax_exactly_when_the_prior_is_strong_enough() -> None:
    """Token 1 wins if alpha * (difference in the reference) > (1 + alpha) * (gap with the photo)."""
    z = torch.tensor([1.0, 0.0]).double()
    assert contrast(z, torch.tensor([1.9, 0.0]), 1.0, 0.1).argmax() == 0
    assert contrast(z, torch.tensor([2.1, 0.0]), 1.0, 0.1).argmax() == 1


@pytest.mark.parametrize("beta", [0.0, 0.1])
def test_no_nan_where_a_branch_excludes_tokens(beta: float) -> None:
    z, z_ref = logits(3, 12, seed=11), logits(3, 12, seed=12)
    z[:, 2], z_ref[:, 2:6], z_ref[2] = -math.inf, -math.inf, -math.inf
    result = contrast(z, z_ref, 1.0, beta)
    assert not result.isnan().any()
    assert not result.isposinf().any()
    assert result[:, 2].isneginf().all()


@pytest.mark.parametrize(
    ("alpha", "beta", "width"), [(-0.1, 0.1, 5), (math.nan, 0.1, 5), (1.0, -0.1, 5), (1.0, 1.1, 5), (1.0, 0.1, 4)]
)
def test_refuses_what_has_no_meaning(alpha: float, beta: float, width: int) -> None:
    with pytest.raises(ValueError):
        contrast(torch.zeros(2, 5), torch.zeros(2, width), alpha, beta)
