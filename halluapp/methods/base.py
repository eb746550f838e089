"""The base of methods: parameters (a frozen dataclass), rows in the batch, and the combination of their logits."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

from halluapp.errors import InputError
from halluapp.parameters import parameter

__all__ = ["IDLE", "Combination", "Intervention", "Method", "Row", "Step", "parameter"]

if TYPE_CHECKING:
    from torch import Tensor

    from halluapp.lvlm.base import LVLM


@dataclass(frozen=True)
class Intervention:
    """A change to the computation of one row of the batch; all its parts may act at once.

    space: name of a HalluSpace whose directions are projected out of the MLP outputs; space_strength 1 removes them.
    rank: the number of its directions (0: all). projector: name of another projector; projector_strength: the weight of
    its visual tokens, 1 for its tokens alone. attention_strength: the part of |s| by which the last position's scores
    of the image's keys are raised. adapter: name of a loaded adapter (low-rank additions to linear layers, another
    projector, or both); adapter_strength: the factor of its additions, 1 for all of them.
    """

    space: str | None = None
    rank: int = 0
    space_strength: float = 1.0
    projector: str | None = None
    projector_strength: float = 1.0
    attention_strength: float = 0.0
    adapter: str | None = None
    adapter_strength: float = 1.0

    def merge(self, other: Intervention | None) -> Intervention:
        """Both changes at once. Raises InputError if both are of one kind; adapters may bring a projector along."""
        if other is None:
            return self
        tokens = (self.projector or self.adapter), (other.projector or other.adapter)
        kinds = ((self.space, other.space), tokens, (self.attention_strength, other.attention_strength))
        if any(first and second for first, second in kinds):
            raise InputError("Two methods that make the same kind of change cannot be stacked.")
        space, rest = (self if self.space else other), (self if tokens[0] else other)
        return replace(
            space,
            projector=rest.projector,
            projector_strength=rest.projector_strength,
            adapter=rest.adapter,
            adapter_strength=rest.adapter_strength,
            attention_strength=self.attention_strength or other.attention_strength,
        )

    def without_photo(self) -> Intervention | None:
        """The part of the change that acts in a row without the photo: no projector, no attention to the image."""
        rest = replace(self, projector=None, projector_strength=1.0, attention_strength=0.0)
        return rest if self.space or self.adapter else None


@dataclass(frozen=True)
class Row:
    """One row of the batch: its view and instruction, and an optional intervention.

    view: "photo", "none" (image tokens deleted) or "unk" (one unknown token instead). noise_step: how far the photo is
    diffused, 0 (clean) to 999. instruction: a sentence put before the prompt.
    """

    view: str = "photo"
    intervention: Intervention | None = None
    noise_step: int = 0
    instruction: str = ""

    def describe(self) -> str:
        """The row's view in words, for the label beside a probability."""
        if self.view != "photo":
            return {"none": "no image tokens", "unk": "one unknown token instead of the photo"}.get(
                self.view, self.view
            )
        if self.noise_step:
            return f"the photo after {self.noise_step} noise steps"
        return "the photo, in another role" if self.instruction else "the photo"


@dataclass(frozen=True)
class Step:
    """The inputs of a combination beside the logits: step (0: first token), prompt, the answer's tokens so far.

    exits: early logits of the main row, [E, V] in float32, in the order of `Method.exits`.
    """

    index: int
    prompt: str
    tokens: tuple[int, ...] = ()
    exits: Tensor | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Combination:
    """Scores [V] of the next token (-inf: excluded), and notes for the trace (label probabilities and the like).

    repetition: the method's own penalty on tokens that the answer holds already (1: none); a request may override it.
    """

    scores: Tensor
    notes: dict[str, Any] = field(default_factory=dict)
    repetition: float = 1.0


IDLE = "Nothing is changed: this is the baseline."


@dataclass(frozen=True)
class Method:
    """Base of all methods. A subclass sets the class variables, adds parameters and overrides the hooks it needs.

    name: identifier in CLI, JSON and API. title: on the panel. summary: one sentence, shown under the title.
    source: paper and equation. default: whether it is on when nobody chooses. edits: its one row is the model with an
    intervention and no logits are combined, so that a method of several rows can be stacked on it (`stacked.py`).
    contrasts: it contrasts the plain main row with others, and its scores may be calibrated in place of that row's.
    calibrates: it can be applied to such scores ("vcd+calibration"). reference_description: what the reference rows
    are, in the words beside their probability.

    The engine calls the public methods. Where `idle` is true they declare one plain row, need no weights and combine
    nothing; else they call the hook of the same name with an underscore, which is what a subclass overrides.
    """

    name: ClassVar[str] = ""
    title: ClassVar[str] = ""
    summary: ClassVar[str] = ""
    source: ClassVar[str] = ""
    default: ClassVar[bool] = True
    edits: ClassVar[bool] = False
    contrasts: ClassVar[bool] = False
    calibrates: ClassVar[bool] = False
    reference_description: ClassVar[str] = "model without the photo"

    @property
    def idle(self) -> bool:
        """Whether the parameters leave the model as it is (strength 0): the answer is then the baseline's."""
        return False

    def rows(self, prompt: str) -> tuple[Row, ...]:
        """The rows this method decodes; the first is its main row."""
        return (Row(),) if self.idle else self._rows(prompt)

    def exits(self, lvlm: LVLM) -> tuple[int, ...]:
        """Depths at which the main row's logits are read early: 0 is the embeddings, n the output of the nth layer."""
        return () if self.idle else self._exits(lvlm)

    def prepare(self, lvlm: LVLM) -> None:
        """Checks that the model has what the method needs; raises MissingWeights with one clear sentence."""
        if not self.idle:
            self._prepare(lvlm)

    def explain(self, lvlm: LVLM, prompt: str) -> str:
        """One sentence for the panel: what exactly is done for this prompt with this model."""
        return IDLE if self.idle else self._explain(lvlm, prompt)

    def combine(self, logits: Tensor, step: Step, lvlm: LVLM) -> Combination:
        """Raw logits of this method's rows [R, V] in float32 -> scores of the next token."""
        return Combination(logits[0]) if self.idle else self._combine(logits, step, lvlm)

    def parameters(self) -> dict[str, Any]:
        """Parameter values by name."""
        return {item.name: getattr(self, item.name) for item in fields(self)}

    def _rows(self, prompt: str) -> tuple[Row, ...]:
        return (Row(),)

    def _exits(self, lvlm: LVLM) -> tuple[int, ...]:
        return ()

    def _prepare(self, lvlm: LVLM) -> None:
        """Nothing is needed beside the model."""

    def _explain(self, lvlm: LVLM, prompt: str) -> str:
        return self.summary

    def _combine(self, logits: Tensor, step: Step, lvlm: LVLM) -> Combination:
        return Combination(logits[0])
