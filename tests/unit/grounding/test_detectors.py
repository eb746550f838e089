"""Detectors: tiny real models of real classes, saved and loaded back, and the scaling of scores."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from halluapp.errors import InputError
from halluapp.grounding.detectors.base import at_operating_point, known_name
from halluapp.grounding.detectors.loading import STRONG, load_detector, notice
from halluapp.grounding.detectors.pocket import PocketDetector
from halluapp.grounding.detectors.transformers import TransformersDetector
from halluapp.grounding.verdicts import judge_text
from halluapp.grounding.words import vocabulary
from halluapp.settings import Settings

NAMES = ["person", "dog", "sofa", "N/A"]


def _photo(width: int = 90, height: int = 60) -> Image.Image:
    gradient = torch.linspace(0, 255, width * height * 3).reshape(height, width, 3).to(torch.uint8)
    return Image.fromarray(gradient.numpy())


def _labels(names: list[str] = NAMES) -> dict:
    return {"id2label": dict(enumerate(names)), "label2id": {name: index for index, name in enumerate(names)}}


def _rt_detr_v2(folder) -> None:
    from transformers import RTDetrImageProcessorPil, RTDetrResNetConfig, RTDetrV2Config, RTDetrV2ForObjectDetection

    backbone = RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 32, 32], depths=[1] * 4, layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = RTDetrV2Config(
        backbone_config=backbone, d_model=32, encoder_hidden_dim=32, encoder_in_channels=[16, 32, 32],
        encoder_ffn_dim=32, encoder_layers=1, encoder_attention_heads=2, decoder_in_channels=[32] * 3,
        decoder_ffn_dim=32, decoder_layers=2, decoder_attention_heads=2, num_queries=12, decoder_n_points=2,
        num_denoising=0, anchor_image_size=None, **_labels(),
    )  # fmt: skip
    RTDetrV2ForObjectDetection(config).save_pretrained(folder)
    RTDetrImageProcessorPil(size={"height": 64, "width": 64}).save_pretrained(folder)


def _yolos(folder, names: list[str] = NAMES) -> None:
    from transformers import YolosConfig, YolosForObjectDetection, YolosImageProcessorPil

    config = YolosConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, image_size=[64, 64],
        patch_size=16, num_detection_tokens=10, **_labels(names),
    )  # fmt: skip
    YolosForObjectDetection(config).save_pretrained(folder)
    YolosImageProcessorPil(size={"height": 64, "width": 64}).save_pretrained(folder)


@pytest.mark.parametrize("build", [_rt_detr_v2, _yolos])
def test_a_saved_detector_of_transformers(build, tmp_path) -> None:
    torch.manual_seed(0)
    build(tmp_path)
    detector = TransformersDetector(tmp_path)
    assert detector.labels == ("person", "dog", "couch")
    assert detector.name == tmp_path.name
    found = detector.detect(_photo())
    _check(found, detector.labels)
    assert found, "random scores of a tiny model lie above the floor"
    assert found == detector.detect(_photo())
    assert judge_text("A sofa", found, detector.labels, threshold=0.0)[0]["verdict"] in ("grounded", "contradicted")


def test_names_that_detr_lists_but_never_saw_are_no_labels(tmp_path) -> None:
    torch.manual_seed(0)
    _yolos(tmp_path, ["N/A", *vocabulary.coco_names(), "street sign", "hat", "shoe", "eye glasses", "plate", "desk"])
    detector = TransformersDetector(tmp_path)
    assert detector.labels == vocabulary.coco_names()
    assert judge_text("A hat", detector.detect(_photo()), detector.labels)[0]["verdict"] == "not checkable"


def _check(found: list, labels: tuple) -> None:
    assert [d["score"] for d in found] == sorted((d["score"] for d in found), reverse=True)
    for detection in found:
        assert set(detection) == {"label", "score", "box"}
        assert detection["label"] in labels
        x0, y0, x1, y1 = detection["box"]
        assert 0 <= x0 <= x1 <= 1
        assert 0 <= y0 <= y1 <= 1
        assert 0 <= detection["score"] <= 1
    json.dumps(found)


def test_a_detector_that_is_not_there_is_one_clear_sentence(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match="cannot be loaded") as caught:
        TransformersDetector(tmp_path / "nowhere")
    assert "\n" not in str(caught.value)


def _cached(cache, source: str):
    """The folder that the hub's cache has for a revision of a checkpoint, and its note of which one is current."""
    folder = cache / f"models--{source.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("f00d")
    return folder / "snapshots" / "f00d"


def test_the_default_takes_the_stronger_eyes_only_where_they_lie_whole_in_the_cache(tmp_path) -> None:
    assets = Settings().assets
    assert Settings().detector == "auto"
    assert load_detector("auto", assets, cache=tmp_path).name == "presence detector"
    snapshot = _cached(tmp_path, STRONG[1])
    _rt_detr_v2(snapshot)
    weights = (snapshot / "model.safetensors").rename(snapshot / "model.part")
    assert load_detector("auto", assets, cache=tmp_path).name == "presence detector"
    weights.rename(snapshot / "model.safetensors")
    assert load_detector("auto", assets, cache=tmp_path).name == STRONG[1]
    strong, embedded = (load_detector(name, assets, cache=tmp_path) for name in ("auto", "pocket"))
    assert embedded.name == "presence detector"
    for source, device, detector, said in (
        ("auto", "cuda", strong, False), ("auto", "cuda", embedded, True), ("auto", "cpu", embedded, False),
        ("pocket", "cuda", embedded, False),
    ):  # fmt: skip
        assert (STRONG[0] in notice(source, device, detector)) == said


def test_a_card_that_is_full_leaves_the_photo_to_the_cpu(tmp_path) -> None:
    """The kind: a detector beside a large LVLM ends the comparison."""
    torch.manual_seed(0)
    _yolos(tmp_path)
    detector, calls = TransformersDetector(tmp_path), []
    plain = detector.detect(_photo())

    def fill(_module, _inputs) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    handle = detector._model.vit.register_forward_pre_hook(fill)
    assert detector.detect(_photo()) == plain
    handle.remove()
    assert len(calls) == 2


@pytest.fixture(scope="module")
def tower():
    from halluapp.lvlm.families.pocket import PocketVisionConfig, PocketVisionModel

    torch.manual_seed(0)
    return PocketVisionModel(PocketVisionConfig(layers=1)).eval()


def _pocket(folder, tower, thresholds: dict) -> PocketDetector:
    from halluapp.grounding.detectors import pocket_head as detector

    torch.manual_seed(1)
    head = detector.DetectionHead(["person", "dog", "cat"])
    torch.nn.init.constant_(head.label.bias, 0.0)
    torch.nn.init.constant_(head.presence.bias, 0.0)
    detector.save(head, folder, thresholds, {})
    return PocketDetector(folder, tower)


def test_the_pocket_detector_and_its_operating_points(tower, tmp_path) -> None:
    plain = _pocket(tmp_path, tower, {"person": 0.5, "dog": 0.5, "cat": 0.5})
    found = plain.detect(_photo())
    _check(found, plain.labels)
    assert {d["label"] for d in found} == {"person", "dog", "cat"}
    eager = _pocket(tmp_path, tower, {"person": 0.1, "dog": 0.9, "cat": None}).detect(_photo())
    best = {label: max(d["score"] for d in found if d["label"] == label) for label in ("person", "dog")}
    moved = {label: max(d["score"] for d in eager if d["label"] == label) for label in ("person", "dog")}
    assert moved["person"] > best["person"]
    assert moved["dog"] < best["dog"]
    assert "cat" not in {d["label"] for d in eager}


def test_an_unreliable_label_is_not_checkable(tower, tmp_path) -> None:
    detector = _pocket(tmp_path, tower, {"cat": None, "dog": 1.0})
    assert detector.labels == ("person",)
    assert judge_text("a cat", detector.detect(_photo()), detector.labels)[0]["verdict"] == "not checkable"


def test_one_vision_pass_serves_both(tower, tmp_path) -> None:
    from halluapp.recipes.pocket import features

    detector = _pocket(tmp_path, tower, {})
    square = _photo(256, 256)
    maps = tower.features(features.to_pixels([square]))
    assert detector.detect_features(*maps) == detector.detect(square)


def test_a_missing_pocket_detector_is_one_clear_sentence(tower, tmp_path) -> None:
    with pytest.raises(InputError, match="missing or damaged"):
        PocketDetector(tmp_path, tower)
    _pocket(tmp_path, tower, {})
    (tmp_path / "detector.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match="missing or damaged"):
        PocketDetector(tmp_path, tower)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.99))
def test_scaled_scores_keep_their_order_and_range(one: float, two: float, threshold: float) -> None:
    low, high = (at_operating_point(score, threshold) for score in sorted((one, two)))
    assert 0 <= low <= high <= 1
    assert at_operating_point(threshold, threshold) == 0.5


def test_names_of_other_data_sets() -> None:
    assert [known_name(n) for n in ("TVmonitor", "Dog", "diningtable", "Potted_Plant", "Gas stove")] == [
        "tv", "dog", "dining table", "potted plant", "gas stove",
    ]  # fmt: skip
