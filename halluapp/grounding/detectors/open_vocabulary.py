"""Open-vocabulary detectors of transformers (OWL-ViT, OWLv2, Grounding DINO): they are asked for what was named."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from halluapp.errors import InputError
from halluapp.grounding.detectors.base import LEAST, at_operating_point, detection, forward, to_device
from halluapp.grounding.detectors.suppression import keep, overlaps

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

# Model type -> the score at which a box is best decided, by the models' own cards.
MODEL_TYPES = {"owlvit": 0.1, "owlv2": 0.2, "grounding-dino": 0.35, "mm-grounding-dino": 0.35}
NOUNS_AT_ONCE = 24  # of Grounding DINO's 256 text tokens


class OpenVocabularyDetector:
    """Finds what it is asked for. `labels` is empty: every noun is checkable, once it was asked for.

    threshold: the score at which this checkpoint is best decided (default: by its type). Raises InputError when it
    cannot be loaded.
    """

    labels: tuple[str, ...] = ()

    def __init__(self, source: str | Path, threshold: float | None = None, device: str = "cpu"):
        from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor

        self.name = Path(source).name if Path(source).is_dir() else str(source)
        try:
            self._processor = AutoProcessor.from_pretrained(source, trust_remote_code=False)
            self._model = AutoModelForZeroShotObjectDetection.from_pretrained(source, trust_remote_code=False)
            to_device(self._model.eval(), device)
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise InputError(
                f"The detector {source} cannot be loaded; give the folder of an OWLv2 or Grounding DINO checkpoint, or "
                "connect to the hub once so that it is cached."
            ) from error
        if self._model.config.model_type == "owlv2" and find_spec("scipy") is None:
            raise InputError("OWLv2's image processor needs scipy; install it with: pip install scipy")
        self.threshold = MODEL_TYPES.get(self._model.config.model_type, 0.3) if threshold is None else threshold
        self._lock = threading.Lock()

    def detect(self, photo: Image.Image) -> list[dict[str, Any]]:
        """Nothing: nobody has named anything yet (see `find`)."""
        return []

    def find(self, photo: Image.Image, nouns: Sequence[str]) -> list[dict[str, Any]]:
        """Boxes of these nouns, as `Detector.detect` gives them; a noun that is not found has none."""
        photo, nouns = photo.convert("RGB"), list(dict.fromkeys(nouns))
        boxes: list[dict[str, Any]] = []
        for first in range(0, len(nouns), NOUNS_AT_ONCE):
            boxes += self._find(photo, nouns[first : first + NOUNS_AT_ONCE])
        return sorted(boxes, key=lambda box: -box["score"])

    def _find(self, photo: Image.Image, nouns: list[str]) -> list[dict[str, Any]]:
        import torch

        with self._lock, torch.inference_mode():
            owl = self._model.config.model_type.startswith("owl")
            scores, corners = (self._owl if owl else self._grounding_dino)(photo, nouns)
        overlap, boxes = overlaps(corners), []
        for column, noun in enumerate(nouns):
            for index in keep(scores[:, column], overlap, LEAST):
                score = at_operating_point(float(scores[index, column]), self.threshold)
                boxes.append(detection(noun, score, corners[index].tolist()))
        return boxes

    def _owl(self, photo: Image.Image, nouns: list[str]) -> tuple[Tensor, Tensor]:
        """(scores [Q, nouns], boxes [Q, 4] in 0..1 of the photo). OWL's prompts are photos "of a" noun."""
        texts = [[f"a photo of a {noun}" for noun in nouns]]
        inputs = self._processor(text=texts, images=photo, return_tensors="pt", truncation=True)
        output = forward(self._model, inputs)
        boxes = _corners(output.pred_boxes[0].float().cpu())
        if self._model.config.model_type == "owlv2":  # its photos are padded to a square at the right and the bottom
            longest = max(photo.size)
            side = boxes.new_tensor([longest / photo.width, longest / photo.height])
            boxes = boxes * side.repeat(2)
        return output.logits[0].sigmoid().float().cpu(), boxes.clamp(0, 1)

    def _grounding_dino(self, photo: Image.Image, nouns: list[str]) -> tuple[Tensor, Tensor]:
        """(scores [Q, nouns], boxes [Q, 4]): a noun's score is that of its best token (Liu et al. 2023, section 3)."""
        text, spans = "", []
        for noun in nouns:
            spans.append((len(text), len(text) + len(noun)))
            text += f"{noun}. "
        inputs = self._processor(images=photo, text=text.strip(), return_tensors="pt")
        offsets = self._processor.tokenizer(text.strip(), return_offsets_mapping=True)["offset_mapping"]
        output = forward(self._model, inputs)
        tokens = output.logits[0].float().sigmoid().cpu()
        columns = []
        for start, end in spans:
            token_ids = [i for i, (a, b) in enumerate(offsets) if a < end and b > start and b > a]
            columns.append(tokens[:, token_ids].amax(-1) if token_ids else tokens.new_zeros(len(tokens)))
        return _stack(columns), _corners(output.pred_boxes[0].float().cpu())


def _stack(columns: list[Tensor]) -> Tensor:
    import torch

    return torch.stack(columns, -1)


def _corners(boxes: Tensor) -> Tensor:
    """centre x, centre y, width, height -> x0, y0, x1, y1."""
    import torch

    centre, size = boxes[:, :2], boxes[:, 2:]
    return torch.cat([centre - size / 2, centre + size / 2], -1).clamp(0, 1)
