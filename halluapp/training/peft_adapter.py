"""QLoRA: a low-rank adapter of peft on the 4-bit language model, for training only.

In decoding the model is never wrapped; there `lvlm.adapters` reads what is saved here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from halluapp.data.files import atomic_write, write_text
from halluapp.lvlm.base import LVLM
from halluapp.training.recipes import TARGETS, Lora

ADAPTER_NAME = "default"


def wrap(lvlm: LVLM, recipe: Lora, tower_layers: Sequence[str] = (), language: bool = True):
    """Puts a fresh adapter (B = 0) into the model's language layers, in place -> the PeftModel around it.

    seen_through: full names of further layers, those of the vision tower; language: False for these alone. Everything
    else is frozen. `unwrap` undoes it.
    """
    from peft import LoraConfig, get_peft_model

    names = "|".join(TARGETS[recipe.targets])
    decoder = next(name for name, module in lvlm.model.named_modules() if module is lvlm.decoder)
    # Below the decoder's own name: towers have layers of the same names.
    patterns = [rf"{re.escape(decoder)}\..*\.({names})"] if language else []
    patterns += [re.escape(name) for name in tower_layers]
    config = LoraConfig(
        r=recipe.rank, lora_alpha=recipe.alpha, lora_dropout=recipe.dropout, bias="none",
        target_modules="|".join(patterns),
    )  # fmt: skip
    torch.manual_seed(recipe.seed)
    return get_peft_model(lvlm.model, config)


def unwrap(lvlm: LVLM, wrapped) -> None:
    """Takes the adapter out again: the model is the one that was wrapped, its weights untouched."""
    lvlm.model = wrapped.unload().eval()


@contextmanager
def reference(wrapped) -> Iterator[None]:
    """The same quantized model with the adapter off: the frozen reference of preference losses, at no memory."""
    if wrapped is None:
        yield
        return
    with wrapped.disable_adapter():
        yield


def trainable_parameters(wrapped) -> list[nn.Parameter]:
    """The adapter's parameters, in a stable order."""
    return [parameter for _, parameter in sorted(wrapped.named_parameters()) if parameter.requires_grad]


def save(folder: Path, wrapped=None, projector: nn.Module | None = None, about: dict | None = None) -> None:
    """Writes a folder that `lvlm.adapters.load` reads: peft's two files, projector.safetensors, about.json.

    Each file is written beside its place and then moved there, so that a killed run leaves whole files.
    """
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    from halluapp.lvlm import adapters

    folder.mkdir(parents=True, exist_ok=True)
    if wrapped is not None:
        state = {key: value.detach().cpu().contiguous() for key, value in get_peft_model_state_dict(wrapped).items()}
        config = wrapped.peft_config[ADAPTER_NAME].to_dict()
        config["base_model_name_or_path"] = (about or {}).get("model", "")
        config["inference_mode"] = True
        plain = {key: sorted(value) if isinstance(value, set) else value for key, value in config.items()}
        with atomic_write(folder / adapters.WEIGHTS) as partial:
            save_file(state, partial)
            write_text(folder / adapters.CONFIG, json.dumps(plain, indent=1, default=str, sort_keys=True))
    if projector is not None:
        state = {
            key: value.detach().cpu().to(torch.float16).contiguous() for key, value in projector.state_dict().items()
        }
        with atomic_write(folder / adapters.PROJECTOR) as partial:
            save_file(state, partial)
    write_text(folder / "about.json", json.dumps(about or {}, indent=1))
