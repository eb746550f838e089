"""Computes a HalluSpace of a loaded LVLM from truthful/hallucinated answers (Nullu, Yang et al. 2025, section 3)."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import contextmanager

import torch
from torch import Tensor

from halluapp.data.photos import printable
from halluapp.errors import InputError
from halluapp.lvlm.base import LVLM, HalluSpace, ImageFeatures
from halluapp.methods.formulas.hallu_space import hallu_space, spectrum
from halluapp.training.batches.packed_forward import answer_ids
from halluapp.training.hallu_space import directions

POOLINGS = ("answer_mean", "answer_last", "all", "authors")


@torch.no_grad()
def compute_hallu_space(
    lvlm: LVLM,
    pairs: Iterable[tuple[ImageFeatures, str, str, str]],
    layers: list[int],
    rank: int = 8,
    pooling: str = "answer_mean",
) -> HalluSpace:
    """pairs: (photo, question, truthful, hallucinated) -> V [D, rank] for every layer (zero-based).

    Hidden states are true layer outputs, taken by hooks on the very model that will be edited, 4-bit weights included.
    pooling: over the answer's tokens (default), its last token, or all positions; with "all", pairs of different length
    put the length into the first direction. "authors": all positions, and the last layer's states after the final
    norm, as the authors take them, though its MLP writes before that norm. Directions point from truthful to
    hallucinated. `about["directions"]`: a report a layer, see `directions.describe`. Raises InputError without pairs.
    """
    if pooling not in POOLINGS:
        raise InputError(f"Pooling must be one of {', '.join(POOLINGS)}, not {pooling!r}.")
    states: dict[int, list[Tensor]] = {layer: [] for layer in layers}
    lengths = []
    for visual, question, truthful, hallucinated in pairs:
        visual_tokens = lvlm.visual_tokens(visual, question)
        for answer in (truthful, hallucinated):
            pooled, length = _pooled(lvlm, visual, visual_tokens, question, answer, layers, pooling)
            lengths.append(length)
            for layer, state in pooled.items():
                states[layer].append(state)
    if len(lengths) < 2 * rank:
        raise InputError(f"A HalluSpace of rank {rank} needs at least {rank} pairs; {len(lengths) // 2} were given.")
    spaces, spectra, reports = {}, {}, {}
    length_differences = torch.tensor([b - a for a, b in zip(lengths[0::2], lengths[1::2], strict=True)])
    for layer in layers:
        truthful_states, hallucinated_states = (
            torch.stack(states[layer][0::2]),
            torch.stack(states[layer][1::2]),
        )  # [N, D]
        spaces[layer] = directions.orient(
            hallu_space(truthful_states, hallucinated_states, rank), truthful_states, hallucinated_states
        )
        singular = spectrum(truthful_states, hallucinated_states)
        spectra[layer] = [round(float(s), 4) for s in singular[: 2 * rank]]
        reports[layer] = directions.layer_report(
            lvlm, spaces[layer], singular, truthful_states, hallucinated_states, length_differences
        )
    about = {
        "pairs": len(lengths) // 2, "pooling": pooling, "rank": rank, "model": lvlm.name,
        "quantization": lvlm.quantization, "spectrum": spectra,
        "mean_length_difference": float(length_differences.abs().float().mean()), "directions": reports,
    }  # fmt: skip
    return HalluSpace(spaces, about)


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
    deepstack = (read.image_mask[None], read.deepstack) if read.deepstack else None
    with lvlm.lock, _layer_outputs(lvlm, layers) as recorded:
        lvlm.forward(DynamicCache(), mask, read.positions[..., None, :], embeds=read.embeds[None], deepstack=deepstack)
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
