"""Figures of scores as probabilities: the reliability curve and the decision curve."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from pipelines.evaluate.figures import RULES
from pipelines.metrics.decision import decision_curve
from pipelines.metrics.reliability import reliability
from pipelines.report.material import Material
from pipelines.report.style import SOFT, Drawing, drawing, named, quiet, saved
from pipelines.report.words import model_name

_DOTTED = (0, (1, 2))


def draw_reliability(material: Material) -> Drawing:
    """What each model said, and what came true, in ten equally full bins; and how scores are spread."""
    with drawing(1, 2, 9.2, 4.2) as (figure, (curve, spread)):
        _curves(material, curve)
        _spreads(material, spread)
        for axis in (curve.xaxis, curve.yaxis, spread.xaxis):
            axis.set_major_formatter(lambda at, _: f"{100 * at:g} %")
            axis.set_minor_formatter(lambda *_: "")
        for panel in (curve, spread):
            quiet(panel)
        return saved(
            figure,
            material.figures,
            "calibration",
            title="Calibration",
            caption="Left: ten bins of equally many hours; on the dotted line a score of 5 % comes true in "
            "5 % of hours. Right: all hours with a score. Points of the rules are no probabilities and are "
            "left out.",
        )


def _curves(material: Material, panel: Axes) -> None:
    """The reliability curve of each model, and the line on which what was said came true."""
    looks, ends = named(material.models), [0.01]
    for name in _probabilities(material):
        found = reliability(material.evidence.label, material.evidence.scores[name].probability)
        told = found.observed > 0  # nothing came true in a bin: no place on a logarithmic axis
        said, true = found.predicted[told], found.observed[told]
        panel.plot(said, true, color=looks[name][0], marker="o", markersize=5, label=model_name(name))
        ends += [*said, *true]
    span = [0.7 * min(ends), 1.4 * max(ends)]
    panel.plot(span, span, color=SOFT, linewidth=0.8, linestyle=_DOTTED)
    panel.set(xscale="log", yscale="log", xlim=span, ylim=span)
    panel.set(title="Said and came true", xlabel="mean score of the bin", ylabel="share of positive hours")
    panel.legend(loc="upper left")


def _spreads(material: Material, panel: Axes) -> None:
    """How many hours each model gave which score, and the first model's own threshold."""
    looks, bins = named(material.models), np.geomspace(1e-4, 1, 45).tolist()
    panel.set_xscale("log")
    for name in _probabilities(material):
        scored = material.evidence.scores[name].value
        told = np.clip(scored[np.isfinite(scored)], 1e-4, 1)
        panel.hist(told, bins=bins, color=looks[name][0], alpha=0.75)
    threshold = material.first["threshold"]
    panel.axvline(threshold, color=SOFT, linewidth=0.9)
    panel.annotate(
        " own threshold",
        (threshold, 1),
        xycoords=("data", "axes fraction"),
        va="top",
        fontsize=8.5,
        color=SOFT,
    )
    panel.set(title="How often each score was given", xlabel="score", ylabel="hours")


def draw_decision(material: Material) -> Drawing:
    """Net benefit of acting on the score, on everybody and on nobody, over thresholds of interest."""
    with drawing(1, 1, 7.2, 3.9) as (figure, (panel,)):
        _benefits(material, panel)
        panel.axvline(material.first["threshold"], color=SOFT, linewidth=0.8, linestyle=_DOTTED)
        panel.set(
            title="Net benefit, true positives per 1,000 hours",
            xlabel="threshold: the risk at which one would act",
        )
        panel.legend(loc="upper right")
        quiet(panel)
        return saved(
            figure,
            material.figures,
            "decision",
            title="Decision curve",
            caption="Above both grey lines, acting on the score does more good than harm at that threshold: "
            "whoever acts at 2 % accepts 49 false calls for a true one. Dotted: the first model's threshold.",
        )


def _benefits(material: Material, panel: Axes) -> None:
    """A curve for each way to act; `everybody` is the same whatever the model."""
    label, looks = material.evidence.label, named(material.models)
    prevalence = float(label.mean())
    threshold = np.linspace(0, min(0.9, max(6 * prevalence, 2 * material.first["threshold"])), 200)
    for name in _probabilities(material):
        found = decision_curve(label, material.evidence.scores[name].probability, threshold)
        told = f"act on {model_name(name)}"
        panel.plot(threshold, 1000 * found.model, color=looks[name][0], label=told)
    everybody = 1000 * found.everybody
    panel.plot(threshold, everybody, color=SOFT, linestyle="--", linewidth=1.2, label="act on everybody")
    panel.axhline(0, color=SOFT, linewidth=1.2, label="act on nobody")
    panel.set_ylim(-0.25 * 1000 * prevalence, 1.1 * 1000 * prevalence)


def _probabilities(material: Material) -> list[str]:
    return [name for name in material.models if name not in RULES]


def has_probabilities(material: Material) -> bool:
    """Whether any model gives probabilities."""
    return bool(_probabilities(material))
