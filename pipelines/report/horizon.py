"""Figure: how well each model ranks at each hour before onset."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from pipelines.metrics.horizon import CONTROLS_A_CASE
from pipelines.report.material import Material
from pipelines.report.style import SOFT, Drawing, drawing, named, quiet, saved
from pipelines.report.words import model_name

_PANELS = (
    ("auprc", "AUPRC", 1 / (1 + CONTROLS_A_CASE)),
    ("auroc", "AUROC", 0.5),
)


def draw(material: Material) -> Drawing:
    """AUPRC and AUROC at 0 to `horizon_hours` before onset, among controls at the same hour of stay."""
    looks = named(material.models)
    with drawing(1, 2, 9.2, 3.9) as (figure, axes):
        for panel, (key, title, chance) in zip(axes, _PANELS, strict=True):
            for one in reversed(material.whole["models"]):  # the first on top
                _line(panel, one, key, looks[one["model"]], banded=one is material.first)
            panel.axhline(chance, color=SOFT, linewidth=0.8, linestyle=(0, (1, 2)))
            panel.annotate(
                " chance",
                (0, chance),
                xycoords=("axes fraction", "data"),
                ha="left",
                va="bottom",
                fontsize=8,
                color=SOFT,
            )
            panel.set_title(title)
            panel.set_xlabel("hours before onset")
            panel.invert_xaxis()
            panel.set_xticks(range(0, material.settings["horizon_hours"] + 1, 2))
            quiet(panel)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles[::-1], labels[::-1], loc="outside lower center", ncols=len(looks))
        cases = [one["cases"] for one in material.first["ranking"]["horizons"]]
        return saved(
            figure,
            material.figures,
            "horizon",
            title="Ranking at each hour before onset",
            caption=f"Each case is scored h hours before its onset beside {CONTROLS_A_CASE} stays without an "
            f"event at the same hour of stay; {min(cases)} to {max(cases)} cases. Band: interval over "
            "subjects. Time passes from left to right.",
        )


def _line(
    panel: Axes,
    one: dict[str, Any],
    key: str,
    look: tuple[str, Any],
    *,
    banded: bool,
) -> None:
    horizons, label = one["ranking"]["horizons"], model_name(one["model"])
    told = [one for one in horizons if one[key] is not None]
    hours = [one["hours"] for one in told]
    colour, mark = look
    panel.plot(hours, [one[key] for one in told], color=colour, linestyle=mark, label=label)
    if not banded:
        return
    low, high = (
        np.array([np.nan if (at := one[f"{key}_interval"][end]) is None else at for one in told])
        for end in ("low", "high")
    )
    panel.fill_between(hours, low, high, color=colour, alpha=0.15, linewidth=0)
