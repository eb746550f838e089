"""GPU memory of a CHiP step, from the shapes of a model alone: no weights, no GPU.

The language model is built from its configuration on PyTorch's meta device, wrapped by peft and run; hooks count the
tensors that autograd saves for the backward pass. RESERVE stands for what shapes do not tell: gaps of the allocator and
work space of kernels.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from halluapp.errors import InputError
from halluapp.training.methods.chip_recipe import ChipRecipe
from halluapp.training.recipes import TARGETS

GIB = 2**30
NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)  # a nibble, a scale of 8 bits a block of 64, a scale of those a 256 blocks
RESERVE = 0.8 * GIB  # CUDA context, cuBLAS and bitsandbytes' decoded matrix, fragments


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes. weights: the packed model; adapter: LoRA weights, gradients and Adam's moments in float32; activations:
    kept for the backward pass (by a trained tower too); logits: of policy and reference where words are; reserve: an
    allowance."""

    weights: float
    adapter: float
    activations: float
    logits: float
    reserve: float = RESERVE

    @property
    def total(self) -> float:
        """Sum of all parts, bytes."""
        return sum(getattr(self, item.name) for item in fields(self))

    def table(self) -> str:
        """The parts as text, one a line, in GiB."""
        parts = {item.name: getattr(self, item.name) for item in fields(self)} | {"total": self.total}
        return "\n".join(f"{name:<12}{value / GIB:8.2f} GiB" for name, value in parts.items())


def plan_memory(
    config: Any, recipe: ChipRecipe, prefix: int = 640, answer: int = 120, quantization: str = "nf4"
) -> MemoryPlan:
    """config: of a LLaVA-class model (transformers); prefix, answer: tokens of photo with question, and of an answer.

    Raises InputError for a configuration that no training run knows.
    """
    if config.model_type != "llava":
        raise InputError(f"The memory plan knows LLaVA-class models only; this one is a {config.model_type}.")
    one_layer, two_layers = (_layer_bytes(config, recipe, count, prefix, answer) for count in (1, 2))
    depth, width = config.text_config.num_hidden_layers, config.text_config.hidden_size
    layer, outside_layers = two_layers - one_layer, one_layer - (two_layers - one_layer)
    rows, length = _batch_shape(recipe, prefix, answer)
    if recipe.checkpointing:  # the input of every layer is kept, and one layer at a time is computed again
        activations = outside_layers + layer + depth * rows[0] * length * width * 2
    else:
        activations = outside_layers + depth * layer
    size = _adapter_size(config, recipe)
    if recipe.vision:
        photo, adapter_of_tower = _tower_bytes(config, recipe)
        size += adapter_of_tower
        activations += photo if recipe.checkpointing else photo * rows[0]  # a row has an image of its own
    return MemoryPlan(
        weights=_weight_bytes(config, quantization), adapter=16 * size, activations=activations,
        logits=_logit_bytes(config, recipe, answer),
    )  # fmt: skip


def _batch_shape(recipe: ChipRecipe, prefix: int, answer: int) -> tuple[tuple[int, int], int]:
    """(rows, answers), tokens of the longest row: as `methods.chip` packs them."""
    clean, blind = recipe.batch, recipe.batch if recipe.visual else 0
    return (clean + blind, 2 * clean + blind), prefix + 2 * answer


def _weight_bytes(config, quantization: str) -> float:
    import transformers

    with torch.device("meta"):
        model = transformers.LlavaForConditionalGeneration._from_config(config, dtype=torch.bfloat16)
    packed = sum(
        module.weight.numel()
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and ".language_model." in f".{name}."
    )
    whole = sum(parameter.numel() for parameter in model.parameters())
    each = {"nf4": NF4_BYTES, "none": 2.0}[quantization]
    return each * packed + 2.0 * (whole - packed)


def _adapter_size(config, recipe: ChipRecipe) -> int:
    """Parameters of the LoRA matrices."""
    text = config.text_config
    head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    query_width, key_width = head * text.num_attention_heads, head * text.num_key_value_heads
    sides = {
        "q_proj": text.hidden_size + query_width,
        "k_proj": text.hidden_size + key_width,
        "v_proj": text.hidden_size + key_width,
        "o_proj": query_width + text.hidden_size,
        "gate_proj": text.hidden_size + text.intermediate_size,
        "up_proj": text.hidden_size + text.intermediate_size,
        "down_proj": text.intermediate_size + text.hidden_size,
    }
    return recipe.rank * text.num_hidden_layers * sum(sides[name] for name in TARGETS[recipe.targets])


def _layer_bytes(config, recipe: ChipRecipe, count: int, prefix: int, answer: int, device: str = "meta") -> int:
    """Bytes that the backward pass of `count` layers needs."""
    import transformers
    from peft import LoraConfig, get_peft_model

    text = copy.deepcopy(config.text_config)
    text.num_hidden_layers, text.vocab_size = count, 8
    text.pad_token_id = None
    (rows, _), length = _batch_shape(recipe, prefix, answer)
    with torch.device(device):
        model = transformers.AutoModel.from_config(text, dtype=torch.bfloat16)
        model.requires_grad_(False)
        lora = LoraConfig(r=recipe.rank, lora_alpha=recipe.alpha, target_modules=list(TARGETS[recipe.targets]))
        wrapped = get_peft_model(model, lora)
        embeds = torch.zeros(rows, length, text.hidden_size, dtype=torch.bfloat16)
        mask = torch.ones(rows, 1, length, length, dtype=torch.bool)
        positions = torch.zeros(rows, length, dtype=torch.long)
        inputs = {"inputs_embeds": embeds, "attention_mask": mask, "position_ids": positions, "use_cache": False}
        # The kernels for masks on a GPU keep a number a query, not the matrix of scores that this device would keep.
        scores = rows * text.num_attention_heads * length * 4
        return saved_bytes(lambda: wrapped(**inputs), wrapped.parameters(), (length, length)) + count * scores


def _tower_bytes(config, recipe: ChipRecipe, device: str = "meta") -> tuple[int, int]:
    """Bytes that the backward pass of a trained tower needs for one photo, and the parameters of its LoRA matrices."""
    import transformers
    from peft import LoraConfig, get_peft_model

    vision, read = copy.deepcopy(config.vision_config), config.vision_feature_layer
    depth = vision.num_hidden_layers
    vision.num_hidden_layers = max(x if x >= 0 else depth + 1 + x for x in ([read] if isinstance(read, int) else read))
    with torch.device(device):
        model = transformers.AutoModel.from_config(vision, dtype=torch.bfloat16).requires_grad_(False)
        linears = {name: part for name, part in model.named_modules() if isinstance(part, torch.nn.Linear)}
        wrapped = get_peft_model(model, LoraConfig(r=recipe.rank, lora_alpha=recipe.alpha, target_modules=[*linears]))
        pixels = torch.zeros(1, 3, vision.image_size, vision.image_size, dtype=torch.bfloat16)
        tokens = (vision.image_size // vision.patch_size) ** 2 + 1  # with CLS
        scores = vision.num_hidden_layers * vision.num_attention_heads * tokens * 4
        activations = saved_bytes(lambda: wrapped(pixel_values=pixels), wrapped.parameters(), (tokens, tokens)) + scores
    return activations, recipe.rank * sum(part.in_features + part.out_features for part in linears.values())


def saved_bytes(forward: Callable[[], Any], parameters, ignored_shape: tuple[int, int] = (-1, -1)) -> int:
    """Bytes of the distinct tensors that autograd keeps in `forward`, without parameters and left_out's shape."""
    parameter_storages = {parameter.untyped_storage()._cdata for parameter in parameters}
    tensors: dict[int, Tensor] = {}  # the tensors themselves, so that no storage is freed and its address used again

    def pack(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage()._cdata not in parameter_storages and tuple(tensor.shape[-2:]) != ignored_shape:
            tensors[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        output = forward()
    total = sum(tensor.untyped_storage().nbytes() for tensor in tensors.values())
    del output
    return total


def _logit_bytes(config, recipe: ChipRecipe, answer: int, share: int = 8) -> float:
    """Bytes of all logits and what the loss keeps of them, measured on 1/share of the vocabulary with the real loss."""
    from halluapp.training.batches.packed_forward import AnswerStates
    from halluapp.training.methods.chip import preference_loss

    vocabulary = config.text_config.vocab_size // share
    (_, answers), _ = _batch_shape(recipe, 0, answer)
    count = answers * answer
    states = AnswerStates(torch.zeros(answers, answer, 1), torch.zeros(answers, answer, dtype=torch.long),
                torch.ones(answers, answer, dtype=torch.bool))  # fmt: skip
    head = torch.zeros(count, vocabulary, dtype=torch.bfloat16, requires_grad=True)
    reference = torch.zeros(count, vocabulary)
    changed = torch.zeros(answers, answer, dtype=torch.bool)
    loss_bytes = saved_bytes(lambda: preference_loss(recipe, head.float(), reference, states, changed), [])
    head_bytes = head.numel() * 2 + head.numel() * 4  # the head's output, and its gradient in float32
    return share * (loss_bytes + head_bytes + reference.numel() * 4)
