"""Noise on a photo: the forward diffusion of VCD (Leng et al., CVPR 2024), on normalised pixels."""

from __future__ import annotations

import torch
from torch import Tensor

STEPS = 1000


def signal(step: int) -> float:
    """sqrt(abar_t): how much of the pixels is left at a step of the authors' schedule (0.863 at step 500)."""
    betas = torch.linspace(-6, 6, STEPS, dtype=torch.float64).sigmoid() * (0.5e-2 - 1e-5) + 1e-5
    return float((1 - betas).cumprod(0)[step].sqrt())


def diffuse(pixels: Tensor, step: int, seed: int, shape: tuple[int, ...] | None = None) -> Tensor:
    """x_t = sqrt(abar_t) x + sqrt(1 - abar_t) eps; step 0 returns the pixels themselves.

    step: 0 .. 999. shape: of eps, if one draw serves several entries of `pixels` (it is broadcast). The noise is drawn
    on the CPU with a generator of its own: one seed, one noise, on every device. Raises ValueError for another step.
    """
    if not 0 <= step < STEPS:
        raise ValueError(f"the noise step must be from 0 to {STEPS - 1}, not {step}")
    if step == 0:
        return pixels
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(shape or tuple(pixels.shape), generator=generator).to(pixels.device)
    kept = signal(step)
    return kept * pixels + (1 - kept**2) ** 0.5 * noise
