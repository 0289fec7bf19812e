"""Figure: ROC and precision-recall curves over all hours."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from sklearn.metrics import precision_recall_curve, roc_curve  # type: ignore[import-untyped]

from pipelines.report.material import Material
from pipelines.report.style import SOFT, Drawing, drawing, named, quiet, saved
from pipelines.report.words import model_name, number

Floats = npt.NDArray[np.float64]

_HIGH = 0.8  # a precision: curves that begin above it bend around the lower left
_POINTS = 400  # of a curve: more than the eye can tell apart on paper


def draw(material: Material) -> Drawing:
    """Both curves of every model, and where the first model's own threshold stands on them."""
    prevalence = float(material.evidence.label.mean())
    with drawing(1, 2, 9.2, 4.1) as (figure, (roc, recall)):
        _curves(material, roc, recall)
        roc.plot([0, 1], [0, 1], color=SOFT, linewidth=0.8, linestyle=(0, (1, 2)))
        roc.set(title="ROC", xlabel="false positive share of hours", ylabel="sensitivity, hours")
        roc.legend(title="AUROC", loc="lower right", alignment="left")
        recall.axhline(prevalence, color=SOFT, linewidth=0.8, linestyle=(0, (1, 2)))
        recall.set(title="Precision and recall", xlabel="recall, hours", ylabel="precision, hours")
        top = max(0.3, 1.15 * _highest(material))
        corner: Literal["upper right", "lower left"] = (
            "upper right" if top < _HIGH else "lower left"
        )  # where no curve passes
        recall.legend(title="AUPRC", loc=corner, alignment="left")
        recall.set_ylim(0, min(1.0, top))
        _own_threshold(material, roc, recall)
        for panel in (roc, recall):
            quiet(panel, grid="both")
        return saved(
            figure,
            material.figures,
            "ranking",
            title="ROC and precision-recall over all hours",
            caption=f"Every hour of every stay counts; {100 * prevalence:.1f} % of hours are positive "
            "(dotted). The ring marks the first model's own threshold.",
        )


def _curves(material: Material, roc: Axes, recall: Axes) -> None:
    """Both curves of every model, with the area under each."""
    evidence, looks = material.evidence, named(material.models)
    for one in material.whole["models"]:
        name, figures = one["model"], one["ranking"]["metrics"]
        probability = evidence.scores[name].probability
        false, true, _ = roc_curve(evidence.label, probability)
        precision, found, _ = precision_recall_curve(evidence.label, probability)
        for panel, curve, area in (
            (roc, _thinned(false, true), figures["auroc"]),
            (recall, _thinned(found[-2::-1], precision[-2::-1]), figures["auprc"]),
        ):
            told = f"{model_name(name)}  {number(area, 3)}"
            panel.plot(*curve, color=looks[name][0], linestyle=looks[name][1], label=told)


def _own_threshold(material: Material, roc: Axes, recall: Axes) -> None:
    evidence, first = material.evidence, material.first
    positive = evidence.scores[first["model"]].probability >= first["threshold"]
    label = evidence.label == 1
    found, false = float(positive[label].mean()), float(positive[~label].mean())
    ring: dict[str, Any] = {
        "marker": "o",
        "markersize": 8,
        "markerfacecolor": "none",
        "markeredgewidth": 1.6,
        "color": named(material.models)[first["model"]][0],
    }
    roc.plot([false], [found], **ring)
    if positive.any():
        recall.plot([found], [float(label[positive].mean())], **ring)


def _highest(material: Material) -> float:
    """The highest precision beyond a tenth of the recall: what lies before is a few hours' luck."""
    evidence, most = material.evidence, 0.0
    for name in material.models:
        precision, found, _ = precision_recall_curve(evidence.label, evidence.scores[name].probability)
        most = max(most, float(precision[found > 0.05].max(initial=0.0)))  # noqa: PLR2004
    return most


def _thinned(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """At most `_POINTS` of the points, the first and the last among them."""
    if len(x) <= _POINTS:
        return x, y
    wanted = np.linspace(0, x[-1], _POINTS)
    place = np.unique(np.concatenate([[0], np.searchsorted(x, wanted), [len(x) - 1]]).clip(0, len(x) - 1))
    return x[place], y[place]
