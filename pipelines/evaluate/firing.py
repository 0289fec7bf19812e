"""Which hours alarm by a policy: the live engine's own decisions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.clinical.alarm import AlarmPolicy
from models.clinical.score import ScoreSeries, ScoreStatus
from pipelines.metrics.alarms import Watched

_ORIGIN = pd.Timestamp(0, tz="UTC")
_SILENT = (ScoreStatus.INDETERMINATE, "no score")


def alarms_of(policy: AlarmPolicy, watched: Watched) -> npt.NDArray[np.bool_]:
    """(N,) the rows at which `policy` alarms."""
    time = (_ORIGIN + pd.to_timedelta(watched.time, unit="us")).as_unit("us")
    found = np.zeros(len(time), dtype=np.bool_)
    for begin, end in zip(watched.starts, watched.starts[1:], strict=False):
        value = watched.score[begin:end]
        status = [_SILENT[0] if lacks else ScoreStatus.PRESENT for lacks in np.isnan(value).tolist()]
        reason = ["" if one is ScoreStatus.PRESENT else _SILENT[1] for one in status]
        series = ScoreSeries("", "", time[begin:end], value, tuple(status), tuple(reason))
        found[begin:end] = [decision.alarm is not None for decision in policy.decide(series)]
    return found
