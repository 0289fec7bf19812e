"""Which catalogue variable or intervention the codings of a FHIR resource mean, and in which unit.

LOINC codes are matched in LOINC's system alone (`codes/loinc.csv`, where `table` is the observation category
that a row holds for, any if empty), MIMIC items in MIMIC's systems (`codes/mimic4.csv`), device codes in
ISO/IEEE 11073's (`codes/mdc.csv`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType

from models.clinical.errors import UnacceptedUnit
from models.clinical.quarantine import Cell, read_censored, read_number
from models.clinical.units import accepted_unit
from models.clinical.variables import CATALOGUE, Variable
from pipelines.ingest.codes_table import Code, Rule, read_codes
from pipelines.ingest.fhir.elements import Coding
from pipelines.ingest.ucum import Scaled, scaled

_LOINC = ("http://loinc.org", "https://loinc.org", "urn:oid:2.16.840.1.113883.6.1")
_MDC = ("urn:iso:std:iso:11073:10101", "urn:oid:2.16.840.1.113883.6.24")
_MIMIC = "http://mimic.mit.edu/fhir/mimic/CodeSystem/"
UCUM = "http://unitsofmeasure.org"

FAHRENHEIT_ABOVE = 50.0  # no living body has 50 degC, none has 50 degF

# a bare number can only mean these
_PURE_NUMBERS = frozenset({"{score}", "pH", "{INR}", "fraction"})


@dataclass(frozen=True)
class Quantity:
    """What a cell of a resource holds; `code` is a UCUM code, `unit` the unit as people wrote it."""

    value: Cell
    unit: str = ""
    code: str = ""


@dataclass(frozen=True)
class CodeMap:
    """The mappings by system; see `code_map`."""

    loinc: Mapping[tuple[str, str], Code]
    mimic: Mapping[str, Code]
    mdc: Mapping[str, Code]

    def meaning(self, codings: Iterable[Coding], categories: Sequence[str]) -> Code | None:
        """What the codings mean: the first that is mapped, one mapped for a category before any other."""
        known = [coding for coding in codings if coding.code]
        for category in (*categories, ""):
            for coding in known:
                if coding.system in _LOINC and (found := self.loinc.get((category, coding.code))):
                    return found
        others = (self._device_or_item(coding) for coding in known)
        return next((found for found in others if found is not None), None)

    def _device_or_item(self, coding: Coding) -> Code | None:
        if coding.system in _MDC:
            return self.mdc.get(coding.code)
        return self.mimic.get(coding.code) if coding.system.startswith(_MIMIC) else None


@cache
def code_map() -> CodeMap:
    """The mappings, read once."""
    return CodeMap(
        MappingProxyType({(row.table, row.code): row for row in read_codes("loinc")}),
        MappingProxyType({row.code: row for row in _codes_if_there("mimic4")}),
        MappingProxyType({row.code: row for row in _codes_if_there("mdc")}),
    )


def _codes_if_there(name: str) -> tuple[Code, ...]:
    try:
        return read_codes(name)
    except FileNotFoundError:
        return ()


def in_accepted_unit(code: Code, quantity: Quantity) -> tuple[Quantity, str]:
    """The quantity in a unit that the catalogue accepts, and the unit it was sent in where that is another.

    A unit that is not accepted stays as it is, for the quarantine to say so.
    """
    variable = CATALOGUE[code.target]
    found = _by_rule(code, quantity, variable)
    if found is None or found.factor == 1.0:
        unit = found.unit if found else quantity.code or quantity.unit
        return replace(quantity, unit=unit, code=""), ""
    number, sign = read_censored(quantity.value)
    if math.isnan(number):
        return Quantity(quantity.value, found.unit), ""
    value = number * found.factor
    return Quantity(f"{sign}{value!r}" if sign else value, found.unit), quantity.code or quantity.unit


def _by_rule(code: Code, quantity: Quantity, variable: Variable) -> Scaled | None:
    number = read_number(quantity.value)
    if code.rule is Rule.FIXED:
        return Scaled(1.0, code.unit)
    reported = _reported(variable, quantity)
    unitless = not (quantity.unit or quantity.code)
    # the magnitude decides, whichever of the two is said; what is neither stays refused
    if code.rule is Rule.SHARE and not math.isnan(number) and (unitless or reported is not None):
        return Scaled(1.0, "%" if number > 1.0 else "fraction")
    if reported is None and code.rule is Rule.TEMPERATURE and not math.isnan(number):
        return Scaled(1.0, "degF" if number > FAHRENHEIT_ABOVE else "degC")
    if reported is None and unitless:
        return _assumed(code, quantity, variable)
    return reported


def _reported(variable: Variable, quantity: Quantity) -> Scaled | None:
    """The unit as sent: the UCUM code if there is one, else the words."""
    try:
        if quantity.code:
            return scaled(variable, quantity.code)
        return Scaled(1.0, accepted_unit(variable, quantity.unit)) if quantity.unit else None
    except UnacceptedUnit:
        return None


def _assumed(code: Code, quantity: Quantity, variable: Variable) -> Scaled | None:
    """The mapping's unit for a number without one, and any for a cell that holds nothing."""
    stated = code.table not in ("", "vital-signs", "laboratory")  # a source's own item has one unit
    if stated or variable.unit in _PURE_NUMBERS or quantity.value is None:
        return Scaled(1.0, code.unit or variable.unit)
    return None
