"""halluapp: one photo, one prompt, the same quantized LVLM under every hallucination-mitigation method at once."""

from __future__ import annotations

__version__ = "0.1.0"
__all__ = ["compare"]


def __getattr__(name: str):
    if name == "compare":  # imported when asked for: `import halluapp` stays instant
        from halluapp.comparison import compare

        return compare
    raise AttributeError(f"module 'halluapp' has no attribute {name!r}")
