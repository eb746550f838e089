"""halluapp: one photo, one prompt, the same quantized LVLM under several hallucination-mitigation methods at once.

`halluapp.compare` is `halluapp.comparison.compare`, imported at its first use, so that `import halluapp` stays instant.
"""

from __future__ import annotations

__version__ = "0.1.0"
__all__ = ["compare"]


def __getattr__(name: str):
    if name == "compare":
        from halluapp.comparison import compare

        return compare
    raise AttributeError(f"module 'halluapp' has no attribute {name!r}")
