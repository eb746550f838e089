"""A trained pocket model as a checkpoint: the padded MLP computes the same, and what is written reads back."""

from __future__ import annotations

import pytest
import torch

from halluapp.grounding.detectors.pocket_head import DetectionHead
from halluapp.lvlm import catalog
from halluapp.lvlm.families import pocket as pocket_model
from halluapp.lvlm.quantize import quantized_linears
from halluapp.recipes.pocket import tokenizer
from halluapp.recipes.pocket.export import export, padded
from halluapp.recipes.pocket.train import Pocket


@pytest.fixture(scope="module")
def words():
    return tokenizer.train(["A brown dog runs on the beach.", "Describe this image."] * 20, 400)


@pytest.fixture(scope="module")
def pocket(words):
    torch.manual_seed(0)
    return Pocket(pocket_model.build(words, layers=2), DetectionHead(["dog"])).eval()


def _logits(lvlm, words):
    ids = words("USER: Describe this image. ASSISTANT: A brown dog", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        return lvlm(input_ids=ids).logits


def test_padding_the_mlp_changes_nothing(pocket, words):
    wide = padded(pocket.lvlm)
    assert wide.config.text_config.intermediate_size % 64 == 0 != pocket.lvlm.config.text_config.intermediate_size % 64
    assert torch.allclose(_logits(wide, words), _logits(pocket.lvlm, words), atol=1e-5)
    assert padded(wide) is wide


def test_exported_folder_loads_dense_and_with_every_decoder_layer_in_four_bits(pocket, words, tmp_path):
    export(pocket, words, tmp_path / "pocket")
    assert all(path.stat().st_size < 10_000_000 for path in (tmp_path / "pocket").iterdir())
    assert not any(path.suffix in (".bin", ".pt", ".pth") for path in (tmp_path / "pocket").iterdir())
    dense, _ = catalog.load("pocket", "none", "cpu", tmp_path)
    assert torch.allclose(_logits(dense.model, words), _logits(pocket.lvlm, words), atol=2e-2)  # stored in float16
    quantized, _ = catalog.load("pocket", "nf4", "cpu", tmp_path)
    assert len(quantized_linears(quantized.model)) == 2 * 7
