"""Nullu's HalluSpace: the directions in which hallucinated and truthful answers differ, and the projection off them."""

from __future__ import annotations

import torch
from torch import Tensor

from halluapp.methods.formulas.contrast import full_precision


def hallu_space(
    truthful: Tensor, hallucinated: Tensor, rank: int, center: bool = False, center_scale: float = 1.0
) -> Tensor:
    """The `rank` main directions of E = (truthful - hallucinated) / 2.

    `truthful`, `hallucinated` [N, D], pooled hidden states of one layer, row i of both from the same photo
    -> [D, rank], orthonormal columns, strongest first: the first right singular vectors of E. No mean is subtracted.
    `center` removes from E `center_scale` times its part along the first right singular vector of `truthful`.
    Computed in float64 on the CPU; returned on the input's device in float32 (float64 for float64 input).
    Raises ValueError for wrong shapes, non-finite values, identical pairs, and a rank that E does not have.
    Source: Nullu, construction of the HalluSpace.
    """
    difference = pair_difference(truthful, hallucinated, center, center_scale)
    _, singular, rows = torch.linalg.svd(difference, full_matrices=False)  # [m], [m, D], m = min(N, D)
    _check_rank(rank, singular, difference.shape)
    return _like(rows[:rank].T, truthful)


def spectrum(truthful: Tensor, hallucinated: Tensor, center: bool = False, center_scale: float = 1.0) -> Tensor:
    """Singular values of E, largest first: [N, D], [N, D] -> [min(N, D)]. Arguments and errors as `hallu_space`."""
    difference = pair_difference(truthful, hallucinated, center, center_scale)
    return _like(torch.linalg.svdvals(difference), truthful)


def project_out(x: Tensor, space: Tensor, strength: float = 1.0) -> Tensor:
    """x - strength * V V^T x: `x` [..., D], `space` V [D, rank] -> [..., D] in x's dtype, computed in float32 or 64.

    strength 1 is the paper's (I - V V^T) W applied at the output of W, which works for quantized weights too;
    strength 0 or an empty space returns `x` itself. Raises ValueError if the widths differ.
    Source: Nullu, null space projection of the weights.
    """
    if space.dim() != 2 or x.shape[-1] != space.shape[0]:
        raise ValueError(f"a space of shape {tuple(space.shape)} does not fit vectors of width {x.shape[-1]}")
    if strength == 0.0 or space.shape[1] == 0:
        return x
    values = full_precision(x)
    basis = space.to(device=x.device, dtype=values.dtype)
    return (values - strength * ((values @ basis) @ basis.T)).to(x.dtype)


def pair_difference(truthful: Tensor, hallucinated: Tensor, center: bool = False, center_scale: float = 1.0) -> Tensor:
    """E = (truthful - hallucinated) / 2 in float64 on the CPU: [N, D], [N, D] -> [N, D]. See `hallu_space`."""
    _check_pair(truthful, hallucinated)
    first, second = _double(truthful), _double(hallucinated)
    difference = (first - second) / 2
    if center:
        axis = torch.linalg.svd(first, full_matrices=False)[2][0]  # [D]
        difference = difference - center_scale * torch.outer(difference @ axis, axis)
    return difference


class GramAccumulator:
    """E^T E summed over batches of pairs: the same space as `hallu_space` without keeping the N rows.

    Memory: D * D values (twice that with `center`), in float32 by default: 64 MiB for D = 4096. Right singular vectors
    of E are the eigenvectors of E^T E.
    """

    def __init__(
        self, width: int, center: bool = False, center_scale: float = 1.0, dtype: torch.dtype = torch.float32
    ) -> None:
        self.width, self.center, self.center_scale, self.count = width, center, center_scale, 0
        self.gram = torch.zeros(width, width, dtype=dtype)  # [D, D]
        self._truthful = torch.zeros(width, width, dtype=dtype) if center else None  # [D, D]

    def add(self, truthful: Tensor, hallucinated: Tensor) -> None:
        """Adds n pairs: [n, D], [n, D]. Raises ValueError for wrong shapes or non-finite values."""
        _check_pair(truthful, hallucinated)
        if truthful.shape[1] != self.width:
            raise ValueError(f"vectors of width {truthful.shape[1]} for an accumulator of width {self.width}")
        first, second = _double(truthful), _double(hallucinated)
        difference = (first - second) / 2
        self.gram += (difference.T @ difference).to(self.gram.dtype)
        if self._truthful is not None:
            self._truthful += (first.T @ first).to(self.gram.dtype)
        self.count += len(truthful)

    def space(self, rank: int) -> Tensor:
        """As `hallu_space`: [D, rank], float32 (float64 if accumulated so). Same errors."""
        values, vectors = torch.linalg.eigh(self._centered())  # ascending
        singular = values.flip(0).clamp(min=0).sqrt()[: min(self.count, self.width)]
        _check_rank(rank, singular, (self.count, self.width))
        return vectors.flip(1)[:, :rank].to(self.gram.dtype).contiguous()

    def spectrum(self) -> Tensor:
        """As the function `spectrum`: [min(N, D)]; small values carry the rounding of the squares."""
        values = torch.linalg.eigvalsh(self._centered()).flip(0).clamp(min=0).sqrt()
        return values[: min(self.count, self.width)].to(self.gram.dtype)

    def _centered(self) -> Tensor:
        gram = self.gram.double()
        if self._truthful is None:
            return gram
        axis = torch.linalg.eigh(self._truthful.double())[1][:, -1]  # [D]
        off = torch.eye(self.width, dtype=torch.float64) - self.center_scale * torch.outer(axis, axis)
        return off @ gram @ off


def _double(values: Tensor) -> Tensor:
    return values.detach().to(device="cpu", dtype=torch.float64)


def _like(values: Tensor, model: Tensor) -> Tensor:
    return full_precision(values.to(torch.float64 if model.dtype == torch.float64 else torch.float32)).to(model.device)


def _check_pair(truthful: Tensor, hallucinated: Tensor) -> None:
    if truthful.dim() != 2 or truthful.shape != hallucinated.shape or len(truthful) == 0:
        raise ValueError(
            f"need two equal, non-empty [N, D] matrices, got {tuple(truthful.shape)} and {tuple(hallucinated.shape)}"
        )
    if not bool(torch.isfinite(truthful).all() and torch.isfinite(hallucinated).all()):
        raise ValueError("hidden states contain NaN or infinite values")


def _check_rank(rank: int, singular: Tensor, shape: tuple[int, ...]) -> None:
    if singular.numel() == 0 or float(singular[0]) == 0.0:
        raise ValueError("truthful and hallucinated states are identical (E = 0), so there is no direction to find")
    if not 0 <= rank <= len(singular):
        raise ValueError(f"rank {rank} is not between 0 and min(N, D) = {len(singular)}")
    noise = float(singular[0]) * max(shape) * torch.finfo(singular.dtype).eps
    available = int((singular > noise).sum())
    if rank > available:
        raise ValueError(
            f"rank {rank} asked for, but the {shape[0]} pairs hold only {available} independent directions"
        )
