"""Which variables make a score: integrated gradients on the inputs of the network.

    share_c = (u_c - r_c) * integral_0^1 d score(r + a (u - r)) / d u_c da

for every input and hour of the receptive field, summed over the hours and over the inputs made of one
variable (its posterior mean and deviation, and its channels). The reference r takes their typical values and
keeps the rest: the patient, the clock, and how much was measured altogether. Source: Sundararajan 2017
arXiv:1703.01365.

    T  hours of the receptive field     F  inputs     M  variables
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from models.base import Contribution
from models.clinical.stay import Stay
from models.contributions import contributions
from models.mgp.standardise import VARIABLES
from models.network import MGPTCNNetwork, inputs_of

if TYPE_CHECKING:
    from models.calibration import Calibration

STEPS = 32  # midpoint rule; the shares then sum to within about 0.001 of the difference


def attribute(
    network: MGPTCNNetwork, calibration: Calibration, inputs: Tensor, known: Stay
) -> tuple[Contribution, ...]:
    """Contributions to the score of the last hour of `inputs` (T, F), by falling absolute share.

    `known` is the stay as it stood then, for each variable's last value.
    """
    reference, own = inputs.clone(), [inputs_of(m) for m in range(len(VARIABLES))]
    changed = [one for columns in own for one in columns]
    reference[:, changed] = network.typical[changed]
    share = _integrated_gradients(network, calibration, inputs, reference).sum(0)  # (F,)
    by_variable = torch.stack([share[columns].sum() for columns in own])
    return contributions(dict(zip(VARIABLES, by_variable.tolist(), strict=True)), known)


def _integrated_gradients(
    network: MGPTCNNetwork, calibration: Calibration, inputs: Tensor, reference: Tensor
) -> Tensor:
    """The integral by the midpoint rule, (T, F)."""
    step = (torch.arange(STEPS, dtype=inputs.dtype) + 0.5) / STEPS
    path = (reference + step.view(-1, 1, 1) * (inputs - reference)).requires_grad_()  # (STEPS, T, F)
    logit = network(path, network.start(STEPS))[0][:, -1, network.primary]
    score = torch.sigmoid(calibration.slope * logit + calibration.intercept)
    (gradient,) = torch.autograd.grad(score.sum(), path)
    return gradient.mean(0) * (inputs - reference)
