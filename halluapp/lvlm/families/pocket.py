"""The pocket LVLM: a `LlavaForConditionalGeneration` small enough to ship, built from the classes of the 7B models.

photo [B, 3, 256, 256] -> trunk (frozen, from a package) -> neck -> visual tokens [B, 70, 320] -> projector -> Llama.
Of the tokens, 64 are patches of the photo, row by row; the last six say what the trunk's own classifier sees in it.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    AutoConfig,
    AutoModel,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import BaseModelOutputWithPooling

from halluapp.efficientnet import CLASSES, COARSE_CHANNELS, FINE_CHANNELS, Classifier, Trunk

WIDTH = 320
# Where the classifier looks, as x0, y0, x1, y1 in 0..1: the whole photo, its quarters and its middle.
REGIONS = (
    (0, 0, 1, 1), (0, 0, 0.5, 0.5), (0.5, 0, 1, 0.5), (0, 0.5, 0.5, 1), (0.5, 0.5, 1, 1), (0.25, 0.25, 0.75, 0.75),
)  # fmt: skip


class PocketVisionConfig(PreTrainedConfig):
    """Shape of the pocket vision tower: `image_size` pixels, one token of `hidden_size` a patch of 32 x 32 pixels.

    class_regions: for how many of REGIONS a further token holds what the trunk's classifier sees (0: none).
    """

    model_type = "pocket_vision"
    base_config_key = "vision_config"

    def __init__(
        self, hidden_size=WIDTH, image_size=256, patch_size=32, layers=2, heads=5, dropout=0.0, trunk=True,
        class_regions=0, **kwargs,
    ):  # fmt: skip
        super().__init__(**kwargs)
        self.class_regions = class_regions
        self.hidden_size, self.image_size, self.patch_size = hidden_size, image_size, patch_size
        self.layers, self.heads, self.dropout, self.trunk = layers, heads, dropout, trunk
        self.num_hidden_layers, self.num_attention_heads = layers, heads


class Block(nn.TransformerEncoderLayer):
    """PyTorch's pre-norm layer, [B, T, D] -> [B, T, D], with every linear layer called as a module.

    PyTorch's own forward reads weights past their modules (the output of attention always, all of them in its fused
    path), and so past a hook or an adapter on them. Bit by bit the same where that path is not taken.
    """

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # no masks: every token attends to every other
        y, attention = self.norm1(x), self.self_attn
        qkv = functional.linear(y, attention.in_proj_weight, attention.in_proj_bias)
        q, k, v = qkv.unflatten(-1, (3, attention.num_heads, -1)).permute(
            2, 0, 3, 1, 4
        )  # [B, heads, T, D / heads] each
        x = x + attention.out_proj(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return x + self.linear2(self.activation(self.linear1(self.norm2(x))))


class ClassTokens(nn.Module):
    """The trunk's coarse map [B, 352, G, G] -> a token [B, regions, D] of what its classifier sees in each region.

    token = classes p + position, with p the ImageNet posterior [1000] of the region. `trunk` is the package's: frozen
    and, like the trunk itself, never saved.
    """

    def __init__(self, config: PocketVisionConfig):
        super().__init__()
        self.regions = REGIONS[: config.class_regions]
        self.trunk = Classifier()
        self.classes = nn.Linear(CLASSES, config.hidden_size, bias=False)
        self.position = nn.Parameter(torch.zeros(len(self.regions), config.hidden_size))

    def posterior(self, coarse: Tensor) -> Tensor:
        """The classifier's probabilities [B, regions, 1000]."""
        with torch.no_grad():
            maps = self.trunk.features(coarse)
            size = maps.shape[-1]
            pooled = torch.stack(
                [
                    maps[..., round(y0 * size) : round(y1 * size), round(x0 * size) : round(x1 * size)].mean((2, 3))
                    for x0, y0, x1, y1 in self.regions
                ],
                1,
            )
            return self.trunk(pooled).float().softmax(-1)

    def embed(self, posterior: Tensor) -> Tensor:
        """Probabilities [B, regions, 1000] -> tokens [B, regions, D]."""
        return self.classes(posterior) + self.position

    def forward(self, coarse: Tensor) -> Tensor:
        return self.embed(self.posterior(coarse).to(self.classes.weight.dtype))


class Neck(nn.Module):
    """Fine [B, 120, 2G, 2G] and coarse [B, 352, G, G] features -> contextual visual tokens [B, G*G + regions, D].

    The tokens of the patches come first and know nothing of the classifier's, which every state ends with.
    """

    def __init__(self, config: PocketVisionConfig):
        super().__init__()
        grid = config.image_size // config.patch_size
        self.norm = nn.LayerNorm(COARSE_CHANNELS + 4 * FINE_CHANNELS)
        self.reduce = nn.Linear(COARSE_CHANNELS + 4 * FINE_CHANNELS, config.hidden_size)
        self.position = nn.Parameter(torch.zeros(grid * grid, config.hidden_size))
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            Block(
                config.hidden_size, config.heads, 3 * config.hidden_size, 0.0, "gelu",
                batch_first=True, norm_first=True,
            )
            for _ in range(config.layers)
        )  # fmt: skip
        self.class_tokens = ClassTokens(config) if config.class_regions else None

    def forward(self, fine: Tensor, coarse: Tensor) -> list[Tensor]:
        x = torch.cat([coarse, nn.functional.pixel_unshuffle(fine, 2)], dim=1)
        x = self.reduce(self.dropout(self.norm(x.flatten(2).transpose(1, 2)))) + self.position  # [B, G*G, D]
        states = [x]
        for block in self.blocks:
            states.append(block(states[-1]))
        if self.class_tokens is None:
            return states
        classes = self.class_tokens(coarse)
        return [torch.cat([state, classes.to(state.dtype)], 1) for state in states]


class PocketVisionModel(PreTrainedModel):
    """Vision tower of the pocket LVLM. Its trunk comes from the installed package and is never saved."""

    config_class = PocketVisionConfig
    main_input_name = "pixel_values"
    # transformers declares both on instances and reads them from the class.
    _keys_to_ignore_on_load_missing: ClassVar = [r"trunk\."]  # type: ignore[misc]
    _no_split_modules: ClassVar = ["Trunk", "Neck"]  # type: ignore[misc]

    def __init__(self, config: PocketVisionConfig):
        super().__init__(config)
        self.trunk = Trunk() if config.trunk else None
        self.neck = Neck(config)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, Trunk | Classifier):
            module.load_package()

    def features(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels [B, 3, H, W] in (-1, 1) -> the trunk's (fine, coarse) maps; shared with the detector."""
        if self.trunk is None:
            raise RuntimeError("This pocket vision tower was built without its trunk; it takes feature maps only.")
        with torch.no_grad():
            fine, coarse = self.trunk(pixel_values.to(self.trunk.stem.conv.weight.dtype))
        return fine, coarse

    def forward(self, pixel_values: Tensor, output_hidden_states: bool = False, **kwargs) -> BaseModelOutputWithPooling:
        states = self.neck(*self.features(pixel_values))
        return BaseModelOutputWithPooling(
            last_hidden_state=states[-1],
            pooler_output=states[-1].mean(1),
            hidden_states=tuple(states) if output_hidden_states else None,
        )


def register() -> None:
    """Makes `pocket_vision` known to transformers' Auto classes (idempotent)."""
    AutoConfig.register("pocket_vision", PocketVisionConfig, exist_ok=True)
    AutoModel.register(PocketVisionConfig, PocketVisionModel, exist_ok=True)


def image_tokens(vision: PocketVisionConfig) -> int:
    """How many visual tokens a photo becomes."""
    return (vision.image_size // vision.patch_size) ** 2 + vision.class_regions


def pocket_config(tokenizer, layers: int = 6, width: int = WIDTH, **vision) -> LlavaConfig:
    """The configuration of the pocket LVLM for a tokenizer (ids of <image>, <s>, </s>, <pad> are read from it)."""
    register()
    tower = PocketVisionConfig(hidden_size=width, heads=width // 64, **vision)
    padding: dict[str, Any] = {"pad_token_id": tokenizer.pad_token_id}
    text = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=(width * 27 // 10) // 32 * 32,
        num_hidden_layers=layers, num_attention_heads=width // 64, max_position_embeddings=1024,
        tie_word_embeddings=True, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    return LlavaConfig(
        vision_config=tower, text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"), vision_feature_layer=-1,
        vision_feature_select_strategy="full", image_seq_length=image_tokens(tower), projector_hidden_act="gelu",
        tie_word_embeddings=True, **padding,
    )  # fmt: skip


def build(tokenizer, **kwargs) -> LlavaForConditionalGeneration:
    """A freshly initialised pocket LVLM."""
    return LlavaForConditionalGeneration(pocket_config(tokenizer, **kwargs))


def save(model: LlavaForConditionalGeneration, folder, shard: str = "9MB") -> None:
    """Saves everything but the trunk, in float16 safetensors shards under 10 MB."""
    state = {k: v.to(torch.float16) for k, v in model.state_dict().items() if ".trunk." not in k}
    model.save_pretrained(folder, state_dict=state, max_shard_size=shard)


register()
