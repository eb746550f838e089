"""Speed and memory of all panels against one plain `generate`, and against one method after another, in one run."""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import asdict

from halluapp.settings import Settings

PROMPT = "Describe this image in detail."


def run(settings: Settings, new_tokens: int = 60, rounds: int = 7) -> dict:
    """Interleaved rounds (one, five, one after another, ...) in this process; memory from a fresh process each.

    Returns ratio_five_panels_to_one (median of the rounds' ratios), seconds_one, seconds_five (medians),
    ratio_sequential_to_five (the same methods one after another, a forward for every row and token),
    peak_memory_ratio (peak resident set of a process that runs five panels to one that runs `generate`), and more.
    """
    from halluapp import comparison

    loaded = comparison.load(settings)
    one, five, sequential = _one(loaded, new_tokens), _five(loaded, new_tokens), _sequential(loaded, new_tokens)
    one(), five()  # warm up
    triples = [(_seconds(one), _seconds(five), _seconds(sequential)) for _ in range(rounds)]
    ratios = sorted(b / a for a, b, _ in triples)
    pairs = [(a, b) for a, b, _ in triples]
    memory = {part: _memory(settings, part, new_tokens) for part in ("one", "five")}
    import torch

    return {
        "schema": 1,
        "model": loaded.lvlm.name,
        "quantization": loaded.lvlm.quantization,
        "new_tokens": new_tokens,
        "rounds": rounds,
        "threads": torch.get_num_threads(),
        "ratio_five_panels_to_one": round(statistics.median(ratios), 3),
        "ratio_least": round(ratios[0], 3),
        "ratio_most": round(ratios[-1], 3),
        "seconds_one": round(statistics.median(a for a, _ in pairs), 3),
        "seconds_five": round(statistics.median(b for _, b in pairs), 3),
        "seconds_sequential": round(statistics.median(c for _, _, c in triples), 3),
        "ratio_sequential_to_five": round(statistics.median(c / b for _, b, c in triples), 3),
        "rows": _rows(),
        "peak_memory_one_mb": memory["one"],
        "peak_memory_five_mb": memory["five"],
        "peak_memory_ratio": round(memory["five"] / memory["one"], 3),
    }


def _rows() -> int:
    from halluapp.methods import create, defaults

    return sum(len(create(name).rows(PROMPT)) for name in defaults())


def photo():
    """A synthetic photo: what is on it does not matter for time."""
    from PIL import Image

    return Image.linear_gradient("L").resize((640, 480)).convert("RGB")


def _one(loaded, new_tokens: int):
    """transformers' own greedy `generate`, end tokens ignored, photo processing included."""
    import copy

    lvlm = loaded.lvlm
    config = copy.deepcopy(lvlm.model.generation_config)
    # End tokens are kept out by the shortest length: a None here would be filled from the model's own configuration.
    config.min_new_tokens, config.max_new_tokens, config.do_sample = new_tokens, new_tokens, False
    given = lvlm.native_inputs(photo(), PROMPT)

    def work() -> None:
        pixels = lvlm.pixels(photo())["pixel_values"].to(lvlm.device, lvlm.model.dtype)
        made = lvlm.model.generate(**(given | {"pixel_values": pixels}), generation_config=config)
        assert made.shape[1] == given["input_ids"].shape[1] + new_tokens

    return work


def _five(loaded, new_tokens: int):
    """All methods with their defaults through the engine, traces included."""
    from halluapp.decoding import engine
    from halluapp.decoding.plan import Sampling
    from halluapp.methods import create, defaults

    def work() -> None:
        job = engine.Job(loaded.lvlm.look(photo()), PROMPT, [create(name) for name in defaults()])
        for _ in engine.decode(loaded.lvlm, job, Sampling(new_tokens, ignore_end=True)):
            pass

    return work


def _sequential(loaded, new_tokens: int):
    """The same methods as separate runs: a photo pass each, a prefill and a forward a token for every row.

    This is how published implementations decode: `generate` with a second model call a token for the reference.
    """
    import torch

    from halluapp.decoding.batch import prefill
    from halluapp.decoding.interventions import applied
    from halluapp.decoding.plan import Prefix
    from halluapp.decoding.views import Views
    from halluapp.methods import create, defaults
    from halluapp.methods.base import Step

    lvlm = loaded.lvlm

    @torch.no_grad()
    def work() -> None:
        for method in map(create, defaults()):
            views, ids = Views(lvlm, photo()), []
            prefixes = [Prefix.of(0, row) for row in method.rows(PROMPT)]
            rows = [prefill(lvlm, (prefix,), [PROMPT], [views]) for prefix in prefixes]
            logits = torch.cat([first for _, first in rows])
            for index in range(new_tokens):
                ids.append(int(method.combine(logits, Step(index, PROMPT, tuple(ids)), lvlm).scores.argmax()))
                made = []
                for batch, _ in rows:
                    batch.mask = torch.cat([batch.mask, batch.mask.new_ones(1, 1)], dim=1)
                    with applied(lvlm, batch.interventions):
                        token = torch.tensor([[ids[-1]]], device=lvlm.device)
                        made.append(lvlm.forward(batch.cache, batch.mask, batch.positions[:, None], ids=token))
                    batch.positions = batch.positions + 1
                logits = torch.cat(made)

    return work


def _seconds(work) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _memory(settings: Settings, part: str, new_tokens: int) -> float:
    """Peak resident set in MB of a fresh process that loads the model and runs one part twice."""
    code = "import sys; from halluapp import bench; bench.child(*sys.argv[1:])"
    values = {key: str(value) if key == "assets" else value for key, value in asdict(settings).items()}
    output = subprocess.run(
        [sys.executable, "-c", code, json.dumps(values), part, str(new_tokens)],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(output.stdout.split()[-1])


def child(values: str, part: str, new_tokens: str) -> None:
    """Body of the memory process; prints the peak in MB."""
    from pathlib import Path

    from halluapp import comparison

    given = json.loads(values)
    given["assets"] = Path(given["assets"])
    loaded = comparison.load(Settings(**given))
    work = (_one if part == "one" else _five)(loaded, int(new_tokens))
    work(), work()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
