"""A photo as the model sees it at every noise step that a method asks for: the vision tower runs once for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from halluapp.errors import InputError
from halluapp.lvlm.base import LVLM, Visual

if TYPE_CHECKING:
    from PIL import Image


class Views:
    """Makes each view of one photo when it is first asked for and keeps it. seed: of the noise."""

    def __init__(self, lvlm: LVLM, photo: Image.Image, seed: int = 0):
        self._look = lambda step: lvlm.look(photo, step, seed)
        self._made: dict[int, Visual] = {}

    @classmethod
    def only(cls, visual: Visual) -> Views:
        """The views of a photo of which only `visual` is left: no noised ones can be made."""
        views = cls.__new__(cls)
        views._look, views._made = None, {0: visual}
        return views

    @property
    def clean(self) -> Visual:
        """The photo without noise."""
        return self.at(0)

    def at(self, step: int) -> Visual:
        """The photo at a noise step, 0 for none. Raises InputError if the photo is not at hand."""
        if step not in self._made:
            if self._look is None:
                raise InputError("The photo itself is needed for a noised view of it.")
            self._made[step] = self._look(step)
        return self._made[step]
