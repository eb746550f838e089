"""Trains the pocket LVLM and its detector: one loop, resumable, a function of its seed and settings."""

from __future__ import annotations

import json
import queue
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from halluapp.data.files import atomic_write, write_text
from halluapp.data.wording import clean_sentence
from halluapp.grounding.detectors import pocket_head
from halluapp.grounding.detectors.pocket_head import DetectionHead
from halluapp.lvlm.families import pocket as pocket_model
from halluapp.recipes.pocket import posterior, tokenizer
from halluapp.recipes.pocket.detector_loss import detection_loss
from halluapp.recipes.pocket.features import FeatureStore
from halluapp.recipes.pocket.own_texts import OwnTexts
from halluapp.recipes.pocket.packing import IGNORE, Batches, PackedBatch, Packer, TrainingBatch, detector_labels
from halluapp.recipes.pocket.prompts import DETAIL, LIST, OTHER, SHORT
from halluapp.recipes.pocket.repetition import function_tokens, repetition_loss
from halluapp.recipes.pocket.sets import WEIGHTS, read_photo


@dataclass(frozen=True)
class PocketRecipe:
    """Settings of the training run; written into the model card.

    The rate rises over `warmup` steps, stays, and falls linearly to a twentieth over the last `decay` steps.
    own_steps: how many steps at the end also learn from the model's own descriptions.
    scenes, drawing_steps: what the detector's head is taught by afterwards.
    """

    steps: int = 3000
    decay: int = 1390
    warmup: int = 150
    rate: float = 1.2e-3
    weight_decay: float = 0.05
    photos: int = 32
    vocabulary: int = 6000
    layers: int = 6
    dropout: float = 0.1
    text_weight: float = 0.5
    repetition_weight: float = 0.5
    detection_weight: float = 0.15
    reading_weight: float = 0.5
    own_weight: float = 0.15
    own_steps: int = 220
    class_regions: int = 6
    scenes: int = 600
    drawing_steps: int = 600
    seed: int = 11

    def weight_of(self, loss: str) -> float:
        weights = {
            "text": self.text_weight, "detection": self.detection_weight, "reading": self.reading_weight,
            "own": self.own_weight,
        }  # fmt: skip
        return weights.get(loss, 1.0)

    def rate_at(self, step: int) -> float:
        remaining = max(self.steps - step, 0) / self.decay
        return self.rate * min((step + 1) / self.warmup, max(min(remaining, 1.0), 0.05))


# What goes on from the shipped weights: about two hours on one core.
FURTHER = PocketRecipe(
    steps=1500, decay=700, warmup=50, rate=6e-4, repetition_weight=1.0, detection_weight=0.1, scenes=200,
    drawing_steps=150, seed=12,
)  # fmt: skip


class Pocket(nn.Module):
    """The LVLM and its detector head as they are trained: from cached trunk features, the trunk left out."""

    def __init__(self, lvlm, head: DetectionHead, dropout: float = 0.0):
        super().__init__()
        self.lvlm, self.head = lvlm, head
        self.repetition_weight, self.function_words = 0.0, torch.empty(0, dtype=torch.long)
        self.own_texts: OwnTexts | None = None
        self.dropout = nn.Dropout(dropout)  # on embeddings only: dropout inside attention has no fused CPU kernel

    def visual(self, fine: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor]:
        """Features -> (neck tokens [B, 70, D], projected tokens [B, 70, D])."""
        tokens = self.lvlm.model.vision_tower.neck(fine, coarse)[-1]
        return tokens, self.lvlm.model.multi_modal_projector(tokens)

    def language_loss(self, packed: PackedBatch, visual: Tensor | None) -> Tensor:
        """Mean cross-entropy over answer tokens."""
        embed = self.lvlm.get_input_embeddings()
        x = embed(packed.ids)
        if visual is not None:
            image_mask = packed.ids == self.lvlm.config.image_token_id
            x = x.masked_scatter(image_mask[..., None], visual.to(x.dtype))
        hidden = self.lvlm.model.language_model(
            inputs_embeds=self.dropout(x), attention_mask=packed.mask(), position_ids=packed.positions, use_cache=False
        ).last_hidden_state
        answer_mask = packed.labels[:, 1:] != IGNORE  # logits only where there is something to learn
        logits = self.lvlm.lm_head(hidden[:, :-1][answer_mask]).float()
        labels = packed.labels[:, 1:][answer_mask]
        loss = F.cross_entropy(logits, labels)
        if not self.repetition_weight:
            return loss
        answer = (packed.segments + 1000 * torch.arange(len(packed.ids))[:, None])[:, 1:][answer_mask]
        return loss + self.repetition_weight * repetition_loss(logits, labels, answer, self.function_words)

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        tokens, visual = self.visual(batch.fine, batch.coarse)
        parts = [self.language_loss(packed, visual[rows]) * packed.answer_tokens for rows, packed in batch.photo]
        losses = {
            "photo": sum(parts) / sum(packed.answer_tokens for _, packed in batch.photo),
            "text": self.language_loss(batch.text, None),
            "detection": detection_loss(self.head(batch.fine, tokens), *batch.detection),
        }
        if batch.reading:
            probabilities, packed = batch.reading
            tokens = self.lvlm.model.vision_tower.neck.class_tokens.embed(probabilities)
            losses["reading"] = self.language_loss(packed, self.lvlm.model.multi_modal_projector(tokens))
        if self.own_texts:
            losses["own"] = self.own_texts.loss(self.lvlm, visual, *batch.description_task)
        return losses


def make_tokenizer(captions: list[str], stores: list[FeatureStore], size: int):
    """A tokenizer trained on the captions, the questions and every fixed prompt."""
    extra = [
        t
        for s in stores
        for r in s.records
        for t in (*r.get("captions", []), *(q["question"] for q in r.get("qa", [])))
    ]
    prompts = [*SHORT, *DETAIL, *LIST, *OTHER, "USER: ASSISTANT: Yes. No. A. B. C. D."] * 200
    places = ["On the left there is", "On the right there are", "In the middle there is", "The image shows"] * 200
    return tokenizer.train([*captions[::2], *extra, *prompts, *places], size)


def load_captions(path: Path) -> list[str]:
    """The language-side captions, cleaned to one sentence each."""
    return [clean_sentence(line) for line in path.read_text(encoding="utf-8").splitlines() if 15 < len(line) < 160]


def open_stores(cache: Path) -> tuple[list[str], list[FeatureStore]]:
    """The training sets whose features are in `cache`: names and stores, in the order of `sets.WEIGHTS`."""
    names = [name for name in WEIGHTS if (cache / name / "coarse.npy").exists()]
    return names, [FeatureStore.open(cache / name) for name in names]


def setup(
    cache: Path, captions_file: Path, recipe: PocketRecipe, labels: list[str] | None = None, start: Path | None = None
):
    """Stores, tokenizer, model and batches for a recipe -> (Pocket, tokenizer, Batches).

    labels: the detector's, of a run that goes on (None: chosen from the data). start: a folder of exported weights to
    go on from, with their tokenizer and labels (None: from nothing).
    """
    names, stores = open_stores(cache)
    photos = [[read_photo(record) for record in store.records] for store in stores]
    captions = load_captions(captions_file)
    torch.manual_seed(recipe.seed)
    if start:
        lvlm, text_tokenizer, head = further(start, recipe)
    else:
        text_tokenizer = make_tokenizer(captions, stores, recipe.vocabulary)
        lvlm = pocket_model.build(
            text_tokenizer, layers=recipe.layers, dropout=recipe.dropout, class_regions=recipe.class_regions
        )
        head = DetectionHead(labels or detector_labels([photo for part in photos for photo in part]))
    packer = Packer(text_tokenizer, pocket_model.image_tokens(lvlm.config.vision_config))
    batches = Batches(stores, photos, head.labels, packer, captions, recipe.photos, names)
    if lvlm.model.vision_tower.neck.class_tokens is not None:
        posterior.start(lvlm, text_tokenizer, batches.classes)
        if start:
            lvlm.model.multi_modal_projector.requires_grad_(False)  # or the words for the classes would be lost again
    pocket = Pocket(lvlm, head, recipe.dropout)
    pocket.repetition_weight, pocket.function_words = recipe.repetition_weight, function_tokens(text_tokenizer)
    return pocket, text_tokenizer, batches


def further(start: Path, recipe: PocketRecipe):
    """The exported model of a folder, with class tokens if it has none -> (LVLM, tokenizer, detector head)."""
    from transformers import AutoTokenizer, LlavaConfig, LlavaForConditionalGeneration

    config = LlavaConfig.from_pretrained(start, trust_remote_code=False)
    config.vision_config.class_regions = recipe.class_regions
    config.vision_config.dropout = recipe.dropout
    config.image_seq_length = pocket_model.image_tokens(config.vision_config)
    lvlm = LlavaForConditionalGeneration(config)
    former = LlavaForConditionalGeneration.from_pretrained(start, dtype=torch.float32, trust_remote_code=False)
    lvlm.load_state_dict(former.state_dict(), strict=False)
    lvlm.tie_weights()
    head, _ = pocket_head.load(start)
    return lvlm, AutoTokenizer.from_pretrained(start, trust_remote_code=False), head


def trainable(pocket: Pocket) -> list[nn.Parameter]:
    """Everything but the trunk and what is frozen."""
    return [p for name, p in pocket.named_parameters() if ".trunk." not in name and p.requires_grad]


def optimizer_for(pocket: Pocket, recipe: PocketRecipe) -> torch.optim.AdamW:
    decayed = [p for p in trainable(pocket) if p.ndim >= 2]
    plain = [p for p in trainable(pocket) if p.ndim < 2]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.rate, betas=(0.9, 0.95), fused=True)


def prefetch(batches: Batches, first: int, last: int, seed: int):
    """Yields (step, batch), drawn in a thread while the model computes."""
    waiting: queue.Queue = queue.Queue(maxsize=3)

    def work() -> None:
        try:
            for step in range(first, last):
                waiting.put((step, batches.draw(step, seed)))
        except Exception as error:  # handed to the training loop, which would wait for ever otherwise
            waiting.put(error)
        waiting.put(None)

    threading.Thread(target=work, daemon=True).start()
    while (item := waiting.get()) is not None:
        if isinstance(item, Exception):
            raise item
        yield item


def train(
    cache: Path, captions_file: Path, out: Path, recipe: PocketRecipe, log=print, start: Path | None = None
) -> Path:
    """Trains, or goes on where `out` stopped; the recipe of a running folder may change its end (`steps`, `decay`).

    start: exported weights to begin with (None: from nothing). Returns the folder with the finished model, tokenizer
    and detector head.
    """
    out.mkdir(parents=True, exist_ok=True)
    names = out / "labels.txt"
    pocket, text_tokenizer, batches = setup(
        cache, captions_file, recipe, names.read_text(encoding="utf-8").splitlines() if names.exists() else None, start
    )
    optimizer, first = optimizer_for(pocket, recipe), 0
    checkpoint = out / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        pocket.load_state_dict(state["pocket"], strict=False)
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]
    text_tokenizer.save_pretrained(out / "tokenizer")
    pocket.lvlm.config.save_pretrained(out / "model")
    write_text(names, "\n".join(batches.labels))
    pocket.train()
    started, running_loss = time.time(), {}
    for step, batch in prefetch(batches, first, recipe.steps, recipe.seed):
        if step >= recipe.steps - recipe.own_steps and pocket.own_texts is None:
            pocket.own_texts = OwnTexts(text_tokenizer)
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate_at(step)
        torch.manual_seed(recipe.seed * 1_000_003 + step)  # dropout repeats after a resume
        with torch.autocast("cpu", torch.bfloat16):
            losses = pocket.losses(batch)
        sum(recipe.weight_of(name) * value for name, value in losses.items()).backward()
        nn.utils.clip_grad_norm_(trainable(pocket), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        for name, value in losses.items():
            running_loss[name] = 0.98 * running_loss.get(name, value.item()) + 0.02 * value.item()
        if (step + 1) % 25 == 0:
            row = {
                "step": step + 1,
                "seconds": round(time.time() - started, 1),
                **{k: round(v, 4) for k, v in running_loss.items()},
            }
            with open(out / "metrics.jsonl", "a", encoding="utf-8") as lines:
                lines.write(json.dumps(row) + "\n")
            log(row, flush=True)
        if (step + 1) % 100 == 0 or step + 1 == recipe.steps:
            _checkpoint(pocket, optimizer, step + 1, recipe, checkpoint)
    return out


def _checkpoint(pocket: Pocket, optimizer, step: int, recipe: PocketRecipe, path: Path) -> None:
    state = {k: v for k, v in pocket.state_dict().items() if ".trunk." not in k}
    with atomic_write(path) as partial:  # a killed run never leaves half a checkpoint
        torch.save({"pocket": state, "optimizer": optimizer.state_dict(), "step": step}, partial)
    write_text(path.parent / "recipe.json", json.dumps(asdict(recipe)))
