"""The memory plan: real shapes without weights, near what autograd keeps in a real run."""

from __future__ import annotations

import pytest
import torch

from halluapp.cli import main as cli
from halluapp.errors import InputError
from halluapp.lvlm.random_weights import configuration
from halluapp.training.memory import plan as memory_plan
from halluapp.training.methods.chip_recipe import ChipRecipe


def test_saved_counts_each_storage_once_and_no_parameter():
    layer = torch.nn.Linear(8, 4, bias=False)
    inputs = torch.zeros(3, 8)
    assert memory_plan.saved_bytes(lambda: layer(inputs), layer.parameters()) == 3 * 8 * 4
    assert memory_plan.saved_bytes(lambda: layer(inputs) + layer(inputs[:2]).sum(), layer.parameters()) == 3 * 8 * 4
    assert memory_plan.saved_bytes(lambda: layer(inputs), layer.parameters(), (3, 8)) == 0


def test_what_is_counted_without_memory_is_what_a_real_forward_keeps():
    config = configuration("llava-tiny")
    meta, real = (
        memory_plan._layer_bytes(config, ChipRecipe(batch=2), 2, 50, 10, device) for device in ("meta", "cpu")
    )
    assert meta == pytest.approx(real, rel=0.1)


def test_seven_billion_parameters_in_sixteen_gigabytes():
    config = configuration("llava-1.5-7b")
    plain = memory_plan.plan_memory(config, ChipRecipe(batch=1))
    assert 3.9 * 2**30 < plain.weights < 4.5 * 2**30  # 6.5 billion in NF4, 0.6 billion in 16 bits
    one, four = (memory_plan.plan_memory(config, ChipRecipe(batch=size, checkpointing=True)) for size in (1, 4))
    assert four.activations == pytest.approx(4 * one.activations, rel=0.01)
    assert four.logits == pytest.approx(4 * one.logits, rel=0.01)
    assert one.activations < plain.activations / 10
    assert four.total < 16e9 < plain.total
    assert (
        memory_plan.plan_memory(config, ChipRecipe(rank=32)).adapter
        == 2 * memory_plan.plan_memory(config, ChipRecipe()).adapter
    )
    assert memory_plan.plan_memory(config, ChipRecipe(), quantization="none").weights > 3 * plain.weights


@pytest.mark.slow
def test_a_trained_tower_is_planned_for():
    config = configuration("llava-tiny")
    meta, real = (memory_plan._tower_bytes(config, ChipRecipe(), device) for device in ("meta", "cpu"))
    assert meta[0] == pytest.approx(real[0], rel=0.1)
    assert meta[1] == real[1] > 0
    config = configuration("llava-1.5-7b")
    for checkpointing in (False, True):
        frozen, trained = (
            memory_plan.plan_memory(config, ChipRecipe(batch=2, checkpointing=checkpointing, vision=vision))
            for vision in (False, True)
        )
        assert trained.adapter > frozen.adapter
        assert trained.weights == frozen.weights
        more = (trained.activations - frozen.activations) / 2**30
        assert (0.1 < more < 1) if checkpointing else (1 < more < 4)  # one photo at a time, or four


def test_the_command_says_what_fits(capsys):
    assert cli.main(["train", "plan", "--model", "random:llava-tiny", "--prefix", "50", "--answer", "8"]) == 0
    assert "largest batch (a power of two) in 16 GB: 32" in capsys.readouterr().out
    for model in ("random:nothing", "/no/such/folder"):
        assert cli.main(["train", "plan", "--model", model]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(InputError, match="LLaVA-class"):
        memory_plan.plan_memory(configuration("qwen-tiny"), ChipRecipe())
