"""The models we know and how each is loaded: the embedded pocket LVLM, and LLaVA checkpoints by id or folder."""

from __future__ import annotations

import json
from logging import ERROR, getLogger
from pathlib import Path

import torch
from safetensors import SafetensorError

from halluapp.errors import InputError
from halluapp.lvlm import adapters, quantize
from halluapp.lvlm.base import LVLM, HalluSpace
from halluapp.lvlm.llava import Llava


def load(model: str, quantization: str, device: str, assets: Path) -> tuple[LVLM, str]:
    """Loads a model -> (LVLM, notice for the person, "" if there is nothing to say).

    model: "pocket", a hub id or a folder. Raises InputError with one sentence when it cannot be loaded.
    """
    if quantization not in ("nf4", "none"):
        raise InputError(f"The quantization {quantization!r} is not known; use nf4 or none.")
    pocket = model == "pocket"
    source = assets / "pocket" if pocket else model
    if pocket and not (assets / "pocket" / "config.json").exists():
        raise InputError("The embedded model is missing from assets/pocket; get the project with its assets folder.")
    notice = ""
    if quantization == "nf4" and not quantize.available():
        quantization, notice = "none", "bitsandbytes is not installed, so the model runs unquantized."
    lvlm = _load_llava(source, model, quantization, _device(device), pocket)
    _attach(lvlm, Path(source))
    return lvlm, notice


def _device(device: str) -> str:
    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device


def _load_llava(source, name: str, quantization: str, device: str, pocket: bool) -> Llava:
    from transformers import AutoConfig, AutoImageProcessor, AutoTokenizer, LlavaForConditionalGeneration
    from transformers.utils import logging

    logging.set_verbosity_error()  # load reports and progress bars are noise between lines of results
    logging.disable_progress_bar()
    getLogger("bitsandbytes").setLevel(ERROR)  # it reports each start that an optional package is missing
    from halluapp.pocket import model as pocket_model

    pocket_model.register()
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    options = {"dtype": dtype, "device_map": device}
    try:
        config = AutoConfig.from_pretrained(source)
        if config.model_type != "llava":
            raise InputError(f"{name} is a {config.model_type} model; only LLaVA checkpoints can be loaded.")
        if quantization == "nf4":
            options["quantization_config"] = quantize.nf4_config(dtype, config.text_config)
        model, read = LlavaForConditionalGeneration.from_pretrained(source, output_loading_info=True, **options)
        if lacking := sorted(read["missing_keys"]):  # transformers would go on with random weights in their place
            raise InputError(f"The checkpoint {name} lacks {len(lacking)} weights, {lacking[0]} among them.")
        tokenizer = AutoTokenizer.from_pretrained(source)
        processor = AutoImageProcessor.from_pretrained(source)
    except InputError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(
            f"The model {name} could not be loaded ({reason}); check the name or folder and the network, "
            "or use the embedded model: --model pocket"
        ) from error
    if device == "cpu":
        quantize.keep_portable_layout(model)
    return Llava(model, tokenizer, processor, "halluapp-pocket" if pocket else name, quantization)


def _attach(lvlm: LVLM, folder: Path) -> None:
    """Loads what lies beside a checkpoint: hallu_space.safetensors, projector-NAME.safetensors, adapters/NAME/."""
    for path in sorted(folder.glob("adapters/*/")):
        lvlm.adapters[path.name] = adapters.load(lvlm, path)
    for path in sorted([*folder.glob("hallu_space.safetensors"), *folder.glob("projector-*.safetensors")]):
        try:
            if path.stem == "hallu_space":
                lvlm.spaces["default"] = load_space(path)
            else:
                lvlm.projectors[path.stem.removeprefix("projector-")] = adapters.load_projector(lvlm, path)
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise InputError(
                f"{path.name} beside the model {lvlm.name} is damaged or made for another model; remove or replace it."
            ) from error


def load_space(path: Path) -> HalluSpace:
    """Reads a HalluSpace file: tensors "layers.I" [D, K], metadata "about" (JSON)."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        about = json.loads((file.metadata() or {}).get("about", "{}"))
        layers = {int(key.removeprefix("layers.")): file.get_tensor(key).float() for key in file.keys()}
    if not layers:
        raise ValueError("no layers")
    return HalluSpace(layers, about)


def save_space(space: HalluSpace, path: Path) -> None:
    """Writes a HalluSpace file that `load_space` reads."""
    from safetensors.torch import save_file

    tensors = {f"layers.{layer}": directions.float().contiguous() for layer, directions in space.layers.items()}
    save_file(tensors, path, metadata={"about": json.dumps(space.about)})
