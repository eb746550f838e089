"""AdaVIB on a 4-bit model: the projector as the mean of a bottleneck, everything else frozen."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from halluapp.lvlm.base import LVLM, ImageFeatures
from halluapp.methods.base import Method
from halluapp.training import peft_adapter
from halluapp.training.batches.packed_forward import PackedRow, cross_entropy, packed_forward
from halluapp.training.methods.adavib_loss import VariationalHead, adavib_loss, photo_weights, reparameterise
from halluapp.training.methods.adavib_recipe import AdavibRecipe
from halluapp.training.methods.probe import PROJECTOR_NAME, ProjectorProbe
from halluapp.training.objective import Objective


class AdavibObjective(Objective):
    """L = mean over S of CE(answer | mu + sigma * eps) + beta * mean(alpha * KL)."""

    recipe: AdavibRecipe

    def build(self) -> None:
        torch.manual_seed(self.recipe.seed)
        self.mean = copy.deepcopy(self.lvlm.base_projector).float().requires_grad_(True)
        self.lvlm.projectors[PROJECTOR_NAME] = self.mean
        first = self.lvlm.token_inputs(self.features.images[0].to(self.lvlm.device))
        width_in, width = first.shape[-1], self.lvlm.decoder.get_input_embeddings().weight.shape[1]
        self.head = VariationalHead(width_in, width, self.recipe.std_bias).to(self.lvlm.device)

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [
            {"params": list(self.mean.parameters()), "lr": self.recipe.rate},
            {"params": list(self.head.parameters()), "lr": self.recipe.rate_std},
        ]

    def modules(self) -> dict[str, nn.Module]:
        return {"mean": self.mean, "head": self.head}

    def losses(self, rows: list[int], step: int) -> tuple[Tensor, dict[str, float]]:
        images = [self.image(row).to(torch.float32) for row in rows]
        inputs = [self.lvlm.token_inputs(image) for image in images]
        sizes = dict.fromkeys(len(part) for part in inputs)  # photos of other shapes have other numbers of tokens
        groups = [[i for i, part in enumerate(inputs) if len(part) == size] for size in sizes]
        parts = [
            self._group([rows[i] for i in group], [images[i] for i in group], torch.stack([inputs[i] for i in group]))
            for group in groups
        ]
        if len(parts) == 1:
            generation, kl, numbers = parts[0]
            return generation + kl, numbers
        # The cross entropy is a mean over answer tokens, all else over pairs.
        tokens = [sum(len(self.examples[rows[i]].chosen) for i in group) for group in groups]
        shares = [(count / sum(tokens), len(group) / len(rows)) for count, group in zip(tokens, groups, strict=True)]
        losses = [
            of_tokens * generation + of_pairs * kl
            for (of_tokens, of_pairs), (generation, kl, _) in zip(shares, parts, strict=True)
        ]
        return torch.stack(losses).sum(), {
            name: sum(share[name != "generation"] * part[2][name] for share, part in zip(shares, parts, strict=True))
            for name in parts[0][2]
        }

    def _means(self, images: list[ImageFeatures], inputs: Tensor) -> Tensor:
        """The projector's visual tokens of equally long images, [B, n, D]; inputs [B, n, d]."""
        if type(self.lvlm).project is LVLM.project and type(self.lvlm).visual_tokens is LVLM.visual_tokens:
            return self.mean(inputs)  # token by token: one product for all
        return torch.stack([self.lvlm.visual_tokens(image, "", self.mean) for image in images])

    def _group(
        self, rows: list[int], images: list[ImageFeatures], inputs: Tensor
    ) -> tuple[Tensor, Tensor, dict[str, float]]:
        """Cross entropy, divergence and numbers of pairs whose images have equally many visual tokens."""
        recipe, table = self.recipe, self.lvlm.decoder.get_input_embeddings().weight
        mu, std = self._means(images, inputs), self.head(inputs)
        training = torch.is_grad_enabled()
        samples = recipe.samples if training else 1
        noise = (
            None if training else torch.zeros((1, *mu.shape), device=mu.device)
        )  # held out: the mean, as at inference
        samples_of_tokens = reparameterise(mu, std, samples, noise=noise)  # [S*B, n, D], sample-major
        sqrt = not recipe.mean_similarity
        alpha = photo_weights(samples_of_tokens, table, samples, sqrt=sqrt) if recipe.adaptive else None
        packed = [
            PackedRow(self.prefix(rows[of], images[of], tokens.to(table.dtype)), [self.examples[rows[of]].chosen])
            for index, tokens in enumerate(samples_of_tokens)
            for of in (index % len(rows),)
        ]
        generation = cross_entropy(self.lvlm, packed_forward(self.lvlm, packed))
        kl = adavib_loss(mu, std, self.head.mu_p, self.head.std_p, recipe.beta, alpha, recipe.authors_pooling)
        numbers = {
            "generation": float(generation.detach()),
            "kl": float(kl.detach()),
            "std": float(std.mean().detach()),
        }
        if alpha is not None:
            numbers["alpha"] = float(alpha.mean())
        return generation, kl, numbers

    def save(self, folder: Path, about: dict[str, Any]) -> None:
        peft_adapter.save(folder, projector=self.mean, about=about)

    def probe(self) -> Method:
        return ProjectorProbe()

    def undo(self) -> None:
        super().undo()
        self.lvlm.projectors.pop(PROJECTOR_NAME, None)
