"""Figures: the worst misses and the worst false alarms, one stay a figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from pipelines.report.material import Material
from pipelines.report.style import ALARM, BAND, COLOURS, INK, ONSET, SOFT, Drawing, drawing, quiet, saved
from pipelines.report.words import number

_HOURS_BEFORE, _HOURS_AFTER = 72.0, 12.0  # of a long stay: around what went wrong


def draw_all(material: Material) -> dict[str, list[Drawing]]:
    """The drawings of each kind, the worst first."""
    found: dict[str, list[Drawing]] = {"miss": [], "false alarm": []}
    for one in material.trajectories:
        place = len(found[one["kind"]]) + 1
        name = f"{one['kind'].replace(' ', '_')}_{place}"
        found[one["kind"]].append(_draw(material, one, name, place))
    return found


def banded(material: Material) -> bool:
    """Whether some figure shows what the process believed of a variable."""
    return any(variable["band"] for one in material.trajectories for variable in one["variables"])


def _draw(material: Material, one: dict[str, Any], name: str, place: int) -> Drawing:
    variables = one["variables"]
    with drawing(1 + len(variables), 1, 9.2, 1.4 + 0.95 * len(variables)) as (figure, axes):
        _score(axes[0], material, one)
        for panel, variable in zip(axes[1:], variables, strict=True):
            _variable(panel, variable)
        for panel in axes:
            panel.set_xlim(*_window(one))
            quiet(panel, grid="both")
            panel.label_outer()
        axes[-1].set_xlabel("hours since admission")
        if one["onset_hour"] is not None:
            _onset(axes, one["onset_hour"], material.settings["window_hours"])
        for panel in axes:  # what lies outside the hours that are shown makes no room for itself
            for artist in (*panel.lines, *panel.collections, *panel.patches, *panel.texts):
                artist.set_in_layout(False)
        return saved(figure, material.figures, name, title=_title(one, place), caption=_caption(one))


def _onset(axes: Sequence[Axes], onset_hour: float, window_hours: float) -> None:
    """The onset through all panels, and in the first the hours in which an alarm would have been in time."""
    for panel in axes:
        panel.axvline(onset_hour, color=ONSET, linewidth=1.3)
    axes[0].axvspan(onset_hour - window_hours, onset_hour, color=ONSET, alpha=0.07, linewidth=0)
    axes[0].annotate(
        "onset ",
        (onset_hour, 1.0),
        xycoords=("data", "axes fraction"),
        ha="right",
        va="top",
        color=ONSET,
        fontsize=8.8,
    )


def _score(panel: Axes, material: Material, one: dict[str, Any]) -> None:
    hour, value, low, high = (
        np.array([np.nan if cell is None else cell for cell in one[name]], dtype=np.float64)
        for name in ("hour", "value", "low", "high")
    )
    panel.fill_between(hour, low, high, color=COLOURS[0], alpha=0.16, linewidth=0, step="mid")
    panel.step(hour, value, where="mid", color=COLOURS[0])
    threshold = material.policy.threshold
    panel.axhline(threshold, color=SOFT, linewidth=0.9, linestyle=(0, (4, 2)))
    begin, end = _window(one)
    end = end if one["onset_hour"] is None else min(end, one["onset_hour"] - 0.5)
    alarms = [at for at in one["alarms"] if begin <= at <= end]
    heights = [value[one["hour"].index(at)] for at in alarms]
    panel.plot(alarms, heights, linestyle="none", marker="v", markersize=7, color=ALARM, clip_on=False)
    top = max(float(np.nanmax(np.concatenate([value, high]))), threshold)
    panel.set_ylim(0, 1.12 * top)
    _named(panel, "Score", "")


def _variable(panel: Axes, variable: dict[str, Any]) -> None:
    band = variable["band"]
    if band is not None:
        hour, low, mean, high = (
            np.array([np.nan if cell is None else cell for cell in band[name]], dtype=np.float64)
            for name in ("hour", "low", "mean", "high")
        )
        panel.fill_between(hour, low, high, color=BAND, alpha=0.45, linewidth=0)
        panel.plot(hour, mean, color=COLOURS[0], linewidth=1.0, alpha=0.8)
    panel.plot(variable["hour"], variable["value"], linestyle="none", marker="o", markersize=3, color=INK)
    _named(panel, variable["label"], variable["unit"])


def _named(panel: Axes, label: str, unit: str) -> None:
    """The name above, at the left: a panel is too low for a label at its side."""
    panel.set_title(f"{label}, {unit}" if unit else label, fontsize=8.8, fontweight="normal", pad=3)
    panel.locator_params(axis="y", nbins=4)


def _window(one: dict[str, Any]) -> tuple[float, float]:
    """What is shown of a long stay: up to its onset, or around its highest score."""
    first, last = 0.0, max(float(one["hour"][-1]), one["onset_hour"] or 0.0) + 0.5
    if last - first <= _HOURS_BEFORE + _HOURS_AFTER:
        return first, last
    scores = [-1.0 if cell is None else cell for cell in one["value"]]
    centre = one["onset_hour"] if one["onset_hour"] is not None else one["hour"][int(np.argmax(scores))]
    end = min(last, centre + _HOURS_AFTER)
    return max(first, end - _HOURS_BEFORE - _HOURS_AFTER), end


def _title(one: dict[str, Any], place: int) -> str:
    return f"{'Miss' if one['kind'] == 'miss' else 'False alarm'} {place}: stay {one['stay_id']}"


def _caption(one: dict[str, Any]) -> str:
    who = ", ".join(
        part
        for part in (
            one["site"] and f"site {one['site']}",
            one["sex"],
            None if one["age_years"] is None else f"{one['age_years']:.0f} years",
            one["care_unit"],
        )
        if part
    )
    scores = [cell for cell in one["value"] if cell is not None]
    if one["kind"] == "miss":
        onset = number(one["onset_hour"], 1).removesuffix(".0")
        return f"{who}. Onset at {onset} h. No alarm in the shaded hours before it."
    return f"{who}. No event in {one['hour'][-1]} h; highest score {number(max(scores), 3)}."
