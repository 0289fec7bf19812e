"""A stay scored hour after hour as it unfolds: a new hour costs one hour, whatever has gone before.

process    goes on from the filter's state (models/mgp/course.py)
network    goes on from what it remembered at the last whole block of hours; the hours of a block that
           has begun are read again with each new one, so that every hour has the bits of the stay
           scored whole

T  grid hours     F  inputs     D  draws
"""

from __future__ import annotations

from datetime import datetime

import torch

from models.clinical.errors import InvalidInput
from models.clinical.score import ScoreSeries
from models.clinical.stay import Stay
from models.feed import HourInputs, fed
from models.mgp.course import Course
from models.mgp.encoding import encode
from models.mgp.standardise import VARIABLES
from models.mgp_tcn import DRAW_SEED, MGPTCN
from models.network import INPUTS
from models.reading import BLOCK_HOURS
from models.threads import one_thread


def must_unfold(model: MGPTCN) -> None:
    """Raise InvalidInput for a model whose hours change with later ones."""
    if model.config.feed != "filtered":
        raise InvalidInput(
            f"a {model.config.feed} feed cannot be continued hour by hour",
            value=model.config.feed,
            bound="filtered",
        )


class Watch:
    """One stay under one model. Raises InvalidInput for a model whose hours change with later ones."""

    def __init__(self, model: MGPTCN) -> None:
        must_unfold(model)
        self._model = model
        self._course = Course(model.kernel, model.config.draws, DRAW_SEED)
        sides = 1 + model.config.draws
        self._remembered = model.reader.start(sides)
        variables = len(VARIABLES)
        # of the block that is not whole yet
        self._begun = HourInputs(torch.empty(sides, 0, variables), torch.empty(0, INPUTS - variables))
        self._hours = 0

    def advance(self, stay: Stay, end: datetime | None = None) -> ScoreSeries:
        """The scores of the grid hours up to `end` that are new, bit for bit as `MGPTCN.score` gives them.

        Raises InvalidInput where `stay` is not what it was told before and more: a stay in which something
        was corrected or withdrawn is watched anew.
        """
        model, time, first = self._model, stay.grid(end), self._hours
        encoded = encode(stay, model.standardisation, len(time))
        with one_thread(), torch.inference_mode():
            beside = model.beside(stay, encoded)[first:]
            new = fed(self._course.advance(encoded)).hour_inputs(model.network, beside)
            read = self._begun.process.shape[1]
            begun = self._begun.and_then(new)
            logits, self._remembered = model.reader.read(begun, self._remembered)
        whole = begun.process.shape[1] // BLOCK_HOURS * BLOCK_HOURS
        self._begun, self._hours = begun.hours(slice(whole, None)), len(time)
        return model.judged(stay.stay_id, time[first:], encoded.since_hours[first:], logits[:, read:])
