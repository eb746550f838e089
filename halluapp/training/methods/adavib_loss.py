"""AdaVIB: a variational information bottleneck on the projector, weighted by each photo's over-confidence."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from halluapp.methods.formulas.contrast import full_precision

STD_FLOOR = 1e-8  # inside logarithms only
RATIO_FLOOR = 1e-6  # of entropy / ln V: bounds the weight at 13.8
VOCABULARY_CHUNK = 8192  # word embeddings turned to float32 at once


def pool(tokens: Tensor, mask: Tensor | None = None, sqrt: bool = True, authors: bool = False) -> Tensor:
    """Sum of a photo's tokens divided by the root of their number: [B, n, D] -> [B, D].

    `mask` [B, n], 1 = counted. `sqrt=False` divides by the number itself. Computed in float32, float64 stays. A photo
    without counted tokens gives 0; NaN with `authors=True`. Source: AdaVIB, pooling of visual tokens.
    """
    tokens = full_precision(tokens)
    if mask is None:
        mask = tokens.new_ones(tokens.shape[:2])
    mask = mask.to(tokens.dtype)
    count = mask.sum(dim=1, keepdim=True)  # [B, 1]
    if not authors:
        count = count.clamp(min=1.0)
    return (tokens * mask.unsqueeze(-1)).sum(dim=1) / (count.sqrt() if sqrt else count)


def pool_std(std: Tensor, mask: Tensor | None = None, authors: bool = False) -> Tensor:
    """Standard deviation of the pooled variable: sqrt(sum of std^2 / n), [B, n, D] -> [B, D].

    `authors=True` pools the deviations like means, sum(std) / sqrt(n), which is larger by up to sqrt(n).
    """
    if authors:
        return pool(std, mask, authors=True)
    return pool(full_precision(std).square(), mask, sqrt=False).sqrt()


def gaussian_kl(mu_q: Tensor, std_q: Tensor, mu_p: Tensor, std_p: Tensor) -> Tensor:
    """KL(q || p) of diagonal Gaussians, summed over D: four [B, D] (or broadcasting [D]) -> [B].

    Computed in float32 (values of 1e5 overflow half precision), float64 stays. Deviations are clamped at 1e-8 inside
    the logarithms only. Source: AdaVIB, KL term; Kingma & Welling 2014, appendix B.
    """
    mu_q, std_q, mu_p, std_p = (full_precision(value) for value in (mu_q, std_q, mu_p, std_p))
    variance = std_p.square()
    spread = (std_q.square() + (mu_p - mu_q).square()) / variance
    logs = std_p.clamp(min=STD_FLOOR).log() - std_q.clamp(min=STD_FLOOR).log()
    return (0.5 * (spread - 1.0) + logs).sum(dim=-1)


@torch.no_grad()
def similarity(tokens: Tensor, embeddings: Tensor, sqrt: bool = True) -> Tensor:
    """softmax of pooled visual tokens times word embeddings: [B, n, D], [V, D] -> [B, V]. No gradient.

    sqrt=False: of their mean. The sum over sqrt(n) grows with n, and where visual tokens are long beside embeddings the
    softmax has one word left.
    """
    pooled = pool(tokens, sqrt=sqrt)  # [B, D]
    chunks = [pooled @ chunk.to(pooled.dtype).T for chunk in embeddings.split(VOCABULARY_CHUNK)]
    return torch.cat(chunks, dim=-1).softmax(dim=-1)


@torch.no_grad()
def similarity_entropy(tokens: Tensor, embeddings: Tensor, sqrt: bool = True) -> Tensor:
    """Entropy (nats) of `similarity`: [B, n, D], [V, D] -> [B]. Low = the photo clings to few words. No gradient.

    Source: AdaVIB, entropy of the similarity distribution (adaptive weight).
    """
    prob = similarity(tokens, embeddings, sqrt)  # [B, V]
    return -(prob * (prob + 1e-8).log()).sum(dim=-1)


@torch.no_grad()
def adaptive_weight(entropy: Tensor, vocab_size: int, authors: bool = False) -> Tensor:
    """alpha = -ln(H / ln V), one per entropy; 0 for a uniform distribution, larger for a peaked one. No gradient.

    H / ln V is clamped to [1e-6, 1], so alpha lies in [0, 13.8]; `authors=True` does not clamp, which gives infinite,
    undefined or slightly negative weights at the ends. Raises ValueError for a vocabulary below 2 words.
    Source: AdaVIB, self-adaptive weight alpha.
    """
    if vocab_size < 2:
        raise ValueError(f"vocab_size must be at least 2, got {vocab_size}")
    ratio = full_precision(entropy) / math.log(vocab_size)
    return -(ratio if authors else ratio.clamp(RATIO_FLOOR, 1.0)).log()


def photo_weights(tokens: Tensor, embeddings: Tensor, samples: int, authors: bool = False, sqrt: bool = True) -> Tensor:
    """alpha of every photo, the mean over its noisy samples: [S*B, n, D] sample-major, [V, D] -> [B]. No gradient."""
    weights = adaptive_weight(similarity_entropy(tokens, embeddings, sqrt), len(embeddings), authors)  # [S*B]
    return weights.reshape(samples, -1).mean(dim=0)


def reparameterise(
    mu: Tensor, std: Tensor, samples: int, generator: torch.Generator | None = None, noise: Tensor | None = None
) -> Tensor:
    """mu + std * noise for `samples` draws: [B, n, D], [B, n, D] -> [S*B, n, D].

    Sample-major: row s*B + b is sample s of photo b, so labels repeat as `labels.repeat(S, 1)`. `noise` [S, B, n, D]
    replaces the draw. Source: Kingma & Welling 2014, Sec. 2.4.
    """
    if noise is None:
        noise = torch.randn((samples, *mu.shape), generator=generator, device=mu.device, dtype=mu.dtype)
    if noise.shape != (samples, *mu.shape):
        raise ValueError(f"noise of shape {tuple(noise.shape)}, expected {(samples, *mu.shape)}")
    return (mu + std * noise.to(mu.dtype)).flatten(0, 1)


class VariationalHead(nn.Module):
    """What AdaVIB adds to a projector: a deviation for every visual token, and a learnable Gaussian prior.

    `width_in` projector input, `width` = D of the language model. The mean is the model's own projector and stays
    outside. The prior starts as N(0, 1). With `std_bias=-5` deviations start near 0.007, below the scale of word
    embeddings; `None` keeps the linear layer's own initialisation as the authors do (about 0.7).
    Source: AdaVIB, bottleneck on the projector.
    """

    def __init__(self, width_in: int, width: int, std_bias: float | None = -5.0) -> None:
        super().__init__()
        self.std = nn.Linear(width_in, width)
        if std_bias is not None:
            nn.init.constant_(self.std.bias, std_bias)
        self.mu_p = nn.Parameter(torch.zeros(width))
        self.rho_p = nn.Parameter(torch.full((width,), math.log(math.e - 1.0)))  # softplus gives 1

    @property
    def std_p(self) -> Tensor:
        """Deviation of the prior, [D]."""
        return functional.softplus(self.rho_p)

    def forward(self, features: Tensor) -> Tensor:
        """Deviations of the visual tokens: [B, n, width_in] -> [B, n, D]."""
        return functional.softplus(self.std(features))


def adavib_loss(
    mu: Tensor,
    std: Tensor,
    mu_p: Tensor,
    std_p: Tensor,
    beta: float,
    weights: Tensor | None = None,
    authors: bool = False,
) -> Tensor:
    """beta * mean over photos of alpha_b * KL_b, the term added to the caption's cross entropy: scalar.

    `mu`, `std` [B, n, D] of the tokens, `mu_p`, `std_p` [D] of the prior, `weights` alpha [B] (see `photo_weights`),
    1 if not given. The KL is between pooled Gaussians and summed over D, which is why beta is as small as 1e-7;
    `authors` decides how deviations are pooled (see `pool_std`). Source: AdaVIB, objective with self-adaptive weight.
    """
    kl = gaussian_kl(pool(mu), pool_std(std, authors=authors), mu_p, std_p)  # [B]
    if weights is not None:
        kl = kl * weights.detach()
    return beta * kl.mean()
