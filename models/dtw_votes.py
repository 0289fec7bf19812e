"""Votes on excerpts: which rows each group compares, and who has a say in it.

N  references     G  groups     V  variables     P  rows of CONTEXT     R  rows that are compared
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from models.clinical.errors import InvalidInput
from models.dtw.ensemble import Booleans, Ensemble, Voting, group_weights
from models.dtw.excerpts import CONTEXT, compared, compared_references, compared_rows, measured
from models.dtw.index import Index
from models.dtw.series import Series
from models.mgp.standardise import VARIABLES, VITAL_SIGNS

Floats = npt.NDArray[np.float64]

ROWS = compared_rows((*VARIABLES, *CONTEXT))
MEASURED = tuple(measured(name) for name in VARIABLES)
HOUR, PATIENT = CONTEXT[:1], CONTEXT[1:]
WIDE_GROUPS = {
    "all": ROWS,
    "values": VARIABLES,
    "vital_signs": VITAL_SIGNS,
    "measured": MEASURED,
    "hour": HOUR,
    "values_measured": VARIABLES + MEASURED,
    "values_hour": VARIABLES + HOUR,
    "measured_hour": MEASURED + HOUR,
    "patient_hour": PATIENT + HOUR,
}


class Votes:
    """The ensemble over what is compared of excerpts; immutable."""

    def __init__(self, groups: Sequence[Sequence[str]], index: Index, metric: Floats, voting: Voting) -> None:
        """`groups` are rows by name, `metric` (R,). Raises InvalidInput for an index of one outcome, or of
        other rows.
        """
        if index.references.variables != (*VARIABLES, *CONTEXT) or len(metric) != len(ROWS):
            raise InvalidInput(f"an index for other rows, or {len(metric)} weights: {len(ROWS)} are compared")
        weights = group_weights(groups, ROWS)
        values, others = weights[:, : len(VARIABLES)], weights[:, len(VARIABLES) :]
        self._of_values = np.where(others.any(axis=1, keepdims=True), 0.0, values)
        rows = replace(index, references=compared_references(index.references))
        self.ensemble = Ensemble(rows, weights * metric, voting)
        self._known = self._knows(index.references.mean_weight)

    def distances(self, query: Series) -> Floats:
        """Of each row of an excerpt to each reference, (R, N)."""
        return self.ensemble.distances(compared(query))

    def evidence(self, query: Series, distances: Floats) -> Floats:
        """Of each group for the outcome, (G,). Where a group compares values only, a reference that knows
        none of them does not vote, and a stay that knows none is not voted on: NaN.
        """
        here = self._knows(query.mean_weight[np.newaxis])
        return self.ensemble.evidence(distances, ~(here & self._known))

    def _knows(self, mean_weight: Floats) -> Booleans:
        """Whether excerpts of `mean_weight` (n, V + P) know something of each group's values, (G, n)."""
        known = (mean_weight[:, : len(VARIABLES)].T > 0.0).astype(np.float64)
        of_anything = ~self._of_values.any(axis=1, keepdims=True)
        return np.asarray((self._of_values @ known > 0.0) | of_anything)
