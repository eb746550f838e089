"""Weights that are counted from a configuration, and the memory that follows; files that are here or not."""

from __future__ import annotations

import json

import pytest
import tiny
from tiny_families import folder

from halluapp.lvlm import catalog, loading, quantize, random_weights
from halluapp.lvlm.weights import files, memory
from halluapp.lvlm.weights.counting import count, count_apart

KINDS = ("llava_next", "qwen3_vl", "smolvlm", "instructblip")  # one of every kind of tower and head


def test_counts_are_those_of_the_catalogue_and_of_loaded_models() -> None:
    entry = catalog.find("llava-hf/llava-1.5-7b-hf")
    weights, quantized = count(random_weights.configuration("llava-1.5-7b"), "LLaVA")
    assert (round(weights / 1e9, 3), round(quantized / 1e9, 3)) == (entry.weights, entry.quantized)
    for kind in KINDS:
        model = catalog.load(str(folder(kind)), "nf4", "cpu", tiny.folder("llava").parent)[0].model
        layers = quantize.quantized_linears(model).values()
        counted = count(loading.configuration(str(folder(kind))), kind)
        assert counted[1] == sum(layer.in_features * layer.out_features for layer in layers), kind
        dense = catalog.load(str(folder(kind)), "none", "cpu", tiny.folder("llava").parent)[0].model
        assert counted[0] == sum(weight.numel() for weight in dense.parameters()), kind
        buffers = sum(buffer.numel() * buffer.element_size() for buffer in dense.buffers())
        assert memory.footprint(dense) == 4 * counted[0] + buffers, kind


@pytest.mark.slow
def test_a_process_of_its_own_counts_the_same() -> None:
    source = str(folder(KINDS[0]))
    assert count_apart(source) == count(loading.configuration(source), source)


def test_files_are_here_when_every_shard_is(tmp_path, monkeypatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.file_download.constants.HF_HUB_CACHE", str(tmp_path))
    assert files.are_here(str(folder(KINDS[0])))
    assert not files.are_here("some/model")
    revision = "0" * 40
    snapshot = tmp_path / "models--some--model" / "snapshots" / revision
    snapshot.mkdir(parents=True)
    (tmp_path / "models--some--model" / "refs").mkdir()
    (tmp_path / "models--some--model" / "refs" / "main").write_text(revision)
    (snapshot / "config.json").write_text("{}")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (snapshot / files.INDEX).write_text(json.dumps(index))
    (snapshot / "model-1.safetensors").write_bytes(b"x" * 10)
    assert not files.are_here("some/model")
    (snapshot / "model-2.safetensors").write_bytes(b"x" * 5)
    assert files.are_here("some/model")
    assert files.folder_bytes(snapshot) == 15 + 2 + len(json.dumps(index))


@pytest.mark.parametrize("quantization", ["nf4", "int8", "none"])
def test_estimates_grow_with_the_weights_and_with_their_bytes(quantization) -> None:
    small, large = (memory.estimate(size, 0.9 * size, quantization) for size in (1e8, 7e9))
    assert small < large
    assert memory.estimate(7e9, 6e9, quantization, 4.0) > memory.estimate(7e9, 6e9, quantization)
    assert small <= 4 * 1e8  # no room to work of a 7B model for a small one
