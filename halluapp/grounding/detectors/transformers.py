"""Detectors behind one small interface: the embedded one, and any object detector of transformers."""

from __future__ import annotations

import threading
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from halluapp.errors import InputError
from halluapp.grounding.detectors.base import (
    LEAST,
    NO_LABEL,
    at_operating_point,
    detection,
    forward,
    known_name,
    to_device,
)
from halluapp.grounding.words.foreign_labels import never_annotated

if TYPE_CHECKING:
    from PIL import Image


class TransformersDetector:
    """An object detector of transformers (DETR, RT-DETR, RT-DETRv2, D-FINE, YOLOS, ...) by hub id or local folder.

    threshold: the score at which this checkpoint is best decided. name: shown to people (default: of the folder, or
    the hub id). Raises InputError when it cannot be loaded.
    """

    def __init__(self, source: str | Path, threshold: float = 0.5, device: str = "cpu", name: str = ""):
        from transformers import AutoModelForObjectDetection

        self.name = name or (Path(source).name if Path(source).is_dir() else str(source))
        self.threshold = threshold
        try:
            _check_backbone(source)
            self._processor = _image_processor(source)
            model = AutoModelForObjectDetection.from_pretrained(source, trust_remote_code=False)
            self._model = to_device(model.eval(), device)
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise InputError(
                f"The detector {source} cannot be loaded; give the folder of an object detector of transformers, or "
                f"connect to the hub once so that it is cached ({_first_sentence(error)})."
            ) from error
        labels = self._model.config.id2label
        unused = never_annotated(labels.values())
        names = {index: known_name(label) for index, label in labels.items() if label not in unused}
        self._names = {index: name for index, name in names.items() if name not in NO_LABEL}
        self.labels = tuple(dict.fromkeys(self._names.values()))
        self._lock = threading.Lock()

    def detect(self, photo: Image.Image) -> list[dict[str, Any]]:
        """See `Detector.detect`."""
        import torch

        inputs = self._processor(images=photo.convert("RGB"), return_tensors="pt")
        with self._lock, torch.inference_mode():
            output = forward(self._model, inputs)
        output_rows = self._processor.post_process_object_detection(output, threshold=LEAST, target_sizes=[(1, 1)])[0]
        rows = zip(
            output_rows["scores"].tolist(), output_rows["labels"].tolist(), output_rows["boxes"].tolist(), strict=True
        )
        named = [(self._names[label], score, box) for score, label, box in rows if label in self._names]
        detections = [detection(name, at_operating_point(score, self.threshold), box) for name, score, box in named]
        return sorted(detections, key=lambda output_rows: -output_rows["score"])


def _check_backbone(source: str | Path) -> None:
    """Raises InputError for a backbone of a package that is not installed, before any weights are fetched."""
    from transformers import PreTrainedConfig

    values = PreTrainedConfig.get_config_dict(source)[0]
    backbone = values.get("backbone_config") or {}
    # DETR's first configurations name a backbone of timm without saying so.
    of_timm = values.get("use_timm_backbone", values.get("model_type") == "detr" and not backbone)
    if (of_timm or backbone.get("model_type") == "timm_backbone") and find_spec("timm") is None:
        raise InputError(
            f"The detector {source} has a backbone of the package timm, which is not installed; install timm, or use a "
            "detector without it, such as PekingU/rtdetr_v2_r18vd."
        )


def _image_processor(source: str | Path) -> Any:
    """The checkpoint's image processor, also under the name that its class had before transformers 4.26."""
    import transformers
    from transformers.image_processing_base import ImageProcessingMixin

    kind = str(ImageProcessingMixin.get_image_processor_dict(source)[0].get("image_processor_type"))
    if kind.endswith("FeatureExtractor"):
        return getattr(transformers, kind.replace("FeatureExtractor", "ImageProcessor")).from_pretrained(source)
    return transformers.AutoImageProcessor.from_pretrained(source, trust_remote_code=False)


def _first_sentence(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].split(". ")[0].rstrip(". ")
