"""The embedded detector with eyes of its own: P(object in photo), calibrated per label, and boxes that say where.

It shares no weight with the LVLM whose texts it judges: its trunk is EfficientNet-Lite1, the LVLM's is Lite2.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from halluapp.errors import InputError
from halluapp.grounding import presence
from halluapp.grounding.detectors import imagenet
from halluapp.grounding.detectors.suppression import keep, overlaps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL import Image
    from torch import Tensor

    from halluapp.grounding.detectors.own_head import PresenceHead
    from halluapp.grounding.detectors.trunk import OwnTrunk

WEIGHTS, ABOUT = "head-{}.safetensors", "presence.json"  # a file a head, numbered from 1
LEAST = 0.05  # a box with a lower score is noise


class PresenceDetector:
    """Presence heads, averaged, on a frozen trunk.

    folder: holds presence.json and a file a head, as `save` writes them. trunk: a loaded one (default: from its
    package). labels: all names it gives a probability for. support: by label, whether its p may ground and may
    contradict a mention, which was shown on photos that trained nothing. cuts: the p from which a mention is grounded
    and up to which it is contradicted. Raises InputError when files or package are missing or damaged.
    """

    name = "presence detector"

    def __init__(self, folder: str | Path, trunk: OwnTrunk | None = None):
        from safetensors import SafetensorError

        folder = Path(folder)
        try:
            self._heads, about = load(folder)
            self._curves = presence.from_json(about["curves"])
            self.labels: tuple[str, ...] = tuple(about["labels"])
            sides = {label: about["support"].get(label, (False, False)) for label in self.labels}
            self.support = {
                label: {"grounded": bool(may[0]), "contradicted": bool(may[1])} for label, may in sides.items()
            }
            self.cuts = {side: float(about["cuts"][side]) for side in ("grounded", "contradicted")}
            self.measured: dict[str, Any] = about.get("measured", {})
            self._sureness = imagenet.Sureness(**about["beyond"]) if about.get("beyond") else None
            self._trunk = trunk or _package_trunk()
        except (OSError, KeyError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
            raise InputError(
                f"The presence detector is missing or damaged in {folder.name}; restore the assets folder and install "
                f"the requirements, or choose a detector of transformers ({_first_line(error)})."
            ) from error
        self._lock = threading.Lock()

    def detect(self, photo: Image.Image) -> list[dict[str, Any]]:
        """RGB photo -> [{"label", "score", "box": [x0, y0, x1, y1 in 0..1]}], best first.

        The score of a label's best box is its P(object in photo); of a further box, that times how much weaker its
        cell is. No number of boxes is too many.
        """
        return self.look(photo)["detections"]

    def presence(self, photo: Image.Image) -> dict[str, float]:
        """P(object in photo) of every label."""
        return self.look(photo)["presence"]

    def look(self, photo: Image.Image) -> dict[str, Any]:
        """All that one pass over a photo tells, as plain data.

        {"detections": as `detect`, "labels": names that are answered for on this photo, "presence": {label: p},
        "support": {label: {"grounded": bool, "contradicted": bool}}, "cuts": {"grounded": p, "contradicted": p}}.
        Names beyond `labels` are there where the trunk's ImageNet classifier is sure of them, and never contradict.
        """
        import torch

        with self._lock, torch.inference_mode(), torch.autocast("cpu", enabled=False):
            fine, wide = self._maps(photo)
            scores, cells, boxes = average(self._heads, fine, wide)
            p = presence.probabilities(dict(zip(self.labels, scores.tolist(), strict=True)), self._curves)
            beyond, places = self._beyond(wide, p)
        if self._sureness:
            p = self._sureness.without(p, beyond)
        detections = _detections(self.labels, p, cells, boxes) + [
            {"label": name, "score": round(value, 4), "box": places[name]} for name, value in beyond.items()
        ]
        return {
            "detections": sorted(detections, key=lambda detection: -detection["score"]),
            "labels": [*self.labels, *beyond],
            "presence": {label: round(value, 4) for label, value in {**p, **beyond}.items()},
            "support": {**self.support, **{name: {"grounded": True, "contradicted": False} for name in beyond}},
            "cuts": self.cuts,
        }

    def _maps(self, photo: Image.Image) -> tuple[Tensor, Tensor]:
        """The trunk's fine [1, 112, 28, 28] and widened [1, 1280, 14, 14] maps of a photo."""
        from halluapp.grounding.detectors.trunk import to_pixels

        fine, coarse = self._trunk(to_pixels([photo]))
        return fine, self._trunk.widen(coarse)

    def _beyond(self, wide: Tensor, p: Mapping[str, float]) -> tuple[dict[str, float], dict[str, list[float]]]:
        """Confirmed names beyond the labels: their p, and the boxes that say where."""
        if not self._sureness:
            return {}, {}
        names = self._sureness.confirmed(self._trunk.classify(wide)[0], p, self.cuts["grounded"])
        names = {name: value for name, value in names.items() if name not in self.labels}
        weight = self._trunk.classifier.weight
        return names, {name: imagenet.activation_box(wide[0], weight, name) for name in names}


def average(heads: list[PresenceHead], fine: Tensor, wide: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Maps of one photo -> the heads' mean scores [K], cell probabilities [C, K] and boxes [C, 4]."""
    import torch

    outputs = [head(fine, wide) for head in heads]
    scores = torch.stack([output[0][0] for output in outputs]).mean(0)
    cells = torch.stack([output[1][0].sigmoid() for output in outputs]).mean(0)
    return scores, cells, torch.stack([output[2][0] for output in outputs]).mean(0).clamp(0, 1)


def _detections(labels: tuple[str, ...], p: Mapping[str, float], cells: Tensor, boxes: Tensor) -> list[dict[str, Any]]:
    """Boxes of every label that may be there, after suppression among its own."""
    overlap, boxes_found = overlaps(boxes), []
    for number, label in enumerate(labels):
        if p[label] < LEAST:
            continue
        scores = cells[:, number] / cells[:, number].max() * p[label]
        for index in keep(scores, overlap, LEAST):
            box = [round(side, 4) for side in boxes[index].tolist()]
            boxes_found.append({"label": label, "score": round(float(scores[index]), 4), "box": box})
    return sorted(boxes_found, key=lambda detection: -detection["score"])


def _package_trunk() -> OwnTrunk:
    import torch

    from halluapp.grounding.detectors.trunk import OwnTrunk

    trunk = OwnTrunk().eval()
    trunk.load_package()
    return trunk.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def save(heads: list[PresenceHead], folder: Path, about: Mapping[str, Any]) -> None:
    """Writes the heads' weights in float16, a file each, and `about` with the labels and size of the heads.

    about: "curves" (presence.to_json), "support" {label: [may ground, may contradict]}, "cuts", "measured" and, for
    names beyond the labels, "beyond" (the fields of `imagenet.Sureness`).
    """
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    for number, head in enumerate(heads, 1):
        file = folder / WEIGHTS.format(number)
        save_file({name: value.to(torch.float16).contiguous() for name, value in head.state_dict().items()}, file)
        file.chmod(0o644)
    sizes = {"heads": len(heads), "hidden": heads[0].hidden}
    text = json.dumps({"labels": heads[0].labels, **sizes, **about}, indent=1)
    (folder / ABOUT).write_text(text + "\n", encoding="utf-8")


def load(folder: Path) -> tuple[list[PresenceHead], dict[str, Any]]:
    """Reads what `save` wrote -> (heads in float32 and evaluation mode, the content of presence.json)."""
    from safetensors.torch import load_file

    from halluapp.grounding.detectors.own_head import PresenceHead

    about, heads = json.loads((folder / ABOUT).read_text(encoding="utf-8")), []
    for number in range(1, about["heads"] + 1):
        head = PresenceHead(about["labels"], about["hidden"])
        head.load_state_dict({name: t.float() for name, t in load_file(folder / WEIGHTS.format(number)).items()})
        heads.append(head.eval())
    return heads, about
