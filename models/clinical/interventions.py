"""Interventions: what was done to a patient. Labels and evaluations read them; a model never does.

A treatment says what somebody already believed about the patient, and antibiotics and cultures define the
label itself, so nothing of this table may reach a score.
"""

from __future__ import annotations

from datetime import UTC
from enum import StrEnum
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

INTERVENTION_COLUMNS = ("start", "end", "kind", "rate", "agent")


class InterventionKind(StrEnum):
    """What was done; the unit of `rate` in brackets, where there is one."""

    NOREPINEPHRINE = "norepinephrine"  # [ug/kg/min], of the base
    EPINEPHRINE = "epinephrine"  # [ug/kg/min]
    DOPAMINE = "dopamine"  # [ug/kg/min]
    DOBUTAMINE = "dobutamine"  # [ug/kg/min]
    PHENYLEPHRINE = "phenylephrine"  # [ug/kg/min]
    VASOPRESSIN = "vasopressin"  # [U/min]
    OTHER_VASOPRESSOR = "other_vasopressor"  # milrinone, levosimendan, angiotensin: named by `agent`
    INVASIVE_VENTILATION = "invasive_ventilation"
    NONINVASIVE_VENTILATION = "noninvasive_ventilation"  # CPAP and high-flow oxygen too
    RENAL_REPLACEMENT = "renal_replacement"
    MECHANICAL_CIRCULATION = "mechanical_circulation"  # ECMO, balloon pump, ventricular assist
    SEDATION = "sedation"
    ANTIBIOTIC = "antibiotic"  # systemic
    CULTURE = "culture"  # of a body fluid, taken to find an infection; screening swabs are none


def empty_interventions() -> pd.DataFrame:
    """An intervention table without rows."""
    return _nothing_done().copy(deep=False)  # made once: without rows none can change


def intervention_table(start: object, end: object, kind: object, rate: object, agent: object) -> pd.DataFrame:
    """The interventions of a stay: one row a thing done, sorted by (start, end, kind, agent, rate).

    Columns: `start`, `end` (datetime64[us, UTC]; equal for what has no duration, such as a culture), `kind`
    (InterventionKind), `rate` (float64 in the kind's unit, NaN where there is none or it is not known),
    `agent` (text: the ingredient or specimen, as catalogued). Rows may begin before the admission.
    """
    kinds, agents = np.asarray(kind, dtype=np.str_), np.asarray(agent, dtype=np.str_)
    starts, ends, rates = microseconds(start), microseconds(end), np.asarray(rate, dtype=np.float64)
    order = np.lexsort((rates, agents, kinds, ends.asi8, starts.asi8))
    return pd.DataFrame(
        {
            "start": starts[order],
            "end": ends[order],
            "kind": pd.Series(kinds[order], dtype="str"),
            "rate": rates[order],
            "agent": pd.Series(agents[order], dtype="str"),
        }
    )


def microseconds(time: Any) -> pd.DatetimeIndex:
    """Times as a column of a stay's tables holds them: datetime64[us, UTC]; numpy's are UTC as they are."""
    if isinstance(time, np.ndarray) and time.dtype.kind == "M":
        return pd.DatetimeIndex(time, tz=UTC).as_unit("us")
    there = isinstance(time, pd.DatetimeIndex) and time.tz is UTC
    index: pd.DatetimeIndex = time if there else pd.DatetimeIndex(pd.to_datetime(time, utc=True))
    return index.as_unit("us")


@cache
def _nothing_done() -> pd.DataFrame:
    return intervention_table([], [], [], [], [])
