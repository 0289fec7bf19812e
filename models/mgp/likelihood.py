"""The exact marginal likelihood of observations, and learning the kernel by it.

    log p(y) = -(sum_i v_i^2 / S_i + log S_i + log 2 pi) / 2      the filter's innovations v, variances S

It serves as pre-training: whatever labels say, the process must explain what was measured.

    n  observations     B  stays     M  variables     K  statics
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count, islice

import numpy as np
import torch
from torch import Tensor

from models.clinical.errors import InvalidInput
from models.mgp.hyperparameters import Hyperparameters
from models.mgp.kernel import Kernel
from models.mgp.population import LinearMean
from models.mgp.posterior import Observed, posteriors
from models.threads import one_thread

BATCH_STAYS = 32  # a step sees some ten thousand values, enough for a steady gradient


def log_likelihood(kernel: Kernel, stays: Sequence[Observed]) -> Tensor:
    """log p(y) of each stay, (B,), with gradients to the kernel and the values; 0 for a stay without rows.

    Everything a stay ever knows counts, whenever it became known. Raises InvalidInput as `posterior` does.
    """
    found = posteriors(kernel, stays, [()] * len(stays))
    return torch.stack([one.log_likelihood for one in found]) if found else kernel.noise.new_zeros(0)


def fit(
    hyperparameters: Hyperparameters,
    stays: Sequence[Observed],
    steps: int,
    rate: float,
    seed: int,
    *,
    mean: LinearMean | None = None,
    statics: Tensor | None = None,
) -> list[float]:
    """Ascend the likelihood per observation in place, by Adam on batches of stays; its value at each step.

    Every pass over the stays has an order of its own that `seed` decides. With `mean`, a linear function of
    `statics` (B, K) is learnt jointly. Raises InvalidInput if no stay has an observation.
    """
    measured = [index for index, stay in enumerate(stays) if len(stay.value)]
    if not measured:
        raise InvalidInput("no stay has an observation to learn from", value=0, bound=">= 1 stay")
    learnt = [*hyperparameters.parameters(), *(mean.parameters() if mean else ())]
    optimiser = torch.optim.Adam(learnt, lr=rate)
    curve = []
    with one_thread():
        for batch in islice(_batches(len(measured), seed), steps):
            chosen = [measured[place] for place in batch]
            seen = [stays[index] for index in chosen]
            if mean is not None and statics is not None:
                seen = [mean.centred(stays[index], statics[index]) for index in chosen]
            likelihood = log_likelihood(hyperparameters.kernel(), seen).sum()
            gain = likelihood / sum(len(stay.value) for stay in seen)
            optimiser.zero_grad()
            (-gain).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            curve.append(float(gain.detach()))
    return curve


def _batches(stays: int, seed: int) -> Iterator[list[int]]:
    """Places of stays, batch by batch, pass after pass without end."""
    for turn in count():
        order = np.random.default_rng((seed, turn)).permutation(stays)
        for start in range(0, stays, BATCH_STAYS):
            yield order[start : start + BATCH_STAYS].tolist()
