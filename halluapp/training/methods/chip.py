"""CHiP on a 4-bit model: one packed forward a step, the reference's hidden states cached on disk."""

from __future__ import annotations

import torch
from torch import Tensor

from halluapp.training.batches import disk_cache
from halluapp.training.batches.packed_forward import AnswerStates, PackedRow, lm_logits, packed_forward
from halluapp.training.methods.chip_loss import Answers, answer_logps, chip_loss, masked_sum, segment_logps, token_kl
from halluapp.training.methods.chip_recipe import ChipRecipe
from halluapp.training.objective import LoraObjective


class ChipObjective(LoraObjective):
    """Chosen and rejected answers share their photo and question; the corrupted photo is a row of its own.

    The reference is the same model with the adapter off. Its hidden states before the head are kept, from which its
    whole distribution follows exactly: D numbers a token instead of V.
    """

    corrupts_images = True
    recipe: ChipRecipe

    def build(self) -> None:
        self.reference = self._reference()
        super().build()

    def packed_rows(self, rows: list[int]) -> list[PackedRow]:
        """Clean rows with both answers, then rows of corrupted photos with the chosen one."""
        made = []
        for row in rows:
            example = self.examples[row]
            tokens = self.lvlm.project(self.projector_input(row))
            made.append(PackedRow(self.prefix(row, tokens), [example.chosen, example.rejected]))
        for row in rows if self.recipe.visual else []:
            tokens = self.lvlm.project(self.projector_input(row, corrupted=True))
            made.append(PackedRow(self.prefix(row, tokens), [self.examples[row].chosen]))
        return made

    @torch.no_grad()
    def _reference(self) -> list[Tensor]:
        """Hidden states of all answers of every pair, [A_chosen + A_rejected + A_chosen, D] each, computed once."""
        path, made = self._cache_path("reference"), []
        stored = disk_cache.read(path, len(self.examples))
        if stored is not None and not self._lacks_corrupted(stored["clean"]):
            return stored["clean"]
        size = self.recipe.batch
        for first in range(0, len(self.examples), size):
            rows = list(range(first, min(first + size, len(self.examples))))
            said = packed_forward(self.lvlm, self.packed_rows(rows))
            parts = [hidden[counted].cpu() for hidden, counted in zip(said.hidden, said.mask, strict=True)]
            for place in range(len(rows)):
                own = parts[2 * place : 2 * place + 2]
                own += parts[2 * len(rows) + place :][:1] if self.recipe.visual else []
                made.append(torch.cat(own))
            if first // size % 20 == 0:
                self.log(f"reference: {rows[-1] + 1} of {len(self.examples)} pairs")
        disk_cache.write(path, {"clean": made, "corrupted": []})
        return made

    def _lacks_corrupted(self, stored: list[Tensor]) -> bool:
        """Whether the cache lacks the corrupted photos of a run that had no visual term."""
        sizes = (2 * len(e.chosen) + len(e.rejected) for e in self.examples)
        return bool(self.recipe.visual) and any(len(s) != n for s, n in zip(stored, sizes, strict=True))

    def _reference_hidden(self, rows: list[int], said: AnswerStates) -> Tensor:
        """The cached states in the places of `said.hidden`, [N, A, D]."""
        hidden = torch.zeros_like(said.hidden)
        count = len(rows)
        for place, row in enumerate(rows):
            kept, example = self.reference[row].to(hidden), self.examples[row]
            chosen, both = len(example.chosen), len(example.chosen) + len(example.rejected)
            hidden[2 * place, :chosen] = kept[:chosen]
            hidden[2 * place + 1, : both - chosen] = kept[chosen:both]
            if self.recipe.visual:
                hidden[2 * count + place, :chosen] = kept[both : both + chosen]
        return hidden

    def losses(self, rows: list[int], step: int) -> tuple[Tensor, dict[str, float]]:
        said = packed_forward(self.lvlm, self.packed_rows(rows))
        policy = lm_logits(self.lvlm, said.hidden[said.mask])  # [M, V], only where words are
        with torch.no_grad():
            reference = lm_logits(self.lvlm, self._reference_hidden(rows, said)[said.mask])
        return preference_loss(self.recipe, policy, reference, said, self._changed(rows, said))

    def _changed(self, rows: list[int], said: AnswerStates) -> Tensor:
        """Which tokens differ between a pair's answers, bool [N, A]."""
        marks = torch.zeros_like(said.mask)
        for place, example in enumerate(self.examples[row] for row in rows):
            marks[2 * place, example.changed_chosen] = True
            marks[2 * place + 1, example.changed_rejected] = True
            if self.recipe.visual:
                marks[2 * len(rows) + place, example.changed_chosen] = True
        return marks


def preference_loss(
    recipe: ChipRecipe, policy: Tensor, reference: Tensor, said: AnswerStates, changed: Tensor
) -> tuple[Tensor, dict[str, float]]:
    """Logits [M, V] of policy and reference at the counted places of `said` -> (loss, components).

    Answers are in the order chosen 0, rejected 0, chosen 1, ..., then chosen ones beside corrupted photos.
    """
    ids = said.ids[said.mask]
    pairs = (len(said.ids) // 3) if recipe.visual else len(said.ids) // 2
    mine, its = (_scatter(answer_logps(logits, ids), said.mask) for logits in (policy, reference))
    kl = masked_sum(_scatter(token_kl(reference, policy), said.mask), said.mask) if recipe.token else None
    both = [_answer_logps(recipe, values, said.mask, changed, pairs) for values in (mine, its)]
    drift = (None, None) if kl is None else (kl[0 : 2 * pairs : 2], kl[1 : 2 * pairs : 2])
    made = chip_loss(
        *both, *drift, mode=recipe.mode, beta=recipe.beta, segment=recipe.segment, token=recipe.token,
        visual=recipe.visual,
    )  # fmt: skip
    likelihood = -mine[0 : 2 * pairs : 2].sum() / said.mask[0 : 2 * pairs : 2].sum()
    loss = made.loss + recipe.anchor * likelihood
    margin = (made.rewards["chosen"] - made.rewards["rejected"]).detach()
    numbers = {name: float(value.detach()) for name, value in made.terms.items()}
    numbers |= {"likelihood": float(likelihood.detach()), "reward_margin": float(margin.mean())}
    numbers |= {f"reward_{name}": float(value.mean()) for name, value in made.rewards.items()}
    return loss, {**numbers, "preferred": float((margin > 0).float().mean())}


def _answer_logps(recipe: ChipRecipe, logps: Tensor, counted: Tensor, changed: Tensor, pairs: int) -> Answers:
    joint = recipe.mode == "joint"
    total = masked_sum(logps * (1 + recipe.segment * changed) if joint else logps, counted)  # W = 1 + lambda
    segment = segment_logps(logps, counted, changed, recipe.changed) if recipe.segment and not joint else None
    chosen, rejected = slice(0, 2 * pairs, 2), slice(1, 2 * pairs, 2)
    parts = (None, None) if segment is None else (segment[chosen], segment[rejected])
    return Answers(total[chosen], total[rejected], total[2 * pairs :] if recipe.visual else None, *parts)


def _scatter(values: Tensor, counted: Tensor) -> Tensor:
    """Values [M] of the counted places -> [N, A], 0 elsewhere."""
    return values.new_zeros(counted.shape).masked_scatter(counted, values)
