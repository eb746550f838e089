"""The views of the photo that was asked about last, other for the next question: a person clicks from word to word."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from halluapp.decoding.views import Views
from halluapp.lvlm.base import LVLM

if TYPE_CHECKING:
    from PIL import Image

# Of each model that is loaded: the photo's hash, and views of it whose photo and model are gone. Features alone stay, a
# few megabytes, so that a model can go when another one is loaded.
MOST = 24  # views that may be held: every noise step, seed and adapter that is asked for would be one more
_last: WeakKeyDictionary[LVLM, tuple[bytes, Views]] = WeakKeyDictionary()


def views_of(lvlm: LVLM, photo: Image.Image, seed: int) -> Views:
    """The views of a photo, those that were encoded for the last question about it among them. seed: of the noise."""
    key = hashlib.sha256(f"{photo.size} {photo.mode} ".encode() + photo.tobytes()).digest()
    views = Views(lvlm, photo, seed)
    last, other = _last.get(lvlm, (b"", views))
    if last == key and other.count <= MOST:
        views.share(other)
    else:
        _last[lvlm] = key, views.without_photo()
    return views
