"""Detectors behind one small interface: the embedded one, and any object detector of transformers."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from halluapp.errors import InputError

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor, nn

LEAST = 0.05  # detections below are noise; the threshold of a verdict never needs to go that low
MOST = 100
# Checkpoints of the DETR family name some COCO categories as Pascal VOC does.
VOC_NAMES = {
    "aeroplane": "airplane", "motorbike": "motorcycle", "sofa": "couch", "diningtable": "dining table",
    "pottedplant": "potted plant", "tvmonitor": "tv", "hair dryer": "hair drier", "television": "tv",
    "cellphone": "cell phone", "doughnut": "donut", "tv monitor": "tv",
}  # fmt: skip
NO_LABEL = ("n/a", "background", "no object", "no-object")


class Detector(Protocol):
    """What judges need. name: shown to people. labels: what it can find reliably, in the vocabulary's names."""

    name: str
    labels: tuple[str, ...]

    def detect(self, photo: Image.Image) -> list[dict[str, Any]]:
        """RGB photo -> [{"label", "score" (0.5: best decision point), "box": [x0, y0, x1, y1 in 0..1]}], best first."""


def known_name(label: str) -> str:
    """A detector's label in the names of our vocabulary; what the vocabulary lacks stays, in lower case."""
    name = label.strip().lower().replace("_", " ").replace("-", " ")
    return VOC_NAMES.get(name, name)


def at_operating_point(score: float, threshold: float) -> float:
    """Scales a score so that the label's threshold becomes 0.5; monotone, 0 stays 0 and 1 stays 1."""
    if score <= threshold:
        return 0.5 * (score / threshold) if threshold > 0 else 0.5
    return 0.5 + 0.5 * (score - threshold) / (1 - threshold)


def _detection(label: str, score: float, box: list[float]) -> dict[str, Any]:
    inside = [round(min(max(float(side), 0.0), 1.0), 4) for side in box]
    return {"label": label, "score": round(float(score), 4), "box": inside}


class TransformersDetector:
    """An object detector of transformers (DETR, RT-DETR, RT-DETRv2, D-FINE, YOLOS, ...) by hub id or local folder.

    threshold: the score at which this checkpoint is best decided. Raises InputError when it cannot be loaded.
    """

    def __init__(self, source: str | Path, threshold: float = 0.5, device: str = "cpu"):
        from transformers import AutoImageProcessor, AutoModelForObjectDetection

        self.name, self.threshold = Path(source).name if Path(source).is_dir() else str(source), threshold
        try:
            self._processor = AutoImageProcessor.from_pretrained(source)
            self._model = AutoModelForObjectDetection.from_pretrained(source).eval().to(device)
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise InputError(
                f"The detector {source} cannot be loaded; give the folder of an object detector of transformers, or "
                f"connect to the hub once so that it is cached ({_first_sentence(error)})."
            ) from error
        names = {index: known_name(label) for index, label in self._model.config.id2label.items()}
        self._names = {index: name for index, name in names.items() if name not in NO_LABEL}
        self.labels = tuple(dict.fromkeys(self._names.values()))
        self._lock = threading.Lock()

    def detect(self, photo: Image.Image) -> list[dict[str, Any]]:
        """See `Detector.detect`."""
        import torch

        inputs = self._processor(images=photo.convert("RGB"), return_tensors="pt").to(self._model.device)
        with self._lock, torch.inference_mode():
            output = self._model(**inputs)
        found = self._processor.post_process_object_detection(output, threshold=LEAST, target_sizes=[(1, 1)])[0]
        rows = zip(found["scores"].tolist(), found["labels"].tolist(), found["boxes"].tolist(), strict=True)
        named = [(self._names[label], score, box) for score, label, box in rows if label in self._names]
        made = [_detection(name, at_operating_point(score, self.threshold), box) for name, score, box in named]
        return sorted(made, key=lambda found: -found["score"])[:MOST]


def _first_sentence(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].split(". ")[0].rstrip(". ")


class PocketDetector:
    """The embedded detector on the maps of the pocket vision tower, so that one vision pass serves LVLM and detector.

    folder: holds detector.safetensors and detector.json. tower: the pocket LVLM's vision tower. A label whose
    threshold in detector.json is null or at least 1 is declared unreliable: it is left out of `labels`.
    """

    name = "pocket detector"

    def __init__(self, folder: str | Path, tower: nn.Module):
        from safetensors import SafetensorError

        from halluapp.pocket import detector

        try:
            self._head, about = detector.load(Path(folder))
        except (OSError, KeyError, ValueError, RuntimeError, SafetensorError) as error:
            raise InputError(
                f"The pocket detector is missing or damaged in {Path(folder).name}; restore the assets folder or "
                "choose a detector of transformers."
            ) from error
        self._tower = tower
        self._head.to(next(tower.parameters()).device)
        self.measured: dict[str, Any] = about.get("measured", {})
        thresholds = about.get("thresholds", {})
        limits = {label: thresholds.get(label, 0.5) for label in about["labels"]}
        self._thresholds = {label: float(limit) for label, limit in limits.items() if limit is not None and limit < 1}
        self.labels = tuple(self._thresholds)

    def detect(self, photo: Image.Image) -> list[dict[str, Any]]:
        """See `Detector.detect`. The photo is squashed to 256 x 256, as in training."""
        import random

        from halluapp.pocket import features

        square, _ = features.view_of(photo, None, random.Random(0))
        pixels = features.to_pixels([square]).to(next(self._tower.parameters()).device)
        return self.detect_features(*self._tower.features(pixels))

    def detect_features(self, fine: Tensor, coarse: Tensor) -> list[dict[str, Any]]:
        """The trunk's maps of one photo, fine [1, 120, 16, 16] and coarse [1, 352, 8, 8] -> detections, best first."""
        import torch

        from halluapp.pocket import detector

        with torch.inference_mode():
            tokens = self._tower.neck(fine, coarse)[-1]
            output = self._head(fine.float(), tokens.float())
            found = detector.decode(output, self._head.labels, least=LEAST, limit=MOST)[0]
        made = [
            _detection(label, at_operating_point(score, self._thresholds[label]), box)
            for label, score, box in found
            if label in self._thresholds
        ]
        return sorted(made, key=lambda found: -found["score"])
