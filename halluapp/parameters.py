"""A setting as data: what a slider, a command line flag and an API schema need to know about a dataclass field."""

from __future__ import annotations

from dataclasses import field


def parameter(default, label: str, help: str, least=None, most=None, step=None, choices=None):
    """A dataclass field that carries its label, help sentence and bounds (or choices) as metadata."""
    about = {"label": label, "help": help, "least": least, "most": most, "step": step, "choices": choices}
    return field(default=default, metadata=about)
