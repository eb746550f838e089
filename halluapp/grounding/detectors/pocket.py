"""The embedded detector: a head on the maps of the pocket vision tower."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from halluapp.errors import InputError
from halluapp.grounding.detectors.base import LEAST, at_operating_point, detection

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

PIXELS = 256


def to_pixels(photos: list[Image.Image]) -> Tensor:
    """Square RGB photos -> [B, 3, 256, 256] in (-1, 1)."""
    import numpy as np
    import torch

    return torch.from_numpy(np.stack([np.asarray(photo) for photo in photos])).permute(0, 3, 1, 2) / 127.5 - 1


class PocketDetector:
    """The embedded detector on the maps of the pocket vision tower, so that one vision pass serves LVLM and detector.

    folder: holds detector.safetensors and detector.json. tower: the pocket LVLM's vision tower. A label whose
    threshold in detector.json is null or at least 1 is declared unreliable: it is left out of `labels`.
    """

    name = "pocket detector"

    def __init__(self, folder: str | Path, tower: Any):
        from safetensors import SafetensorError

        from halluapp.grounding.detectors import pocket_head as detector

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
        from PIL import Image

        square = photo.convert("RGB").resize((PIXELS, PIXELS), Image.Resampling.BICUBIC)
        pixels = to_pixels([square]).to(next(self._tower.parameters()).device)
        return self.detect_features(*self._tower.features(pixels))

    def detect_features(self, fine: Tensor, coarse: Tensor) -> list[dict[str, Any]]:
        """The trunk's maps of one photo, fine [1, 120, 16, 16] and coarse [1, 352, 8, 8] -> detections, best first."""
        import torch

        from halluapp.grounding.detectors import pocket_head as detector

        with torch.inference_mode():
            tokens = self._tower.neck(fine, coarse)[-1]
            output = self._head(fine.float(), tokens.float())
            boxes = detector.decode(output, self._head.labels, least=LEAST)[0]
        detections = [
            detection(label, at_operating_point(score, self._thresholds[label]), box)
            for label, score, box in boxes
            if label in self._thresholds
        ]
        return sorted(detections, key=lambda boxes: -boxes["score"])
