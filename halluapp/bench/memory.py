"""Peak memory of one plain `generate` and of five panels."""

from __future__ import annotations

import pickle
import subprocess
import sys

from halluapp.session import load_session
from halluapp.settings import Settings
from halluapp.training.memory.process import peak_resident

MEGABYTE = 2**20


def peaks(settings: Settings, session, works: dict, new_tokens: int) -> dict:
    """peak_memory_one_mb, peak_memory_five_mb and their ratio; on a GPU also what the panels need beyond the model."""
    if session.lvlm.device.type == "cuda":
        model = _allocated()
        one, five = _gpu_peak(works["one"]), _gpu_peak(works["five"])
        further = {"memory_of_model_mb": model, "memory_beyond_model_five_mb": round(five - model, 1)}
    else:
        one, five = (_resident_peak(settings, part, new_tokens) for part in ("one", "five"))
        further = {}
    return {
        "peak_memory_one_mb": round(one, 1),
        "peak_memory_five_mb": round(five, 1),
        "peak_memory_ratio": round(five / one, 3),
        **further,
    }


def _allocated() -> float:
    import torch

    torch.cuda.empty_cache()
    return round(torch.cuda.memory_allocated() / MEGABYTE, 1)


def _gpu_peak(work) -> float:
    import torch

    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    work()
    return torch.cuda.max_memory_allocated() / MEGABYTE


def _resident_peak(settings: Settings, part: str, new_tokens: int) -> float:
    """Peak resident set in MB of a fresh process that loads the model and runs one part twice."""
    code = "import sys; from halluapp.bench import memory; memory.print_peak(*sys.argv[1:])"
    output = subprocess.run(
        [sys.executable, "-c", code, pickle.dumps(settings).hex(), part, str(new_tokens)],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(output.stdout.split()[-1])


def print_peak(values: str, part: str, new_tokens: str) -> None:
    """Body of the memory process; prints the peak in MB. values: pickled settings in hex."""
    from halluapp.bench import work
    from halluapp.methods.registry import defaults

    session, count = load_session(pickle.loads(bytes.fromhex(values))), int(new_tokens)
    names, _ = work.usable(session.lvlm, defaults())
    work_once = work.generate(session, count) if part == "one" else work.panels(session, count, names)
    work_once(), work_once()
    print(peak_resident())
