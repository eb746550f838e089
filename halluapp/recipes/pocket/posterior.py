"""How the tokens of the trunk's classifier begin: as the words for what it sees.

Learned from one photo a class, a thousand class embeddings would stay noise. So each begins where the projector makes
of it the mean of the word embeddings of the class's name: what is left to learn is to say what stands there.
"""

from __future__ import annotations

import random

import torch
from torch.nn import functional as F

from halluapp.recipes.pocket.sets import Category


@torch.no_grad()
def name_targets(lvlm, tokenizer, names: dict[int, Category]) -> torch.Tensor:
    """Mean word embedding of each name, of the kind and the breed where they differ: [classes, D]."""
    embedding = lvlm.get_input_embeddings().weight
    rows = []
    for one in names.values():
        words = one.name if one.name == one.fine else f"{one.name} {one.fine}"
        rows.append(embedding[tokenizer(" " + words, add_special_tokens=False)["input_ids"]].mean(0))
    return torch.stack(rows)


def start(lvlm, tokenizer, names: dict[int, Category], steps: int = 300, rate: float = 0.05) -> float:
    """Writes the named classes' embeddings, in place -> mean cosine, past the mean word, of what the projector makes.

    The projector must not be trained afterwards, or the words are lost again.
    """
    tokens, projector = lvlm.model.vision_tower.neck.class_tokens, lvlm.model.multi_modal_projector
    with torch.no_grad():
        torch.nn.init.zeros_(tokens.classes.weight)
        torch.nn.init.zeros_(tokens.position)
    if not names:
        return 0.0
    middle = lvlm.get_input_embeddings().weight.detach().mean(0)
    targets = name_targets(lvlm, tokenizer, names) - middle
    token = (0.02 * torch.randn(len(targets), targets.shape[1], generator=torch.manual_seed(0))).requires_grad_()
    optimizer = torch.optim.Adam([token], lr=rate)
    for _ in range(steps):
        words = projector(token) - middle
        cosine = F.cosine_similarity(words, targets, dim=1).mean()
        length = (words.norm(dim=1) / targets.norm(dim=1) - 1).square().mean()
        (token.grad,) = torch.autograd.grad(1 - cosine + 0.1 * length, [token])
        optimizer.step()
    with torch.no_grad():
        tokens.classes.weight[:, list(names)] = token.T
    return float(cosine.detach())


def drawn_posterior(number: int, classes: list[int], regions: int, rng: random.Random) -> torch.Tensor:
    """What the classifier might say of a photo of a class: [regions, 1000], the first always of it."""
    posterior = torch.zeros(regions, 1000)
    for region in range(regions):
        sure = rng.uniform(0.5, 1) if region == 0 or rng.random() < 0.6 else 0.0
        posterior[region, number] = sure
        for other in rng.sample(classes, min(3, len(classes))):
            posterior[region, other] += (1 - sure) / 3 * rng.random()
    return posterior
