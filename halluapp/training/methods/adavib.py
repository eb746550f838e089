"""AdaVIB on a 4-bit model: the projector as the mean of a bottleneck, everything else frozen."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

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
        width_in, width = self.features.clean[0].shape[-1], self.lvlm.decoder.get_input_embeddings().weight.shape[1]
        self.head = VariationalHead(width_in, width, self.recipe.std_bias).to(self.lvlm.device)

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [
            {"params": list(self.mean.parameters()), "lr": self.recipe.rate},
            {"params": list(self.head.parameters()), "lr": self.recipe.rate_std},
        ]

    def modules(self) -> dict[str, nn.Module]:
        return {"mean": self.mean, "head": self.head}

    def losses(self, rows: list[int], step: int) -> tuple[Tensor, dict[str, float]]:
        recipe, table = self.recipe, self.lvlm.decoder.get_input_embeddings().weight
        features = torch.stack([self.projector_input(row).float() for row in rows])  # [B, n, d]
        mu, std = self.mean(features), self.head(features)
        training = torch.is_grad_enabled()
        samples = recipe.samples if training else 1
        noise = (
            None if training else torch.zeros((1, *mu.shape), device=mu.device)
        )  # held out: the mean, as at inference
        samples_of_tokens = reparameterise(mu, std, samples, noise=noise)  # [S*B, n, D], sample-major
        sqrt = not recipe.mean_similarity
        alpha = photo_weights(samples_of_tokens, table, samples, sqrt=sqrt) if recipe.adaptive else None
        packed = [
            PackedRow(self.prefix(rows[index % len(rows)], tokens.to(table.dtype)), [self.examples[row].chosen])
            for index, tokens in enumerate(samples_of_tokens)
            for row in (rows[index % len(rows)],)
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
        return generation + kl, numbers

    def save(self, folder: Path, about: dict[str, Any]) -> None:
        peft_adapter.save(folder, projector=self.mean, about=about)

    def probe(self) -> Method:
        return ProjectorProbe()

    def undo(self) -> None:
        super().undo()
        self.lvlm.projectors.pop(PROJECTOR_NAME, None)
