"""How much each compared row counts in the distance of two excerpts, learnt from whom it makes neighbours.

    d^2(q, r) = sum_j m_j D_j^2(q, r)          p(q) = sum of softmax_r(-d^2(q, r)) over cases r

D_j is the distance of row j by itself. The weights m are those under which references like a training hour
speak for its own label: they descend on the cross-entropy of p, with a reference of the hour's own stay left
out. The vote is a soft one here, so that it has a gradient; scoring counts the k nearest.

    R  compared rows     N  references     Q  training hours

Source: neighbourhood components analysis, Goldberger 2004 (NeurIPS 17), with a weight a row and distances
under time warping.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.calibration import check_both_labels
from models.threads import one_thread

Doubles = npt.NDArray[np.float64]

BATCH = 64
SURE = 0.98  # the most a soft vote may say, so that one hour among strangers does not rule the rest
BEGINNING = 20.0  # summed over rows of like mean distance: a few dozen references share the vote
KEPT_HOURS = 60  # whose distances give each row its scale


@dataclass(frozen=True, eq=False)
class LabelledDistances:
    """`distances` (R, Q, N), float16, of each row; `label` (Q,) and `outcome` (N,) 0 or 1; `own` (Q, N)
    whether a reference is of the hour's own stay.
    """

    distances: npt.NDArray[np.float16]
    label: npt.NDArray[np.int8]
    outcome: npt.NDArray[np.int8]
    own: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Descent:
    """How the weights are sought: Adam on batches, `penalty` on their sum in units of a row's scale."""

    steps: int = 240
    rate: float = 0.05
    penalty: float = 1e-3


def learnt_metric(compared: LabelledDistances, descent: Descent, seed: int) -> Doubles:
    """The weights (R,), all above 0. Raises InvalidInput where the hours have one label only."""
    check_both_labels(compared.label)
    random = np.random.default_rng(seed)
    scale = _mean_square(compared.distances, random)
    begin = torch.full((len(scale),), float(np.log(BEGINNING / len(scale))))
    weight = begin.requires_grad_()
    optimiser = torch.optim.Adam([weight], lr=descent.rate)
    case = torch.from_numpy(compared.outcome.astype(np.float32))
    with one_thread():
        for _ in range(descent.steps):
            hours = np.sort(random.permutation(len(compared.label))[:BATCH])
            own = torch.from_numpy(compared.own[hours])
            vote = _soft_vote(_squares(compared, hours, scale), weight.exp(), own, case)
            target = torch.from_numpy(compared.label[hours].astype(np.float32))
            loss = torch.nn.functional.binary_cross_entropy(vote, target)
            loss = loss + descent.penalty * weight.exp().sum()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    return np.asarray(weight.detach().exp().double().numpy() / scale)


def _soft_vote(squares: Tensor, weight: Tensor, own: Tensor, case: Tensor) -> Tensor:
    """What the references say of each hour, (b,), of scaled squares (R, b, N), those of its own stay not."""
    total = torch.einsum("r,rbn->bn", weight, squares).masked_fill(own, float("inf"))
    return SURE * (torch.softmax(-total, dim=1) @ case) + (1.0 - SURE) / 2.0


def _squares(compared: LabelledDistances, hours: npt.NDArray[np.int64], scale: Doubles) -> Tensor:
    """Scaled squares (R, b, N)."""
    found = compared.distances[:, hours].astype(np.float32) ** 2
    return torch.from_numpy(found / scale[:, None, None].astype(np.float32))


def _mean_square(distances: npt.NDArray[np.float16], random: np.random.Generator) -> Doubles:
    """Of each row (R,); 1 for one that never differs."""
    hours = np.sort(random.permutation(distances.shape[1])[:KEPT_HOURS])
    mean = (distances[:, hours].astype(np.float64) ** 2).mean(axis=(1, 2))
    return np.asarray(np.where(mean > 0.0, mean, 1.0))
