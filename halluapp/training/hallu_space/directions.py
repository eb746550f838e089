"""Report about a HalluSpace: singular spectrum, words that its directions decode to, correlation with answer length."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from halluapp.lvlm.base import LVLM

WORDS_PER_END = 8  # named for each end of a direction


def orient(space: Tensor, truthful: Tensor, hallucinated: Tensor) -> Tensor:
    """The same directions [D, K], each turned from truthful to hallucinated answers [N, D]."""
    along = (hallucinated.float() - truthful.float()).mean(0) @ space.cpu()  # [K]
    return torch.where(along < 0, -1.0, 1.0).to(space) * space


def layer_report(
    lvlm: LVLM, space: Tensor, singular: Tensor, truthful: Tensor, hallucinated: Tensor, length_differences: Tensor
) -> dict:
    """One layer's report, of plain JSON values.

    space [D, K], after `orient`; singular [min(N, D)], all singular values of E; truthful, hallucinated [N, D];
    length_differences [N]: tokens of the hallucinated answer minus those of the truthful one. "share": of E's energy
    in the K directions;
    "length_correlation": of each pair's coordinate on the first direction with `length_differences`; near 1 or -1 the
    direction encodes length, not hallucination. "words": tokens that the LM head gives each end of a direction (Nullu,
    section 4.3).
    """
    energy = singular.double().square()
    coordinate = (hallucinated.float() - truthful.float()) @ space[:, 0].float().cpu()  # [N]
    return {
        "singular": [round(float(s), 4) for s in singular[: 2 * space.shape[1]]],
        "share": round(float(energy[: space.shape[1]].sum() / energy.sum()), 4),
        "length_correlation": _correlation(coordinate, length_differences.float()),
        "words": [direction_words(lvlm, direction) for direction in space.T],
    }


def direction_words(lvlm: LVLM, direction: Tensor) -> dict[str, list[str]]:
    """The tokens that a direction [D] makes most probable when the residual stream holds it alone, and its negative."""
    scale = direction.shape[0] ** 0.5  # so that the norm's epsilon does not matter
    both = torch.stack([direction, -direction]) * scale
    ends = lvlm.read_out(both.to(lvlm.final_norm.weight))
    return {name: _pieces(lvlm, end) for name, end in zip(("hallucinated", "truthful"), ends, strict=True)}


def _pieces(lvlm: LVLM, logits: Tensor) -> list[str]:
    special = set(lvlm.tokenizer.all_special_ids)
    pieces: dict[str, None] = {}
    for token in logits.topk(min(4 * WORDS_PER_END, len(logits))).indices.tolist():
        text = lvlm.piece(token).strip()
        if token not in special and text:
            pieces[text] = None
    return list(pieces)[:WORDS_PER_END]


def _correlation(a: Tensor, b: Tensor) -> float | None:
    """Pearson's; None where one of them does not vary."""
    if len(a) < 2 or float(a.std()) == 0 or float(b.std()) == 0:
        return None
    return round(float(torch.corrcoef(torch.stack([a, b]))[0, 1]), 4)


def table(about: dict[str, Any], directions: int = 3) -> str:
    """The report of a HalluSpace (its `about`) as text: a line a layer, and the words of its first directions."""
    lines = [f"{about['pairs']} pairs, pooling {about['pooling']}, rank {about['rank']}, {about['model']}"]
    lines.append(f"answers differ in length by {about['mean_length_difference']:.1f} tokens on average")
    for layer, one in about["directions"].items():
        spectrum = " ".join(f"{s:.3g}" for s in one["singular"])
        length = "–" if one["length_correlation"] is None else f"{one['length_correlation']:+.2f}"
        lines.append(f"layer {layer}: {one['share']:.0%} of E; correlation with length {length}; spectrum {spectrum}")
        for number, ends in enumerate(one["words"][:directions], 1):
            for name, pieces in ends.items():
                lines.append(f"  {number} {name:<13}{' '.join(pieces)}")
    return "\n".join(lines)
