"""Speed and memory of all panels against one plain `generate`, and against one method after another, in one run."""

from __future__ import annotations

import statistics
import time

from halluapp.session import load_session
from halluapp.settings import Settings


def reference_panels() -> list[str]:
    """Names of all methods that need no training run."""
    from halluapp.methods.registry import METHODS

    return [name for name in METHODS if name not in ("chip", "hacl")]


def run(settings: Settings, new_tokens: int = 60, rounds: int = 7, profiled: bool = False) -> dict:
    """Interleaved rounds in one process, peak memory in processes of their own.

    "one" is the fastest plain `generate` of the model: as it is loaded, or with the weights of small 4-bit layers
    decoded once ("dense"; on a GPU a run with `--quantization none` measures that). "five" are the default panels
    together, "eleven" the panels of `reference_panels` together, "sequential" the default panels one after another; the
    keys of the result are named by these.

    Returns "one" (which `generate` was the fastest), ratio_five_panels_to_one and ratio_eleven_panels_to_one (medians
    of the rounds' ratios),
    ratio_sequential_to_five (the same five methods one after another, a forward for every row and token), medians of
    seconds, peak_memory_ratio (of five panels to one `generate`: the resident set of fresh processes on a CPU,
    allocated memory on a GPU), left_out (panels whose weights the model lacks, and what they lack: all figures are then
    of the others), the decode step and its reason (`decoding.replay.policy.replay_report`), and more; with
    `profiled`, the operations with most time of their own in five panels.
    """
    import torch

    from halluapp.bench import memory, work
    from halluapp.bench.profile import profile
    from halluapp.decoding.replay import policy
    from halluapp.methods.registry import create, defaults

    session = load_session(settings)
    five, lacking_five = work.usable(session.lvlm, defaults())
    eleven, lacking = work.usable(session.lvlm, reference_panels())
    plain = work.plain(session, new_tokens)
    works: dict = {
        **plain,
        "five": work.panels(session, new_tokens, five),
        "eleven": work.panels(session, new_tokens, eleven),
        "sequential": work.one_after_another(session, new_tokens, five),
    }
    seconds, median, one = _rounds(works, rounds, list(plain))
    works["one"] = works[one]
    ratios = sorted(row["five"] / row["one"] for row in seconds)
    return {
        "schema": 2,
        "model": session.lvlm.name,
        "quantization": session.lvlm.quantization,
        "device": torch.cuda.get_device_name() if session.lvlm.device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "prefix_tokens": work.prefix_tokens(session.lvlm),
        "new_tokens": new_tokens,
        "rounds": rounds,
        **policy.replay_report(session.lvlm),
        "one": one,
        "ratio_five_panels_to_each_generate": {name: _ratio(seconds, "five", name) for name in plain},
        "ratio_five_panels_to_one": _ratio(seconds, "five", "one"),
        "ratio_least": round(ratios[0], 3),
        "ratio_most": round(ratios[-1], 3),
        "ratio_eleven_panels_to_one": _ratio(seconds, "eleven", "one"),
        "ratio_sequential_to_five": _ratio(seconds, "sequential", "five"),
        "seconds_of_each_generate": {name: median[name] for name in plain},
        **{f"seconds_{name}": value for name, value in median.items() if name not in plain},
        "seconds_to_first_token_five": round(statistics.median(works["five"]() for _ in range(3)), 3),
        "tokens_per_second_five": round(len(five) * new_tokens / median["five"], 1),
        "rows_five": sum(len(create(name).rows(work.PROMPT)) for name in five),
        "rows_eleven": sum(len(create(name).rows(work.PROMPT)) for name in eleven),
        "left_out": lacking_five | lacking,
        **memory.peaks(settings, session, works, new_tokens),
        **({"operations_five": profile(works["five"])} if profiled else {}),
    }


def _rounds(works: dict, rounds: int, plain: list[str]) -> tuple[list[dict[str, float]], dict[str, float], str]:
    """Interleaved rounds, after one to warm up -> (seconds of every round, medians, the fastest of `plain`), the
    fastest also as "one"."""
    for name, each in works.items():
        if name != "sequential":
            each()
    seconds = [{name: _seconds(each) for name, each in works.items()} for _ in range(rounds)]
    median = {name: round(statistics.median(row[name] for row in seconds), 3) for name in works}
    one = min(plain, key=lambda name: median[name])
    return [row | {"one": row[one]} for row in seconds], median | {"one": median[one]}, one


def _ratio(seconds: list[dict], above: str, below: str) -> float:
    return round(statistics.median(row[above] / row[below] for row in seconds), 3)


def _seconds(each) -> float:
    import torch

    started = time.perf_counter()
    each()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started
