"""HACL: contrast of photos with captions at the end token, hallucinated captions as hard negatives (CVPR 2024)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from halluapp.methods.formulas.contrast import full_precision

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.001, 0.5
HARD_NEGATIVES = ("own", "all")


class ProjectionHeads(nn.Module):
    """Linear heads with bias from the language model's width to `width` / 4, one for photos and one for texts.

    The authors leave them at their random initialisation in the published command; a fixed random projection keeps
    angles roughly. Source: HACL, section 3.1 (global representations).
    """

    def __init__(self, width: int, features: int | None = None) -> None:
        super().__init__()
        self.photo = nn.Linear(width, features or max(1, width // 4))
        self.text = nn.Linear(width, features or max(1, width // 4))

    def embed_photos(self, hidden: Tensor) -> Tensor:
        """[B, D] -> unit vectors [B, E]."""
        return functional.normalize(self.photo(hidden), dim=-1)

    def embed_texts(self, hidden: Tensor) -> Tensor:
        """[B, D] -> unit vectors [B, E]."""
        return functional.normalize(self.text(hidden), dim=-1)


class FeatureQueue(nn.Module):
    """Features of earlier batches as further negatives, without gradient; the oldest are overwritten.

    photos, texts, hard: [size, E], the first `filled` rows of which count (the authors start with random vectors
    instead, which are easy negatives). `hard` keeps hallucinated captions, which the authors drop with their queue.
    """

    def __init__(self, size: int, features: int) -> None:
        super().__init__()
        for name in ("photos", "texts", "hard"):
            self.register_buffer(name, torch.zeros(size, features))
            self.register_buffer(f"{name}_place", torch.zeros((), dtype=torch.long))
            self.register_buffer(f"{name}_filled", torch.zeros((), dtype=torch.long))

    def features(self, name: str) -> Tensor:
        """The features of a kind that are in the queue, [filled, E]."""
        return getattr(self, name)[: int(getattr(self, f"{name}_filled"))]

    @torch.no_grad()
    def push(self, image: Tensor, text: Tensor, hallucinated: Tensor | None = None) -> None:
        """Writes a batch of unit vectors [B, E] over the oldest entries."""
        for name, values in (("photos", image), ("texts", text), ("hard", hallucinated)):
            store, position = getattr(self, name), getattr(self, f"{name}_place")
            if values is None or not len(store):
                continue
            rows = (int(position) + torch.arange(len(values), device=store.device)) % len(store)
            store[rows] = values.detach().to(store)
            position.fill_((int(position) + len(values)) % len(store))
            filled = getattr(self, f"{name}_filled")
            filled.fill_(min(len(store), int(filled) + len(values)))


@dataclass(frozen=True)
class HaclLoss:
    """loss = (photo_to_text + text_to_photo) / 2, scalars. logits: of photos [B, columns], of texts [B, columns]."""

    loss: Tensor
    photo_to_text: Tensor
    text_to_photo: Tensor
    logits: tuple[Tensor, Tensor]


def contrastive_terms(
    image: Tensor,
    text: Tensor,
    hallucinated: Tensor | None = None,
    temperature: float | Tensor = 0.07,
    hard_negatives: str = "own",
    queue: FeatureQueue | None = None,
) -> HaclLoss:
    """As `contrastive_loss`, with its two directions and the logits. Computed in float32, float64 stays."""
    if hard_negatives not in HARD_NEGATIVES:
        raise ValueError(f"hard_negatives must be one of {', '.join(HARD_NEGATIVES)}, not {hard_negatives!r}")
    for name, others in (("texts", text), ("hallucinated texts", hallucinated)):
        if others is not None and others.shape != image.shape:
            raise ValueError(f"photos {tuple(image.shape)} and {name} {tuple(others.shape)} do not match")
    image, text = full_precision(image), full_precision(text)
    columns, rows = [image @ text.T], [text @ image.T]
    if hallucinated is not None:
        hallucinated = full_precision(hallucinated)
        own_only = hard_negatives == "own"
        columns.append((image * hallucinated).sum(-1, keepdim=True) if own_only else image @ hallucinated.T)
    if queue is not None:
        queued = {name: queue.features(name).to(image) for name in ("photos", "texts", "hard")}
        columns += [image @ queued["texts"].T, image @ queued["hard"].T]
        rows.append(text @ queued["photos"].T)
    scale = torch.as_tensor(temperature, device=image.device, dtype=image.dtype).clamp(MIN_TEMPERATURE, MAX_TEMPERATURE)
    logits = (torch.cat(columns, -1) / scale, torch.cat(rows, -1) / scale)
    target = torch.arange(len(image), device=image.device)
    forth, back = (functional.cross_entropy(one, target) for one in logits)
    return HaclLoss((forth + back) / 2, forth, back, logits)


def contrastive_loss(
    image: Tensor,
    text: Tensor,
    hallucinated: Tensor | None = None,
    temperature: float | Tensor = 0.07,
    hard_negatives: str = "own",
    queue: FeatureQueue | None = None,
) -> Tensor:
    """(L_v + L_t) / 2 over unit vectors [B, E] of photos, captions and hallucinated captions: scalar.

    Photos are told from captions by L_v, whose negatives are the other captions, the photo's own hallucinated caption
    ("own", the paper) or those of the whole batch ("all", the code), and the queue; captions from photos by L_t, which
    never sees a hallucinated caption. The temperature is clamped to [0.001, 0.5]. Raises ValueError.
    Source: HACL, equations 3-5.
    """
    return contrastive_terms(image, text, hallucinated, temperature, hard_negatives, queue).loss
