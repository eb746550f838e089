"""Tiny LLaVA and Qwen2.5-VL checkpoints with random weights, saved with transformers and tokenizers alone."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

SENTENCES = (
    "Is there a dog in the image? Yes, there is a dog. No, there is no dog.",
    "Yes No yes no YES NO Yes. No. Yes, a cat. No, a cat.",
    "Describe this image. A man and a dog walk on the street beside a red car.",
    "The image shows two cars, four houses and a person. The person is on the left, a tree is on the right.",
    "Two people watch from a bench in the park; a chair and a table with a bottle stand in the kitchen.",
)
SPECIAL = ("<unk>", "<s>", "</s>", "<pad>", "<image>")
QWEN_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
                "<|video_pad|>")  # fmt: skip
LLAVA_TEMPLATE = (
    "{% for message in messages %}USER: {% for part in message['content'] %}{% if part['type'] == 'image' %}<image>\n"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %} ASSISTANT:{% endif %}"
)
QWEN_TEMPLATE = (
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% for message in messages %}"
    "<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}{% if part['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def _tokenizer(template: str, special: tuple[str, ...], **names: str | None) -> transformers.PreTrainedTokenizerFast:
    """A byte-level BPE of 480 entries; a start token, if `names` has one, is put before every text."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=480, special_tokens=list(special), initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )  # fmt: skip
    core.train_from_iterator([text for text in SENTENCES for _ in range(8)], trainer)
    if start := names.get("bos_token"):
        pair = [(start, special.index(start))]
        core.post_processor = processors.TemplateProcessing(single=f"{start} $A", special_tokens=pair)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, chat_template=template, clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"], additional_special_tokens=list(special), **names,
    )  # fmt: skip


def _text(tokenizer) -> dict:
    return {
        "vocab_size": len(tokenizer), "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 4,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 1024,
        "bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id, "tie_word_embeddings": False,
    }  # fmt: skip


def _save(model, tokenizer, image_processor, projector, folder: Path) -> None:
    """Gives the model weights so large that photos and prompts change its answers, and saves all it needs."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1:
                spread = 1.0 if "embed" in name else 1.5 / weight[0].numel() ** 0.5
                weight.normal_(0, spread, generator=generator)
        model.get_output_embeddings().weight.normal_(0, 0.4, generator=generator)
        learned = {  # in place of a trained AdaVIB projector
            name: value + 0.3 * (value.std() + 0.1) * torch.randn(value.shape, generator=generator)
            for name, value in projector.state_dict().items()
        }
    for key in ("eos_token_id", "pad_token_id", "bos_token_id"):
        setattr(model.generation_config, key, getattr(tokenizer, key))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    image_processor.save_pretrained(folder)
    save_file(learned, folder / "projector-adavib.safetensors")


def save_llava(folder: Path) -> None:
    """LLaVA with a CLIP tower that sees 9 patches."""
    tokenizer = _tokenizer(
        LLAVA_TEMPLATE, SPECIAL, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )
    vision = transformers.CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, image_size=24, patch_size=8,
        projection_dim=32,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.LlavaForConditionalGeneration(transformers.LlavaConfig(
        vision_config=vision, text_config=transformers.LlamaConfig(**_text(tokenizer)),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"), vision_feature_layer=-2,
        vision_feature_select_strategy="default", image_seq_length=9, tie_word_embeddings=False,
        pad_token_id=tokenizer.pad_token_id,
    ))  # fmt: skip
    images = transformers.CLIPImageProcessorPil(size={"shortest_edge": 24}, crop_size={"height": 24, "width": 24})
    _save(model, tokenizer, images, model.model.multi_modal_projector, folder)


def save_qwen(folder: Path) -> None:
    """Qwen2.5-VL with a window and a full layer of attention, for photos of 4 to 30 visual tokens."""
    tokenizer = _tokenizer(QWEN_TEMPLATE, QWEN_SPECIAL, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
    torch.manual_seed(0)
    model = transformers.Qwen2_5_VLForConditionalGeneration(transformers.Qwen2_5_VLConfig(
        vision_config={
            "depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "patch_size": 4, "window_size": 16,
            "out_hidden_size": 64, "fullatt_block_indexes": [1],
        },
        text_config={**_text(tokenizer), "rope_parameters": rope}, tie_word_embeddings=False,
        image_token_id=tokenizer.convert_tokens_to_ids("<|image_pad|>"),
        video_token_id=tokenizer.convert_tokens_to_ids("<|video_pad|>"),
        vision_start_token_id=tokenizer.convert_tokens_to_ids("<|vision_start|>"),
        vision_end_token_id=tokenizer.convert_tokens_to_ids("<|vision_end|>"),
    ))  # fmt: skip
    images = transformers.Qwen2VLImageProcessorPil(
        size={"shortest_edge": 8 * 8 * 4, "longest_edge": 8 * 8 * 30}, patch_size=4, merge_size=2
    )
    _save(model, tokenizer, images, model.model.visual.merger, folder)
