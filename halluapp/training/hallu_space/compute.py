"""Computes a HalluSpace of a loaded LVLM from truthful/hallucinated answers (Nullu, Yang et al. 2025, section 3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from halluapp.data.photos import printable
from halluapp.errors import InputError
from halluapp.lvlm.base import LVLM, HalluSpace, ImageFeatures
from halluapp.methods.formulas.hallu_space import hallu_space, spectrum
from halluapp.training.batches.packed_forward import answer_ids
from halluapp.training.hallu_space import directions

POOLINGS = ("answer_mean", "answer_last", "all", "authors")


@dataclass(frozen=True)
class PairStates:
    """Pooled hidden states of one pair, [2, L, D] in float32 on the CPU: of the truthful answer, then of the
    hallucinated one, at every layer asked for. lengths: tokens of both answers."""

    states: Tensor
    lengths: tuple[int, int]


def compute_hallu_space(
    lvlm: LVLM,
    pairs: Iterable[tuple[ImageFeatures, str, str, str]],
    layers: list[int],
    rank: int = 8,
    pooling: str = "answer_mean",
) -> HalluSpace:
    """pairs: (photo, question, truthful, hallucinated) -> V [D, rank] for every layer (zero-based).

    As `pair_states` and then `space_of_states`. Raises InputError without pairs.
    """
    check_pooling(pooling)
    return space_of_states(lvlm, [pair_states(lvlm, *pair, layers, pooling) for pair in pairs], layers, rank, pooling)


def check_pooling(pooling: str) -> None:
    """Raises InputError for a pooling that is not one of POOLINGS."""
    if pooling not in POOLINGS:
        raise InputError(f"Pooling must be one of {', '.join(POOLINGS)}, not {pooling!r}.")


@torch.no_grad()
def pair_states(
    lvlm: LVLM, visual: ImageFeatures, question: str, truthful: str, hallucinated: str, layers: list[int], pooling: str
) -> PairStates:
    """Hidden states of both answers: true layer outputs, taken by hooks on the very model that will be edited, 4-bit
    weights included.

    pooling: over the answer's tokens (default), its last token, or all positions; with "all", pairs of different length
    put the length into the first direction. "authors": all positions, and the last layer's states after the final
    norm, as the authors take them, though its MLP writes before that norm. Raises InputError for a pair that is longer
    than the model's context.
    """
    visual_tokens = lvlm.visual_tokens(visual, question)
    both = [_pooled(lvlm, visual, visual_tokens, question, text, layers, pooling) for text in (truthful, hallucinated)]
    states = torch.stack([torch.stack([pooled[layer] for layer in layers]) for pooled, _ in both])
    return PairStates(states, (both[0][1], both[1][1]))


@torch.no_grad()
def space_of_states(lvlm: LVLM, pairs: Sequence[PairStates], layers: list[int], rank: int, pooling: str) -> HalluSpace:
    """The HalluSpace of all pairs' states. Directions point from truthful to hallucinated.

    `about["directions"]`: a report a layer, see `directions.describe`. Raises InputError for fewer pairs than `rank`.
    """
    check_rank(rank, len(pairs))
    spaces, spectra, reports = {}, {}, {}
    length_differences = torch.tensor([pair.lengths[1] - pair.lengths[0] for pair in pairs])
    for number, layer in enumerate(layers):
        truthful_states = torch.stack([pair.states[0, number] for pair in pairs])  # [N, D]
        hallucinated_states = torch.stack([pair.states[1, number] for pair in pairs])
        spaces[layer] = directions.orient(
            hallu_space(truthful_states, hallucinated_states, rank), truthful_states, hallucinated_states
        )
        singular = spectrum(truthful_states, hallucinated_states)
        spectra[layer] = [round(float(s), 4) for s in singular[: 2 * rank]]
        reports[layer] = directions.layer_report(
            lvlm, spaces[layer], singular, truthful_states, hallucinated_states, length_differences
        )
    about = {
        "pairs": len(pairs), "pooling": pooling, "rank": rank, "model": lvlm.name,
        "quantization": lvlm.quantization, "spectrum": spectra,
        "mean_length_difference": float(length_differences.abs().float().mean()), "directions": reports,
    }  # fmt: skip
    return HalluSpace(spaces, about)


def check_rank(rank: int, count: int | None) -> None:
    """Raises InputError for a rank that is none, or that so many pairs cannot have (None: not known yet)."""
    if rank < 1:
        raise InputError(f"The rank of a HalluSpace must be 1 or more, not {rank}.")
    if count is not None and count < rank:
        raise InputError(f"A HalluSpace of rank {rank} needs at least {rank} pairs; {count} were given.")


def _pooled(lvlm, visual, visual_tokens, question, answer, layers, pooling) -> tuple[dict[int, Tensor], int]:
    from transformers import DynamicCache

    prompt = lvlm.prompt_ids(question, "photo")
    answer_tokens = answer_ids(lvlm, answer)
    read = lvlm.embed_prompt(prompt + answer_tokens, visual, visual_tokens)
    if len(read.embeds) > lvlm.context_length:
        raise InputError(
            f"Photo, question and the answer {printable(answer, 40)!r} are {len(read.embeds):,} tokens, but "
            f"{lvlm.name} reads {lvlm.context_length:,}; shorten the texts or leave the pair out."
        )
    mask = torch.ones(1, len(read.embeds), dtype=torch.long, device=read.embeds.device)
    image_mask, positions = read.image_mask[None], read.positions[..., None, :]
    deepstack = (image_mask, read.deepstack) if read.deepstack else None
    with lvlm.lock, _layer_outputs(lvlm, layers) as recorded:
        lvlm.forward(
            DynamicCache(), mask, positions, embeds=read.embeds[None], deepstack=deepstack, image_mask=image_mask
        )
    if pooling == "authors" and (last := len(lvlm.layers) - 1) in recorded:
        recorded[last] = lvlm.final_norm(recorded[last])
    part = {"answer_mean": slice(-len(answer_tokens), None), "answer_last": slice(-1, None)}.get(pooling, slice(None))
    return {layer: state[0, part].float().mean(0).cpu() for layer, state in recorded.items()}, len(answer_tokens)


@contextmanager
def _layer_outputs(lvlm: LVLM, layers: list[int]):
    """Outputs of decoder layers [1, S, D] during the context."""
    outputs: dict[int, Tensor] = {}

    def record(layer: int):
        def hook(_module, _inputs, output):
            outputs[layer] = output[0] if isinstance(output, tuple) else output

        return hook

    handles = [lvlm.layers[layer].register_forward_hook(record(layer)) for layer in layers]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()
