"""Which decode step is taken, for which models, and where that is set and reported."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from replay_modes import (
    begin_batch,
    model_of,
    replay_mode,
)

from halluapp.bench import work
from halluapp.decoding.batch import RowBatch
from halluapp.decoding.replay import policy
from halluapp.decoding.replay.fixed_cache import FixedRows
from halluapp.decoding.replay.llama_rows import LlamaRows
from halluapp.decoding.replay.policy import ReplayVerdict
from halluapp.errors import InputError
from halluapp.methods.registry import defaults
from halluapp.session import load_session, unload_all
from halluapp.settings import Settings


@torch.no_grad()
def test_which_step_is_taken() -> None:
    model = model_of("llava", "none")
    for mode, kind in (("off", RowBatch), ("auto", LlamaRows), ("on", FixedRows)):
        with replay_mode(model, mode):
            assert type(policy.choose_batch(model, begin_batch(model, ["baseline"]), 5)) is kind


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"_attn_implementation_internal": "eager"}, "not sdpa"),
        ({"sliding_window": 16}, "sliding window"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "sliding window"),
        ({"rope_parameters": {"rope_type": "dynamic"}}, "changes with the length"),
        ({"rope_parameters": {"rope_type": "longrope"}}, "changes with the length"),
    ],
    ids=str,
)
@torch.no_grad()
def test_models_that_cannot_keep_the_ordinary_step(changes, words, monkeypatch) -> None:
    model = model_of("llava", "none")
    assert policy.blocker(model) == ""
    config, batch = model.layers[0].self_attn.config, begin_batch(model, ["baseline"])
    for name, value in changes.items():
        monkeypatch.setattr(config, name, value, raising=False)
    with replay_mode(model, "on"):
        assert words in policy.blocker(model)
        assert policy.choose_batch(model, batch, 5) is batch
        assert words in policy.replay_report(model)["fast_obstacle"]


def test_eight_bits_keep_the_ordinary_step(monkeypatch) -> None:
    model = model_of("llava", "nf4")
    monkeypatch.setattr(model, "quantization", "int8")
    assert "8-bit" in policy.blocker(model)


def test_near_ties_are_no_difference() -> None:
    one = torch.tensor([[5.0, 4.99, 0.0]])
    other = torch.tensor([[4.99, 5.0, 0.0]])
    assert policy.step_difference((one, {}), (other, {}), torch.bfloat16) == ""
    assert policy.step_difference((one, {}), (other, {}), torch.float32)
    early = {(0, 1): torch.zeros(4)}
    assert policy.step_difference((one, {(0, 1): torch.ones(4)}), (one, early), torch.bfloat16)


def test_bench_says_which_step_was_taken() -> None:
    with replay_mode(model_of("llava", "none"), "auto") as model:
        model.replay_verdicts = {8: ReplayVerdict(True, "a"), policy.ANY: ReplayVerdict(False, "b")}
        report = policy.replay_report(model)
    assert report["fast"] == "auto"
    assert report["fast_obstacle"] == ""
    assert "not a LlamaModel" in policy.replay_report(model_of("qwen2_5_vl", "none"))["fast_obstacle"]
    assert report["fast_by_rows"] == {"8": "replayed: a", "any": "ordinary: b"}


def test_the_setting_reaches_the_model() -> None:
    tiny_one = Settings(model="random:llava-tiny", device="cpu")
    with pytest.raises(InputError, match="HALLUAPP_FAST is 'quick'"):
        load_session(replace(tiny_one, fast="quick"))
    for values, zero, expected in (("auto", False, "auto"), ("on", False, "on"), ("auto", True, "off")):
        session = load_session(replace(tiny_one, fast=values, zero_gpu=zero))
        assert session.lvlm.replay_mode == expected
    work.panels(session, 3, defaults())()
    unload_all()
