"""Where the model looked: attention of every answer token, averaged over heads, on the photo's patches and the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from halluapp.decoding.forced import read_answer
from halluapp.decoding.plan import full_prompt
from halluapp.decoding.views import Views
from halluapp.errors import InputError
from halluapp.inspection.evidence import main_prefix
from halluapp.lvlm.base import LVLM
from halluapp.methods.base import Method

KINDS = ("photo", "prompt", "answer", "special")


@dataclass(frozen=True)
class Attention:
    """weights [L, n, T]: of n answer tokens, at the positions that predict them, in L layers on T positions.

    kinds: of each position one of `KINDS`; image_mask [T]: visual tokens.
    """

    weights: Tensor
    kinds: tuple[str, ...]
    image_mask: Tensor

    def shares(self, layer: int | None = None) -> list[list[float]]:
        """Attention of each answer token on each of `KINDS`, [n, 4], mean over layers or of one layer; sums are 1."""
        weights = self.weights.mean(0) if layer is None else self.weights[layer]
        return self._by_kind(weights)

    def shares_by_layer(self, first: int = 0, last: int | None = None) -> list[list[float]]:
        """Attention of tokens `first` to `last` on each of `KINDS` in every layer, [L, 4]; sums are 1."""
        end = self.weights.shape[1] if last is None else last + 1
        return self._by_kind(self.weights[:, first:end].mean(1))

    def _by_kind(self, weights: Tensor) -> list[list[float]]:
        masks = [torch.tensor([kind == name for kind in self.kinds], device=weights.device) for name in KINDS]
        return torch.stack([weights[:, mask].sum(-1) for mask in masks], -1).tolist()

    def on_photo(self, first: int, last: int) -> Tensor:
        """Attention of tokens `first` to `last` on each visual token, mean over layers: [v]."""
        return self.weights[:, first : last + 1].mean((0, 1))[self.image_mask]


@contextmanager
def eager_weights(lvlm: LVLM, count: int, weights: list[Tensor]) -> Iterator[None]:
    """Within the context, every layer appends its attention to `weights`, [R, count, T]: eager, a mean over heads.

    Of the last `count` positions. The caller holds `lvlm.lock`; everything is put back afterwards.
    """
    config = lvlm.attention_config
    before = config._attn_implementation

    def record(_module, _inputs, output) -> None:
        if isinstance(output, tuple) and len(output) > 1 and isinstance(output[1], Tensor):
            weights.append(output[1][:, :, -count:].float().mean(1))

    modules: list[Any] = [layer.self_attn for layer in lvlm.layers if hasattr(layer, "self_attn")]
    handles = [module.register_forward_hook(record) for module in modules]
    config._attn_implementation_internal = "eager"
    try:
        yield
    finally:
        config._attn_implementation_internal = before
        for handle in handles:
            handle.remove()


def answer_attention(lvlm: LVLM, views: Views, prompt: str, method: Method, ids: Sequence[int]) -> Attention:
    """The attention of an answer's tokens in the main row of a method. Raises InputError where a family gives none."""
    method.prepare(lvlm)
    prefix, weights = main_prefix(method, prompt), list[Tensor]()
    also = eager_weights(lvlm, len(ids), weights)
    forced = read_answer(lvlm, [prefix], [prompt], [views], ids[:-1], len(ids), {0: (0,)}, also)
    if not weights:
        raise InputError(f"{lvlm.name} gives no attention weights; look by occlusion instead.")
    kinds = _kinds(lvlm, full_prompt(prompt, prefix.instruction), prefix.view, forced.image_mask[0], len(ids) - 1)
    return Attention(torch.stack([layer[0] for layer in weights]), kinds, forced.image_mask[0])


def _kinds(lvlm: LVLM, prompt: str, view: str, image_mask: Tensor, answer: int) -> tuple[str, ...]:
    """Of every position of photo, prompt and answer one of `KINDS`."""
    special, ids = lvlm.special_ids, lvlm.prompt_ids(prompt, view)
    total = len(image_mask)
    photo = image_mask.tolist()
    if view == "photo" and any(photo):
        start = ids.index(lvlm.image_token)
        before, after = ids[:start], ids[start + 1 :]
        middle = total - answer - len(before) - len(after)  # visual tokens, and the family's marks between them
        kinds = [*_text(before, special), *["special"] * middle, *_text(after, special)]
    else:
        kinds = _text(ids, special)
    kinds += ["answer"] * answer
    return tuple("photo" if visual else kind for visual, kind in zip(photo, kinds, strict=True))


def _text(ids: Sequence[int], special: set[int]) -> list[str]:
    return ["special" if index in special else "prompt" for index in ids]


def heat(lvlm: LVLM, views: Views, prompt: str, attention: Attention, size: tuple[int, int], first: int, last: int
         ) -> dict[str, Any]:  # fmt: skip
    """A word's attention on the photo as a map -> {"cells": [{"box", "value"}], "whole", "photo"}.

    value: share of the attention on the photo, the sum over cells and `whole` is 1; whole: on visual tokens that are
    no patches. photo: the share of all attention that the photo got. size: (width, height) of the photo.
    """
    values = attention.on_photo(first, last)
    total = float(values.sum())
    boxes = lvlm.token_boxes(views.clean, len(values), size)
    shares = (values / max(total, 1e-12)).tolist()
    cells = [{"box": list(box), "value": share} for box, share in zip(boxes, shares, strict=True) if box]
    whole = sum(share for box, share in zip(boxes, shares, strict=True) if box is None)
    return {"cells": cells, "whole": whole, "photo": total}
