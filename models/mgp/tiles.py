"""Cholesky factorisation in tiles whose shapes depend on the past only.

Observations are ordered by when they became known, so what was known at hour t is a prefix of them, and

    K = L L^T,  z = L^-1 y    hold for every prefix at once: the factor of a leading block is a block of L.

The posterior at hour t, from its first k observations, needs alpha_t = K_k^-1 y_k. That is the solution of

    L^T alpha_t = z with every entry after the k-th set to zero,

which is zero after k. One factorisation therefore serves all hours. Matrix products round differently for
different shapes; here every product has a shape that is fixed by a tile's own place (never by how many tiles
follow), and later tiles add exact zeros. So an hour's result is the same bits, whatever becomes known later.

    B  batch     n = 64 N  observations, padded     G  queries (hours)     b  tile row, 0 .. N - 1
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.mgp.kernel import Kernel

TILE = 64  # large enough for a product to pay for its call, small against a stay's few hundred rows


@dataclass(frozen=True)
class Observed:
    """Observations of B stays, padded to whole tiles, in the order in which they became known.

    `time_hours`, `value` (B, n); `one_hot` (B, n, M) marks the variable; padding rows are all zero.
    """

    time_hours: Tensor
    value: Tensor
    one_hot: Tensor

    @property
    def tiles(self) -> int:
        """N, how many tile rows there are."""
        return self.time_hours.shape[-1] // TILE


@dataclass(frozen=True)
class Factor:
    """`left[b]` (B, 64, 64 b): row b of L before the diagonal; `inverse[b]` (B, 64, 64): the inverse of its
    diagonal tile; `whitened[b]` (B, 64): z; `coupling[b]` (S, B, 64, M): B_s[m_i, :] of the observations.
    """

    observed: Observed
    left: tuple[Tensor, ...]
    inverse: tuple[Tensor, ...]
    whitened: tuple[Tensor, ...]
    coupling: tuple[Tensor, ...]


def span(b: int) -> slice:
    """The observations of tile b."""
    return slice(TILE * b, TILE * (b + 1))


def factorise(kernel: Kernel, observed: Observed) -> Factor:
    """The Cholesky factor of K + noise, row by row. Raises torch.linalg.LinAlgError if it is not definite."""
    left: list[Tensor] = []
    inverse: list[Tensor] = []
    whitened: list[Tensor] = []
    coupling: list[Tensor] = []
    for b in range(observed.tiles):
        coupling.append(torch.matmul(observed.one_hot[:, span(b)], kernel.task_covariance.unsqueeze(1)))
        covariance = _covariance_row(kernel, observed, coupling[b], b)  # (B, 64, 64 (b + 1))
        row = _solved_row(covariance, left, inverse)  # (B, 64, 64 b)
        diagonal = covariance[..., span(b)] + torch.diag_embed(_noise(kernel, observed, b)) - row @ row.mT
        factor = torch.linalg.cholesky(diagonal)
        identity = torch.eye(TILE, dtype=factor.dtype).expand_as(factor)
        inverse.append(torch.linalg.solve_triangular(factor, identity, upper=False))
        left.append(row)
        whitened.append(_whiten(observed.value[:, span(b), None], row, whitened, inverse[b]))
    return Factor(observed, tuple(left), tuple(inverse), tuple(whitened), tuple(coupling))


def whiten(factor: Factor, columns: list[Tensor]) -> list[Tensor]:
    """L^-1 C for C given in tiles (B, 64, G), tile by tile."""
    solved: list[Tensor] = []
    for b, tile in enumerate(columns):
        past = factor.left[b] @ torch.cat(solved, dim=-2) if b else 0.0
        solved.append(factor.inverse[b] @ (tile - past))
    return solved


def weights(factor: Factor, known: Tensor) -> list[Tensor]:
    """alpha_t of every query: K_k^-1 y_k for the first k = `known` (B, G) observations, tiles (B, 64, G)."""
    z = torch.cat(factor.whitened, dim=-1)  # (B, n)
    residual = torch.where(known_rows(z.shape[-1], known), z.unsqueeze(-1), 0.0)  # (B, n, G)
    solution: list[Tensor] = []
    for b in reversed(range(factor.observed.tiles)):
        alpha = factor.inverse[b].mT @ residual[:, span(b)]
        residual = residual[:, : TILE * b] - factor.left[b].mT @ alpha
        solution.append(alpha)
    return solution[::-1]


def known_rows(rows: int, known: Tensor) -> Tensor:
    """Which of `rows` observations are among the first `known` (B, G): (B, rows, G) bool."""
    return torch.arange(rows).view(1, -1, 1) < known.unsqueeze(1)


def _covariance_row(kernel: Kernel, observed: Observed, coupling: Tensor, b: int) -> Tensor:
    """K of tile b against everything up to and including it, without noise: (B, 64, 64 (b + 1))."""
    upto = slice(0, TILE * (b + 1))
    task = coupling @ observed.one_hot[:, upto].mT  # (S, B, 64, 64 (b + 1)), exact: one_hot only selects
    return (task * kernel.correlation(observed.time_hours[:, span(b)], observed.time_hours[:, upto])).sum(0)


def _noise(kernel: Kernel, observed: Observed, b: int) -> Tensor:
    """The noise variances of tile b, (B, 64), with 1 on padding, which makes it an identity row."""
    one_hot = observed.one_hot[:, span(b)]
    return one_hot @ kernel.noise + (1.0 - one_hot.sum(-1))


def _solved_row(covariance: Tensor, left: list[Tensor], inverse: list[Tensor]) -> Tensor:
    """The part of L's newest row before its diagonal: X L^T = K, solved from the left tile by tile."""
    row = covariance[..., :0]
    for j, (past, diagonal) in enumerate(zip(left, inverse, strict=True)):
        row = torch.cat([row, (covariance[..., span(j)] - row @ past.mT) @ diagonal.mT], dim=-1)
    return row


def _whiten(value: Tensor, row: Tensor, whitened: list[Tensor], inverse: Tensor) -> Tensor:
    """z of the newest tile, (B, 64), from `value` (B, 64, 1) and the z before it."""
    past = row @ torch.cat(whitened, dim=-1).unsqueeze(-1) if whitened else 0.0
    return (inverse @ (value - past)).squeeze(-1)
