"""Writes a trained pocket LVLM and detector as a checkpoint folder that `from_pretrained` reads."""

from __future__ import annotations

import copy
from pathlib import Path

import torch

from halluapp.grounding.detectors import pocket_head
from halluapp.lvlm.families import pocket as pocket_model
from halluapp.lvlm.quantize import BLOCK
from halluapp.recipes.pocket.train import Pocket


def load_run(run: Path) -> tuple[Pocket, object]:
    """The last checkpoint of a training folder -> (Pocket in evaluation mode, tokenizer)."""
    from transformers import AutoTokenizer, LlavaConfig, LlavaForConditionalGeneration

    words = AutoTokenizer.from_pretrained(run / "tokenizer", trust_remote_code=False)
    state = torch.load(run / "checkpoint.pt", weights_only=True, map_location="cpu")
    labels = (run / "labels.txt").read_text(encoding="utf-8").splitlines()
    lvlm = LlavaForConditionalGeneration(LlavaConfig.from_pretrained(run / "model", trust_remote_code=False))
    lvlm.model.vision_tower.apply(lvlm.model.vision_tower._init_weights)  # what is the package's, and not saved
    pocket = Pocket(lvlm, pocket_head.DetectionHead(labels))
    pocket.load_state_dict(state["pocket"], strict=False)
    return pocket.eval(), words


@torch.no_grad()
def padded(lvlm, block: int = BLOCK):
    """The same function with the MLP width rounded up by zeros to quantization blocks (864 -> 896).

    Without it `down_proj` could not be 4-bit on the CPU (`quantize.uneven_layers`). Zero rows of gate and up give
    zeros, which meet zero columns of down.
    """
    width = lvlm.config.text_config.intermediate_size
    extra = -width % block
    if not extra:
        return lvlm
    config = copy.deepcopy(lvlm.config)
    config.text_config.intermediate_size = width + extra
    state = lvlm.state_dict()
    for name, value in state.items():
        if name.endswith(("gate_proj.weight", "up_proj.weight")):
            state[name] = torch.nn.functional.pad(value, (0, 0, 0, extra))
        elif name.endswith("down_proj.weight"):
            state[name] = torch.nn.functional.pad(value, (0, extra))
    wide = type(lvlm)(config)
    wide.load_state_dict(state)
    return wide.eval()


def image_processor():
    """Squashes a photo to 256 x 256 (bicubic) and scales it to (-1, 1)."""
    from transformers import ViTImageProcessorPil

    return ViTImageProcessorPil(
        do_resize=True, size={"height": 256, "width": 256}, resample=3, do_rescale=True, do_normalize=True,
        image_mean=[0.5] * 3, image_std=[0.5] * 3,
    )  # fmt: skip


def export(pocket: Pocket, words, folder: Path) -> None:
    """Writes model shards (float16 safetensors under 10 MB), tokenizer, image processor and detector."""
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("model*.safetensors*"):
        stale.unlink()
    lvlm = padded(pocket.lvlm)
    lvlm.generation_config.eos_token_id = words.eos_token_id
    lvlm.generation_config.pad_token_id = words.pad_token_id
    lvlm.generation_config.bos_token_id = words.bos_token_id
    lvlm.config.vision_config.dropout = 0.0
    lvlm.config.text_config.attention_dropout = 0.0
    pocket_model.save(lvlm, folder)
    words.save_pretrained(folder)
    image_processor().save_pretrained(folder)
    pocket_head.save(pocket.head, folder, {label: 0.5 for label in pocket.head.labels}, {})
