"""One forward for many answers: answers to one image and question share a prefix, logits at answer tokens only.

A row is a prefix and its answers, separated by a block mask: a token of an answer attends to the prefix and to earlier
tokens of its answer. Values and gradients equal those of separate rows, with a fraction of the tokens.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from halluapp.decoding.hooks.interventions import apply_interventions
from halluapp.errors import InputError
from halluapp.lvlm.base import LVLM, EmbeddedPrompt
from halluapp.methods.base import Intervention


@dataclass
class PackedRow:
    """prefix: embeddings [P, D], or with positions and visual tokens; answers: token ids, end token included."""

    prefix: Tensor | EmbeddedPrompt
    answers: list[list[int]]

    @property
    def prompt(self) -> EmbeddedPrompt:
        """The prefix with its positions, 0, 1, 2, ... for bare embeddings."""
        if isinstance(self.prefix, EmbeddedPrompt):
            return self.prefix
        count, device = len(self.prefix), self.prefix.device
        return EmbeddedPrompt(self.prefix, torch.arange(count), torch.zeros(count, dtype=torch.bool, device=device))


@dataclass
class AnswerStates:
    """Answers in the order of the rows. hidden [N, A, D] (after the final norm) at the positions that predict `ids`
    [N, A]; mask [N, A] bool, False for the padding on the right."""

    hidden: Tensor
    ids: Tensor
    mask: Tensor


def check_supported(lvlm: LVLM) -> None:
    """Raises InputError for a family whose rows cannot be packed, or whose visual tokens depend on the prompt."""
    if not lvlm.trainable:
        raise InputError(
            f"Training does not know the family of {lvlm.name} ({type(lvlm).__name__}); docs/families.md names those "
            "that can be trained, LLaVA and Qwen3-VL among them."
        )


def lm_logits(lvlm: LVLM, hidden: Tensor) -> Tensor:
    """Hidden states [..., D] -> logits [..., V] in float32."""
    return lvlm.logits(hidden)


def answer_ids(lvlm: LVLM, text: str) -> list[int]:
    """Token ids of an answer as the model writes it, end token included; special tokens in its text are split."""
    return lvlm.answer_ids(lvlm.escape_special_tokens(text))


def packed_forward(lvlm: LVLM, rows: list[PackedRow], intervention: Intervention | None = None) -> AnswerStates:
    """One forward over packed rows. Differentiable in prefixes and adapters. intervention: changes all rows."""
    prompts = [row.prompt for row in rows]
    packed_rows = [_pack(lvlm, prompt, row.answers) for prompt, row in zip(prompts, rows, strict=True)]
    longest = max(len(embeds) for embeds, _, _, _ in packed_rows)
    first = packed_rows[0][0]
    device = first.device
    embeds = first.new_zeros(len(rows), longest, first.shape[-1])
    segments = torch.full((len(rows), longest), -1, device=device)
    positions = segments.new_zeros(*packed_rows[0][2].shape[:-1], len(rows), longest)
    image_mask = torch.zeros_like(segments, dtype=torch.bool)
    answer_positions = []
    for index, (row, segment, position, answers_of_row) in enumerate(packed_rows):
        embeds[index, : len(row)] = row
        segments[index, : len(row)] = segment.to(device)
        positions[..., index, : len(row)] = position.to(device)
        image_mask[index, : len(prompts[index].image_mask)] = prompts[index].image_mask
        answer_positions += [(index, answer_position) for answer_position in answers_of_row]
    levels = tuple(torch.cat(level) for level in zip(*(p.deepstack for p in prompts if p.deepstack), strict=True))
    deepstack = (image_mask, levels) if levels else None
    with apply_interventions(lvlm, [intervention] * len(rows)):
        hidden = run_decoder(lvlm, embeds, block_mask(segments), positions, deepstack)
    return _gather(hidden, answer_positions, [answer for row in rows for answer in row.answers])


def _pack(
    lvlm: LVLM, prompt: EmbeddedPrompt, answers: list[list[int]]
) -> tuple[Tensor, Tensor, Tensor, list[list[int]]]:
    """Embeddings [T, D], segment [T] and position [T] or [3, T] of each token, and for every answer where its tokens
    are predicted."""
    embedding, size = lvlm.decoder.get_input_embeddings(), len(prompt.embeds)
    next_position = int(prompt.positions.max()) + 1
    segments, positions, answer_positions, ids = [0] * size, [], [], []
    for number, answer in enumerate(answers, 1):
        inputs = answer[:-1]  # nothing is predicted after the last token
        start = size + len(ids)
        answer_positions.append([size - 1, *range(start, start + len(inputs))])
        segments += [number] * len(inputs)
        positions += range(next_position, next_position + len(inputs))
        ids += inputs
    prefix, before = prompt.embeds, prompt.positions.cpu()
    input_embeds = embedding(torch.tensor(ids, dtype=torch.long, device=prefix.device)).to(prefix.dtype)
    after = torch.tensor(positions, dtype=torch.long).expand(*before.shape[:-1], -1)
    whole = torch.cat([prefix, input_embeds])
    return whole, torch.tensor(segments), torch.cat([before, after], dim=-1), answer_positions


def block_mask(segments: Tensor) -> Tensor:
    """Which key each query attends to, bool [R, 1, T, T]: earlier tokens of the prefix (0) and of its own segment."""
    query, key = segments[:, :, None], segments[:, None, :]
    causal = torch.ones(segments.shape[1], segments.shape[1], dtype=torch.bool, device=segments.device).tril()
    allowed = ((key == 0) | (key == query)) & (query >= 0) & (key >= 0) & causal
    itself = torch.eye(segments.shape[1], dtype=torch.bool, device=segments.device)
    return (allowed | itself)[:, None]  # padding attends to itself: a row without keys gives NaN


def run_decoder(
    lvlm: LVLM,
    embeds: Tensor,
    mask: Tensor,
    positions: Tensor,
    deepstack: tuple[Tensor, tuple[Tensor, ...]] | None = None,
) -> Tensor:
    """Embeddings [R, T, D] -> hidden states after the final norm [R, T, D], without a cache.

    deepstack: as `LVLM.forward` takes it.
    """
    # Backward computes a checkpointed layer again, when the decoded weights are gone: it reads the packed ones.
    recomputed = torch.is_grad_enabled() and lvlm.decoder.is_activation_checkpointing
    with lvlm.lock, nullcontext() if recomputed else lvlm.dequantized.active():
        return lvlm.decoder(
            inputs_embeds=embeds,
            attention_mask=mask,
            position_ids=positions,
            use_cache=False,
            **lvlm.deepstack_arguments(deepstack),
        ).last_hidden_state


def _gather(hidden: Tensor, answer_positions: list[tuple[int, list[int]]], answers: list[list[int]]) -> AnswerStates:
    longest = max(len(answer) for answer in answers)
    rows = torch.tensor([row for row, _ in answer_positions], device=hidden.device)[:, None]
    padded = [positions + [0] * (longest - len(positions)) for _, positions in answer_positions]
    columns = torch.tensor(padded, device=hidden.device)
    ids = torch.tensor([answer + [0] * (longest - len(answer)) for answer in answers], device=hidden.device)
    lengths = torch.tensor([len(answer) for answer in answers], device=hidden.device)
    mask = torch.arange(longest, device=hidden.device) < lengths[:, None]
    return AnswerStates(hidden[rows, columns], ids, mask)


def end_token_states(lvlm: LVLM, sequences: list[Tensor], intervention: Intervention | None = None) -> Tensor:
    """Hidden state at the last position of every sequence of embeddings [T_i, D] -> [N, D]."""
    longest = max(map(len, sequences))
    embeds = sequences[0].new_zeros(len(sequences), longest, sequences[0].shape[-1])
    mask = torch.zeros(len(sequences), longest, dtype=torch.long, device=embeds.device)
    for index, sequence in enumerate(sequences):
        embeds[index, : len(sequence)] = sequence
        mask[index, : len(sequence)] = 1
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    with apply_interventions(lvlm, [intervention] * len(sequences)):
        return end_representations(run_decoder(lvlm, embeds, mask, positions), mask)


def cross_entropy(lvlm: LVLM, states: AnswerStates) -> Tensor:
    """Mean over the answers' tokens: scalar."""
    logits = lm_logits(lvlm, states.hidden[states.mask])
    return nn.functional.cross_entropy(logits, states.ids[states.mask])


def last_attended(mask: Tensor) -> Tensor:
    """Position of each row's last attended token: [B, T] of 0 and 1, padded on either side -> [B].

    The end token stands there, and unlike a search for its id this holds when padding uses the same id.
    """
    positions = torch.arange(mask.shape[1], device=mask.device)
    return (mask.bool() * (positions + 1)).argmax(-1)


def end_representations(hidden: Tensor, mask: Tensor) -> Tensor:
    """Hidden states (after the final norm) of each row's end token: [B, T, D], [B, T] -> [B, D]. HACL, section 3.1."""
    return hidden[torch.arange(len(hidden), device=hidden.device), last_attended(mask)]
