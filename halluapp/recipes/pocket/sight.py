"""How the tokens of the trunk's classifier begin: as the words for what it sees.

Learned from one photo a class, a thousand class embeddings would stay noise. So each begins where the projector makes
of it the mean of the word embeddings of the class's name: what is left to learn is to say what stands there.
"""

from __future__ import annotations

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


def start(lvlm, tokenizer, names: dict[int, Category], steps: int = 300, rate: float = 0.02) -> float:
    """Writes the named classes' embeddings, in place -> what is left of the targets' variance (0: exact)."""
    tokens, projector = lvlm.model.vision_tower.neck.class_tokens, lvlm.model.multi_modal_projector
    with torch.no_grad():
        torch.nn.init.zeros_(tokens.reduce.weight)
        torch.nn.init.zeros_(tokens.reduce.bias)
        torch.nn.init.zeros_(tokens.classes.weight)
    if not names:
        return 0.0
    targets = name_targets(lvlm, tokenizer, names)
    token = (0.02 * torch.randn(len(targets), targets.shape[1], generator=torch.manual_seed(0))).requires_grad_()
    optimizer = torch.optim.Adam([token], lr=rate)
    for _ in range(steps):
        loss = F.mse_loss(projector(token), targets) / targets.var()
        (token.grad,) = torch.autograd.grad(loss, [token])
        optimizer.step()
    with torch.no_grad():
        tokens.classes.weight[:, list(names)] = token.T
    return float(loss.detach())
