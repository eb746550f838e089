"""The noise of VCD: the authors' schedule, the identity at step 0, one seed one noise."""

from __future__ import annotations

import pytest
import torch

from halluapp.lvlm.noise import STEPS, diffuse, signal


def test_the_schedule_is_the_authors() -> None:
    """Square roots of the cumulated signal as the authors' code gives them (golden case diffusion/step...)."""
    assert signal(500) == pytest.approx(0.863, abs=5e-4)
    assert (1 - signal(500) ** 2) ** 0.5 == pytest.approx(0.505, abs=5e-4)
    kept = [signal(step) for step in range(STEPS)]
    assert all(a > b for a, b in zip(kept, kept[1:], strict=False)) and kept[0] > 0.9999


def test_step_zero_is_the_photo_itself() -> None:
    pixels = torch.randn(2, 3, 8, 8)
    assert diffuse(pixels, 0, 5) is pixels


def test_one_seed_one_noise_and_its_size() -> None:
    pixels = torch.randn(2, 3, 64, 64)
    one, same, other = (diffuse(pixels, 500, seed) for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)
    noise = (one - signal(500) * pixels) / (1 - signal(500) ** 2) ** 0.5
    torch.testing.assert_close(noise, torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)))
    shared = diffuse(torch.zeros(2, 3, 8), 999, 1, (2, 1, 8))
    assert torch.equal(shared[:, 0], shared[:, 1]) and not torch.equal(shared[0], shared[1])


@pytest.mark.parametrize("step", [-1, STEPS, 5000])
def test_steps_outside_the_schedule_are_refused(step) -> None:
    with pytest.raises(ValueError, match="0 to 999"):
        diffuse(torch.zeros(1), step, 0)
