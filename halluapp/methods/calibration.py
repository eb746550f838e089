"""Calibrated decoding: the answer with the photo, divided by the prior that the model has without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from halluapp.methods.base import IDLE, Combination, Method, Row, parameter
from halluapp.methods.formulas.label_calibration import calibrate, calibrate_next_token, combine_priors, label_scores
from halluapp.methods.formulas.labels import KINDS, Labels, find_labels

__all__ = ["Calibration", "calibrate"]
VIEWS = {"none": ("none",), "unk": ("unk",), "both": ("none", "unk")}
# Where the most probable first token is no label, the model answers with one if all of them have this much together.
LEAST_LABEL_MASS = 0.5


@dataclass(frozen=True)
class Calibration(Method):
    """Post-hoc debias of Zhang et al. 2024 (arXiv 2403.05262): q = normalise(W p + b), W = diag(prior)^-1, b = 0.

    Prompts with labels (yes/no, multiple choice): label probabilities of the first answer token at temperature 1,
    calibrated by those of the image-free prompts. Only where the model answers with a label: its first token is one, or
    all of them have at least half of the probability. What lies outside the labels, and the shares of a label's surface
    forms, stay as they are: strength 0 is the baseline and a small one is near it. Open prompts (our extension): the
    same W for the next-token distribution inside the plausible set, log q = log p - strength * log p_prior where
    p >= beta max p.
    """

    name: ClassVar[str] = "calibration"
    title: ClassVar[str] = "Calibrated decoding"
    summary: ClassVar[str] = "Divides the answer's probabilities by the image-free prior: q ∝ W p, W = diag(prior)⁻¹."
    source: ClassVar[str] = "Post-hoc debias, arXiv 2403.05262"
    calibrates: ClassVar[bool] = True

    labels: str = parameter(
        "auto", "Labels", "auto: as the prompt asks and the first token shows; else these, whatever the prompt says.",
        choices=KINDS,
    )  # fmt: skip
    prior: str = parameter("both", "Prior from", "Which image-free prompts measure the prior.", choices=tuple(VIEWS))
    label_strength: float = parameter(
        1.0, "Strength, labels", "For yes/no and multiple choice: prior to this power; 1 is the paper, 0 the baseline.",
        0.0, 1.0, 0.05,
    )  # fmt: skip
    strength: float = parameter(
        0.5, "Strength, open prompts", "Power of W for the next token of open prompts; 0 is the baseline.",
        0.0, 1.5, 0.05,
    )  # fmt: skip
    beta: float = parameter(
        0.1, "Plausibility β", "For open prompts: tokens below β times the best are excluded.", 0.0, 1.0, 0.01
    )
    smoothing: float = parameter(
        1e-4, "Smoothing", "Added to the prior, so that nothing is divided by zero.", 1e-6, 0.1, 1e-4
    )

    @property
    def idle(self) -> bool:
        return self.label_strength == 0 and self.strength == 0

    def _labels(self, prompt: str) -> Labels | None:
        return find_labels(prompt, self.labels)

    def _rows(self, prompt: str) -> tuple[Row, ...]:
        strength = self.strength or (self.label_strength if self._labels(prompt) else 0)
        return (Row(), *(Row(view) for view in VIEWS[self.prior])) if strength else (Row(),)

    def _explain(self, lvlm, prompt: str) -> str:
        labels, sentences = self._labels(prompt), []
        prior = f"{self.prior}; {lvlm.unknown_note}" if lvlm.unknown_note and self.prior != "none" else self.prior
        if labels and self.label_strength:
            sentences.append(
                f"Labels {' / '.join(labels.names)}, where the answer begins with one: probabilities divided by the "
                f"image-free prior ({prior})."
            )
        if self.strength and not (labels and self.label_strength):
            kind = "An answer without a label" if labels else "Open prompt"
            sentences.append(
                f"{kind}: each next token divided by its image-free probability ({prior}) to the power "
                f"{self.strength:g}, where p ≥ {self.beta:g}·max p."
            )
        return " ".join(sentences) or IDLE

    def _combine(self, logits: Tensor, step, lvlm) -> Combination:
        if len(logits) == 1:  # the strength for this kind of prompt is 0
            return Combination(logits[0])
        labels = self._labels(step.prompt)
        if labels is None:
            return Combination(self._open(logits))
        ids = [lvlm.surface_ids(forms) for forms in labels.forms]
        every = [token for tokens in ids for token in tokens]
        if step.index > 0:
            return Combination(logits[0] if step.tokens[0] in every else self._open(logits))
        p = logits[0].softmax(-1)
        mass = float(p[every].sum())
        answers_with_label = self.labels != "auto" or int(p.argmax()) in every or mass >= LEAST_LABEL_MASS
        if not (all(ids) and answers_with_label):
            return Combination(self._open(logits), {"labels_absent": True})
        return self._label(logits, labels.names, ids, mass)

    def _open(self, logits: Tensor) -> Tensor:
        prior = torch.logsumexp(logits[1:].log_softmax(-1), 0)  # log of the branches' mean, up to a constant
        return calibrate_next_token(logits[0], prior, self.strength, self.beta, self.smoothing)

    def _label(self, logits: Tensor, names: tuple[str, ...], ids: list[list[int]], mass: float) -> Combination:
        before = label_scores(logits[0], ids)
        branches = [label_scores(row, ids) for row in logits[1:]]
        prior = combine_priors(branches[0], branches[1]) if len(branches) == 2 else branches[0]
        after = calibrate(before, prior**self.label_strength, smoothing=self.smoothing)
        scores = logits[0].clone()
        for tokens, p, q in zip(ids, before, after, strict=True):
            if self.label_strength and p > 0:
                scores[tokens] += torch.log(q) - torch.log(p)
        probabilities = {"before": before, "prior": prior, "after": after}
        rounded = {name: [round(float(p), 5) for p in values] for name, values in probabilities.items()}
        return Combination(scores, {"labels": {"labels": list(names), **rounded, "mass": round(mass, 5)}})
