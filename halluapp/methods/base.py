"""What a method is: its parameters (a frozen dataclass), its rows in the batch, and how their logits combine."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from torch import Tensor

    from halluapp.lvlm.base import LVLM


@dataclass(frozen=True)
class Intervention:
    """A change to the computation of a row that belongs to this row alone.

    space: name of a HalluSpace whose directions are projected out of the MLP outputs; strength 1 removes them.
    rank: how many of its directions (0: all). projector: name of another projector, blended in with `strength`.
    adapter: name of a loaded adapter (low-rank additions to linear layers, another projector, or both).
    """

    space: str | None = None
    rank: int = 0
    projector: str | None = None
    strength: float = 1.0
    adapter: str | None = None


@dataclass(frozen=True)
class Row:
    """One row of the batch: a view of the photo ("photo", "none", "unk") and an optional intervention."""

    view: str = "photo"
    intervention: Intervention | None = None


@dataclass(frozen=True)
class Step:
    """What a method may know when it combines: the step (0: first token), the prompt, its label task if it has one."""

    index: int
    prompt: str
    tokens: tuple[int, ...] = ()


@dataclass(frozen=True)
class Combined:
    """Scores [V] of the next token (-inf: excluded), and notes for the trace (label probabilities and the like)."""

    scores: Tensor
    notes: dict[str, Any] = field(default_factory=dict)


def parameter(default, label: str, help: str, least=None, most=None, step=None, choices=None):
    """A dataclass field that carries what a slider, a CLI flag or an API schema needs."""
    about = {"label": label, "help": help, "least": least, "most": most, "step": step, "choices": choices}
    return field(default=default, metadata=about)


@dataclass(frozen=True)
class Method:
    """Base of all methods. A subclass sets the class variables, adds parameters and overrides rows() and combine().

    name: identifier in CLI, JSON and API. title: on the panel. summary: one sentence, shown under the title.
    source: paper and equation.
    """

    name: ClassVar[str] = ""
    title: ClassVar[str] = ""
    summary: ClassVar[str] = ""
    source: ClassVar[str] = ""

    def rows(self, prompt: str) -> tuple[Row, ...]:
        """The rows this method decodes; the first is its main row."""
        return (Row(),)

    def prepare(self, lvlm: LVLM) -> None:
        """Checks that the model has what the method needs; raises MissingWeights with one clear sentence."""

    def explain(self, lvlm: LVLM, prompt: str) -> str:
        """One sentence for the panel: what exactly is done for this prompt with this model."""
        return self.summary

    def combine(self, logits: Tensor, step: Step, lvlm: LVLM) -> Combined:
        """Raw logits of this method's rows [R, V] in float32 -> scores of the next token."""
        return Combined(logits[0])

    def parameters(self) -> dict[str, Any]:
        """Parameter values by name."""
        return {item.name: getattr(self, item.name) for item in fields(self)}
