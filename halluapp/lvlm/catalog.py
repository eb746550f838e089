"""The catalogue of checkpoints, which of them fits the memory, and the one entrance to all models: `load`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from halluapp.data.files import is_hub_id
from halluapp.errors import InputError, quotation
from halluapp.lvlm import quantize, random_weights
from halluapp.lvlm.base import EMBEDDED, LVLM
from halluapp.lvlm.loading import load_checkpoint
from halluapp.lvlm.sidecar_files import attach, load_projector, load_space, save_space
from halluapp.lvlm.weights import placement
from halluapp.lvlm.weights.memory import GIGABYTE, dense_bytes, device_of, estimate, free_memory, free_on_cards
from halluapp.lvlm.weights.placement import Placement

__all__ = ["CATALOG", "CatalogModel", "automatic", "find", "load", "load_projector", "load_space", "recommend",
           "save_space"]  # fmt: skip


@dataclass(frozen=True)
class CatalogModel:
    """A checkpoint on the hub. weights, quantized: parameters in all and those that NF4 reaches, in billions."""

    id: str
    family: str
    licence: str
    weights: float
    quantized: float

    def bytes(self, quantization: str, dense_bytes: float = 2.0) -> int:
        """Estimate of the memory it needs to start with, from its parameter counts (`weights.memory.estimate`)."""
        return estimate(GIGABYTE * self.weights, GIGABYTE * self.quantized, quantization, dense_bytes)

    @property
    def page(self) -> str:
        """Address of its model card."""
        return f"https://huggingface.co/{self.id}"


LLAMA, APACHE = "Llama 2 Community Licence", "Apache-2.0"
CARD = "see its card"  # of which no copy was at hand when this was written
# Best first where several fit: LLaVA-1.5 is what the methods' papers measure on.
CATALOG = (
    CatalogModel("llava-hf/llava-1.5-13b-hf", "llava", LLAMA, 13.351, 12.688),
    CatalogModel("llava-hf/llava-1.5-7b-hf", "llava", LLAMA, 7.063, 6.476),
    CatalogModel("llava-hf/llava-v1.6-mistral-7b-hf", "llava_next", APACHE, 7.567, 6.979),
    CatalogModel("Qwen/Qwen3-VL-8B-Instruct", "qwen3_vl", APACHE, 8.767, 6.946),
    CatalogModel("Qwen/Qwen3-VL-4B-Instruct", "qwen3_vl", APACHE, 4.438, 3.633),
    CatalogModel("Qwen/Qwen3-VL-2B-Instruct", "qwen3_vl", APACHE, 2.128, 1.409),
    CatalogModel("Qwen/Qwen2.5-VL-7B-Instruct", "qwen2_5_vl", APACHE, 8.292, 6.525),
    CatalogModel("Qwen/Qwen2.5-VL-3B-Instruct", "qwen2_5_vl", "Qwen Research Licence", 3.755, 2.775),
    CatalogModel("HuggingFaceM4/Idefics3-8B-Llama3", "idefics3", APACHE, 8.462, 6.979),
    CatalogModel("HuggingFaceTB/SmolVLM-Instruct", "smolvlm", APACHE, 2.246, 1.611),
    CatalogModel("HuggingFaceTB/SmolVLM-500M-Instruct", "smolvlm", APACHE, 0.507, 0.315),
    CatalogModel("HuggingFaceTB/SmolVLM-256M-Instruct", "smolvlm", APACHE, 0.256, 0.106),
    CatalogModel("Salesforce/instructblip-vicuna-7b", "instructblip", "LLaMA and Vicuna terms, research", 7.913, 6.476),
    CatalogModel("Qwen/Qwen2-VL-7B-Instruct", "qwen2_vl", APACHE, 8.291, 6.525),
    CatalogModel("Qwen/Qwen2-VL-2B-Instruct", "qwen2_vl", APACHE, 2.209, 1.310),
    CatalogModel("Qwen/Qwen3-VL-30B-A3B-Instruct", "qwen3_vl_moe", CARD, 31.071, 0.906),
    CatalogModel("zai-org/GLM-4.1V-9B-Thinking", "glm4v", CARD, 10.293, 8.158),
    CatalogModel("zai-org/GLM-4.6V-Flash", "glm46v", CARD, 10.293, 8.158),
    CatalogModel("OpenGVLab/InternVL3-8B-hf", "internvl", CARD, 7.944, 6.525),
    CatalogModel("OpenGVLab/InternVL3-2B-hf", "internvl", CARD, 2.089, 1.310),
    CatalogModel("OpenGVLab/InternVL3-1B-hf", "internvl", CARD, 0.938, 0.358),
    CatalogModel("google/gemma-3-4b-it", "gemma3", CARD, 4.300, 3.209),
    CatalogModel("CohereLabs/aya-vision-8b", "aya_vision", CARD, 8.468, 6.979),
    CatalogModel("llava-hf/llava-onevision-qwen2-7b-ov-hf", "llava_onevision", CARD, 8.031, 6.525),
    CatalogModel("llava-hf/llava-onevision-qwen2-0.5b-ov-hf", "llava_onevision", CARD, 0.894, 0.358),
    CatalogModel("llava-hf/vip-llava-7b-hf", "vipllava", CARD, 7.080, 6.476),
    CatalogModel("mistral-community/pixtral-12b", "llava/pixtral", CARD, 12.683, 10.905),
    CatalogModel("mistralai/Mistral-Small-3.1-24B-Instruct-2503", "mistral3", CARD, 24.011, 22.230),
    CatalogModel("HuggingFaceM4/idefics2-8b", "idefics2", CARD, 8.403, 6.979),
)
# What "auto" tries, in this order; below the last of them it is the embedded model.
DEFAULTS = ("llava-hf/llava-1.5-7b-hf", "Qwen/Qwen3-VL-4B-Instruct", "HuggingFaceTB/SmolVLM-Instruct")


def find(model: str) -> CatalogModel | None:
    """The entry of a hub id; None for what is not in the catalogue."""
    return next((entry for entry in CATALOG if entry.id == model), None)


def recommend(free_bytes: int, quantization: str = "nf4", dense: float = 2.0) -> str:
    """The id of the model to start with when so much GPU memory is free; "pocket" when none fits (estimates).

    dense: bytes of a weight that is not quantized.
    """
    models = {model.id: model for model in CATALOG}
    return next((id for id in DEFAULTS if models[id].bytes(quantization, dense) <= free_bytes), "pocket")


def automatic(device: str = "auto", quantization: str = "nf4", dtype: str = "auto", spread: bool = False) -> str:
    """The model that "auto" means: what fits the GPU; on a CPU only the embedded one answers while one waits.

    spread: over all cards, though not over main memory, from which each token would fetch it.
    """
    free, on_gpu = free_memory(device)
    free = sum(free_on_cards()) if spread and on_gpu else free
    return recommend(free, quantization, dense_bytes(dtype, on_gpu)) if on_gpu else "pocket"


def load(
    model: str, quantization: str, device: str, assets: Path, dtype: str = "auto", spread: Placement | None = None
) -> tuple[LVLM, str]:
    """Loads a model -> (LVLM, notice for the person, "" if there is nothing to say).

    model: "pocket", "auto" (what fits the GPU), "random:NAME" (`random_weights`), a hub id or a folder. device: where,
    "auto" by free memory (`weights.memory.device_of`). dtype: of the weights that are not quantized, "auto" by the
    device. spread: over several devices; None: on one. Raises InputError with one sentence.
    """
    from halluapp.lvlm.families import pocket

    if quantization not in quantize.CHOICES:
        raise InputError(f"The quantization {quotation(quantization)} is not known; use nf4, int8 or none.")
    if model == "auto":
        model = automatic(device, quantization, dtype, spread is not None)
    device = device_of(device).partition(":")[0] if spread and device == "auto" else device_of(device)
    if model.startswith(random_weights.PREFIX):
        name = model.removeprefix(random_weights.PREFIX)
        lvlm = random_weights.build(name, quantization, device, assets, dtype, spread)
        return lvlm, placement.notice(lvlm.model)
    embedded = model == "pocket"
    if embedded and not (assets / "pocket" / "config.json").exists():
        raise InputError("The embedded model is missing from assets/pocket; get the project with its assets folder.")
    if not embedded and not Path(model).is_dir() and not is_hub_id(model):
        raise InputError(
            f"The model {model} could not be loaded (this is neither a folder nor a name on the hub, OWNER/NAME); "
            "check the name or folder, or use the embedded model: --model pocket"
        )
    pocket.register()
    spread = None if embedded else spread  # it is small, and its trunk lies in a package
    source = str(assets / "pocket") if embedded else model
    lvlm, notice = load_checkpoint(source, EMBEDDED if embedded else model, quantization, device, dtype, spread)
    attach(lvlm, Path(source), assets / Path(lvlm.folder).name)
    return lvlm, notice
