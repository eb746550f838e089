"""Views of training photos: whole, or a crop, perhaps mirrored, with jittered shape and colour."""

from __future__ import annotations

import random

from PIL import Image, ImageEnhance, ImageOps

View = tuple[bool, float]  # flip, least share of each side that a crop keeps


def view_of(
    photo: Image.Image, view: View | None, rng: random.Random, side: int = 0
) -> tuple[Image.Image, list[float]]:
    """A view of a photo -> (RGB photo, [x0, y0, x1, y1 in 0..1, flip]).

    view: None for the whole photo. side: the result is squashed to side x side pixels (0: it keeps its pixels).
    """
    photo = photo.convert("RGB")
    if view is None:
        return photo.resize((side, side), Image.Resampling.BICUBIC) if side else photo, [0, 0, 1, 1, 0]
    flip, least = view
    width, height = rng.uniform(least, 1), rng.uniform(least, 1)
    x0, y0 = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
    box = (x0 * photo.width, y0 * photo.height, (x0 + width) * photo.width, (y0 + height) * photo.height)
    if side:
        crop = photo.resize((side, side), Image.Resampling.BICUBIC, box=box)
    else:
        crop = photo.crop(tuple(round(edge) for edge in box))
    crop = ImageOps.mirror(crop) if flip else crop
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        crop = enhance(crop).enhance(rng.uniform(0.8, 1.2))
    return crop, [x0, y0, x0 + width, y0 + height, float(flip)]
