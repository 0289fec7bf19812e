"""Catalogue variables from latent quantities, at any times."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.clinical.variables import variable
from pipelines.simulate.latent import Body
from pipelines.simulate.physiology import DECIMALS, QUANTITIES

Array = npt.NDArray[np.float64]

CO2_SOLUBILITY = 0.0307  # mmol/L per mmHg in plasma at 37 degC
CARBONIC_ACID_PK = 6.1
NARROWEST_PULSE_PRESSURE = 18.0  # mmHg; keeps the three pressures apart after noise and rounding


def charted(body: Body, name: str, hour: Array, random: np.random.Generator) -> Array:
    """What is charted for variable `name` at `hour` (T,): measured with noise, kept plausible, rounded."""
    value = _true(body, name, hour)
    value = value + _noise(name) * random.standard_normal(len(hour))
    low, high = variable(name).plausible
    return np.clip(value, low, high).round(DECIMALS[name])


def _noise(name: str) -> float:
    if name in ("systolic_pressure", "diastolic_pressure"):
        return QUANTITIES["pulse_pressure"].noise
    return QUANTITIES[name].noise if name in QUANTITIES else 0.0


def _true(body: Body, name: str, hour: Array) -> Array:
    """True values (T,) in the canonical unit."""
    if name in QUANTITIES:
        return body.quantity(name, hour)
    return {
        "systolic_pressure": _systolic,
        "diastolic_pressure": _diastolic,
        "end_tidal_co2": _end_tidal,
        "ph": _ph,
        "base_excess": _base_excess,
        "arterial_oxygen_saturation": _arterial_saturation,
        "hematocrit": _hematocrit,
        "bilirubin_direct": _direct_bilirubin,
    }[name](body, hour)


def _systolic(body: Body, hour: Array) -> Array:
    return body.quantity("mean_arterial_pressure", hour) + _pulse_pressure(body, hour) * 2 / 3


def _diastolic(body: Body, hour: Array) -> Array:
    return body.quantity("mean_arterial_pressure", hour) - _pulse_pressure(body, hour) / 3


def _pulse_pressure(body: Body, hour: Array) -> Array:
    return np.maximum(body.quantity("pulse_pressure", hour), NARROWEST_PULSE_PRESSURE)


def _end_tidal(body: Body, hour: Array) -> Array:
    return body.quantity("paco2", hour) - 4.0  # the usual gap to arterial carbon dioxide is 2 to 5 mmHg


def _ph(body: Body, hour: Array) -> Array:
    """pH = pK + log10(HCO3 / (solubility PaCO2)), Henderson-Hasselbalch."""
    dissolved = CO2_SOLUBILITY * np.maximum(body.quantity("paco2", hour), 5.0)
    ph: Array = CARBONIC_ACID_PK + np.log10(np.maximum(body.quantity("bicarbonate", hour), 1.0) / dissolved)
    return ph


def _base_excess(body: Body, hour: Array) -> Array:
    """BE = 0.93 (HCO3 - 24.4 + 14.8 (pH - 7.4)), the Van Slyke equation at normal hemoglobin."""
    return 0.93 * (body.quantity("bicarbonate", hour) - 24.4 + 14.8 * (_ph(body, hour) - 7.4))


def _arterial_saturation(body: Body, hour: Array) -> Array:
    return body.quantity("oxygen_saturation", hour) - 0.7


def _hematocrit(body: Body, hour: Array) -> Array:
    return 2.9 * body.quantity("hemoglobin", hour)  # set A: 30.2 % at 10.5 g/dL


def _direct_bilirubin(body: Body, hour: Array) -> Array:
    return 0.4 * body.quantity("bilirubin_total", hour)
