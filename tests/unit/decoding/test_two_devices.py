"""A model over two devices, without a GPU: its last layers are tensors of no memory, from which nothing comes back.

Whatever mixes the two devices in one operation, or copies back from the second one, raises.
"""

from __future__ import annotations

import copy

import pytest
import tiny
import torch
from tiny import OPEN, photo

from halluapp.decoding import batch as batches
from halluapp.decoding import plan
from halluapp.decoding.hooks.early_exits import read_out, record_depths
from halluapp.decoding.replay import policy
from halluapp.decoding.views import Views
from halluapp.lvlm import sidecar_files
from halluapp.lvlm.families.llava import Llava
from halluapp.lvlm.weights import placement
from halluapp.methods.registry import create, defaults


def _over_two_devices(first: str) -> Llava:
    """The tiny LLaVA whose modules from `first` on lie on the second device."""
    from accelerate import dispatch_model

    whole = tiny.lvlm("llava")
    names = [
        "model.vision_tower", "model.multi_modal_projector", "model.language_model.embed_tokens",
        "model.language_model.rotary_emb", "model.language_model.layers.0", "model.language_model.layers.1",
        "model.language_model.norm", "lm_head",
    ]  # fmt: skip
    where = {name: "meta" if names.index(name) >= names.index(first) else "cpu" for name in names}
    model = dispatch_model(copy.deepcopy(whole.model), where, main_device="cpu")
    lvlm = Llava(model, whole.tokenizer, whole.image_processor, "over two devices")
    sidecar_files.attach(lvlm, tiny.folder("llava"))
    return lvlm


@pytest.mark.parametrize("first", ["model.language_model.layers.1", "lm_head"])
@torch.no_grad()
def test_rows_of_all_methods_step_over_two_devices(first) -> None:
    lvlm = _over_two_devices(first)
    methods = [create(name) for name in (*defaults(), "hacl", "pai", "dola", "nullu+vdd")]
    assert placement.devices(lvlm.model) == ("cpu", "meta")
    assert "several devices" in policy.blocker(lvlm)
    assert {delta.up.device.type for delta in lvlm.adapters["chip"].deltas.values()} <= {"cpu", "meta"}
    views, rows = [Views(lvlm, photo())], plan.plan([(OPEN, methods)])
    depths = {rows.streams[-2][2][0]: tuple(range(len(lvlm.layers) + 1))}
    with record_depths(lvlm, depths) as hidden:
        batch, logits = batches.prefill(lvlm, rows.prefixes, [OPEN], views)
    count = len(rows.prefixes)
    for _ in range(3):
        assert logits.device.type == "meta"
        assert all(state.device.type == "meta" for state in read_out(lvlm, hidden).values())
        logits, hidden = batch.step(lvlm, torch.ones(count, dtype=torch.long), depths)
    batch.select([0, *range(count)])
    assert {layer.keys.device.type for layer in batch.cache.layers} == {
        placement.device_of(layer).type for layer in lvlm.layers
    }
    logits, _ = batch.step(lvlm, torch.ones(count + 1, dtype=torch.long), {})
    assert len(logits) == count + 1
