"""Tiny real models, saved as checkpoints and loaded through the catalog, with everything a method can need."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save_file

from halluapp.decoding import engine
from halluapp.decoding.events import Decoded, Failed, Finished
from halluapp.decoding.plan import Sampling
from halluapp.decoding.views import Views
from halluapp.lvlm import catalog
from halluapp.lvlm.base import LVLM, HalluSpace, ImageFeatures
from halluapp.methods.base import Combination, Method, Row

torch.set_num_threads(1)  # for tensors this small more threads only wait for each other

SENTENCES = (
    "Is there a dog in the photo? Yes, there is a dog. No, there is no dog.",
    "Yes No yes no YES NO Yes. No. Yes, a cat. No, a cat.",
    "Describe the photo. A man and a dog walk on the street beside a red car.",
    "Which animal is it? A. a cat B. a dog C. a horse. Answer with the letter. A B C A B C",
    "The quick brown fox jumps over the lazy dog while two people watch from a bench in the park.",
)
OPEN, YES_NO = "Describe the photo.", "Is there a dog in the photo?"
CHOICE = "Which animal is it? A. a cat B. a dog C. a horse"
PROMPTS = (OPEN, YES_NO, CHOICE)
KINDS = ("llava", "pocket")
# One unquantized and one NF4 model of either class; the CLIP class also serves as the thorough case of both.
MODELS = tuple((kind, quantization) for kind in KINDS for quantization in ("none", "nf4"))
LAYERS, RANK = 2, 6
_home = tempfile.TemporaryDirectory(prefix="halluapp-tiny-")


@cache
def tokenizer():
    """The pocket class's own byte-level BPE, trained on a few sentences."""
    from halluapp.recipes.pocket import tokenizer as pocket_tokenizer

    return pocket_tokenizer.train([text for text in SENTENCES for _ in range(8)], size=400)


def photo(seed: int = 0, size: tuple[int, int] = (40, 30)) -> Image.Image:
    """Coloured blocks: different for every seed."""
    generator = torch.Generator().manual_seed(seed)
    blocks = torch.randint(0, 256, (4, 4, 3), generator=generator, dtype=torch.uint8)
    return Image.fromarray(blocks.numpy()).resize(size, Image.Resampling.NEAREST)


def _roughen(model) -> None:
    """Weights so large that logits, photos and prompts differ clearly: no near ties, whatever the CPU rounds."""
    generator = torch.Generator().manual_seed(7)
    parts = (model.model.language_model, model.model.multi_modal_projector)
    with torch.no_grad():
        for weight in (weight for part in parts for weight in part.parameters() if weight.dim() > 1):
            weight.normal_(0, 1.5 / weight.shape[1] ** 0.5, generator=generator)
        model.get_input_embeddings().weight.normal_(0, 1.0, generator=generator)
        model.get_output_embeddings().weight.normal_(0, 0.4, generator=generator)  # pocket: the same tensor


def _llava():
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    words = tokenizer()
    vision = CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, image_size=24, patch_size=8,
        projection_dim=32,
    )  # fmt: skip
    text = LlamaConfig(
        vocab_size=len(words), hidden_size=64, intermediate_size=128, num_hidden_layers=LAYERS, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id, pad_token_id=words.pad_token_id, tie_word_embeddings=False,
    )  # fmt: skip
    config = LlavaConfig(
        vision_config=vision, text_config=text, image_token_id=words.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-2, vision_feature_select_strategy="default", image_seq_length=9,
        tie_word_embeddings=False, pad_token_id=words.pad_token_id,
    )  # fmt: skip
    return LlavaForConditionalGeneration(config)


def _save_llava(model, folder: Path) -> None:
    from transformers import CLIPImageProcessorPil

    model.save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 24}, crop_size={"height": 24, "width": 24}).save_pretrained(folder)


def _save_pocket(model, folder: Path) -> None:
    from halluapp.lvlm.families import pocket
    from halluapp.recipes.pocket import export

    pocket.save(model, folder)
    export.image_processor().save_pretrained(folder)


@cache
def folder(kind: str) -> Path:
    """A checkpoint folder with a HalluSpace and an AdaVIB projector beside it, as `catalog.load` reads it."""
    from halluapp.lvlm.families import pocket

    words, checkpoint = tokenizer(), Path(_home.name) / kind
    torch.manual_seed(0)
    model = _llava() if kind == "llava" else pocket.build(words, layers=LAYERS, width=64)
    _roughen(model)
    for key in ("eos_token_id", "pad_token_id", "bos_token_id"):
        setattr(model.generation_config, key, getattr(words, key))
    (_save_llava if kind == "llava" else _save_pocket)(model, checkpoint)
    words.save_pretrained(checkpoint)
    width = model.config.text_config.hidden_size
    space = {layer: torch.linalg.qr(torch.randn(width, RANK))[0] for layer in range(LAYERS)}
    catalog.save_space(HalluSpace(space, {"pairs": 0}), checkpoint / "hallu_space.safetensors")
    state = model.model.multi_modal_projector.state_dict()
    changed = {key: value + 0.3 * value.std() * torch.randn_like(value) for key, value in state.items()}
    save_file(changed, checkpoint / "projector-adavib.safetensors")
    _save_adapters(model, checkpoint / "adapters")
    return checkpoint


def _save_adapters(model, folder: Path) -> None:
    """What training would leave: "chip" as peft writes it, "hacl" as a projector."""
    for name in ("chip", "hacl"):
        (folder / name).mkdir(parents=True)
    tensors = {}
    for name, module in model.named_modules():
        if name.endswith(("q_proj", "down_proj")) and ".language_model." in f".{name}":
            key = f"base_model.model.{name}.lora_{{}}.weight"
            tensors[key.format("A")] = torch.randn(4, module.in_features) / module.in_features**0.5
            tensors[key.format("B")] = 0.5 * torch.randn(module.out_features, 4)
    save_file(tensors, folder / "chip" / "adapter_model.safetensors")
    (folder / "chip" / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 4, "lora_alpha": 4}')
    state = model.model.multi_modal_projector.state_dict()
    changed = {key: value + 0.3 * value.std() * torch.randn_like(value) for key, value in state.items()}
    save_file(changed, folder / "hacl" / "projector.safetensors")


@cache
def lvlm(kind: str = "llava", quantization: str = "none") -> LVLM:
    """The tiny model of a kind ("llava": CLIP tower; "pocket": the class of the embedded model), loaded once."""
    return catalog.load(str(folder(kind)), quantization, "cpu", Path(_home.name))[0]


@cache
def visual(kind: str, quantization: str, seed: int = 0) -> ImageFeatures:
    """What the tower sees in photo `seed`: computed once."""
    return lvlm(kind, quantization).encode_image(photo(seed))


@cache
def views(kind: str, quantization: str, seed: int = 0) -> Views:
    """Photo `seed` as every method wants to see it."""
    return Views(lvlm(kind, quantization), photo(seed))


@dataclass
class Answer:
    """What one method gave in one job."""

    events: list[Decoded] = field(default_factory=list)
    end: Finished | Failed | None = None

    @property
    def ids(self) -> list[int]:
        return [event.token.id for event in self.events]

    @property
    def text(self) -> str:
        return self.events[-1].text if self.events else ""

    def add(self, event) -> None:
        if isinstance(event, Decoded):
            self.events.append(event)
        else:
            self.end = event


def run_many(model: LVLM, jobs: list[engine.Job], **sampling) -> dict[tuple[int, str], Answer]:
    """Decodes jobs to the end -> answers by (job, method name)."""
    answers: dict[tuple[int, str], Answer] = {}
    for job, event in engine.decode_many(model, jobs, Sampling(**sampling)):
        answers.setdefault((job, event.method), Answer()).add(event)
    return answers


def run(model: LVLM, seen: ImageFeatures | Views, prompt: str, methods: list[Method], **sampling) -> dict[str, Answer]:
    """Decodes one job to the end -> answers by method name."""
    answers = run_many(model, [engine.Job(seen, prompt, methods)], **sampling)
    return {name: answer for (_, name), answer in answers.items()}


@dataclass(frozen=True)
class RecordingMethod(Method):
    """Another method, unchanged, whose raw logits [R, V] and results are kept step by step."""

    inner: Method
    logits: list[torch.Tensor] = field(default_factory=list, compare=False)
    combined: list[Combination] = field(default_factory=list, compare=False)

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def title(self) -> str:
        return self.inner.title

    def rows(self, prompt: str) -> tuple[Row, ...]:
        return self.inner.rows(prompt)

    def exits(self, lvlm: LVLM) -> tuple[int, ...]:
        return self.inner.exits(lvlm)

    def prepare(self, lvlm: LVLM) -> None:
        self.inner.prepare(lvlm)

    def combine(self, logits, step, lvlm) -> Combination:
        self.logits.append(logits.clone())
        self.combined.append(self.inner.combine(logits, step, lvlm))
        return self.combined[-1]


def processor(model: LVLM):
    """transformers' own LLaVA processor over the same parts: an independent way to the prompt's ids and pixels."""
    from transformers import LlavaProcessor

    config = model.model.config
    strategy = config.vision_feature_select_strategy
    return LlavaProcessor(
        model.image_processor, model.tokenizer, patch_size=config.vision_config.patch_size,
        vision_feature_select_strategy=strategy, num_additional_image_tokens=1 if strategy == "default" else 0,
    )  # fmt: skip


def inputs(model: LVLM, prompt: str, seed: int = 0) -> dict[str, torch.Tensor]:
    """Model inputs for photo `seed` and a prompt, by transformers alone."""
    content = [{"type": "image"}, {"type": "text", "text": prompt}]
    text = model.tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
    return dict(processor(model)(text=text, images=photo(seed), return_tensors="pt"))


def hooks(model: LVLM) -> int:
    """How many forward hooks hang in the decoder."""
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in model.layers.modules())
