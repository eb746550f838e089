"""Adapters in peft's file format, read without wrapping the model: y + scale * B(A(x)) for a method's rows only."""

from halluapp.lvlm.adapters.folder import CONFIG, PICKLES, PROJECTOR, WEIGHTS, load, load_projector

__all__ = ["CONFIG", "PICKLES", "PROJECTOR", "WEIGHTS", "load", "load_projector"]
