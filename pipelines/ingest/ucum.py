"""UCUM unit codes in a unit that the catalogue accepts, by ucumvert on top of pint; for FHIR and HL7 v2.

Most codes are spellings the catalogue knows (`mm[Hg]`, `Cel`, `10*3/uL`). Any other valid code of the same
dimension is scaled to an accepted unit (`mbar` to `cmH2O`, `ug/dL` to `mg/dL`). Source: UCUM 2.1, ucum.org.
"""

from __future__ import annotations

import math
from functools import cache, lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from models.clinical.errors import UnacceptedUnit
from models.clinical.units import accepted_unit
from models.clinical.variables import Variable

if TYPE_CHECKING:
    from ucumvert import PintUcumRegistry  # type: ignore[import-untyped]

# the catalogue's spelling -> the UCUM code of the same unit; offset units (degC) are spelled, never scaled
_CODES = MappingProxyType(
    {
        "1/min": "/min", "mmHg": "mm[Hg]", "cmH2O": "cm[H2O]", "kPa": "kPa", "%": "%", "fraction": "1",
        "1": "1", "s": "s", "U/L": "U/L", "IU/L": "[IU]/L", "ukat/L": "ukat/L",
        "10^9/L": "10*9/L", "g/dL": "g/dL", "mg/dL": "mg/dL", "ng/mL": "ng/mL", "mmol/L": "mmol/L",
        "L/min": "L/min", "mL": "mL", "kg": "kg", "cm": "cm",
    }
)  # fmt: skip

# an annotation has no dimension, but it names the channel: breaths are no heart rate
_CHANNELS = ("beat", "breath")


class Scaled(NamedTuple):
    """A unit in the catalogue's terms: a value in the sent unit times `factor` is one in `unit`."""

    factor: float
    unit: str


@lru_cache(maxsize=4096)  # bounded: codes come from outside
def scaled(variable: Variable, code: str) -> Scaled:
    """The accepted unit of `variable` that the UCUM `code` is, or can be scaled to.

    Raises UnacceptedUnit where it is no UCUM code, has another dimension or names another channel.
    """
    try:
        return Scaled(1.0, accepted_unit(variable, code))
    except UnacceptedUnit as error:
        if any(word in code.casefold() and not _names(variable, word) for word in _CHANNELS):
            raise
        found = _scaled(variable, code)
        if found is None:
            raise error from None
        return found


def _names(variable: Variable, word: str) -> bool:
    return any(word in unit for unit in variable.accepted_units)


def _scaled(variable: Variable, code: str) -> Scaled | None:
    sent = _quantity(code)
    if sent is None:
        return None
    for unit in (variable.unit, *variable.accepted_units):
        known = _quantity(_CODES[unit]) if unit in _CODES else None
        if known is not None and known.dimensionality == sent.dimensionality:
            factor = float((sent / known).to("dimensionless").magnitude)
            # 0.1 and 3 are exact in a report, not in a float
            return Scaled(float(f"{factor:.12g}"), unit) if math.isfinite(factor) else None
    return None


def _quantity(code: str) -> Any:
    """The code as a pint quantity; None where it is no UCUM code, or a unit that cannot be scaled."""
    from lark.exceptions import LarkError  # noqa: PLC0415 - with the parser, only when a code is unknown
    from pint.errors import PintError  # noqa: PLC0415
    from ucumvert import InvalidUcumError  # noqa: PLC0415

    registry = _registry()
    try:
        found = registry.from_ucum(code)
        return found if hasattr(found, "dimensionality") else registry.from_ucum("1")  # {score} alone
    except (InvalidUcumError, LarkError, PintError, ValueError, ArithmeticError):
        return None


@cache
def _registry() -> PintUcumRegistry:
    from ucumvert import PintUcumRegistry  # noqa: PLC0415 - a second, and most codes are known spellings

    return PintUcumRegistry()
