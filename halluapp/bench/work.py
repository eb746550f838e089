"""The measured work: one plain `generate`, panels through the engine, and the same methods one after another."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from halluapp.decoding.events import Failed
from halluapp.errors import InputError, MissingWeights

PROMPT = "Describe this image in detail."
Work = Callable[[], float | None]  # one run; panels return the seconds to the first token


def synthetic_image():
    """A gradient of 640 x 480: the content of an image does not change how long it takes."""
    from PIL import Image

    return Image.linear_gradient("L").resize((640, 480)).convert("RGB")


def prefix_tokens(lvlm) -> int:
    """Tokens of photo and prompt."""
    visual = lvlm.encode_image(synthetic_image())
    return len(lvlm.prompt_ids(PROMPT, "photo")) + lvlm.image_length(visual, PROMPT) - 1


def generate(session, new_tokens: int) -> Work:
    """transformers' own greedy `generate`, end tokens ignored, photo processing included."""
    import copy

    lvlm = session.lvlm
    config = copy.deepcopy(lvlm.model.generation_config)
    # End tokens are kept out by the shortest length: a None here would be filled from the model's own configuration.
    config.min_new_tokens, config.max_new_tokens, config.do_sample = new_tokens, new_tokens, False
    inputs = lvlm.native_inputs(synthetic_image(), PROMPT)

    def work() -> None:
        pixels = lvlm.pixels(synthetic_image())["pixel_values"].to(lvlm.device, lvlm.model.dtype)
        next_logits = lvlm.model.generate(**(inputs | {"pixel_values": pixels}), generation_config=config)
        assert next_logits.shape[1] == inputs["input_ids"].shape[1] + new_tokens

    return work


def plain(session, new_tokens: int) -> dict[str, Work]:
    """Ways to a plain `generate` by name: with the weights as loaded and, where the engine decodes small 4-bit layers
    once a process, with these as well ("dense"): then the panels are not compared with what is slow in 4 bits alone."""
    lvlm, as_loaded = session.lvlm, generate(session, new_tokens)
    if not lvlm.dequantized.layers:
        return {lvlm.quantization: as_loaded}

    def dense() -> None:
        with lvlm.lock, lvlm.dequantized.active():
            as_loaded()

    return {lvlm.quantization: as_loaded, "dense": dense}


def usable(lvlm, names: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """-> (the methods whose weights the model has, and for every other one the sentence that says what it lacks)."""
    from halluapp.methods.registry import create

    names_usable, lacking = [], {}
    for name in names:
        try:
            create(name).prepare(lvlm)
            names_usable.append(name)
        except (MissingWeights, InputError) as error:
            lacking[name] = str(error)
    return names_usable, lacking


def panels(session, new_tokens: int, names: Sequence[str]) -> Work:
    """Methods by name, with their defaults, through the engine, traces included."""
    from halluapp.decoding import engine
    from halluapp.decoding.plan import Sampling
    from halluapp.decoding.views import Views
    from halluapp.methods.registry import create

    def work() -> float:
        started, first = time.perf_counter(), 0.0
        job = engine.Job(Views(session.lvlm, synthetic_image()), PROMPT, [create(name) for name in names])
        for event in engine.decode(session.lvlm, job, Sampling(new_tokens, ignore_end=True)):
            if isinstance(event, Failed):
                raise RuntimeError(event.error)
            first = first or time.perf_counter() - started
        return first

    return work


def one_after_another(session, new_tokens: int, names: Sequence[str] | None = None) -> Work:
    """The same methods as separate runs: a photo pass each, a prefill and a forward a token for every row.

    This is how published implementations decode: `generate` with a second model call a token for the reference.
    """
    import torch

    from halluapp.decoding.batch import prefill
    from halluapp.decoding.hooks.interventions import apply_interventions
    from halluapp.decoding.plan import Prefix
    from halluapp.decoding.views import Views
    from halluapp.methods.base import Step
    from halluapp.methods.registry import create, defaults

    lvlm = session.lvlm

    @torch.no_grad()
    def work() -> None:
        for method in map(create, defaults() if names is None else names):
            views, ids = Views(lvlm, synthetic_image()), []
            prefixes = [Prefix.of(0, row) for row in method.rows(PROMPT)]
            rows = [prefill(lvlm, (prefix,), [PROMPT], [views]) for prefix in prefixes]
            logits = torch.cat([first for _, first in rows])
            for index in range(new_tokens):
                ids.append(int(method.combine(logits, Step(index, PROMPT, tuple(ids)), lvlm).scores.argmax()))
                next_logits = []
                for batch, _ in rows:
                    batch.mask = torch.cat([batch.mask, batch.mask.new_ones(1, 1)], dim=1)
                    with apply_interventions(lvlm, batch.interventions, batch.image_mask):
                        token = torch.tensor([[ids[-1]]], device=lvlm.device)
                        next_logits.append(lvlm.forward(batch.cache, batch.mask, batch.positions[:, None], ids=token))
                    batch.positions = batch.positions + 1
                logits = torch.cat(next_logits)

    return work
