"""A page to try alarm policies with: sliders, and every figure computed in the browser from embedded scores.

One file without a server and without anything from outside. Numbers are embedded as the bytes of their
arrays, so that the page decides on the very same scores; one that single precision holds exactly takes four
bytes.
"""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from models.clinical.alarm import AlarmPolicy
from pipelines.metrics.alarms import AlarmFigures, Watched
from pipelines.metrics.burden import Burden, Ward, burden_figures, by_unit, simulate

_FOLDER = Path(__file__).parent


def burden_page(
    ward: Ward, policy: AlarmPolicy, window: timedelta, source: str, *, budget: float | None = None
) -> str:
    """The page of `ward` as HTML, opened at `policy`; `budget` in alarms a bed and day is drawn as a line."""
    environment = Environment(
        loader=PackageLoader("pipelines.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    packed = _packed(ward, simulate(ward, policy, window)) | {
        "window": window / timedelta(hours=1),
        "policy": policy.as_json(),
        "budget": budget,
    }
    return environment.get_template("burden.html.j2").render(
        source=source,
        stays=len(ward.subject),
        events=len(ward.events.onset),
        days=packed["whole"]["days"],
        window=f"{window / timedelta(hours=1):g}",
        dated=ward.dated,
        several=len(packed["units"]) > 1,
        style=Markup((_FOLDER / "burden.css").read_text(encoding="utf-8")),  # noqa: S704  our own files
        script=Markup("\n").join(
            _script(name) for name in ("burden_engine.js", "burden_charts.js", "burden_page.js")
        ),
        data=Markup(json.dumps(packed).replace("<", "\\u003c")),  # noqa: S704  no tag can end in it
    )


def _script(name: str) -> Markup:
    return Markup((_FOLDER / name).read_text(encoding="utf-8"))  # noqa: S704  our own files


def _packed(ward: Ward, burden: Burden) -> dict[str, Any]:
    """What the page's engine reads; days do not depend on the policy, so they come from here."""
    watched, events = ward.watched, ward.events
    step, time = _times(watched)
    score = watched.score.astype(np.float32)
    single = bool(np.array_equal(score.astype(np.float64), watched.score, equal_nan=True))
    units = by_unit(ward, burden)
    place = {name: number for number, name in enumerate(units)}
    return {
        "rows": _bytes(watched.rows, np.int32),
        "single": single,
        "score": _bytes(watched.score, np.float32 if single else np.float64),
        "step": step,
        "time": _bytes(time, np.float64),
        "count": _bytes(events.count, np.int32),
        "onset": _bytes(events.onset, np.float64),
        "end": _bytes(events.end, np.float64),
        "unit": _bytes(np.array([place[name] for name in ward.unit]), np.int32),
        "units": [{"name": name} | _days(one.outside) for name, one in units.items()],
        "whole": _days(burden_figures(burden).outside),
        "bedHours": ward.bed_hours.tolist() if ward.dated else None,
    }


def _times(watched: Watched) -> tuple[int, np.ndarray]:
    """The step of all rows and each stay's first time; or 0 and every row's time where steps differ."""
    own = np.ones(len(watched.time), dtype=np.bool_)
    own[watched.starts[:-1]] = False
    gaps = np.diff(watched.time, prepend=watched.time[0])[own]
    if len(gaps) and (gaps == gaps[0]).all():
        return int(gaps[0]), watched.time[watched.starts[:-1]]
    return 0, watched.time


def _days(found: AlarmFigures) -> dict[str, float]:
    return {"days": found.patient_days, "freeDays": found.free_days}


def _bytes(values: np.ndarray, kind: type) -> str:
    """The array as little-endian bytes, base64."""
    ordered = np.dtype(kind).newbyteorder("<")
    return base64.b64encode(values.astype(ordered).tobytes()).decode("ascii")
