"""How much of each token's state lies in Nullu's HalluSpace, and which words the directions of that space stand for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from halluapp.decoding.forced import read_answer
from halluapp.decoding.views import Views
from halluapp.inspection.evidence import main_prefix
from halluapp.lvlm.base import LVLM
from halluapp.methods.base import Method

SPACE, WORDS, DIRECTIONS = "default", 6, 4


def share(states: Tensor, directions: Tensor) -> Tensor:
    """|V^T x|^2 / |x|^2: states [n, D], orthonormal directions V [D, K] -> [n], each from 0 to 1."""
    states, directions = states.float(), directions.float().to(states.device)
    return (states @ directions).square().sum(-1) / states.square().sum(-1).clamp(min=1e-12)


def energy(lvlm: LVLM, views: Views, prompt: str, method: Method, ids: Sequence[int]) -> dict[str, Any]:
    """The share of each token's MLP output that lies in the HalluSpace, before anything is projected out of it or an
    adapter adds to it.

    -> {"layers": [layer], "energy": [[share of each token] of each layer], "expected"}; expected: K / D, the share of
    a state that knows nothing of the space. Main row of the method. Raises MissingWeights without a HalluSpace.
    """
    space = lvlm.space(SPACE).layers
    method.prepare(lvlm)
    recorded: dict[int, Tensor] = {}
    also = _recorded_outputs(lvlm, space, len(ids), recorded)
    read_answer(lvlm, [main_prefix(method, prompt)], [prompt], [views], ids[:-1], len(ids), {0: (0,)}, also)
    layers = sorted(space)
    values = [share(recorded[layer], space[layer]).tolist() for layer in layers]
    first = space[layers[0]]
    return {"layers": layers, "energy": values, "expected": first.shape[1] / first.shape[0]}


@contextmanager
def _recorded_outputs(lvlm: LVLM, layers: Iterable[int], count: int, recorded: dict[int, Tensor]) -> Iterator[None]:
    """Within the context, the MLP outputs [count, D] of row 0 at its last positions go to `recorded`, by layer."""

    def recorder(layer: int):
        def record(_module, _inputs, output: Tensor) -> None:
            recorded[layer] = output[0, -count:].detach()

        return record

    handles = [lvlm.output_projection(layer).register_forward_hook(recorder(layer)) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def direction_words(lvlm: LVLM, layer: int) -> list[dict[str, Any]]:
    """The words nearest to the first directions of one layer -> [{"more": [word], "less": [word]}].

    Read through the final norm and the LM head, as an early exit is; the sign of a direction is arbitrary, so both ends
    are named. Raises MissingWeights.
    """
    directions = lvlm.space(SPACE).layers[layer].T[:DIRECTIONS].to(lvlm.device)  # [K, D]
    states = torch.cat([directions, -directions]).to(lvlm.decoder.get_input_embeddings().weight.dtype)
    best = lvlm.read_out(states).topk(WORDS).indices.tolist()
    names = [[lvlm.piece(index).strip() for index in row] for row in best]
    half = len(directions)
    return [{"more": more, "less": less} for more, less in zip(names[:half], names[half:], strict=True)]
