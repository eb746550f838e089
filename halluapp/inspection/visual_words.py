"""The words nearest to each visual token, and how undecided it is between them, as AdaVIB measures it."""

from __future__ import annotations

from typing import Any

import torch

from halluapp.decoding.views import Views
from halluapp.lvlm.base import LVLM
from halluapp.lvlm.weights.placement import weights
from halluapp.training.methods.adavib_loss import similarity

WORDS, CHUNK = 4, 64


@torch.no_grad()
def visual_words(lvlm: LVLM, views: Views, prompt: str, size: tuple[int, int]) -> list[dict[str, Any]]:
    """-> [{"box" (None: no patch), "entropy" in nats, "words": [[word, p]]}] of every visual token.

    p: softmax of its products with the word embeddings. Source: AdaVIB, similarity distribution, token by token.
    """
    tokens = lvlm.visual_tokens(views.clean, prompt)  # [n, D]
    embedding = lvlm.decoder.get_input_embeddings()
    with weights(embedding):
        table = embedding.weight.detach()
    boxes, results = lvlm.token_boxes(views.clean, len(tokens), size), []
    for start in range(0, len(tokens), CHUNK):
        p = similarity(tokens[start : start + CHUNK, None].to(table.device), table)  # [n, V]
        entropy = torch.special.entr(p).sum(-1).tolist()
        best = p.topk(WORDS)
        for row in range(len(p)):
            words = zip(best.indices[row].tolist(), best.values[row].tolist(), strict=True)
            results.append({
                "box": list(box) if (box := boxes[start + row]) else None,
                "entropy": entropy[row],
                "words": [[lvlm.piece(index).strip(), value] for index, value in words],
            })  # fmt: skip
    return results
