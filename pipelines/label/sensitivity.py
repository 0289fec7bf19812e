"""Label sensitivity: how much a cohort depends on choices that papers rarely state.

Every stay is labelled under each combination of suspicion rule, baseline and treatment of missing components,
and each combination is compared with the reference: who is a case at all, and by how much the onset moves.
The choices are those of `pipelines.label.presets`. Source of the question: Johnson et al. 2018,
doi:10.1097/CCM.0000000000002965 (five sepsis criteria on the same patients).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd

from models.clinical.stay import Stay
from pipelines.label.presets import DEFAULT, Baseline, Missing, Sepsis3Options
from pipelines.label.sepsis3 import label_from
from pipelines.label.sofa import hourly
from pipelines.label.suspicion import SuspicionRule, times

COLUMNS = (
    *("suspicion", "baseline", "missing", "stays", "suspected", "cases", "prevalence"),
    *("gained", "lost", "shift_median_hours", "shift_low_hours", "shift_high_hours"),
)


def variations(reference: Sepsis3Options = DEFAULT) -> tuple[Sepsis3Options, ...]:
    """`reference`, and every other combination of suspicion rule, baseline and missing."""
    combined = (
        replace(reference, suspicion_rule=rule, baseline=baseline, missing=missing)
        for rule, baseline, missing in product(get_args(SuspicionRule), get_args(Baseline), get_args(Missing))
    )
    return (reference, *(options for options in combined if options != reference))


@dataclass
class LabelSensitivity:
    """Running labels of stays under several options; the first of them is the reference."""

    options: tuple[Sepsis3Options, ...] = field(default_factory=variations)
    onsets: list[list[float]] = field(default_factory=list)  # a stay's onset hour by option, NaN for none
    suspected: list[list[bool]] = field(default_factory=list)

    def add(self, stay: Stay) -> None:
        """Label one stay under every option; SOFA and suspicions are computed once."""
        sofa = hourly(stay, definition=self.options[0].definition)
        suspected = {rule: times(stay, rule) for rule in get_args(SuspicionRule)}
        labels = [label_from(stay, sofa, suspected[one.suspicion_rule], one) for one in self.options]
        self.onsets.append([np.nan if one.onset_hour is None else one.onset_hour for one in labels])
        self.suspected.append([one.suspicion_time is not None for one in labels])

    def table(self) -> pd.DataFrame:
        """One row an option, by COLUMNS: `gained` and `lost` cases and the shift of onset (median and
        quartiles over stays that are cases under both, in hours; later is positive) against the reference.
        """
        onset = np.array(self.onsets, dtype=np.float64).reshape(-1, len(self.options))
        suspected = np.array(self.suspected, dtype=np.bool_).reshape(onset.shape)
        rows = [
            _row(options, onset[:, [0, index]], int(suspected[:, index].sum()))
            for index, options in enumerate(self.options)
        ]
        return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(options: Sepsis3Options, onset: np.ndarray, suspected: int) -> tuple[object, ...]:
    case = ~np.isnan(onset)
    both = case.all(axis=1)
    shift = onset[both, 1] - onset[both, 0]
    median, low, high = np.percentile(shift, (50, 25, 75)) if len(shift) else (np.nan, np.nan, np.nan)
    stays, cases = len(onset), int(case[:, 1].sum())
    return (
        *(options.suspicion_rule, options.baseline, options.missing, stays, suspected, cases),
        cases / stays if stays else np.nan,
        int((case[:, 1] & ~case[:, 0]).sum()),
        int((case[:, 0] & ~case[:, 1]).sum()),
        *(float(median), float(low), float(high)),
    )


def sensitivity(stays: Iterable[Stay], reference: Sepsis3Options = DEFAULT) -> pd.DataFrame:
    """The table of every variation of `reference` over these stays."""
    varied = LabelSensitivity(variations(reference))
    for stay in stays:
        varied.add(stay)
    return varied.table()


def sensitivity_text(table: pd.DataFrame) -> str:
    """The table for the terminal."""
    shown = table.assign(
        prevalence=["" if np.isnan(share) else f"{100 * share:.1f} %" for share in table["prevalence"]],
        shift=[
            "" if np.isnan(row[0]) else f"{row[0]:+.0f} ({row[1]:+.0f} to {row[2]:+.0f}) h"
            for row in zip(*(table[f"shift_{name}_hours"] for name in ("median", "low", "high")), strict=True)
        ],
    )
    names = [
        "suspicion",
        "baseline",
        "missing",
        "suspected",
        "cases",
        "prevalence",
        "gained",
        "lost",
        "shift",
    ]
    return str(shown[names].to_string(index=False))


def plot_sensitivity(table: pd.DataFrame, title: str, path: Path) -> Path:
    """Write the figure: a dot an option, prevalence against the shift of onset, the reference marked."""
    import matplotlib as mpl  # noqa: PLC0415 - half a second, for those who plot
    from matplotlib.figure import Figure  # noqa: PLC0415

    with mpl.rc_context({"font.family": "DejaVu Sans", "svg.hashsalt": "sensitivity"}):
        figure = Figure(figsize=(9, 0.8 + 0.27 * len(table)), layout="constrained")
        counts, shifts = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        ordered = table.iloc[::-1].reset_index(drop=True)
        colours = [*["#9db4c0"] * (len(ordered) - 1), "#b4532a"]
        names = [f"{row.suspicion} · {row.baseline} · {row.missing}" for row in ordered.itertuples()]
        counts.barh(range(len(ordered)), 100 * ordered["prevalence"], color=colours, height=0.7)
        counts.set_yticks(range(len(ordered)), names, fontsize=8)
        counts.set_xlabel("stays with sepsis, %", fontsize=9)
        counts.set_xlim(left=0)
        counts.set_ylim(-0.7, len(ordered) - 0.3)
        _draw_shifts(shifts, ordered, colours)
        for axes in (counts, shifts):
            axes.spines[["top", "right", "left"]].set_visible(False)
            axes.tick_params(axis="y", length=0)
        figure.suptitle(title, x=0.01, ha="left", fontsize=12)
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
    return path


def _draw_shifts(axes: object, ordered: pd.DataFrame, colours: Sequence[str]) -> None:
    for place, row in enumerate(ordered.itertuples()):
        axes.plot([row.shift_low_hours, row.shift_high_hours], [place, place], color=colours[place], lw=3)  # type: ignore[attr-defined]
        axes.plot(row.shift_median_hours, place, "o", color="#22303a", ms=4)  # type: ignore[attr-defined]
    axes.axvline(0, color="#6b7a85", lw=0.8)  # type: ignore[attr-defined]
    axes.set_xlabel("onset moved by, h\n(median, quartiles)", fontsize=9)  # type: ignore[attr-defined]
