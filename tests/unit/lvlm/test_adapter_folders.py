"""Any folder that calls itself an adapter is read whole, or refused in one sentence: no traceback, nothing in part."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path

import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tiny_adapters import trained_adapter

from halluapp.errors import InputError
from halluapp.lvlm import adapters


@cache
def saved() -> tuple[dict, dict]:
    """(adapter_config.json, tensors) of an adapter of the tiny LLaVA."""
    with tempfile.TemporaryDirectory() as home:
        trained_adapter("llava", "none", Path(home))
        config = json.loads((Path(home) / adapters.CONFIG).read_text(encoding="utf-8"))
        return config, load_file(Path(home) / adapters.WEIGHTS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
KEYS = ("lora_alpha", "alpha_pattern", "rank_pattern", "use_rslora", "use_dora", "peft_type", "init_lora_weights",
        "modules_to_save", "r", "target_modules", "bias")  # fmt: skip
CHANGES = {
    "renamed": lambda key, tensor: {f"{key}.x": tensor},
    "of another model": lambda key, tensor: {key.replace("layers.0", "layers.77"): tensor},
    "dropped": lambda key, tensor: {},
    "wide": lambda key, tensor: {key: torch.cat([tensor, tensor], dim=1)},
    "flat": lambda key, tensor: {key: tensor.flatten()},
    "empty": lambda key, tensor: {key: tensor[:0]},
    "not a number": lambda key, tensor: {key: tensor * float("nan")},
    "half": lambda key, tensor: {key: tensor.half()},
    "whole numbers": lambda key, tensor: {key: (tensor * 100).to(torch.int32)},
    "DoRA's": lambda key, tensor: {
        key: tensor,
        key.replace("lora_A", "lora_magnitude_vector"): tensor.flatten()[:1].clone(),
    },
    "another base weight": lambda key, tensor: {key: tensor, "base_model.model.lm_head.weight": tensor.clone()},
}


@st.composite
def folders(draw) -> dict[str, bytes | dict]:
    config, tensors = saved()
    config = {**config, **draw(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=2))}
    for key in draw(st.lists(st.sampled_from(sorted(tensors)), max_size=2, unique=True)):
        if key in tensors:
            change = CHANGES[draw(st.sampled_from(sorted(CHANGES)))]
            tensors = {name: value for name, value in tensors.items() if name != key} | change(key, tensors[key])
    text = json.dumps(config).encode()
    texts = st.just(text) | st.sampled_from(
        [b"", b"[]", b"null", b"[" * 100_000, b"\xff\xfe", text[:20], b"\xef\xbb\xbf" + text]
    )
    files: dict = {adapters.WEIGHTS: tensors, adapters.CONFIG: draw(st.just(text) | texts)}
    other = st.sampled_from(["about.json", adapters.PROJECTOR, "adapter_model.bin", "README.md"])
    files |= draw(st.dictionaries(other, st.sampled_from([b"", b"{}", b"[1]", b"no file"]), max_size=1))
    for name in draw(st.sets(st.sampled_from([adapters.WEIGHTS, adapters.CONFIG]), max_size=1)):
        if draw(st.booleans()):
            del files[name]
    return files


@settings(max_examples=120, deadline=None)
@given(folders(), st.sampled_from(["plain", "a b", "a+b,c", "v1.2", "ünï", "-x"]))
def test_a_folder_is_read_whole_or_refused_in_one_sentence(files, name):
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / name
        folder.mkdir()
        for file, content in files.items():
            if isinstance(content, dict):
                save_file(content, folder / file)
            else:
                (folder / file).write_bytes(content)
        try:
            adapter = adapters.load(tiny.lvlm("llava", "none"), folder)
        except InputError as error:
            assert "\n" not in str(error)
            assert str(error).endswith((".", "."))
            return
        deltas = [*adapter.deltas.values(), *adapter.vision_deltas.values()]
        halves = [key for key in files.get(adapters.WEIGHTS, {}) if "lora_" in key]
        assert 2 * len(deltas) == len(halves), "a matrix is left out in silence"
        assert all(torch.isfinite(delta.down).all() and torch.isfinite(delta.up).all() for delta in deltas)
        assert all(abs(delta.scale) < float("inf") for delta in deltas)


@pytest.mark.parametrize("alpha", [float("nan"), float("inf"), True, "8", None, [8]])
def test_a_scale_that_is_no_number_is_refused(alpha, tmp_path):
    config, tensors = saved()
    save_file(tensors, tmp_path / adapters.WEIGHTS)
    (tmp_path / adapters.CONFIG).write_text(json.dumps({**config, "lora_alpha": alpha}))
    with pytest.raises(InputError, match="no number"):
        adapters.load(tiny.lvlm("llava", "none"), tmp_path)
