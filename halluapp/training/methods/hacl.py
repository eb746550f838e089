"""HACL on a 4-bit model: contrast at the end token, and the caption's likelihood."""

from __future__ import annotations

import copy
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor, nn

from halluapp.data.files import atomic_write
from halluapp.lvlm.base import ImageFeatures
from halluapp.methods.base import Method
from halluapp.training import peft_adapter
from halluapp.training.batches.packed_forward import PackedRow, cross_entropy, end_token_states, packed_forward
from halluapp.training.methods.hacl_loss import FeatureQueue, ProjectionHeads, contrastive_terms
from halluapp.training.methods.hacl_recipe import HaclRecipe
from halluapp.training.methods.probe import HEADS_FILE, PROJECTOR_NAME, ProjectorProbe
from halluapp.training.objective import Objective

MIN_WORDS = 4  # "Yes." describes no photo


def save_heads(heads: ProjectionHeads, folder: Path) -> None:
    """Writes the heads beside the adapter: decoding does not use them, retrieval is measured through them."""
    from safetensors.torch import save_file

    with atomic_write(folder / HEADS_FILE) as partial:
        save_file({name: value.detach().cpu().contiguous() for name, value in heads.state_dict().items()}, partial)


def load_heads(width: int, folder: Path | None = None, seed: int = 0) -> ProjectionHeads:
    """The heads that a run left in its adapter's folder, or (None) those with which a run of this seed begins."""
    from safetensors.torch import load_file

    torch.manual_seed(seed)
    heads = ProjectionHeads(width)
    if folder is not None:
        heads.load_state_dict(load_file(folder / HEADS_FILE))
    return heads.eval().requires_grad_(False)


class HaclObjective(Objective):
    """L = L_G + contrast * (L_v + L_t) / 2. HACL, equation 6; photo and captions are fed without any prompt."""

    recipe: HaclRecipe

    def build(self) -> None:
        torch.manual_seed(self.recipe.seed)
        base_projector = self.lvlm.base_projector
        self.projector = copy.deepcopy(base_projector).float()
        self.projector.requires_grad_(self.recipe.train != "adapter")
        self.lvlm.projectors[PROJECTOR_NAME] = self.projector
        width = self.lvlm.decoder.get_input_embeddings().weight.shape[1]
        self.heads = ProjectionHeads(width).to(self.lvlm.device).requires_grad_(self.recipe.heads)
        self.queue = FeatureQueue(self.recipe.queue, self.heads.photo.out_features).to(self.lvlm.device)
        language = self.recipe.train != "projector"
        self.wrapped = self.wrap(language) if language or self.recipe.vision else None
        self.latest: tuple[Tensor, ...] = ()

    def parameter_groups(self) -> list[dict[str, Any]]:
        parts = [self.projector, self.heads]
        params = [p for part in parts for p in part.parameters() if p.requires_grad]
        params += peft_adapter.trainable_parameters(self.wrapped) if self.wrapped else []
        return [{"params": params, "lr": self.recipe.rate}]

    def modules(self) -> dict[str, nn.Module]:
        modules = {"projector": self.projector, "heads": self.heads, "queue": self.queue}
        return {**modules, "adapter": self.wrapped} if self.wrapped else modules

    def order(self, rows: list[int], rng: Random) -> list[int]:
        """One caption of every photo: another caption of the same photo would be a false negative."""
        by_photo: dict[int, list[int]] = {}
        for row in rows:
            if len(self.pairs[row].chosen.split()) >= MIN_WORDS:
                by_photo.setdefault(self.examples[row].photo, []).append(row)
        order = [rng.choice(by_photo[photo]) for photo in sorted(by_photo)]
        rng.shuffle(order)
        return order

    def visual_tokens(self, image: ImageFeatures) -> Tensor:
        dtype = self.lvlm.decoder.get_input_embeddings().weight.dtype
        return self.lvlm.visual_tokens(image.to(torch.float32), "", self.projector).to(dtype)

    def represent(self, rows: list[int], visual_tokens: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Unit vectors [B, E] of photos (as visual tokens [n, D] each), captions and hallucinated captions."""
        embedding, device = self.lvlm.decoder.get_input_embeddings(), self.lvlm.device
        end = torch.tensor([self.lvlm.tokenizer.eos_token_id], device=device)
        photos = [torch.cat([tokens, embedding(end)]) for tokens in visual_tokens]
        texts = [embedding(torch.tensor(self.examples[row].chosen, device=device)) for row in rows]
        texts += [embedding(torch.tensor(self.examples[row].rejected, device=device)) for row in rows]
        image = self.heads.embed_photos(end_token_states(self.lvlm, photos).float())
        text, hallucinated = self.heads.embed_texts(end_token_states(self.lvlm, texts).float()).chunk(2)
        return image, text, hallucinated

    def losses(self, rows: list[int], step: int) -> tuple[Tensor, dict[str, float]]:
        recipe, numbers = self.recipe, {}
        images = [self.image(row) for row in rows]  # once: a trained tower runs here
        visual_tokens = [self.visual_tokens(image) for image in images]
        packed = [
            PackedRow(self.prefix(row, image, tokens), [self.examples[row].chosen])
            for row, image, tokens in zip(rows, images, visual_tokens, strict=True)
        ]
        loss = generation = cross_entropy(self.lvlm, packed_forward(self.lvlm, packed))
        if recipe.contrast:
            image, text, hallucinated = self.represent(rows, visual_tokens)
            queue = self.queue if recipe.queue and torch.is_grad_enabled() else None
            terms = contrastive_terms(image, text, hallucinated, recipe.temperature, recipe.hard_negatives, queue)
            loss = loss + recipe.contrast * terms.loss
            similarity, similarity_hallucinated = (image * text).sum(-1), (image * hallucinated).sum(-1)
            nearest = (image @ torch.cat([text, hallucinated]).T).argmax(-1)  # among all captions of the batch, [B]
            numbers = {
                "photo_to_text": float(terms.photo_to_text.detach()),
                "text_to_photo": float(terms.text_to_photo.detach()),
                "similarity": float(similarity.mean().detach()),
                "similarity_hallucinated": float(similarity_hallucinated.mean().detach()),
                "told_apart": float((similarity > similarity_hallucinated).float().mean()),
                "retrieval": float((nearest.cpu() == torch.arange(len(rows))).float().mean()),
            }
            if torch.is_grad_enabled():
                self.latest = (image.detach(), text.detach(), hallucinated.detach())
        return loss, {"generation": float(generation.detach()), **numbers}

    def after_step(self) -> None:
        if self.latest and self.recipe.queue:
            self.queue.push(*self.latest)

    def save(self, folder: Path, about: dict[str, Any]) -> None:
        peft_adapter.save(folder, self.wrapped, self.projector if self.recipe.train != "adapter" else None, about)
        save_heads(self.heads, folder)

    def probe(self) -> Method:
        return ProjectorProbe()

    def undo(self) -> None:
        super().undo()
        self.lvlm.projectors.pop(PROJECTOR_NAME, None)
        if self.wrapped:
            peft_adapter.unwrap(self.lvlm, self.wrapped)
