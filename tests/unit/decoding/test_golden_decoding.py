"""The reference methods against what their authors' own code gives for small seeded inputs, and each fault of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from golden_cases import Case, cases
from torch import Tensor

from halluapp.decoding.hooks.attention import last_position_weights, weighted_values
from halluapp.lvlm.diffusion import alpha_bar
from halluapp.methods import deco as deco_file
from halluapp.methods import dola as dola_file
from halluapp.methods import icd, m3id, pai
from halluapp.numerics import contrast, diffuse, plausible

HALF = ("vcd/step/normal-float16", "vcd/step/huge-float16", "vcd/step/normal-bfloat16")
STEPS = [case for case in cases("decoding", "vcd/step/") + cases("decoding", "icd/step") if case.id not in HALF]


def tensor(case: Case, name: str) -> Tensor:
    return torch.from_numpy(np.asarray(case.inputs[name]))


def close(ours: Tensor, theirs, tolerance: float = 1e-6) -> None:
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=tolerance, atol=tolerance)


def settings(case: Case) -> tuple[float, float]:
    alpha, beta = case.parameters["alpha"], case.parameters["beta"]
    return (0.5 if alpha == "default" else alpha, 0.1 if beta == "default" else beta)


@pytest.mark.parametrize("case", STEPS, ids=repr)
def test_golden_contrast_step(case: Case) -> None:
    z, z_ref = tensor(case, "logits"), tensor(case, "reference")
    close(contrast(z, z_ref, *settings(case)), case.outputs["result"], 1e-6 if z.dtype == torch.float64 else 1e-5)
    assert np.array_equal(plausible(z, settings(case)[1]).numpy(), case.outputs["kept"])


@pytest.mark.parametrize("case", [case for case in cases("decoding", "vcd/step/") if case.id in HALF], ids=repr)
def test_golden_half_precision_is_computed_in_float32(case: Case) -> None:
    """The authors contrast in half precision, which overflows and rounds; ours has no such mode."""
    z, z_ref = tensor(case, "logits"), tensor(case, "reference")
    result = contrast(z, z_ref, *settings(case))
    assert result.dtype == torch.float32
    assert not result.isnan().any()
    theirs = torch.from_numpy(np.asarray(case.outputs["result"])).float()
    both = result.isfinite() & theirs.isfinite()
    torch.testing.assert_close(result[both], theirs[both], rtol=2e-2, atol=5e-2)


@pytest.mark.parametrize("case", cases("decoding", "vcd/loop") + cases("decoding", "vcd/only-copy"), ids=repr)
def test_golden_vcd_loop(case: Case) -> None:
    beta = case.parameters["beta"]
    close(contrast(tensor(case, "logits_main"), tensor(case, "logits_noised"), 1.0, beta), case.outputs["scores"])


def test_golden_icd_with_one_reference_and_the_fault_with_two() -> None:
    """Two references: the authors add both contrasts, so that the main logits count twice. Ours has one reference."""
    (one,), (two,) = cases("decoding", "icd/one-reference"), cases("decoding", "icd/two-references")
    ours = contrast(tensor(one, "logits_main"), tensor(one, "logits_disturbed"), 1.0, 0.1)
    close(ours, one.outputs["result"])
    z, a, b = (tensor(two, name) for name in ("logits_main", "logits_disturbed", "logits_second"))
    close(contrast(z, a, 1.0, 0.1) + contrast(z, b, 1.0, 0.1), two.outputs["result"])
    assert two.authors_only == ("result",)


def test_the_formula_of_the_icd_paper() -> None:
    torch.manual_seed(0)
    z, z_ref = torch.randn(3, 20).double(), torch.randn(3, 20).double()
    for strength, beta in ((1.0, 0.1), (0.4, 0.0)):
        ours = icd.subtract(z, z_ref, strength, beta)
        assert torch.equal(ours.isfinite(), plausible(z, beta))
        assert torch.equal(ours[ours.isfinite()], (z - strength * z_ref)[ours.isfinite()])
    remaining = icd.subtract(z, z, 1.0, 0.1)
    assert (remaining[remaining.isfinite()] == 0).all()  # why the code's formula, not the paper's, is the default
    assert torch.equal(icd.subtract(z, z_ref, 0.0, 0.0), z)


@pytest.mark.parametrize("case", cases("decoding", "m3id/"), ids=repr)
def test_golden_m3id(case: Case) -> None:
    """AvisC's re-implementation counts from 1, ONLY's from 0: there the first token gets no contrast."""
    first = case.parameters["first_t"]
    for index, (z, z_text) in enumerate(zip(tensor(case, "logits_main"), tensor(case, "logits_text"), strict=True)):
        strength = m3id.weight(index, case.parameters["decay"], first=first)
        ours = m3id.amplify(z, z_text, strength, case.parameters["beta"]).log_softmax(-1)
        close(ours, torch.from_numpy(case.outputs["scores"][index]).log_softmax(-1))  # raw logits or log: a constant
    assert (m3id.weight(0, 0.02, first=first) == 0) == (first == 0)


def test_the_weight_of_m3id_grows_without_bound_unless_capped() -> None:
    values = [m3id.weight(t - 1, 0.02) for t in (50, 100, 256)]
    assert values == pytest.approx([1.718, 6.389, 166.3], rel=1e-3)
    capped = [m3id.weight(t - 1, 0.02, 4.0) for t in (1, 50, 100, 10**6)]
    assert capped == pytest.approx([0.0202, 1.718, 4, 4], rel=1e-3)
    assert m3id.weight(5, 0.0) == 0
    assert math.isfinite(m3id.weight(10**6, 0.2))


GUIDES = [case for case in cases("decoding", "pai/") if "attention" not in case.id]


@pytest.mark.parametrize("case", GUIDES, ids=repr)
def test_golden_pai_guidance(case: Case) -> None:
    """With gamma = 1 the authors return the log-probabilities without the plausible set."""
    for z, z_text, theirs in zip(
        tensor(case, "logits"), tensor(case, "text_logits"), case.outputs["result"], strict=True
    ):
        ours = pai.guide(z, z_text, case.parameters["gamma"], case.parameters["cutoff"])
        assert np.array_equal(np.isfinite(theirs), ours.isfinite().numpy())
        close(ours, theirs)


@pytest.mark.parametrize("case", cases("decoding", "pai/attention"), ids=repr)
def test_golden_pai_attention(case: Case) -> None:
    """Only the last position changes: s + alpha |s| on the photo's keys, after the mask and before the softmax."""
    hidden, about = tensor(case, "hidden"), case.parameters
    strength = about["alpha"] if about["amplified"] else 0.0
    photo = torch.zeros(hidden.shape[1], dtype=torch.bool)
    photo[about["first_photo_key"] : about["last_photo_key_exclusive"]] = True
    heads = case.outputs["weights"].shape[1]
    q, k, v = (
        (hidden @ tensor(case, f"{name}_proj").T).unflatten(-1, (heads, -1)).transpose(1, 2) for name in "qkv"
    )  # [B, H, T, d]
    for row, theirs in enumerate(case.outputs["output"]):
        allowed = tensor(case, "mask")[row, :, -1]
        weights = last_position_weights(q[row, :, -1], k[row], allowed, photo, strength, q.shape[-1] ** -0.5)
        read = weighted_values(weights, v[row])
        close(read.flatten() @ tensor(case, "o_proj").T, theirs[-1])


@pytest.mark.parametrize("case", cases("decoding", "deco/"), ids=repr)
def test_golden_deco(case: Case) -> None:
    final, early, about = tensor(case, "logits")[0], tensor(case, "early_logits"), case.parameters
    text = deco_file.candidates(final, about["top_p"], about["top_k"]).nonzero()[:, 0]
    assert text.tolist() == sorted(case.outputs["candidates"].tolist())
    scores, index, sure = deco_file.deco(final, early, about["alpha"], about["top_p"], about["top_k"])
    assert about["layers"][index] == case.outputs["layer"]
    assert sure == pytest.approx(case.outputs["strength"], rel=1e-6)
    theirs = case.outputs["result"][0]
    assert np.array_equal(np.isfinite(theirs), scores.isfinite().numpy())
    assert int(scores.isfinite().sum()) == len(text)
    close(scores[text], theirs[text.numpy()])
    assert int(scores.argmax()) == case.outputs.get("token", int(scores.argmax()))


def test_deco_depths_are_the_authors_in_proportion() -> None:
    assert deco_file.depths(32) == tuple(range(20, 29))
    for layers in range(2, 90):
        depths = deco_file.depths(layers)
        assert depths
        assert 1 <= depths[0] <= depths[-1] < layers
    assert deco_file.depths(6) == (4, 5)


def test_dola_takes_the_exit_that_differs_most() -> None:
    torch.manual_seed(1)
    final, early = torch.randn(50).double(), torch.randn(4, 50).double() * torch.tensor([0.1, 1.0, 4.0, 2.0])[:, None]
    p, q = final.softmax(-1), early.softmax(-1)
    middle = (p + q) / 2
    by_hand = (((p * (p / middle).log()).sum(-1) + (q * (q / middle).log()).sum(-1)) / 2).tolist()
    assert dola_file.divergence(final, early).tolist() == pytest.approx(by_hand, rel=1e-9)
    scores, index = dola_file.dola(final, early)
    assert index == int(np.argmax(by_hand))
    keep = scores.isfinite()
    assert torch.equal(keep, p >= 0.1 * p.max())
    torch.testing.assert_close(scores[keep], (final.log_softmax(-1) - early[index].log_softmax(-1))[keep])
    same, _ = dola_file.dola(final, final[None])  # why the last layer is never a candidate
    assert (same[same.isfinite()].abs() < 1e-12).all()


def test_dola_divergence_of_certain_distributions_is_finite() -> None:
    sure = torch.tensor([200.0, 0.0, -200.0])
    results = dola_file.divergence(sure, torch.stack([sure, sure.flip(0)]))
    assert results.tolist() == pytest.approx([0.0, math.log(2)], abs=1e-6)


def test_dola_buckets() -> None:
    assert dola_file.bucket(32, "low", False) == tuple(range(0, 16, 2))
    assert dola_file.bucket(32, "high", False) == tuple(range(16, 32, 2))
    assert dola_file.bucket(32, "low", True)[0] == 2  # tied: the embeddings only repeat the last token
    assert dola_file.bucket(80, "low", False) == tuple(range(0, 20, 2))
    assert dola_file.bucket(80, "high", False) == tuple(range(60, 80, 2))
    for layers in range(1, 90):
        for which in ("low", "high"):
            for tied in (False, True):
                depths = dola_file.bucket(layers, which, tied)
                assert depths
                assert all(0 <= depth < layers for depth in depths)


def test_golden_schedule() -> None:
    (case,) = cases("chip", "diffusion/schedule")
    close(alpha_bar(), case.outputs["alpha_bar"], 1e-5)
    assert float(alpha_bar()[500].sqrt()) == pytest.approx(0.863, abs=1e-3)


@pytest.mark.parametrize("case", cases("chip", "diffusion/step"), ids=repr)
def test_golden_diffusion(case: Case) -> None:
    """The authors' step 0 is one step of noise already; as a method's parameter, 0 means the photo itself."""
    pixels, noise = tensor(case, "pixels"), tensor(case, "noise")
    close(diffuse(pixels, case.parameters["step"], noise), case.outputs["noised"], 1e-5)
    assert not torch.equal(diffuse(pixels, case.parameters["step"], noise), pixels)


@pytest.mark.parametrize("step", [-1, 1000])
def test_diffusion_refuses_other_steps_and_shapes(step: int) -> None:
    with pytest.raises(ValueError, match="999"):
        diffuse(torch.zeros(3), step, torch.zeros(3))
    with pytest.raises(ValueError, match="shape"):
        diffuse(torch.zeros(3), 1, torch.zeros(4))
