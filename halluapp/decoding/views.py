"""A photo as the model sees it at every noise step that a method asks for: the vision tower runs once for each.

And once more for every adapter that changes the tower itself; all other methods share what the model's own tower says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from halluapp.decoding.hooks.vision_adapter import Sight, seeing
from halluapp.errors import InputError
from halluapp.lvlm.base import LVLM, Visual

if TYPE_CHECKING:
    from PIL import Image


class Views:
    """Makes each view of one photo when it is first asked for and keeps it. seed: of the noise."""

    def __init__(self, lvlm: LVLM, photo: Image.Image, seed: int = 0):
        def look(step: int, sight: Sight | None) -> Visual:
            with seeing(lvlm, sight):
                return lvlm.look(photo, step, seed)

        self._look = look
        self._made: dict[tuple[int, Sight | None], Visual] = {}

    @classmethod
    def only(cls, visual: Visual) -> Views:
        """The views of a photo of which only `visual` is left: no others can be made."""
        views = cls.__new__(cls)
        views._look, views._made = None, {(0, None): visual}
        return views

    @property
    def clean(self) -> Visual:
        """The photo without noise."""
        return self.at(0)

    def at(self, step: int, sight: Sight | None = None) -> Visual:
        """The photo at a noise step, 0 for none, as an adapter sees it. Raises InputError where there is no photo."""
        if (step, sight) not in self._made:
            if self._look is None:
                other = "a noised view of it" if step else "an adapter that sees it in its own way"
                raise InputError(f"The photo itself is needed for {other}.")
            self._made[step, sight] = self._look(step, sight)
        return self._made[step, sight]
