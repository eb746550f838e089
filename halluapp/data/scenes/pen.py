"""Draws anti-aliased shapes in design units and knows which pixels belong to which thing.

Design units: every scene is drawn on 400 x 300 units, y downwards; the origin of a thing is the middle of its foot.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from random import Random

from PIL import Image, ImageChops, ImageColor, ImageDraw, ImageFilter

SUPER = 3  # drawn larger and averaged down: smooth edges
Fill = str | tuple[str, str]  # "#rrggbb[aa]", or a gradient from top to bottom
Points = Iterable[tuple[float, float]]


def _between(a: float, b: float, c: float, d: float, t: float) -> float:
    """Catmull-Rom between b (t = 0) and c (t = 1)."""
    return b + t / 2 * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))


class Pen:
    """Draws shapes in design units and remembers which pixels belong to which thing.

    omitted_labels: labels of things that are not drawn; everything else stays as it would be with them.
    """

    def __init__(self, size: tuple[int, int], rng: Random, omitted_labels: Iterable[str] = ()):
        self.image = Image.new("RGB", (size[0] * SUPER, size[1] * SUPER), "white")
        self.rng = rng
        self.things: list[tuple[str, Image.Image]] = []
        self.omitted_labels = frozenset(omitted_labels)
        self._mask: Image.Image | None = None
        self._hidden = False
        self._shadow: tuple[float, ...] | None = None  # of the next thing, which may be omitted
        self._frame = (0.0, 0.0, 1.0, 1.0)  # origin x, y, scale x, scale y

    @contextmanager
    def at(self, x: float, y: float, scale: float = 1.0, flip: bool = False) -> Iterator[None]:
        """Moves the origin, inside an origin moved before."""
        before = self._frame
        ox, oy, sx, sy = before
        self._frame = (ox + x * sx, oy + y * sy, -sx * scale if flip else sx * scale, sy * scale)
        yield
        self._frame = before

    @contextmanager
    def thing(self, label: str) -> Iterator[None]:
        """Everything drawn inside belongs to one object; it hides what lies under it."""
        shadow, self._shadow = self._shadow, None
        if label in self.omitted_labels:
            self._hidden = True
            yield
            self._hidden = False
            return
        if shadow:
            self.oval(*shadow, "#14203855", blur=1.6)
        self._mask = Image.new("L", self.image.size)
        yield
        for _, earlier in self.things:
            earlier.paste(0, mask=self._mask)
        self.things.append((label, self._mask))
        self._mask = None

    def poly(self, points: Points, fill: Fill, blur: float = 0.0) -> None:
        """A filled polygon. Blurred shapes are light and shadow: they belong to no thing."""
        if self._hidden:
            return
        ox, oy, sx, sy = self._frame
        kx, ky = self.image.width / 400, self.image.height / 300
        pixels = [((ox + x * sx) * kx, (oy + y * sy) * ky) for x, y in points]
        margin = math.ceil(3 * blur * abs(sx) * kx)
        left, top = (max(0, math.floor(min(p[i] for p in pixels)) - margin) for i in (0, 1))
        right, bottom = (min(self.image.size[i], math.ceil(max(p[i] for p in pixels)) + margin + 1) for i in (0, 1))
        if left >= right or top >= bottom:
            return
        mask = Image.new("L", (right - left, bottom - top))
        ImageDraw.Draw(mask).polygon([(x - left, y - top) for x, y in pixels], fill=255)
        if blur:
            mask = mask.filter(ImageFilter.GaussianBlur(blur * abs(sx) * kx))
        elif self._mask:
            self._mask.paste(255, (left, top), mask)
        colours = [ImageColor.getcolor(one, "RGBA") for one in ((fill, fill) if isinstance(fill, str) else fill)]
        patch = Image.new("RGBA", (1, 2))
        patch.putdata(colours)
        # A bilinear resize of two pixels is flat for its first and last quarter: the box keeps the sloping middle.
        patch = patch.resize(mask.size, Image.Resampling.BILINEAR, box=(0, 0.5, 1, 1.5))
        self.image.paste(patch, (left, top), ImageChops.multiply(mask, patch.getchannel("A")))

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: Fill, r: float = 0.0, blur: float = 0.0) -> None:
        """A rectangle with corners of radius r."""
        corners = [(x1 - r, y0 + r, 270), (x1 - r, y1 - r, 0), (x0 + r, y1 - r, 90), (x0 + r, y0 + r, 180)]
        turns = range(0, 91, 10) if r else (0,)
        angles = [(x, y, math.radians(start + turn)) for x, y, start in corners for turn in turns]
        self.poly([(x + r * math.cos(a), y + r * math.sin(a)) for x, y, a in angles], fill, blur)

    def oval(self, x: float, y: float, rx: float, ry: float, fill: Fill, blur: float = 0.0) -> None:
        """An ellipse around (x, y)."""
        angles = [turn / 32 * math.pi for turn in range(64)]
        self.poly([(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles], fill, blur)

    def blob(self, points: Points, fill: Fill) -> None:
        """A smooth closed curve through the points (Catmull-Rom)."""
        p, curve = list(points), []
        for i in range(len(p)):
            corners = [p[(i + k) % len(p)] for k in (-1, 0, 1, 2)]
            curve += [tuple(_between(*along, n / 10) for along in zip(*corners, strict=True)) for n in range(10)]
        self.poly(curve, fill)

    def line(self, points: Points, fill: str, width: float) -> None:
        """A line with round ends and joints; with a see-through fill the joints show."""
        p, half = list(points), width / 2
        for (x0, y0), (x1, y1) in itertools.pairwise(p):
            length = math.hypot(x1 - x0, y1 - y0) or 1.0
            nx, ny = (y0 - y1) / length * half, (x1 - x0) / length * half
            self.poly([(x0 + nx, y0 + ny), (x1 + nx, y1 + ny), (x1 - nx, y1 - ny), (x0 - nx, y0 - ny)], fill)
        for x, y in p:
            self.oval(x, y, half, half, fill)

    def ring(self, x: float, y: float, r: float, fill: str, width: float) -> None:
        """A circle of the given line width."""
        angles = [turn / 16 * math.pi for turn in range(33)]
        self.line([(x + r * math.cos(a), y + r * math.sin(a)) for a in angles], fill, width)

    def shadow(self, rx: float, x: float = 0.0, ry: float = 3.5) -> None:
        """A soft shadow on the ground under the thing that is drawn next."""
        self._shadow = (x, 0, rx, ry)
