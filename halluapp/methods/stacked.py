"""Stacked methods: a method applied to what others have edited or contrasted, as one more panel ("nullu+vdd")."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from halluapp.errors import InputError
from halluapp.methods.base import Combination, Intervention, Method, Row


@dataclass(frozen=True)
class Stacked(Method):
    """The last part, applied to the model that the parts before it have edited.

    Every row of the last method carries the edits, its reference rows too: what it contrasts is the edited model with
    and without the photo. Were the references left unedited, the contrast would add the edit's own effect, times
    alpha, to what the photo contributes, and the panel would show neither method. A projector has no effect in a row
    without the photo, and rows that compute the same are prefilled once.
    Calibration may follow a contrast, alone or on an edited model: it calibrates the scores of the contrast in place of
    the main row's logits (VDD paper, post-hoc debias of VCD: "VCD (u)").
    Parameters are named "PART.PARAMETER". Raises InputError for parts that cannot be stacked.
    """

    parts: tuple[Method, ...] = ()

    def __post_init__(self):
        if len(self.parts) < 2:
            raise InputError("A stacked method has at least two parts, as in nullu+vdd.")
        last, contrast = self.parts[-1], self._contrast
        for part in self._edits:
            if not part.edits:
                raise InputError(f"{part.title} edits nothing that {last.title} could be applied to.")
        if type(last)._rows is Method._rows and type(last)._combine is Method._combine:
            raise InputError(f"{last.title} does nothing of its own; leave it out.")
        edits = " and ".join(part.title for part in self._edits)
        origin = f"the scores of {contrast.title}" if contrast else f"the model that {edits} edited"
        within = f", on the model that {edits} edited" if contrast and edits else ""
        references = dict.fromkeys(part.reference_description for part in (contrast, last) if part)
        names = {
            "name": "+".join(part.name for part in self.parts),
            "title": " + ".join(part.title for part in self.parts),
            "summary": f"{last.title} applied to {origin}{within}.",
            "source": "; ".join(part.source for part in self.parts),
            "reference_description": ", ".join(references),
        }
        for attribute, text in names.items():  # in place of the class variables of a method of one part
            object.__setattr__(self, attribute, text)
        self.rows("Describe this image.")  # two edits of one kind are refused here, not in the middle of a run

    @property
    def idle(self) -> bool:
        return all(part.idle for part in self.parts)

    @property
    def _contrast(self) -> Method | None:
        """The part whose scores the last one calibrates."""
        part = self.parts[-2]
        return part if part.contrasts and self.parts[-1].calibrates else None

    @property
    def _edits(self) -> tuple[Method, ...]:
        return self.parts[:-2] if self._contrast else self.parts[:-1]

    def _edit(self, prompt: str) -> Intervention | None:
        edit = None
        for part in self._edits:
            change = part.rows(prompt)[0].intervention
            edit = change.merge(edit) if change else edit
        return edit

    def _rows(self, prompt: str) -> tuple[Row, ...]:
        edit, rows = self._edit(prompt), self.parts[-1].rows(prompt)
        if self._contrast:  # both have the same main row
            rows = (*self._contrast.rows(prompt), *rows[1:])
        return tuple(replace(row, intervention=edit.merge(row.intervention)) for row in rows) if edit else rows

    def _exits(self, lvlm) -> tuple[int, ...]:
        return self.parts[-1].exits(lvlm)

    def _prepare(self, lvlm) -> None:
        for part in self.parts:
            part.prepare(lvlm)

    def _explain(self, lvlm, prompt: str) -> str:
        return " ".join(f"{part.title}: {part.explain(lvlm, prompt)}" for part in self.parts if not part.idle)

    def _combine(self, logits, step, lvlm) -> Combination:
        if self._contrast:
            count = len(self._contrast.rows(step.prompt))
            scores = self._contrast.combine(logits[:count], step, lvlm).scores
            logits = torch.cat([scores[None], logits[count:]])
        return self.parts[-1].combine(logits, step, lvlm)

    def parameters(self) -> dict[str, Any]:
        return {f"{part.name}.{key}": value for part in self.parts for key, value in part.parameters().items()}
