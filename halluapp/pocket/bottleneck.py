"""Trains the AdaVIB projector of the pocket LVLM (Bai et al., AAAI 2025) from cached features."""

from __future__ import annotations

import copy
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from halluapp.lvlm.llava import Llava
from halluapp.pocket.packing import Batches
from halluapp.pocket.train import Pocket
from halluapp.training.vib import VariationalHead, photo_weights, reparameterise, vib_loss


@dataclass(frozen=True)
class VibRecipe:
    """beta: ten times the paper's 1e-7; the KL, summed over D, is about 1e5 here as there.

    The std head starts at softplus(-5) = 0.007, the scale of our word embeddings being about 0.05.
    """

    steps: int = 120
    photos: int = 16
    samples: int = 2
    rate: float = 3e-4
    rate_std: float = 1e-3
    beta: float = 1e-6
    std_bias: float = -4.0
    seed: int = 5


def train(lvlm: Llava, batches: Batches, recipe: VibRecipe, log=print) -> tuple[nn.Module, VariationalHead, list[dict]]:
    """Trains a copy of the projector as the mean of a bottleneck, everything else frozen -> (projector, head, metrics).

    L = CE(answer | mu + sigma * eps) + beta * mean(alpha * KL); the language model is the quantized one of the app.
    """
    torch.manual_seed(recipe.seed)
    model = lvlm.model.requires_grad_(False)
    mean = copy.deepcopy(model.model.multi_modal_projector).requires_grad_(True)
    width = model.config.text_config.hidden_size
    head = VariationalHead(model.config.vision_config.hidden_size, width, recipe.std_bias)
    groups = [
        {"params": list(mean.parameters()), "lr": recipe.rate},
        {"params": list(head.parameters()), "lr": recipe.rate_std},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.05, betas=(0.9, 0.999))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / (0.1 * recipe.steps), 1 - step / (recipe.steps + 1))
    )
    frozen = Pocket(model, nn.Identity()).eval()
    table, metrics, started = model.get_input_embeddings().weight, [], time.time()
    for step in range(recipe.steps):
        batch = batches.draw(step, recipe.seed)
        with torch.no_grad():
            features = model.model.vision_tower.neck(batch.fine, batch.coarse)[-1]
        ce = kl = alpha_mean = 0.0
        for rows, packed in batch.photo:
            mu, std = mean(features[rows]), head(features[rows])
            samples = reparameterise(mu, std, recipe.samples)  # [S*B, n, D]
            alpha = photo_weights(samples, table, recipe.samples)
            share = packed.said / sum(p.said for _, p in batch.photo)
            ce = (
                ce
                + share
                * sum(frozen.language_loss(packed, part) for part in samples.chunk(recipe.samples))
                / recipe.samples
            )
            kl = kl + vib_loss(mu, std, head.mu_p, head.std_p, recipe.beta, alpha) * len(rows) / recipe.photos
            alpha_mean += float(alpha.mean()) / len(batch.photo)
        (ce + kl).backward()
        nn.utils.clip_grad_norm_([*mean.parameters(), *head.parameters()], 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        schedule.step()
        if (step + 1) % 20 == 0:
            row = {
                "step": step + 1,
                "ce": round(ce.item(), 4),
                "kl": round(kl.item(), 4),
                "alpha": round(alpha_mean, 4),
                "std": round(float(std.mean()), 4),
                "seconds": round(time.time() - started, 1),
            }
            metrics.append(row)
            log(row, flush=True)
    return mean.eval(), head, metrics


def save(mean: nn.Module, recipe: VibRecipe, metrics: list[dict], folder: Path) -> None:
    """projector-adavib.safetensors (the mean: all that inference needs) and adavib.json (recipe and curve)."""
    from safetensors.torch import save_file

    state = {k: v.detach().to(torch.float16).contiguous() for k, v in mean.state_dict().items()}
    save_file(state, folder / "projector-adavib.safetensors")
    (folder / "adavib.json").write_text(json.dumps({"recipe": asdict(recipe), "metrics": metrics}, indent=1))
