"""What a method is: its parameters (a frozen dataclass), its rows in the batch, and how their logits combine."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

from halluapp.errors import InputError
from halluapp.parameters import parameter

__all__ = ["Combined", "Intervention", "Method", "Row", "Step", "parameter"]

if TYPE_CHECKING:
    from torch import Tensor

    from halluapp.lvlm.base import LVLM


@dataclass(frozen=True)
class Intervention:
    """A change to the computation of a row that belongs to this row alone; all its parts may act at once.

    space: name of a HalluSpace whose directions are projected out of the MLP outputs; strength 1 removes them.
    rank: how many of its directions (0: all). projector: name of another projector; blend: its share of the visual
    tokens, 1 for all. attention: by what part of |s| the last position's scores of the photo's keys are raised.
    adapter: name of a loaded adapter (low-rank additions to linear layers, another projector, or both); share: how much
    of it acts, 1 for all.
    """

    space: str | None = None
    rank: int = 0
    strength: float = 1.0
    projector: str | None = None
    blend: float = 1.0
    attention: float = 0.0
    adapter: str | None = None
    share: float = 1.0

    def also(self, other: Intervention | None) -> Intervention:
        """Both changes at once. Raises InputError if both are of one kind; adapters may bring a projector along."""
        if other is None:
            return self
        tokens = (self.projector or self.adapter), (other.projector or other.adapter)
        kinds = ((self.space, other.space), tokens, (self.attention, other.attention))
        if any(mine and others for mine, others in kinds):
            raise InputError("Two methods that make the same kind of change cannot be stacked.")
        space, rest = (self if self.space else other), (self if tokens[0] else other)
        attention = self.attention or other.attention
        return replace(
            space, projector=rest.projector, blend=rest.blend, adapter=rest.adapter, share=rest.share,
            attention=attention,
        )  # fmt: skip

    def without_photo(self) -> Intervention | None:
        """What is left of the change in a row without the photo: there is nothing to project or to attend to."""
        left = replace(self, projector=None, blend=1.0, attention=0.0)
        return left if self.space or self.adapter else None


@dataclass(frozen=True)
class Row:
    """One row of the batch: what it sees and asks, and an optional intervention.

    view: "photo", "none" (image tokens deleted) or "unk" (one unknown token instead). noise_step: how far the photo is
    diffused, 0 (clean) to 999. instruction: a sentence put before the prompt.
    """

    view: str = "photo"
    intervention: Intervention | None = None
    noise_step: int = 0
    instruction: str = ""

    def describe(self) -> str:
        """What the row sees, in words beside a probability."""
        if self.view != "photo":
            return {"none": "no image tokens", "unk": "one unknown token instead of the photo"}.get(
                self.view, self.view
            )
        if self.noise_step:
            return f"the photo after {self.noise_step} noise steps"
        return "the photo, in another role" if self.instruction else "the photo"


@dataclass(frozen=True)
class Step:
    """What a method may know when it combines: the step (0: first token), the prompt, the answer's tokens so far.

    exits: what the main row would say after fewer layers, [E, V] in float32, in the order of `Method.exits`.
    """

    index: int
    prompt: str
    tokens: tuple[int, ...] = ()
    exits: Tensor | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Combined:
    """Scores [V] of the next token (-inf: excluded), and notes for the trace (label probabilities and the like).

    repetition: the method's own penalty on tokens that the answer holds already (1: none); a request may override it.
    """

    scores: Tensor
    notes: dict[str, Any] = field(default_factory=dict)
    repetition: float = 1.0


@dataclass(frozen=True)
class Method:
    """Base of all methods. A subclass sets the class variables, adds parameters and overrides rows() and combine().

    name: identifier in CLI, JSON and API. title: on the panel. summary: one sentence, shown under the title.
    source: paper and equation. default: whether it is on when nobody chooses. edits: its one row is the model with an
    intervention and nothing is combined, so that a method of several rows can be stacked on it (`methods/stacked.py`).
    reference_is: what the reference rows are, in the words beside their probability.
    """

    name: ClassVar[str] = ""
    title: ClassVar[str] = ""
    summary: ClassVar[str] = ""
    source: ClassVar[str] = ""
    default: ClassVar[bool] = True
    edits: ClassVar[bool] = False
    reference_is: ClassVar[str] = "model without the photo"

    def rows(self, prompt: str) -> tuple[Row, ...]:
        """The rows this method decodes; the first is its main row."""
        return (Row(),)

    def exits(self, lvlm: LVLM) -> tuple[int, ...]:
        """Depths at which the main row's logits are read early: 0 is the embeddings, n the output of the nth layer."""
        return ()

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
