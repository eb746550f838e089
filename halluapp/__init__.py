"""halluapp: one photo, one prompt, the same quantized LVLM under several hallucination-mitigation methods at once.

`halluapp.compare` is `halluapp.comparison.compare`, `halluapp.Session` and `halluapp.Report` are those of
`halluapp.notebook`; all are imported at their first use, so that `import halluapp` stays instant.
"""

from __future__ import annotations

from importlib import import_module

__version__ = "0.1.0"
__all__ = ["Report", "Session", "compare"]
_MODULES = {"compare": "halluapp.comparison", "Report": "halluapp.notebook", "Session": "halluapp.notebook"}


def __getattr__(name: str):
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'halluapp' has no attribute {name!r}")
