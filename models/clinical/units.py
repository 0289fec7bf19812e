"""Units: any accepted spelling of a variable's unit, converted to its canonical unit by pint.

Conversions are affine (value * factor + offset) and pint derives them: temperatures have offsets, and mass
and substance concentrations meet through pint's chemistry context and the variable's molar mass. A spelling
is looked up in the variable's own accepted units, so "C" can only mean degrees Celsius; case and spaces do
not count, because no variable accepts two units that differ in case alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from models.clinical.errors import UnacceptedUnit
from models.clinical.variables import Variable

if TYPE_CHECKING:
    import pint

# 98.6 degF and 37 degC are one reading: without rounding they would be stored as two
_DECIMALS = 9

# other spellings (UCUM, monitors, laboratories), folded -> the spelling in the catalogue
_SPELLINGS = MappingProxyType(
    {
        "cel": "degC", "°c": "degC", "c": "degC", "celsius": "degC",
        "[degf]": "degF", "°f": "degF", "f": "degF", "fahrenheit": "degF", "kelvin": "K",
        # the degree sign lost on the way: as Latin 1, as its replacement, or another sign that looks like it
        "\ufffdc": "degC", "?c": "degC", "\u00e2\u00b0c": "degC", "\u00bac": "degC", "\u02dac": "degC",
        "\ufffdf": "degF", "?f": "degF", "\u00e2\u00b0f": "degF", "\u00baf": "degF", "\u02daf": "degF",
        "mm[hg]": "mmHg", "torr": "mmHg", "cm[h2o]": "cmH2O",
        "{beats}/min": "beats/min", "{breaths}/min": "breaths/min", "min-1": "1/min", "min^-1": "1/min",
        "percent": "%", "[ph]": "pH", "{ph}": "pH", "phunits": "pH", "{fraction}": "fraction",
        "[iu]/l": "IU/L", "ratio": "fraction",
        "10e9/l": "10^9/L", "x10^9/l": "10^9/L", "x10*9/l": "10*9/L", "x10e9/l": "10^9/L",
        "10e3/ul": "10^3/uL", "x10^3/ul": "10^3/uL", "x10*3/ul": "10*3/uL", "x10e3/ul": "10^3/uL",
        "thou/ul": "K/uL", "cells/ul": "1/uL", "/ul": "1/uL", "{cells}/ul": "1/uL",
        "mcg/l": "ug/L", "sec": "s", "seconds": "s", "second": "s",
    }
)  # fmt: skip

# catalogue spellings that pint would not read, or would read as something else (K is kelvin, 10*3 is thirty)
_EXPRESSIONS = MappingProxyType(
    {
        "/min": "1/min", "bpm": "1/min", "breaths/min": "1/min", "beats/min": "1/min",
        "fraction": "1", "pH": "1", "%": "percent", "IU/L": "U/L",
        "{INR}": "1", "{score}": "1", "points": "1",  # a point is a printer's length to pint
        "mEq/L": "mmol/L",  # accepted for ions of one charge only
        "10^9/L": "10**9/L", "10*9/L": "10**9/L",
        "10^3/uL": "10**3/uL", "10*3/uL": "10**3/uL", "K/uL": "10**3/uL",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Conversion:
    """canonical = value * factor + offset."""

    factor: float
    offset: float


def accepted_unit(variable: Variable, unit: str) -> str:
    """The catalogue's spelling of `unit` for `variable`. Raises UnacceptedUnit naming what is accepted."""
    folded = _folded(unit)
    if folded in _SPELLINGS:
        folded = _folded(_SPELLINGS[folded])
    for accepted in (variable.unit, *variable.accepted_units):
        if _folded(accepted) == folded:
            return accepted
    known = ", ".join(variable.accepted_units)
    raise UnacceptedUnit(
        f"{variable.name} does not accept the unit {unit!r}; accepted: {known}",
        value=unit,
        bound=known,
        unit=variable.unit,
    )


def same_unit(variable: Variable, unit: str | None) -> bool:
    """Whether a value in `unit`, an accepted one, is canonical as it is."""
    return unit is not None and conversion_to_canonical(variable, unit) == Conversion(1.0, 0.0)


def convert(values: npt.NDArray[np.float64], variable: Variable, unit: str) -> npt.NDArray[np.float64]:
    """`values` (any shape) given in `unit`, in the variable's canonical unit, rounded to 1e-9 of it.

    Values already in the canonical unit come back unchanged. Raises UnacceptedUnit.
    """
    if unit == variable.unit:
        return values
    conversion = conversion_to_canonical(variable, unit)
    if conversion == Conversion(1.0, 0.0):
        return values
    with np.errstate(over="ignore"):  # an overflow is infinite, hence outside every plausible range
        converted = values * conversion.factor + conversion.offset
        rounded: npt.NDArray[np.float64] = np.round(converted, _DECIMALS)
    return np.where(np.isfinite(rounded), rounded, converted)


@lru_cache(maxsize=1024)  # bounded: spellings come from outside
def conversion_to_canonical(variable: Variable, unit: str) -> Conversion:
    """The affine conversion from `unit` to the variable's canonical unit. Raises UnacceptedUnit."""
    accepted = accepted_unit(variable, unit)
    offset = _converted(0.0, accepted, variable)
    # measured far from zero so that the offset's rounding does not spoil the slope
    factor = (_converted(1e6, accepted, variable) - offset) / 1e6
    return Conversion(float(f"{factor:.15g}"), float(f"{offset:.15g}"))


def _converted(value: float, accepted: str, variable: Variable) -> float:
    registry = _registry()
    source, target = _quantity(accepted), _quantity(variable.unit)
    given = registry.Quantity(value * source.magnitude, source.units)
    if variable.molar_mass is None:
        converted = given.to(target.units)
    else:
        converted = given.to(target.units, "chemistry", mw=variable.molar_mass * registry("g/mol"))
    return float(converted.magnitude / target.magnitude)


def _quantity(spelling: str) -> Any:
    registry = _registry()
    expression = _EXPRESSIONS.get(spelling, spelling)
    if expression in ("degC", "degF"):  # an offset unit cannot be multiplied by one
        return registry.Quantity(1.0, expression)
    return registry.Quantity(1.0, "") * registry.parse_expression(expression)


@cache
def _registry() -> pint.UnitRegistry[Any]:
    import pint  # noqa: PLC0415 - half a second, and most data are already canonical

    return pint.UnitRegistry()


def _folded(unit: str) -> str:
    return "".join(unit.split()).casefold().replace("μ", "u")
