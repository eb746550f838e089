"""A published detector by its real small files: boxes are those of transformers' own post-processing."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import pytest
import skeletons
import torch
import transformers

from halluapp.errors import InputError
from halluapp.grounding.detectors import transformers as detectors
from halluapp.grounding.detectors.base import LEAST, known_name

DETR = "facebook--detr-resnet-50"


def detr(folder: Path) -> Path:
    """The real labels and processor of DETR, and a backbone of transformers' own classes in place of timm's."""
    source = skeletons.source(DETR)
    values = json.loads((source / "config.json").read_text())
    values |= {
        "use_timm_backbone": False, "backbone": None, "use_pretrained_backbone": False, "d_model": 32,
        "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32,
        "encoder_attention_heads": 2, "decoder_attention_heads": 2, "num_hidden_layers": 1,
        "backbone_config": {
            "model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8, 8, 8, 16], "depths": [1] * 4,
            "layer_type": "basic", "out_features": ["stage4"],
        },
    }  # fmt: skip
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(values))
    torch.manual_seed(0)
    model = transformers.DetrForObjectDetection(transformers.AutoConfig.from_pretrained(folder))
    with torch.no_grad():
        model.class_labels_classifier.weight.normal_(0, 3.0)
        for layer in model.bbox_predictor.layers:
            layer.weight.normal_(0, 1.0)
    model.save_pretrained(folder)
    shutil.copy(source / "preprocessor_config.json", folder)
    return folder


def test_boxes_are_those_of_transformers_post_processing(tmp_path) -> None:
    detector, photo = detectors.TransformersDetector(detr(tmp_path / "detr")), skeletons.photo()
    assert len(detector._model.config.id2label) == 91
    assert "n/a" not in detector.labels
    assert {"person", "dog", "tv"} <= set(detector.labels)
    results = detector.detect(photo)
    processor = transformers.DetrImageProcessorPil.from_pretrained(tmp_path / "detr")
    with torch.no_grad():
        output = detector._model(**processor(photo, return_tensors="pt"))
    theirs = processor.post_process_object_detection(output, LEAST, target_sizes=[(photo.height, photo.width)])[0]
    expected = []
    for score, label, box in zip(theirs["scores"], theirs["labels"], theirs["boxes"], strict=True):
        name = known_name(detector._model.config.id2label[int(label)])
        if name in detector.labels:
            sides = (box / torch.tensor([photo.width, photo.height] * 2)).clamp(0, 1)
            expected.append((name, float(score), sides.tolist()))
    expected.sort(key=lambda row: -row[1])
    assert len(results) == len(expected) > 5
    for result, (name, score, box) in zip(results, expected, strict=True):
        assert result["label"] == name
        assert result["score"] == pytest.approx(score, abs=1e-4)
        assert result["box"] == pytest.approx(box, abs=1e-4)


def test_a_missing_timm_is_said_before_anything_is_loaded(tmp_path) -> None:
    """Kind: a package that a backbone needs is named late, after the weights have come."""
    if importlib.util.find_spec("timm"):
        pytest.skip("timm is installed")
    for values in (
        {"model_type": "detr", "backbone": "resnet50", "backbone_config": None},
        {"model_type": "detr", "use_timm_backbone": True, "backbone": "resnet50"},
        {"model_type": "conditional_detr", "backbone_config": {"model_type": "timm_backbone"}},
    ):
        (tmp_path / "config.json").write_text(json.dumps(values))
        with pytest.raises(InputError, match="timm, which is not installed"):
            detectors.TransformersDetector(tmp_path)
