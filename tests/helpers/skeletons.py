"""Skeletons of published checkpoints: their real small files, a shrunk configuration, random weights.

The files lie beside the checkout in `shared/checkpoints` and are never part of the project; without them the tests that
need them are skipped.
"""

from __future__ import annotations

import copy
import importlib.util
import tempfile
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import save_file
from transformers.models.smolvlm import processing_smolvlm
from transformers.processing_utils import ProcessorMixin

from halluapp.lvlm import catalog
from halluapp.lvlm.base import LVLM, HalluSpace

SOURCE = Path(__file__).resolve().parents[3] / "shared" / "checkpoints"
# Folder -> class of transformers' processor.
VISION_LANGUAGE = {
    "llava-hf--llava-1.5-7b-hf": "LlavaProcessor",
    "llava-hf--llava-v1.6-mistral-7b-hf": "LlavaNextProcessor",
    "Qwen--Qwen2.5-VL-3B-Instruct": "Qwen2_5_VLProcessor",
    "Qwen--Qwen3-VL-8B-Instruct": "Qwen3VLProcessor",
    "HuggingFaceTB--SmolVLM-256M-Instruct": "SmolVLMProcessor",
    "ibm-granite--granite-docling-258M": "Idefics3Processor",
}
_home = tempfile.TemporaryDirectory(prefix="halluapp-skeletons-")


def source(name: str) -> Path:
    """The small files of a published checkpoint; the test is skipped where they are not."""
    if not (SOURCE / name / "config.json").is_file():
        pytest.skip(f"the small files of {name} are not beside this checkout")
    return SOURCE / name


@cache
def skeleton(name: str) -> Path:
    """A checkpoint folder made by `make_skeleton.py`, with a HalluSpace and a projector beside its weights."""
    folder, target = source(name), Path(_home.name) / name
    spec = importlib.util.spec_from_file_location("make_skeleton", SOURCE / "make_skeleton.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with patch("sys.argv", ["make_skeleton.py", str(folder), str(target), "--layers", "2"]):
        module.main()
    lvlm = catalog.load(str(target), "none", "cpu", Path("/nowhere"))[0]
    width = lvlm.decoder.get_input_embeddings().weight.shape[1]
    torch.manual_seed(0)
    space = {layer: torch.linalg.qr(torch.randn(width, 8))[0] for layer in range(len(lvlm.layers))}
    catalog.save_space(HalluSpace(space, {"pairs": 0}), target / "hallu_space.safetensors")
    projector = copy.deepcopy(lvlm.base_projector).state_dict()
    save_file({key: 1.1 * value for key, value in projector.items()}, target / "projector-adavib.safetensors")
    return target


@cache
def lvlm(name: str, quantization: str) -> LVLM:
    """The skeleton loaded as any checkpoint is."""
    return fresh(name, quantization)


def fresh(name: str, quantization: str) -> LVLM:
    """The same, loaded once more."""
    return catalog.load(str(skeleton(name)), quantization, "cpu", Path("/nowhere"))[0]


def photo() -> Image.Image:
    """Coloured blocks in a shape that is cut into tiles."""
    colours = torch.randint(0, 256, (6, 8, 3), generator=torch.Generator().manual_seed(5), dtype=torch.uint8)
    return Image.fromarray(colours.numpy()).resize((420, 300), Image.Resampling.NEAREST)


def processor(name: str):
    """transformers' own processor of the real files; video processors, which need more packages, are left out."""
    folder, kind = skeleton(name), VISION_LANGUAGE[name]
    if kind.startswith("Llava"):
        return transformers.AutoProcessor.from_pretrained(folder)
    words = transformers.AutoTokenizer.from_pretrained(folder)
    images = transformers.AutoImageProcessor.from_pretrained(folder)
    values = ProcessorMixin.get_processor_dict(folder)[0]
    options = {"chat_template": values["chat_template"]}
    if "image_seq_len" in values:
        options["image_seq_len"] = values["image_seq_len"]
    arguments = (images, words) if kind == "Idefics3Processor" else (images, words, None)
    with unchecked():
        return getattr(transformers, kind)(*arguments, **options)


@contextmanager
def unchecked():
    """Lets a processor be made without its video processor, and SmolVLM's without a package that counts frames."""
    with (
        patch.object(ProcessorMixin, "check_argument_for_proper_class", lambda *_: None),
        patch.object(processing_smolvlm, "num2words", lambda number: str(number)),
    ):
        yield


def inputs(name: str, prompt: str) -> dict[str, torch.Tensor]:
    """Model inputs of the photo and a prompt, by transformers alone."""
    theirs, content = processor(name), [{"type": "image"}, {"type": "text", "text": prompt}]
    text = theirs.tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], chat_template=theirs.chat_template, tokenize=False,
        add_generation_prompt=True,
    )  # fmt: skip
    with unchecked():
        results = theirs(images=photo(), text=text, return_tensors="pt")
    return {key: value for key, value in results.items() if isinstance(value, torch.Tensor)}
