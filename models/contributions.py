"""Shares of a score by variable, told with each variable's last measurement."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from models.base import Contribution
from models.clinical.stay import Stay


def contributions(share: Mapping[str, float], known: Stay) -> tuple[Contribution, ...]:
    """The variables with a share other than 0, by falling absolute share; `known` is the stay as it stood."""
    last = last_measured(known)
    found = [
        Contribution(name, moved, *last.get(name, (None, None, "")))
        for name, moved in share.items()
        if moved != 0.0
    ]
    return tuple(sorted(found, key=lambda one: (-abs(one.share), one.variable)))


def last_measured(known: Stay) -> dict[str, tuple[float, datetime, str]]:
    """Each variable's latest measured value, its time, and the side on which it is censored."""
    latest = known.observations.sort_values("time", kind="stable").drop_duplicates("variable", keep="last")
    columns = (latest[name] for name in ("variable", "value", "time", "censored"))
    return {
        str(name): (float(value), time.to_pydatetime(), str(censored))
        for name, value, time, censored in zip(*columns, strict=True)
    }
