"""Open-vocabulary detectors on tiny real models: their boxes are transformers' own, for exactly the asked nouns."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from halluapp.errors import InputError
from halluapp.grounding.detectors.base import LEAST, at_operating_point
from halluapp.grounding.detectors.loading import load_detector
from halluapp.grounding.detectors.open_vocabulary import OpenVocabularyDetector

NOUNS = ["dog", "traffic light", "cat"]


def _photo(width: int = 90, height: int = 60) -> Image.Image:
    gradient = torch.linspace(0, 255, width * height * 3).reshape(height, width, 3).to(torch.uint8)
    return Image.fromarray(gradient.numpy())


def _clip_tokenizer(folder):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "<s>", "</s>", "a", "photo", "of", "dog", "traffic", "light", "cat"]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", model_max_length=16
    )


def _owlv2(folder) -> None:
    from transformers import Owlv2Config, Owlv2ForObjectDetection, Owlv2ImageProcessor, Owlv2Processor

    torch.manual_seed(0)
    text = {"vocab_size": 12, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
            "num_attention_heads": 2, "max_position_embeddings": 16}  # fmt: skip
    vision = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
              "image_size": 64, "patch_size": 16}  # fmt: skip
    model = Owlv2ForObjectDetection(Owlv2Config(text_config=text, vision_config=vision, projection_dim=16))
    with torch.no_grad():
        model.class_head.logit_shift.bias.fill_(2.0)  # random heads find nothing: let them find something
    model.save_pretrained(folder)
    processor = Owlv2ImageProcessor(size={"height": 64, "width": 64})
    Owlv2Processor(processor, _clip_tokenizer(folder)).save_pretrained(folder)


@pytest.fixture
def owl(tmp_path) -> OpenVocabularyDetector:
    _owlv2(tmp_path)
    return load_detector(str(tmp_path), tmp_path)


def test_it_is_chosen_by_the_type_of_its_config(owl):
    assert isinstance(owl, OpenVocabularyDetector)
    assert owl.labels == ()
    assert owl.detect(_photo()) == []


def test_boxes_equal_those_of_transformers_before_suppression(owl):
    photo = _photo()
    inputs = owl._processor(text=[[f"a photo of a {noun}" for noun in NOUNS]], images=photo, return_tensors="pt")
    with torch.inference_mode():
        output = owl._model(**inputs)
        scores, corners = owl._owl(photo, NOUNS)
    theirs = owl._processor.post_process_grounded_object_detection(output, 0.0, [(60, 90)], [NOUNS])[0]
    best, column = scores.max(-1)
    order = torch.tensor([90.0, 60.0, 90.0, 60.0])
    assert torch.allclose(theirs["scores"], best, atol=1e-6)
    assert [NOUNS[i] for i in column] == theirs["text_labels"]
    assert torch.allclose(theirs["boxes"].clamp(min=0).minimum(order), corners * order, atol=1e-3)


def test_only_what_was_asked_for_is_found_and_scores_are_at_the_operating_point(owl):
    found = owl.find(_photo(), ["cat", "dog", "cat"])
    assert {one["label"] for one in found} <= {"cat", "dog"}
    assert found
    assert all(one["score"] >= at_operating_point(LEAST, owl.threshold) - 1e-4 for one in found)
    assert found == sorted(found, key=lambda one: -one["score"])
    assert owl.find(_photo(), []) == []


def test_a_noun_has_the_same_boxes_whatever_is_asked_beside_it(owl):
    alone = owl.find(_photo(), ["dog"])
    together = [one for one in owl.find(_photo(), NOUNS) if one["label"] == "dog"]
    assert alone == together


def test_grounding_dino_scores_a_noun_by_its_own_tokens(tmp_path):
    pytest.importorskip("transformers.models.grounding_dino")
    detector = _grounding_dino(tmp_path)
    scores, corners = detector._grounding_dino(_photo(), NOUNS)
    inputs = detector._processor(images=_photo(), text="dog. traffic light. cat.", return_tensors="pt")
    with torch.inference_mode():
        tokens = detector._model(**inputs).logits[0].sigmoid()
    pieces = detector._processor.tokenizer.convert_ids_to_tokens(inputs["input_ids"][0].tolist())
    for column, noun in enumerate(NOUNS):
        own = [i for i, piece in enumerate(pieces) if piece in noun.split()]
        assert torch.allclose(scores[:, column], tokens[:, own].amax(-1), atol=1e-6), noun
    assert corners.shape == (scores.shape[0], 4)


def _grounding_dino(folder) -> OpenVocabularyDetector:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import (
        BertConfig,
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        GroundingDinoImageProcessor,
        GroundingDinoProcessor,
        PreTrainedTokenizerFast,
        SwinConfig,
    )

    torch.manual_seed(0)
    words = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", ".", "dog", "traffic", "light", "cat"]
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    inner.normalizer, inner.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.BertPreTokenizer()
    inner.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", unk_token="[UNK]"
    )
    config = GroundingDinoConfig(
        backbone_config=SwinConfig(
            image_size=64, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=2,
            out_features=["stage2", "stage3", "stage4"],
        ),
        text_config=BertConfig(
            vocab_size=16, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
        ),
        d_model=32, encoder_layers=1, decoder_layers=2, encoder_ffn_dim=32, decoder_ffn_dim=32, num_queries=7,
        encoder_attention_heads=2, decoder_attention_heads=2, num_feature_levels=3, encoder_n_points=2,
        decoder_n_points=2, max_text_len=64, fusion_dropout=0.0, text_enhancer_dropout=0.0, query_dim=4,
    )  # fmt: skip
    model = GroundingDinoForObjectDetection(config)
    model.save_pretrained(folder)
    processor = GroundingDinoImageProcessor(size={"height": 64, "width": 64})
    GroundingDinoProcessor(processor, tokenizer).save_pretrained(folder)
    return OpenVocabularyDetector(folder)


def test_what_cannot_be_loaded_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="cannot be loaded") as error:
        load_detector("nobody/no-such-detector", tmp_path)
    assert "\n" not in str(error.value)
