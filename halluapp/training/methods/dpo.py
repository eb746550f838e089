"""DPO: the policy prefers the truthful to the hallucinated answer, relative to the reference (Rafailov et al. 2023)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from halluapp.training.batches import disk_cache
from halluapp.training.batches.packed_forward import PackedRow, lm_logits, packed_forward
from halluapp.training.methods.chip_loss import answer_logps, masked_sum, preferred_share
from halluapp.training.methods.dpo_recipe import DpoRecipe
from halluapp.training.objective import LoraObjective


def dpo_loss(policy: Tensor, reference: Tensor, beta: float, ipo: bool = False) -> tuple[Tensor, Tensor]:
    """Log-probabilities [B, 2] of chosen and rejected answers under both models -> (loss [B], margin [B]).

    margin = (policy - reference) of the chosen minus that of the rejected answer; loss = -ln sigmoid(beta * margin),
    DPO, equation 7. ipo: (margin - 1 / (2 beta))^2, Azar et al. 2024, equation 17.
    """
    ratio = policy - reference
    margin = ratio[:, 0] - ratio[:, 1]
    return (margin - 1 / (2 * beta)).square() if ipo else -logsigmoid(beta * margin), margin


class DpoObjective(LoraObjective):
    """L = mean of `dpo_loss` + anchor * cross entropy of the chosen answers. The reference is the adapter off."""

    recipe: DpoRecipe

    def build(self) -> None:
        self.reference = self._reference()  # [N, 2]
        super().build()

    def answer_logps(self, rows: list[int]) -> tuple[Tensor, Tensor]:
        """Log-probabilities [B, 2] of the pairs' chosen and rejected answers, and the number of chosen tokens [B]."""
        packed = []
        for row in rows:
            example = self.examples[row]
            packed.append(PackedRow(self.prefix(row, self.image(row)), [example.chosen, example.rejected]))
        states = packed_forward(self.lvlm, packed)
        logps = masked_sum(answer_logps(lm_logits(self.lvlm, states.hidden), states.ids), states.mask)
        return logps.view(-1, 2), states.mask.sum(-1).view(-1, 2)[:, 0]

    @torch.no_grad()
    def _reference(self) -> Tensor:
        ids = [[example.photo, example.prompt, example.chosen, example.rejected] for example in self.examples]
        path = self._cache_path("reference-logps", ids)
        stored = disk_cache.read(path, len(self.examples))
        if stored is not None:
            return torch.stack(stored["clean"])
        logps, size = [], self.recipe.batch
        for first in range(0, len(self.examples), size):
            rows = list(range(first, min(first + size, len(self.examples))))
            logps += self.answer_logps(rows)[0].cpu().unbind()
            if first // size % 20 == 0:
                self.log(f"reference: {rows[-1] + 1} of {len(self.examples)} pairs")
        disk_cache.write(path, {"clean": logps, "corrupted": []})
        return torch.stack(logps)

    def losses(self, rows: list[int], step: int) -> tuple[Tensor, dict[str, float]]:
        policy, lengths = self.answer_logps(rows)
        reference = self.reference[rows].to(policy)
        losses, margin = dpo_loss(policy, reference, self.recipe.beta, self.recipe.ipo)
        likelihood = -policy[:, 0].sum() / lengths.sum()
        loss = losses.mean() + self.recipe.anchor * likelihood
        reward = self.recipe.beta * (policy - reference).detach().mean(0)
        return loss, {
            "preference": float(losses.mean().detach()),
            "likelihood": float(likelihood.detach()),
            "reward_margin": float(self.recipe.beta * margin.detach().mean()),
            "reward_chosen": float(reward[0]),
            "reward_rejected": float(reward[1]),
            "preferred": preferred_share(margin),
        }
