"""How each simulated variable varies between and within people, and what sepsis does to it.

Centres, spreads and within-stay persistence are rounded marginals of PhysioNet/CinC 2019 training set A
(3,000 stays, doi:10.13026/v64v-d857, CC BY 4.0): medians, interquartile range / 1.35, median within-stay
standard deviation. The septic effects are the authors' choice of a plain, severe picture (Sepsis-3: Singer
2016, doi:10.1001/jama.2016.0287); in set A the average septic stay differs far less, so a model is not to
be judged on these stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Quantity:
    """One latent quantity: centre + person + circadian rhythm + sepsis * severity + noise.

    Everything but `centre` is on the natural scale in the canonical unit, or, where `logarithmic`, on the
    natural logarithm. `sepsis` is the change at severity 1, which follows severity after `delay_hours`.
    `stress`, `lungs` and `volume` in [-1, 1] load the factors that variables share; their squares sum to
    at most 1. `circadian` is the amplitude of a daily cosine that peaks at 18:00.
    """

    name: str
    centre: float
    between: float
    within: float
    persistence_hours: float
    sepsis: float
    delay_hours: float = 0.0
    noise: float = 0.0
    circadian: float = 0.0
    stress: float = 0.0
    lungs: float = 0.0
    volume: float = 0.0
    logarithmic: bool = False


# Pulse pressure carries the difference of systolic and diastolic, so that the three pressures agree. Body
# temperature peaks in the early evening; ICU rhythms are damped, so amplitudes are half of healthy ones.
_ROWS = (
    Quantity("heart_rate", 82, 13, 7, 5, 34, noise=1.5, circadian=2.0, stress=0.6, volume=-0.3),
    Quantity(
        "mean_arterial_pressure", 80, 9, 7.5, 1.5, -24, noise=1.0, circadian=1.5, stress=0.4, volume=0.4
    ),
    Quantity("pulse_pressure", 58, 13, 8, 4, -12, noise=1.5, stress=0.3, volume=0.3),
    Quantity("respiratory_rate", 17.5, 2.8, 2.4, 3, 11, noise=1.3, circadian=0.5, stress=0.4, lungs=-0.4),
    Quantity("oxygen_saturation", 97.6, 1.3, 1.1, 4, -5.5, noise=0.6, lungs=0.7),
    Quantity("temperature", 36.95, 0.35, 0.25, 12, 1.7, noise=0.08, circadian=0.2),
    Quantity("fio2", 0.42, 0.06, 0.05, 10, 0.3, lungs=-0.6),
    Quantity("paco2", 40, 5, 3, 6, -6, noise=0.8, lungs=-0.5),
    Quantity("bicarbonate", 24.3, 2.8, 1.2, 18, -7, 2, noise=0.4, volume=0.2),
    Quantity("bun", 17, 0.55, 0.06, 48, 0.35, 8, volume=-0.3, logarithmic=True),
    Quantity("creatinine", 0.95, 0.45, 0.06, 48, 0.75, 6, volume=-0.3, logarithmic=True),
    Quantity("glucose", 123, 0.22, 0.14, 5, 0.25, stress=0.3, logarithmic=True),
    Quantity("lactate", 1.5, 0.33, 0.14, 8, 1.25, 1, stress=0.3, volume=-0.3, logarithmic=True),
    Quantity("potassium", 4.1, 0.4, 0.22, 10, 0.5, 4),
    Quantity("chloride", 105, 4, 1.5, 24, 1.5, 4, volume=0.3),
    Quantity("calcium", 8.4, 0.5, 0.2, 24, -0.7, 4, volume=-0.4),
    Quantity("magnesium", 2.0, 0.25, 0.12, 24, 0.0),
    Quantity("phosphate", 3.4, 0.9, 0.35, 18, 0.9, 6),
    Quantity("hemoglobin", 10.6, 1.5, 0.4, 30, -0.8, 6, volume=-0.6),
    Quantity("wbc", 10.2, 0.36, 0.09, 24, 0.62, 2, stress=0.3, logarithmic=True),
    Quantity("platelets", 190, 0.42, 0.07, 36, -0.75, 8, volume=-0.4, logarithmic=True),
    Quantity("ptt", 32, 0.25, 0.07, 24, 0.4, 6, logarithmic=True),
    Quantity("fibrinogen", 270, 0.42, 0.06, 36, 0.3, 6, logarithmic=True),
    Quantity("ast", 50, 0.9, 0.07, 36, 0.7, 8, logarithmic=True),
    Quantity("alkaline_phosphatase", 80, 0.5, 0.04, 48, 0.25, 8, logarithmic=True),
    Quantity("bilirubin_total", 0.8, 0.8, 0.06, 36, 0.7, 8, logarithmic=True),
    Quantity("troponin_i", 0.6, 1.4, 0.2, 12, 0.8, 4, stress=0.3, logarithmic=True),
)

QUANTITIES: Mapping[str, Quantity] = MappingProxyType({row.name: row for row in _ROWS})
FACTORS = ("stress", "lungs", "volume")
FACTOR_PERSISTENCE_HOURS = (2.0, 6.0, 12.0)  # agitation passes, lungs and fluid balance change slowly

# What is charted is rounded as monitors and laboratories round it. It also makes the last binary digits of
# exp and cos, which differ between processors, disappear from the data.
DECIMALS: Mapping[str, int] = MappingProxyType(
    {
        "heart_rate": 0,
        "systolic_pressure": 0,
        "mean_arterial_pressure": 0,
        "diastolic_pressure": 0,
        "respiratory_rate": 0,
        "oxygen_saturation": 0,
        "end_tidal_co2": 0,
        "temperature": 1,
        "fio2": 2,
        "ph": 2,
        "paco2": 0,
        "base_excess": 0,
        "bicarbonate": 0,
        "arterial_oxygen_saturation": 0,
        "bun": 0,
        "creatinine": 1,
        "glucose": 0,
        "lactate": 1,
        "potassium": 1,
        "chloride": 0,
        "calcium": 1,
        "magnesium": 1,
        "phosphate": 1,
        "hemoglobin": 1,
        "hematocrit": 1,
        "wbc": 1,
        "platelets": 0,
        "ptt": 1,
        "fibrinogen": 0,
        "ast": 0,
        "alkaline_phosphatase": 0,
        "bilirubin_total": 1,
        "bilirubin_direct": 1,
        "troponin_i": 2,
    }
)
