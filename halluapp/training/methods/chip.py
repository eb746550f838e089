"""CHiP on a 4-bit model: one packed forward a step, the reference's hidden states cached on disk."""

from __future__ import annotations

import torch
from torch import Tensor

from halluapp.training.batches import disk_cache
from halluapp.training.batches.packed_forward import AnswerStates, PackedRow, lm_logits, packed_forward
from halluapp.training.methods.chip_loss import (
    Answers,
    answer_logps,
    chip_loss,
    masked_sum,
    preferred_share,
    segment_logps,
    token_kl,
)
from halluapp.training.methods.chip_recipe import ChipRecipe
from halluapp.training.objective import LoraObjective


class ChipObjective(LoraObjective):
    """Chosen and rejected answers share their photo and question; the corrupted photo is a row of its own.

    The reference is the same model with the adapter off. Its hidden states before the LM head are cached: they give its
    whole distribution exactly with D numbers a token instead of V.
    """

    corrupts_images = True
    recipe: ChipRecipe

    def build(self) -> None:
        self.reference = self._reference()
        super().build()

    def packed_rows(self, rows: list[int]) -> list[PackedRow]:
        """Clean rows with both answers, then rows of corrupted photos with the chosen one."""
        packed = []
        for row in rows:
            example = self.examples[row]
            packed.append(PackedRow(self.prefix(row, self.image(row)), [example.chosen, example.rejected]))
        for row in rows if self.recipe.visual else []:
            packed.append(PackedRow(self.prefix(row, self.image(row, corrupted=True)), [self.examples[row].chosen]))
        return packed

    @torch.no_grad()
    def _reference(self) -> list[Tensor]:
        """Hidden states of all answers of every pair, [A_chosen + A_rejected + A_chosen, D] each, computed once."""
        ids = [[example.photo, example.prompt, example.chosen, example.rejected] for example in self.examples]
        path, states_of_pairs = self._cache_path("reference", ids), []
        stored = disk_cache.read(path, len(self.examples))
        if stored is not None and not self._lacks_corrupted(stored["clean"]):
            return stored["clean"]
        size = self.recipe.batch
        for first in range(0, len(self.examples), size):
            rows = list(range(first, min(first + size, len(self.examples))))
            states = packed_forward(self.lvlm, self.packed_rows(rows))
            parts = [hidden[mask].cpu() for hidden, mask in zip(states.hidden, states.mask, strict=True)]
            for index in range(len(rows)):
                states_of_pair = parts[2 * index : 2 * index + 2]
                states_of_pair += parts[2 * len(rows) + index :][:1] if self.recipe.visual else []
                states_of_pairs.append(torch.cat(states_of_pair))
            if first // size % 20 == 0:
                self.log(f"reference: {rows[-1] + 1} of {len(self.examples)} pairs")
        disk_cache.write(path, {"clean": states_of_pairs, "corrupted": []})
        return states_of_pairs

    def _lacks_corrupted(self, stored: list[Tensor]) -> bool:
        """Whether the cache lacks the corrupted photos of a run that had no visual term."""
        sizes = (2 * len(e.chosen) + len(e.rejected) for e in self.examples)
        return bool(self.recipe.visual) and any(len(s) != n for s, n in zip(stored, sizes, strict=True))

    def _reference_hidden(self, rows: list[int], states: AnswerStates) -> Tensor:
        """Cached hidden states of the reference in the layout of `states.hidden` [N, A, D], 0 outside the mask."""
        hidden = torch.zeros_like(states.hidden)
        count = len(rows)
        for index, row in enumerate(rows):
            stored, example = self.reference[row].to(hidden), self.examples[row]
            chosen, both = len(example.chosen), len(example.chosen) + len(example.rejected)
            hidden[2 * index, :chosen] = stored[:chosen]
            hidden[2 * index + 1, : both - chosen] = stored[chosen:both]
            if self.recipe.visual:
                hidden[2 * count + index, :chosen] = stored[both : both + chosen]
        return hidden

    def losses(self, rows: list[int], step: int) -> tuple[Tensor, dict[str, float]]:
        states = packed_forward(self.lvlm, self.packed_rows(rows))
        policy = lm_logits(self.lvlm, states.hidden[states.mask])  # [M, V], answer tokens only
        with torch.no_grad():
            reference = lm_logits(self.lvlm, self._reference_hidden(rows, states)[states.mask])
        return preference_loss(self.recipe, policy, reference, states, self._changed(rows, states))

    def _changed(self, rows: list[int], states: AnswerStates) -> Tensor:
        """Which tokens differ between a pair's answers, bool [N, A]."""
        marks = torch.zeros_like(states.mask)
        for index, example in enumerate(self.examples[row] for row in rows):
            marks[2 * index, example.changed_chosen] = True
            marks[2 * index + 1, example.changed_rejected] = True
            if self.recipe.visual:
                marks[2 * len(rows) + index, example.changed_chosen] = True
        return marks


def preference_loss(
    recipe: ChipRecipe, policy: Tensor, reference: Tensor, states: AnswerStates, changed: Tensor
) -> tuple[Tensor, dict[str, float]]:
    """Logits [M, V] of policy and reference where `states.mask` is True -> (loss, components).

    Answers are in the order chosen 0, rejected 0, chosen 1, ..., then chosen ones beside corrupted photos.
    """
    ids = states.ids[states.mask]
    pairs = (len(states.ids) // 3) if recipe.visual else len(states.ids) // 2
    policy_logps, reference_logps = (_scatter(answer_logps(logits, ids), states.mask) for logits in (policy, reference))
    kl = masked_sum(_scatter(token_kl(reference, policy), states.mask), states.mask) if recipe.token else None
    answers = [_answer_logps(recipe, values, states.mask, changed, pairs) for values in (policy_logps, reference_logps)]
    kl_of_sides = (None, None) if kl is None else (kl[0 : 2 * pairs : 2], kl[1 : 2 * pairs : 2])
    result = chip_loss(
        *answers, *kl_of_sides, mode=recipe.mode, beta=recipe.beta, segment=recipe.segment, token=recipe.token,
        visual=recipe.visual,
    )  # fmt: skip
    likelihood = -policy_logps[0 : 2 * pairs : 2].sum() / states.mask[0 : 2 * pairs : 2].sum()
    loss = result.loss + recipe.anchor * likelihood
    margin = (result.rewards["chosen"] - result.rewards["rejected"]).detach()
    numbers = {name: float(value.detach()) for name, value in result.terms.items()}
    numbers |= {"likelihood": float(likelihood.detach()), "reward_margin": float(margin.mean())}
    numbers |= {f"reward_{name}": float(value.mean()) for name, value in result.rewards.items()}
    return loss, {**numbers, "preferred": preferred_share(margin)}


def _answer_logps(recipe: ChipRecipe, logps: Tensor, mask: Tensor, changed: Tensor, pairs: int) -> Answers:
    joint = recipe.mode == "joint"
    total = masked_sum(logps * (1 + recipe.segment * changed) if joint else logps, mask)  # W = 1 + lambda
    segment = segment_logps(logps, mask, changed, recipe.changed) if recipe.segment and not joint else None
    chosen, rejected = slice(0, 2 * pairs, 2), slice(1, 2 * pairs, 2)
    parts = (None, None) if segment is None else (segment[chosen], segment[rejected])
    return Answers(total[chosen], total[rejected], total[2 * pairs :] if recipe.visual else None, *parts)


def _scatter(values: Tensor, mask: Tensor) -> Tensor:
    """Values [M] where `mask` [N, A] is True -> [N, A], 0 elsewhere."""
    return values.new_zeros(mask.shape).masked_scatter(mask, values)
