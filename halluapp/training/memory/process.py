"""Peak memory of this process, as far as the platform counts it."""

from __future__ import annotations

import sys

import psutil

MEGABYTE = 2**20


def peak_memory() -> float:
    """Peak memory in MB: of the accelerator where there is one, else of this process."""
    import torch

    if torch.cuda.is_available():
        return round(torch.cuda.max_memory_allocated() / MEGABYTE, 1)
    return round(peak_resident(), 1)


def peak_resident() -> float:
    """Peak resident set of this process in MB; the present one where the platform counts no peak."""
    about = psutil.Process().memory_info()
    if hasattr(about, "peak_wset"):  # Windows
        return about.peak_wset / MEGABYTE
    try:
        import resource
    except ImportError:
        return about.rss / MEGABYTE
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MEGABYTE
