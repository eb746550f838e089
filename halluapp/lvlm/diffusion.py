"""Noise on pixels: the forward diffusion of VCD's noised view (Leng et al., CVPR 2024)."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

STEPS = 1000


@cache
def alpha_bar() -> Tensor:
    """Remaining share of the pixels' variance after each step, [1000]; betas on a sigmoid from 1e-5 to 5e-3."""
    betas = torch.linspace(-6, 6, STEPS).sigmoid() * (0.5e-2 - 1e-5) + 1e-5
    return (1 - betas).cumprod(0)


def diffuse(pixels: Tensor, step: int, noise: Tensor) -> Tensor:
    """sqrt(a_t) * pixels + sqrt(1 - a_t) * noise: normalised `pixels` and `noise` of one shape -> that shape.

    step: 0 to 999, where 0 is one step of noise already. Raises ValueError for another step or another shape.
    Source: VCD, equation 2, with the authors' schedule; Ho et al. 2020, equation 4.
    """
    if not 0 <= step < STEPS:
        raise ValueError(f"the noise step must be from 0 to {STEPS - 1}, not {step}")
    if pixels.shape != noise.shape:
        raise ValueError(f"noise of shape {tuple(noise.shape)} for pixels of shape {tuple(pixels.shape)}")
    remaining = alpha_bar()[step].to(pixels)
    return remaining.sqrt() * pixels + (1 - remaining).sqrt() * noise
