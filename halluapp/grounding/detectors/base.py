"""What every detector has, and what turns its raw output into labels and scores that the judge understands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from halluapp.grounding.words.foreign_labels import vocabulary_name

if TYPE_CHECKING:
    from PIL import Image

LEAST = 0.05  # detections below are noise; the threshold of a verdict never needs to go that low


NO_LABEL = ("n/a", "background", "no object", "no-object")


class Detector(Protocol):
    """What judges need. name: shown to people. labels: what it can find reliably, in the vocabulary's names."""

    name: str
    labels: tuple[str, ...]

    def detect(self, photo: Image.Image) -> list[dict[str, Any]]:
        """RGB photo -> [{"label", "score" (0.5: best decision point), "box": [x0, y0, x1, y1 in 0..1]}], best first."""


def known_name(label: str) -> str:
    """A detector's label in the names of our vocabulary; what the vocabulary lacks stays, in lower case."""
    return vocabulary_name(label)


def at_operating_point(score: float, threshold: float) -> float:
    """Scales a score so that the label's threshold becomes 0.5; monotone, 0 stays 0 and 1 stays 1."""
    if score <= threshold:
        return 0.5 * (score / threshold) if threshold > 0 else 0.5
    return 0.5 + 0.5 * (score - threshold) / (1 - threshold)


def detection(label: str, score: float, box: list[float]) -> dict[str, Any]:
    inside = [round(min(max(float(side), 0.0), 1.0), 4) for side in box]
    return {"label": label, "score": round(float(score), 4), "box": inside}


def to_device(model: Any, device: str) -> Any:
    """A model of transformers on a device, or on the CPU where a card has no room for it beside the LVLM."""
    import torch

    try:
        return model.to(device)
    except torch.OutOfMemoryError:
        return model.to("cpu")


def forward(model: Any, inputs: Any) -> Any:
    """One forward over a processor's output; on the CPU, for good, once a card has run out of memory."""
    import torch

    try:
        return model(**inputs.to(model.device))
    except torch.OutOfMemoryError:
        model.to("cpu")
    return model(**inputs.to("cpu"))
