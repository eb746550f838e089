"""Post-hoc calibration: golden vectors of the authors' scripts, and what must hold for any probabilities."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from golden_cases import Case, cases
from torch import Tensor

from halluapp.methods.formulas.label_calibration import PRIOR_FLOOR
from halluapp.numerics import (
    calibrate,
    calibrate_next_token,
    calibration_error,
    combine_priors,
    label_scores,
    normalise,
    plausible,
    pope_scores,
)

MODES = {"diagonal_W": "diagonal", "identity_W": "identity"}
WORDS = ("yes", "no")


@pytest.mark.parametrize("case", cases("calibration", "affine/"), ids=repr)
@pytest.mark.parametrize("authors", [False, True])
def test_golden_affine(case: Case, authors: bool) -> None:
    probs, prior = case.inputs["label_probs"], case.inputs["prior"]
    if case.parameters["mode"] == "none":
        result = normalise(probs, authors)
    else:
        result = calibrate(probs, prior, MODES[case.parameters["mode"]], smoothing=0.0, authors=authors)
    np.testing.assert_allclose(result.numpy(), case.outputs["probs"], rtol=1e-9)
    right = result.argmax(dim=-1).numpy() == np.array(case.inputs["labels"])
    assert right.mean() == pytest.approx(case.outputs["accuracy"])


def script_prior(case: Case) -> Tensor | None:
    """The prior that the authors' script forms: per sample, or (as in its unused branch) the mean over the set."""
    if case.parameters["prior"] == "naive":
        return None
    masses = [case.inputs[f"masses_{name}"] for name in case.parameters["prior"].split("_")]
    if case.parameters["prior_mode"] == "all":
        return normalise(sum(masses).mean(axis=0), authors=True)
    return combine_priors(*masses, authors=True) if len(masses) == 2 else normalise(masses[0], authors=True)


def script_result(case: Case, authors: bool) -> Tensor:
    masses, prior = case.inputs["masses_naive"], script_prior(case)
    if prior is None:
        return normalise(masses, authors)
    if not authors:
        prior = prior.nan_to_num(0.0)  # a prior without any label mass; masses are what the default mode takes
    return calibrate(masses, prior, MODES[case.parameters["mode"]], case.parameters["smoothing"], authors)


def test_golden_script_in_authors_mode() -> None:
    """The masses are given; which surface form of the recorded dictionaries they come from is not ours to repeat."""
    for case in cases("calibration", "script/"):
        result = script_result(case, authors=True)  # equal, NaN and infinities included
        np.testing.assert_allclose(result.numpy(), case.outputs["probs"], rtol=1e-9, err_msg=case.id)
        answers = result.argmax(dim=-1)  # NaN counts as the largest: a row of NaN is label 0
        assert answers.tolist() == list(case.outputs["answers"]), case.id
        check_metrics(case, result, answers)


def check_metrics(case: Case, probs: Tensor, answers: Tensor) -> None:
    expected = case.outputs["metrics"]
    scores = pope_scores([WORDS[i] for i in answers], [WORDS[i] for i in case.inputs["labels"]])
    for name in ("precision", "recall", "f1", "accuracy"):
        assert getattr(scores, name) == pytest.approx(expected[name]), case.id
    assert scores.yes_ratio == pytest.approx(expected["yes_proportion"]), case.id
    confidence = probs.amax(dim=-1).mean().item()
    assert confidence == pytest.approx(float(expected["confidence"]), rel=1e-9, nan_ok=True), case.id


def test_golden_script_in_the_default_mode() -> None:
    """Equal wherever the authors' numbers are right; finite and normalised everywhere."""
    for case in cases("calibration", "script/"):
        check_default_mode(case)


def check_default_mode(case: Case) -> None:
    result = script_result(case, authors=False).numpy()
    assert np.isfinite(result).all(), case.id
    np.testing.assert_allclose(result.sum(axis=-1), 1.0, err_msg=case.id)
    if "probs" not in case.authors_only:
        np.testing.assert_allclose(result, case.outputs["probs"], rtol=1e-9, err_msg=case.id)
        assert result.argmax(axis=-1).tolist() == list(case.outputs["answers"]), case.id
        check_metrics(case, torch.from_numpy(result), torch.from_numpy(result.argmax(axis=-1)))
    elif "defined_rows" in case.outputs:
        rows = list(case.outputs["defined_rows"])
        np.testing.assert_allclose(result[rows], case.outputs["defined_probs"], rtol=1e-9, err_msg=case.id)
    else:
        # Identity with a normalised prior: the authors divide by a sum that is rounding noise. What remains right is
        # which label gained: the larger of p - prior.
        assert case.parameters["mode"] == "identity_W", case.id
        p = normalise(case.inputs["masses_naive"]).numpy()
        prior = script_prior(case)
        gain = p if prior is None else p - normalise(prior.nan_to_num(0.0)).numpy()
        sure = np.abs(gain[:, 0] - gain[:, 1]) > 1e-9
        assert (result.argmax(axis=-1) == gain.argmax(axis=-1))[sure].all(), case.id


@pytest.mark.parametrize("case", cases("calibration", "labels/"), ids=repr)
def test_golden_label_masses(case: Case) -> None:
    vocabulary = [word.strip().lower() for word in case.inputs["vocabulary"]]
    logits = torch.from_numpy(case.inputs["logits"])

    def forms(word: str) -> list[int]:
        return [i for i, other in enumerate(vocabulary) if other == word]

    masses = label_scores(logits, [forms(word) for word in WORDS], authors=True)
    np.testing.assert_allclose(masses[0].numpy(), case.outputs["masses"], rtol=1e-5)
    for word in set(vocabulary):
        mass = label_scores(logits, [forms(word)], authors=True).item()
        assert mass == pytest.approx(case.outputs["top"].get(word, 0.0), rel=1e-5)
    ours = label_scores(logits, [forms(word) for word in WORDS])
    summed = torch.stack([logits.softmax(dim=-1)[:, forms(word)].sum(dim=-1) for word in WORDS], dim=-1)
    torch.testing.assert_close(ours, summed / summed.sum(dim=-1, keepdim=True), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("case", cases("calibration", "ece/"), ids=repr)
def test_golden_calibration_error(case: Case) -> None:
    error = calibration_error(case.inputs["probs"], case.inputs["labels"], case.parameters["bins"], authors=True)
    assert error == pytest.approx(case.outputs["ece"].item(), rel=1e-5)


def test_the_arithmetic_of_the_paper() -> None:
    q = calibrate([0.7, 0.3], [0.9, 0.1], smoothing=0.0)
    np.testing.assert_allclose(q.numpy(), [0.2059, 0.7941], atol=1e-4)


def test_a_uniform_prior_changes_nothing_and_its_scale_neither() -> None:
    p = normalise(torch.rand(5, 4, generator=torch.Generator().manual_seed(0)).double())
    torch.testing.assert_close(calibrate(p, torch.full((4,), 0.25)), p)
    prior = torch.tensor([0.1, 0.2, 0.3, 0.4]).double()
    torch.testing.assert_close(calibrate(p, prior), calibrate(p, 7 * prior))
    torch.testing.assert_close(calibrate(3 * p, prior), calibrate(p, prior))


@pytest.mark.parametrize("mode", ["diagonal", "identity"])
@pytest.mark.parametrize("smoothing", [0.0, 1e-4])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_missing_labels_never_give_nan(mode: str, smoothing: float, dtype: torch.dtype) -> None:
    p = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.3, 0.1]], dtype=dtype)
    for prior in ([0.0, 0.0], [1.0, 0.0], [0.5, 0.5]):
        q = calibrate(p, torch.tensor(prior, dtype=dtype), mode, smoothing)
        assert q.isfinite().all()
        torch.testing.assert_close(q.sum(dim=-1), torch.ones(3, dtype=q.dtype))


def test_a_label_missing_from_the_prior_is_amplified_up_to_the_floor() -> None:
    odds = calibrate([0.5, 0.5], [1.0, 0.0], smoothing=1e-4)
    assert (odds[1] / odds[0]).item() == pytest.approx((1 + 1e-4) / 1e-4)
    odds = calibrate([0.5, 0.5], [1.0, 0.0], smoothing=0.0)
    assert (odds[1] / odds[0]).item() == pytest.approx(1 / PRIOR_FLOOR)


def test_both_priors() -> None:
    none, unk = torch.tensor([0.6, 0.2]), torch.tensor([0.01, 0.03])
    torch.testing.assert_close(combine_priors(none, unk), torch.tensor([0.5, 0.5]))
    torch.testing.assert_close(combine_priors(none, unk), combine_priors(unk, none))
    torch.testing.assert_close(combine_priors(none, none), normalise(none))
    torch.testing.assert_close(combine_priors(none, unk, authors=True), torch.tensor([0.61, 0.23]) / 0.84)


def test_label_scores_with_excluded_forms() -> None:
    logits = torch.tensor([[0.0, -math.inf, 1.0], [-math.inf, -math.inf, 1.0]])
    torch.testing.assert_close(label_scores(logits, [[0], [1]]), torch.tensor([[1.0, 0.0], [0.5, 0.5]]))


def test_next_token_at_strength_zero_is_the_baseline() -> None:
    z = torch.randn(2, 30, generator=torch.Generator().manual_seed(1))
    assert torch.equal(calibrate_next_token(z, -z, 0.0, 0.1), z)


@pytest.mark.parametrize("smoothing", [0.0, 1e-4, 0.02])
def test_next_token_at_strength_one_is_calibrate_on_the_set(smoothing: float) -> None:
    generator = torch.Generator().manual_seed(2)
    z, prior = (3 * torch.randn(6, 30, generator=generator, dtype=torch.float64) for _ in range(2))
    keep = plausible(z, 0.05)
    result = calibrate_next_token(z, prior, 1.0, 0.05, smoothing).softmax(dim=-1)
    assert torch.equal(result > 0, keep)
    for row in range(len(z)):
        remaining = keep[row]
        expected = calibrate(z[row, remaining].softmax(-1), prior[row, remaining].softmax(-1), smoothing=smoothing)
        torch.testing.assert_close(result[row, remaining], expected)


def test_next_token_with_a_flat_or_empty_prior_is_the_masked_baseline() -> None:
    z = torch.randn(2, 30, generator=torch.Generator().manual_seed(3))
    masked = z.masked_fill(~plausible(z, 0.1), -math.inf).softmax(dim=-1)
    for prior in (torch.zeros_like(z), torch.full_like(z, -math.inf)):
        torch.testing.assert_close(calibrate_next_token(z, prior, 1.0, 0.1).softmax(dim=-1), masked)


def test_next_token_grows_with_strength_and_stays_finite() -> None:
    z, prior = torch.tensor([1.0, 0.5, -9.0]), torch.tensor([5.0, -math.inf, 0.0])
    gaps = [calibrate_next_token(z, prior, s, 0.1) for s in (0.5, 1.0, 2.0)]
    assert all(gap[:2].isfinite().all() and gap[2].isneginf() for gap in gaps)
    differences = [(gap[1] - gap[0]).item() for gap in gaps]
    assert differences == sorted(differences)
    assert differences[0] > 0


def test_refuses_what_has_no_meaning() -> None:
    with pytest.raises(ValueError, match="labels"):
        calibrate([0.5, 0.5], [0.2, 0.3, 0.5])
    with pytest.raises(ValueError, match="mode"):
        calibrate([0.5, 0.5], [0.5, 0.5], mode="full")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="smoothing"):
        calibrate([0.5, 0.5], [0.5, 0.5], smoothing=-1.0)
    with pytest.raises(ValueError, match="finite"):
        calibrate([math.nan, 0.5], [0.5, 0.5])
    with pytest.raises(ValueError, match="finite"):
        calibrate([0.5, 0.5], [-0.1, 0.5], mode="identity")
    with pytest.raises(ValueError, match="label"):
        label_scores(torch.zeros(5), [[0], []])
    with pytest.raises(ValueError, match="strength"):
        calibrate_next_token(torch.zeros(5), torch.zeros(5), -1.0, 0.1)
    with pytest.raises(ValueError, match="vocabularies"):
        calibrate_next_token(torch.zeros(5), torch.zeros(4), 1.0, 0.1)
