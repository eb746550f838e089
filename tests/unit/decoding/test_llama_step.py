"""A small Llama's decode step without transformers' modules against the step through them."""

from __future__ import annotations

import pytest
import torch
from replay_modes import REFERENCES, answers, assert_same, begin_batch, count_fixed_caches, model_of, replay_mode
from tiny import YES_NO, hooks
from torch import nn

from halluapp.decoding.batch import RowBatch
from halluapp.decoding.replay import llama_step, policy
from halluapp.decoding.replay.llama_rows import LlamaRows
from halluapp.methods.registry import defaults

MODELS = pytest.mark.parametrize(("kind", "quantization"), [("llava", "none"), ("llava", "nf4"), ("pocket", "nf4")])


@MODELS
@torch.no_grad()
def test_every_method_answers_the_same(kind, quantization) -> None:
    """Rows that part, end, are read early and attend in another way; greedy and sampled."""
    model = model_of(kind, quantization)
    names = [*defaults(), *REFERENCES, *(["chip", "hacl", "chip+vdd"] if kind == "llava" else [])]
    assert_same(answers(model, "auto", names), answers(model, "off", names))
    warm = {"temperature": 0.8, "top_p": 0.9, "seed": 3, "prompt": YES_NO}
    assert_same(answers(model, "auto", defaults(), 1, **warm), answers(model, "off", defaults(), 1, **warm))
    with replay_mode(model, "auto"):
        assert type(policy.choose_batch(model, begin_batch(model, ["baseline"]), 5)) is LlamaRows
        assert model.replay_verdicts[policy.ANY].replay
    assert hooks(model) == 0
    assert count_fixed_caches() == 0


@torch.no_grad()
def test_logits_of_the_layers_own_weights_are_equal_bit_by_bit() -> None:
    model, names = model_of("llava", "none"), ["baseline", "nullu", "vdd", "chip"]
    expected, rows = begin_batch(model, names), LlamaRows.of(begin_batch(model, names), 100)
    count = len(rows.interventions)
    for token in (7, 8, 9):
        tokens = torch.full((count,), token)
        assert torch.equal(rows.step(model, tokens, {})[0], expected.step(model, tokens, {})[0])
    for batch in (rows, expected):
        batch.select([2, 0, 0])
    tokens = torch.tensor([3, 4, 5])
    assert torch.equal(rows.step(model, tokens, {})[0], expected.step(model, tokens, {})[0])
    early = [batch.step(model, tokens, {1: (0, 1)}) for batch in (rows, expected)]
    assert torch.equal(early[0][0], early[1][0])
    assert all(torch.equal(state, early[1][1][key]) for key, state in early[0][1].items())


@torch.no_grad()
def test_a_model_that_computes_otherwise_keeps_its_own_step(monkeypatch, caplog) -> None:
    """A version of transformers with another rotation, say: seen at the first step, said once."""
    model = model_of("llava", "none")
    monkeypatch.setattr(llama_step, "_rotate_half", lambda states: states)
    with replay_mode(model, "auto"):
        for _ in range(2):
            assert type(policy.choose_batch(model, begin_batch(model, ["baseline", "vdd"]), 5)) is RowBatch
        assert "differs" in policy.replay_report(model)["fast_by_rows"]["any"]
    assert len([line for line in caplog.messages if "goes on through transformers' modules" in line]) == 1
    assert_same(answers(model, "auto", ["baseline", "vdd"]), answers(model, "off", ["baseline", "vdd"]))


@torch.no_grad()
def test_layers_that_are_not_plain_keep_the_ordinary_step(monkeypatch) -> None:
    model = model_of("llava", "none")
    assert llama_step.obstacle(model) == ""
    layer = model.layers[0]
    with replay_mode(model, "auto"):
        plain = layer.mlp.down_proj
        try:
            layer.mlp.down_proj = nn.Sequential(plain)  # as an adapter in training does
            assert "adapter in training" in llama_step.obstacle(model)
            assert type(policy.choose_batch(model, begin_batch(model, ["baseline"]), 5)) is RowBatch
        finally:
            layer.mlp.down_proj = plain
        for module in (layer.mlp.up_proj, layer.mlp, layer.post_attention_layernorm, model.final_norm, model.head):
            handle = module.register_forward_hook(lambda *_: None)
            assert "listens" in llama_step.obstacle(model)
            handle.remove()
            module.forward = module.forward
            assert "stands in" in llama_step.obstacle(model)
            del module.forward
        assert llama_step.obstacle(model) == ""
        monkeypatch.setattr(llama_step, "MOST_WEIGHTS", 10)
        assert "more than 10 weights" in llama_step.obstacle(model)
    assert "not a LlamaModel" in llama_step.obstacle(model_of("qwen2_5_vl", "none"))


def test_two_weights_that_nf4_packs_into_a_byte_count_as_two(monkeypatch) -> None:
    weights = sum(weight.numel() for weight in model_of("llava", "none").decoder.parameters())
    packed = model_of("llava", "nf4")
    assert sum(weight.numel() for weight in packed.decoder.parameters()) < weights
    monkeypatch.setattr(llama_step, "MOST_WEIGHTS", weights)
    assert llama_step.obstacle(packed) == ""
    monkeypatch.setattr(llama_step, "MOST_WEIGHTS", weights - 1)
    assert "weights" in llama_step.obstacle(packed)
