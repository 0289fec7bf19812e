"""When variables are measured and when they become known: panels of a monitor, a ventilator, a laboratory.

Each stay has its own interval for each panel. Illness shortens it, and brings tests that nobody would order
for a well person. The share of stays that have a panel at all follows CinC 2019 set A.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.simulate.course import between
from pipelines.simulate.latent import Body

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Panel:
    """Variables that are measured together.

    `variables` are (catalogue name, probability that a round includes it). A stay's interval is drawn
    log-uniformly from `interval_hours`. `share` of the stays have the panel as a routine; where
    `when_ill`, the others get it once severity passes `ChartingConfig.ordered_at`. The reporting lag is
    log-normal with median `lag_minutes`.
    """

    name: str
    variables: tuple[tuple[str, float], ...]
    interval_hours: tuple[float, float]
    share: float
    lag_minutes: float
    when_ill: bool = False
    by_monitor: bool = False


@dataclass(frozen=True)
class ChartingConfig:
    """How charting varies from round to round."""

    jitter: float = 0.3  # a round comes up to this share of its interval early or late
    illness: float = 1.2  # severity 1 divides an interval by 1 + this
    shortest_interval_hours: float = 5 / 60
    first_within_hours: float = 3.0  # everything routine has begun by then
    ordered_at: float = 0.3
    order_delay_hours: tuple[float, float] = (0.3, 2.0)
    lag_spread: float = 0.45  # of the logarithm; with the medians below, 95 % come within twice the median


# Laboratory lags: MIMIC-IV charts laboratory results a median of 1.1 h after the draw; bedside analysers
# take minutes. Liver and cardiac tests are daily routine at most.
PANELS = (
    Panel(
        "monitor",
        (("heart_rate", 0.99), ("respiratory_rate", 0.97), ("oxygen_saturation", 0.95)),
        (8 / 60, 55 / 60),
        1.0,
        0.8,
        by_monitor=True,
    ),
    Panel(
        "pressure",
        (("systolic_pressure", 0.97), ("mean_arterial_pressure", 0.98), ("diastolic_pressure", 0.97)),
        (10 / 60, 55 / 60),
        1.0,
        0.8,
        by_monitor=True,
    ),
    Panel("temperature", (("temperature", 1.0),), (2.0, 5.5), 1.0, 4.0),
    Panel("ventilator", (("fio2", 1.0),), (2.0, 7.0), 0.55, 5.0, when_ill=True),
    Panel("capnography", (("end_tidal_co2", 1.0),), (1.0, 3.0), 0.08, 1.0, by_monitor=True),
    Panel(
        "blood gas",
        (("ph", 1.0), ("paco2", 1.0), ("base_excess", 0.98), ("arterial_oxygen_saturation", 0.5)),
        (4.0, 12.0),
        0.5,
        6.0,
        when_ill=True,
    ),
    Panel("lactate", (("lactate", 1.0),), (4.0, 12.0), 0.3, 12.0, when_ill=True),
    Panel(
        "chemistry",
        (
            ("potassium", 1.0),
            ("chloride", 0.95),
            ("bicarbonate", 0.95),
            ("bun", 0.97),
            ("creatinine", 0.97),
            ("glucose", 1.0),
            ("magnesium", 0.85),
            ("phosphate", 0.65),
            ("calcium", 0.65),
        ),
        (7.0, 12.0),
        0.98,
        58.0,
    ),
    Panel(
        "blood count",
        (("hemoglobin", 1.0), ("hematocrit", 1.0), ("wbc", 0.85), ("platelets", 0.85)),
        (7.0, 12.0),
        0.98,
        42.0,
    ),
    Panel("coagulation", (("ptt", 1.0), ("fibrinogen", 0.15)), (8.0, 12.0), 0.7, 65.0, when_ill=True),
    Panel(
        "liver",
        (("ast", 1.0), ("alkaline_phosphatase", 0.97), ("bilirubin_total", 1.0), ("bilirubin_direct", 0.08)),
        (10.0, 24.0),
        0.25,
        75.0,
        when_ill=True,
    ),
    Panel("cardiac", (("troponin_i", 1.0),), (6.0, 12.0), 0.05, 70.0),
)


def round_hours(random: np.random.Generator, panel: Panel, body: Body, config: ChartingConfig) -> Array:
    """The hours since admission (T,), increasing, at which the panel is measured; empty where never."""
    low, high = panel.interval_hours
    interval = low * (high / low) ** random.random()
    hour = _begins(random, panel, body, config, interval)
    last = float(body.hour[-1])
    hours: list[float] = []
    while hour < last:
        hours.append(hour)
        jitter = 1 + config.jitter * random.uniform(-1, 1)
        wanted = interval * jitter / (1 + config.illness * body.severity_at(hour))
        hour += max(wanted, config.shortest_interval_hours)
    return np.array(hours)


def _begins(
    random: np.random.Generator, panel: Panel, body: Body, config: ChartingConfig, interval: float
) -> float:
    """The hour of the first round; infinite where the panel is never ordered."""
    routine, first, delay = random.random(3)
    if routine < panel.share:
        return float(first) * min(interval, config.first_within_hours)
    ill = np.flatnonzero(body.severity >= config.ordered_at)
    if not panel.when_ill or not len(ill):
        return np.inf
    return float(body.hour[ill[0]]) + between(config.order_delay_hours, delay)


def lag_hours(random: np.random.Generator, panel: Panel, rounds: int, config: ChartingConfig) -> Array:
    """How long each round (T,) takes to become known; all variables of a round come together."""
    lag: Array = panel.lag_minutes / 60 * np.exp(config.lag_spread * random.standard_normal(rounds))
    return lag
