"""DPO: its formula, and that it is CHiP's response level where CHiP's other levels are off."""

from __future__ import annotations

import math

import pytest
import torch
from training_runs import objective

from halluapp.training import peft_adapter
from halluapp.training.methods.chip_loss import Answers, chip_loss
from halluapp.training.methods.dpo import dpo_loss

ROWS = [0, 1, 3]


def perturbed(tmp_path, kind: str, **settings):
    """The objective with an adapter that says something else than the reference, the same for both kinds."""
    trained = objective(tmp_path, kind, rank=2, **settings)
    draws = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in peft_adapter.trainable_parameters(trained.wrapped):
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=draws))
    return trained


def test_the_formula_is_chips_response_level():
    policy, reference = torch.randn(2, 5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    losses, margin = dpo_loss(policy, reference, beta=0.3)
    sides = [Answers(logps[:, 0], logps[:, 1]) for logps in (policy, reference)]
    chip = chip_loss(*sides, beta=0.3)
    assert torch.allclose(losses, chip.losses)
    assert torch.allclose(margin, chip.margin)
    squared, _ = dpo_loss(policy, reference, beta=0.3, ipo=True)
    assert torch.allclose(squared, (margin - 1 / 0.6) ** 2)
    assert torch.allclose(dpo_loss(policy, policy, 0.3)[0], torch.tensor(math.log(2), dtype=torch.float64))


def test_gradients_raise_the_truthful_and_lower_the_hallucinated_answer():
    policy = torch.zeros(4, 2, requires_grad=True)
    dpo_loss(policy, torch.zeros(4, 2), beta=0.1)[0].sum().backward()
    assert torch.allclose(policy.grad, torch.tensor([[-0.05, 0.05]] * 4))


def test_an_untrained_policy_is_the_reference(tmp_path):
    trained = objective(tmp_path, "dpo")
    _, numbers = trained.losses(ROWS, 0)
    assert numbers["preference"] == pytest.approx(math.log(2), abs=1e-5)
    assert numbers["reward_margin"] == pytest.approx(0, abs=1e-5)
    trained.undo()


@pytest.mark.parametrize("anchor", [0.0, 0.7])
def test_loss_and_gradients_are_those_of_chip_without_its_other_levels(tmp_path, anchor):
    dpo = perturbed(tmp_path / "dpo", "dpo", anchor=anchor)
    chip = perturbed(tmp_path / "chip", "chip", anchor=anchor, segment=0.0, token=0.0, visual=0.0)
    both = []
    for trained in (dpo, chip):
        loss, numbers = trained.losses(ROWS, 0)
        gradients = torch.autograd.grad(loss, peft_adapter.trainable_parameters(trained.wrapped))
        both.append((float(loss.detach()), numbers["reward_margin"], gradients))
        trained.undo()
    (loss, margin, gradients), (other, other_margin, other_gradients) = both
    assert loss == pytest.approx(other, abs=1e-5)
    assert margin == pytest.approx(other_margin, abs=1e-5)
    assert abs(margin) > 1e-3
    for one, two in zip(gradients, other_gradients, strict=True):
        assert torch.allclose(one, two, rtol=1e-3, atol=1e-6)


def test_the_reference_is_computed_once_and_found_again(tmp_path):
    first = objective(tmp_path, "dpo", batch=2)
    again = objective(tmp_path, "dpo", batch=3)
    assert torch.equal(first.reference, again.reference)
    assert first.reference.shape == (len(first.pairs), 2)
