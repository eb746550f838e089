"""Operations by their own time in a run of five panels, from PyTorch's profiler."""

from __future__ import annotations

from typing import Any

MOST = 15


def profile(work) -> list[dict[str, Any]]:
    """The operations with most time of their own, on the GPU if there is one: [{"name", "share", "calls"}]."""
    import torch
    from torch.profiler import ProfilerActivity

    gpu = torch.cuda.is_available()
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if gpu else [])]
    with torch.profiler.profile(activities=activities) as profiler:
        work()
        if gpu:
            torch.cuda.synchronize()
    own_time = "self_device_time_total" if gpu else "self_cpu_time_total"
    rows = [(event.key, getattr(event, own_time), event.count) for event in profiler.key_averages()]
    whole = sum(time for _, time, _ in rows) or 1
    ranked = sorted(rows, key=lambda row: -row[1])[:MOST]
    return [{"name": name[:100], "share": round(time / whole, 3), "calls": calls} for name, time, calls in ranked]
