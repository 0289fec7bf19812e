"""What stands behind one score: which observations moved it, and which measurement would make it surer.

    influence of observation i     score - score of the same stay without i
    narrowing by variable m        (high - low) (1 - sqrt(1 - corr(s, z_m)^2))

s is the score over draws of the process and z_m what a measurement of m now would read in the same draw,
its noise included. If both were normal, (1 - corr^2) var(s) is what var(s) is expected to be after the
measurement.

    n  observations     T  grid hours     D  draws     M  variables
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from models.base import Influence, Measurement
from models.clinical.stay import Stay
from models.mgp.encoding import encode
from models.mgp.standardise import VARIABLES

if TYPE_CHECKING:
    from models.mgp_tcn import MGPTCN

Floats = npt.NDArray[np.float64]

LOOKED_AT = 60  # the newest observations; older ones have been superseded by them
NAMED = 10  # of either kind
SMALLEST = 5e-4  # score units; nobody acts on less
DRAWS = 256  # a correlation is then known to about 0.06
SEED = 2020  # of the noise of what was not measured


def influences(score_of: Callable[[Stay], float], known: Stay) -> tuple[Influence, ...]:
    """The observations of `known` without which its score would differ most; `score_of` a stay gives it,
    whether or not enough is known to show it.
    """
    table = known.observations
    whole = score_of(known)
    found = []
    for row in np.argsort(table["time"].to_numpy(), kind="stable")[::-1][:LOOKED_AT]:
        one = table.iloc[row]
        if one["variable"] not in VARIABLES:
            continue
        share = whole - score_of(replace(known, observations=table.drop(table.index[row])))
        moment = one["time"].to_pydatetime()
        found.append(Influence(one["variable"], moment, float(one["value"]), share, one["censored"]))
    found.sort(key=lambda one: (-abs(one.share), one.variable, one.time))
    return tuple(one for one in found[:NAMED] if abs(one.share) >= SMALLEST)


def next_measurements(
    model: MGPTCN, known: Stay, hour: int, calibrated: Callable[[Floats], Floats]
) -> tuple[Measurement, ...]:
    """The variables whose measurement in grid hour `hour` is expected to narrow the score's spread most;
    `calibrated` makes scores of the model's logits (D,).
    """
    encoded = encode(known, model.standardisation, hour)
    process, logits = (side[1:].double().numpy() for side in model.latest(known, encoded, DRAWS))
    if len(logits) == 0:  # a network without a process has no draws
        return ()
    score = calibrated(logits)
    width = float(np.subtract(*np.percentile(score, [90.0, 10.0])))
    noise = np.random.default_rng(SEED).standard_normal(process.shape)
    reading = process + noise * np.sqrt(model.kernel.noise.double().numpy())
    narrows = width * (1.0 - np.sqrt(1.0 - _explained(score, reading)))
    order = np.argsort(-narrows, kind="stable")[:NAMED]
    known_to_model = model.standardisation.learnt > 0
    return tuple(
        Measurement(VARIABLES[m], float(narrows[m]))
        for m in order
        if narrows[m] >= SMALLEST and known_to_model[m]
    )


def _explained(score: Floats, reading: Floats) -> Floats:
    """Squared correlation of (D,) with each column of (D, M), less what chance alone gives: (M,)."""
    draws = len(score)
    first, second = score - score.mean(), reading - reading.mean(axis=0)
    scale = np.sqrt((first @ first) * (second * second).sum(axis=0))
    squared = np.divide(first @ second, scale, out=np.zeros(len(scale)), where=scale > 0) ** 2
    return np.asarray(np.clip(((draws - 1) * squared - 1.0) / (draws - 2), 0.0, 1.0))


def latest_logit(model: MGPTCN, stay: Stay, hour: int) -> Floats:
    """The logit of grid hour `hour`, (1,), whether or not enough is known to show a score."""
    _, logits = model.latest(stay, encode(stay, model.standardisation, hour), 0)
    return np.asarray(logits.double().numpy())
