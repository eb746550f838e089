"""Rejected images for CHiP's visual preference: corrupted copies, on normalised pixels [B, 3, H, W]."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from halluapp.errors import InputError
from halluapp.lvlm.diffusion import diffuse
from halluapp.training.methods.chip_recipe import STRATEGIES

if TYPE_CHECKING:
    from PIL import Image

ROTATION_DEGREES = (10.0, 80.0)


def corrupt(
    pixels: Tensor, strategy: str, generator: torch.Generator, step: int = 500, black: Tensor | None = None
) -> Tensor:
    """A rejected photo for every photo: [B, 3, H, W] -> [B, 3, H, W].

    diffusion: noise of `step`; crop: a random fifth to half of the area, scaled up; rotation: by 10 to 80 degrees,
    black beyond the photo's edge; quarter-turns: by 90, 180 or 270 degrees, ours; black: `black` [3], the value of a
    black pixel (the authors use the mean colour, our default 0); random: another photo of the batch, mirrored for a
    batch of one. Raises InputError. Source: CHiP, section 4.4.
    """
    if strategy == "diffusion":
        noise = torch.randn(pixels.shape, generator=generator, dtype=torch.float32).to(pixels)
        return diffuse(pixels, step, noise)
    if strategy == "crop":
        return torch.cat([_crop(photo[None], generator) for photo in pixels])
    if strategy == "rotation":
        low, high = ROTATION_DEGREES
        angles = (low + (high - low) * torch.rand(len(pixels), generator=generator)).tolist()
        return torch.cat([rotate(photo[None], angle, black) for photo, angle in zip(pixels, angles, strict=True)])
    if strategy == "quarter-turns":
        turns = torch.randint(1, 4, (len(pixels),), generator=generator).tolist()
        turned = [torch.rot90(photo, turn, (1, 2)) for photo, turn in zip(pixels, turns, strict=True)]
        return torch.stack([_fit(photo[None], pixels.shape[-2:])[0] for photo in turned])
    if strategy == "black":
        colour = pixels.new_zeros(3) if black is None else black.to(pixels)
        return colour[None, :, None, None].expand_as(pixels).clone()
    if strategy == "random":
        if len(pixels) == 1:
            return pixels.flip(-1)
        shift = int(torch.randint(1, len(pixels), (1,), generator=generator))
        return pixels.roll(shift, 0)
    raise InputError(f"The rejected photo must be one of {', '.join(STRATEGIES)}, not {strategy!r}.")


def corrupt_photo(photo: Image.Image, strategy: str, generator: torch.Generator) -> Image.Image:
    """`corrupt` for a photo that is no tensor yet, in every way but noise; black is black here."""
    from PIL import Image

    values = torch.from_numpy(np.array(photo.convert("RGB"))).permute(2, 0, 1)[None].float()
    changed = corrupt(values, strategy, generator)[0].permute(1, 2, 0)
    return Image.fromarray(changed.round().clamp(0, 255).byte().numpy())


def rotate(photo: Tensor, degrees: float, black: Tensor | None = None) -> Tensor:
    """[1, 3, H, W] turned counter-clockwise about its centre, with `black` [3] (None: 0) beyond its edge."""
    height, width = photo.shape[-2:]
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    # From the coordinates of the result to those of the photo, both from -1 to 1 along either side.
    turn = torch.tensor([[[cosine, -sine * height / width, 0.0], [sine * width / height, cosine, 0.0]]])
    grid = functional.affine_grid(turn, [1, 3, height, width], align_corners=False).to(photo)
    colour = photo.new_zeros(3, 1, 1) if black is None else black.to(photo)[:, None, None]
    return functional.grid_sample(photo - colour, grid, align_corners=False) + colour


def _crop(photo: Tensor, generator: torch.Generator) -> Tensor:
    share, x, y = torch.rand(3, generator=generator).tolist()
    side = (0.2 + 0.3 * share) ** 0.5
    height, width = (max(1, int(side * size)) for size in photo.shape[-2:])
    y_start, x_start = int(y * (photo.shape[-2] - height)), int(x * (photo.shape[-1] - width))
    return _fit(photo[..., y_start : y_start + height, x_start : x_start + width], photo.shape[-2:])


def _fit(photo: Tensor, size: tuple[int, ...]) -> Tensor:
    if photo.shape[-2:] == size:
        return photo
    return functional.interpolate(photo, size=size, mode="bilinear", align_corners=False)
