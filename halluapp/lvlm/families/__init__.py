"""The families of LVLMs that can be loaded: one file each, and one line here. See docs/add-a-model-family.md."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from halluapp.lvlm.base import LVLM


class Family(NamedTuple):
    """Names of a module in this folder, of its subclass of LVLM, and of the model's class in transformers."""

    module: str
    lvlm: str
    architecture: str

    def lvlm_class(self) -> type[LVLM]:
        return getattr(import_module(f"{__name__}.{self.module}"), self.lvlm)

    def architecture_class(self) -> Any:
        import transformers

        return getattr(transformers, self.architecture)


# By model_type of config.json, or by that and the vision tower's. Modules are imported at their first use.
FAMILIES = {
    "llava": Family("llava", "Llava", "LlavaForConditionalGeneration"),
    "llava/pixtral": Family("pixtral", "Pixtral", "LlavaForConditionalGeneration"),
    "mistral3": Family("pixtral", "Mistral3", "Mistral3ForConditionalGeneration"),
    "vipllava": Family("vip_llava", "VipLlava", "VipLlavaForConditionalGeneration"),
    "llava_next": Family("llava_next", "LlavaNext", "LlavaNextForConditionalGeneration"),
    "llava_onevision": Family("llava_next", "LlavaOnevision", "LlavaOnevisionForConditionalGeneration"),
    "internvl": Family("internvl", "InternVL", "InternVLForConditionalGeneration"),
    "gemma3": Family("gemma3", "Gemma3", "Gemma3ForConditionalGeneration"),
    "aya_vision": Family("aya_vision", "AyaVision", "AyaVisionForConditionalGeneration"),
    "qwen2_vl": Family("qwen_vl", "Qwen2VL", "Qwen2VLForConditionalGeneration"),
    "qwen2_5_vl": Family("qwen_vl", "Qwen25VL", "Qwen2_5_VLForConditionalGeneration"),
    "qwen3_vl": Family("qwen_vl", "Qwen3VL", "Qwen3VLForConditionalGeneration"),
    "qwen3_vl_moe": Family("qwen_vl", "Qwen3VLMoe", "Qwen3VLMoeForConditionalGeneration"),
    "glm4v": Family("qwen_vl", "Glm4v", "Glm4vForConditionalGeneration"),
    "glm46v": Family("qwen_vl", "Glm4v", "Glm46VForConditionalGeneration"),
    "instructblip": Family("instructblip", "InstructBlip", "InstructBlipForConditionalGeneration"),
    "smolvlm": Family("smolvlm", "SmolVLM", "SmolVLMForConditionalGeneration"),
    "idefics3": Family("smolvlm", "SmolVLM", "Idefics3ForConditionalGeneration"),
    "idefics2": Family("idefics2", "Idefics2", "Idefics2ForConditionalGeneration"),
}
