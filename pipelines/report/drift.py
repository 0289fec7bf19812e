"""Drift between sites: which variables differ in what they say, in how often they are measured; and scores.

    PSI = sum_b (p_b - q_b) ln(p_b / q_b)

over ten bins that hold a tenth each of the first site's stays: p is the share of the first site's, q of the
other's. Below 0.1 nothing to speak of, above 0.25 another population. A stay counts once a variable, with the
median of its values; a variable that was never measured in a stay is missing there.

Source: Siddiqi 2006, Credit Risk Scorecards, ISBN 978-0-471-75451-0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes

from models.clinical.variables import CATALOGUE
from pipelines.evaluate.measured import VARIABLES
from pipelines.evaluate.scored import Evidence
from pipelines.report.material import Material
from pipelines.report.style import ALARM, COLOURS, INK, SOFT, Drawing, drawing, quiet, saved

Floats = npt.NDArray[np.float64]

_BINS, _LEAST = 10, 1e-4  # an empty bin counts as one in ten thousand, or the sum would be infinite
_FEWEST = 30  # stays a site that have the variable, or nothing is said of its values
SLIGHT, STRONG = 0.1, 0.25


@dataclass(frozen=True)
class Drifted:
    """One variable at two sites: PSI of its values, None where too few have it; stays without it, shares."""

    name: str
    label: str
    psi: float | None
    missing_first: float
    missing_other: float


def stability(first: Floats, other: Floats) -> float:
    """PSI of `other` against `first`, both finite, `first` with at least two distinct values."""
    edges = np.unique(np.quantile(first, np.arange(1, _BINS) / _BINS))
    shares = [
        np.maximum(
            np.bincount(np.searchsorted(edges, one, side="right"), minlength=len(edges) + 1) / len(one),
            _LEAST,
        )
        for one in (first, other)
    ]
    return float(((shares[0] - shares[1]) * np.log(shares[0] / shares[1])).sum())


def sites(material: Material) -> list[str]:
    """The sites that have stays, in the order of the settings."""
    return [one["site"] for one in material.record["sources"] if one["evaluated"]]


def between(evidence: Evidence, first: str, other: str) -> list[Drifted]:
    """Every variable that either site has, the most drifted first."""
    here, there = (evidence.stays[evidence.stays["site"] == site] for site in (first, other))
    found = [_drifted(name, here, there) for name in VARIABLES]
    told = [one for one in found if min(one.missing_first, one.missing_other) < 1]
    return sorted(told, key=lambda one: -(one.psi or 0) - abs(one.missing_first - one.missing_other))


def score_stability(evidence: Evidence, model: str, first: str, other: str) -> float | None:
    """PSI of the hours' scores."""
    site = np.repeat(evidence.stays["site"].to_numpy(dtype=object), evidence.rows)
    value = evidence.scores[model].value
    here, there = (value[(site == one) & np.isfinite(value)] for one in (first, other))
    return stability(here, there) if min(len(here), len(there)) >= _FEWEST else None


def _drifted(name: str, here: pd.DataFrame, there: pd.DataFrame) -> Drifted:
    values = [one[f"median_{name}"].to_numpy(dtype=np.float64) for one in (here, there)]
    held = [one[np.isfinite(one)] for one in values]
    enough = min(map(len, held)) >= _FEWEST and len(np.unique(held[0])) > 1
    return Drifted(
        name,
        CATALOGUE[name].label,
        stability(*held) if enough else None,
        *(1 - len(some) / max(len(one), 1) for some, one in zip(held, values, strict=True)),
    )


def draw(material: Material) -> Drawing:
    """The variables that drifted most: PSI of values, and at which share of stays they are missing."""
    first, other = sites(material)[:2]
    shown = between(material.evidence, first, other)[:18]
    with drawing(1, 2, 9.2, 1.2 + 0.24 * len(shown)) as (figure, (psi, missing)):
        _values(shown, psi)
        _missing(shown, (first, other), missing)
        for panel in (psi, missing):
            panel.set_ylim(len(shown) - 0.4, -0.6)
            quiet(panel, grid="x")
        return saved(
            figure,
            material.figures,
            "drift",
            title=f"Drift from site {first} to site {other}",
            caption="A stay counts once a variable, with the median of its values. Dotted: 0.1, below which "
            "there is nothing to speak of, and 0.25, above which it is another population (orange).",
        )


def _values(shown: Sequence[Drifted], panel: Axes) -> None:
    """A bar a variable, as long as the PSI of its values."""
    place, psi = np.arange(len(shown)), [one.psi or 0 for one in shown]
    panel.barh(place, psi, height=0.6, color=[ALARM if one > STRONG else COLOURS[0] for one in psi])
    for limit in (SLIGHT, STRONG):
        panel.axvline(limit, color=SOFT, linewidth=0.8, linestyle=(0, (1, 2)))
    panel.set_yticks(place, [one.label for one in shown], color=INK)
    panel.set(title="Values: population stability index", xlim=(0, None))


def _missing(shown: Sequence[Drifted], both: tuple[str, str], panel: Axes) -> None:
    """Two marks a variable, the share of stays without it at each of both sites, and a line from one to the
    other.
    """
    place = np.arange(len(shown))
    shares = [[100 * one.missing_first for one in shown], [100 * one.missing_other for one in shown]]
    for at, ends in zip(place, zip(*shares, strict=True), strict=True):
        panel.plot(ends, [at, at], color=SOFT, linewidth=1)
    for site, share, marker, colour in zip(both, shares, "oD", COLOURS, strict=False):
        marks: dict[str, Any] = {"linestyle": "none", "marker": marker, "markersize": 5.5, "color": colour}
        panel.plot(share, place, **marks, label=f"site {site}")
    panel.set_yticks(place, [""] * len(shown))
    panel.set(title="Stays without it, %", xlim=(-2, 102))
    panel.legend(loc="lower left", bbox_to_anchor=(0.6, 1.0), ncols=2, columnspacing=1.0)
