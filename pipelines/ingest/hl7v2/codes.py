"""What codes and units of HL7 v2 messages mean: LOINC, IEEE 11073 (MDC) and the spellings of laboratories.

LOINC and MDC codes are mappings (`codes/`). MDC units are ISO/IEEE 11073-10101 dimensions, by number or name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache, lru_cache
from types import MappingProxyType
from typing import NamedTuple

from models.clinical.errors import UnacceptedUnit
from models.clinical.quarantine import read_censored
from models.clinical.variables import CATALOGUE
from pipelines.ingest.codes_table import Code, Rule, read_codes
from pipelines.ingest.ucum import scaled

# a coding system is a short name; what has spaces or colons in its place is a description gone astray
_SYSTEM = re.compile(r"[A-Za-z0-9_.\-]{1,20}", re.ASCII)
_LOINC = frozenset({"LN", "LOINC", "LNC"})

# numbers without a dimension need no unit; any other quantity without one could be in two
_DIMENSIONLESS = frozenset({"pH", "{INR}", "{score}"})

# folded: MDC dimensions by number and by name, and laboratory spellings that are no UCUM. Not `g/l-1`: the
# sample that sends it means g/dL by its haemoglobin of 13.4, and nothing tells what the next one means
_UNITS: Mapping[str, str] = MappingProxyType(
    {
        "262656": "1", "mdc_dim_dimless": "1", "262688": "%", "mdc_dim_percent": "%",
        "263136": "pH", "mdc_dim_ph": "pH", "268752": "{INR}", "mdc_dim_inr": "{INR}",
        "264864": "beats/min", "mdc_dim_beat_per_min": "beats/min",
        "264928": "breaths/min", "mdc_dim_resp_per_min": "breaths/min",
        "266016": "mmHg", "mdc_dim_mmhg": "mmHg", "266048": "cmH2O", "mdc_dim_cm_h2o": "cmH2O",
        "265987": "kPa", "mdc_dim_kilo_pascal": "kPa", "265986": "hPa", "mdc_dim_hecto_pascal": "hPa",
        "268192": "degC", "mdc_dim_degc": "degC", "266560": "degF", "mdc_dim_fahr": "degF",
        "266528": "K", "mdc_dim_kelvin": "K",
        "263744": "L", "mdc_dim_l": "L", "mdc_dim_x_l": "L", "263762": "mL", "mdc_dim_milli_l": "mL",
        "265216": "L/min", "mdc_dim_l_per_min": "L/min", "mdc_dim_x_l_per_min": "L/min",
        "265234": "mL/min", "mdc_dim_milli_l_per_min": "mL/min",
        "264256": "g/dL", "mdc_dim_x_g_per_dl": "g/dL", "mdc_dim_g_per_dl": "g/dL",
        "264274": "mg/dL", "mdc_dim_milli_g_per_dl": "mg/dL",
        "266866": "mmol/L", "mdc_dim_milli_mole_per_l": "mmol/L",
        "266867": "umol/L", "mdc_dim_micro_mole_per_l": "umol/L",
        "263872": "g", "mdc_dim_g": "g", "mdc_dim_x_g": "g", "263875": "kg", "mdc_dim_kilo_g": "kg",
        "263904": "lb", "mdc_dim_lb": "lb", "263424": "m", "mdc_dim_m": "m", "mdc_dim_x_m": "m",
        "263441": "cm", "mdc_dim_centi_m": "cm", "263520": "in", "mdc_dim_inch": "in",
        "264320": "s", "mdc_dim_sec": "s",
        "giga.l-1": "10^9/L", "giga/l": "10^9/L", "g.l-1": "g/L",
        "mmol.l-1": "mmol/L", "umol.l-1": "umol/L", "u.l-1": "U/L",
    }
)  # fmt: skip


@lru_cache(maxsize=4096)  # bounded: codes come from outside
def meaning(coded: tuple[str, ...]) -> Code | None:
    """The variable that an OBX-3 names in the code or one of its alternates; None where none is mapped."""
    for code, text, system in triplets(coded):
        stated = system.upper() if _SYSTEM.fullmatch(system) else ""
        if stated == "MDC" and (found := _mdc().get(code) or _mdc().get(text.upper())):
            return found
        # a LOINC code has its check digit, so that it is known also where its system is not said
        if (stated in _LOINC or not stated) and (found := _loinc().get(code)):
            return found
    return None


@lru_cache(maxsize=4096)
def code_name(coded: tuple[str, ...]) -> str:
    """An OBX-3 as people count it: system, code and text of its first code."""
    code, text, system = next(triplets(coded), ("", "", ""))
    return " ".join(part for part in (system, code, text) if part)


def triplets(coded: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Identifier, text and system of a coded element and of its alternates, those that hold something."""
    padded = [*coded, *[""] * 12]
    for first in (0, 3, 9):
        code, text, system = padded[first : first + 3]
        if code or text:
            yield code, text, system


class InUnit(NamedTuple):
    """A cell and its unit; `sent_unit` is that of the message, where the cell was scaled from it."""

    value: str
    unit: str
    sent_unit: str = ""


def in_accepted_unit(code: Code, value: str, coded: tuple[str, ...]) -> InUnit:
    """A value and its OBX-6 in a unit that the catalogue accepts.

    What is not accepted comes back as it was sent, to be quarantined with its unit.
    """
    factor, unit, sent_unit = _scaled(code.target, code.rule, code.unit, coded)
    # the magnitude decides, whichever of the two is said
    if code.rule is Rule.SHARE and unit in ("", *CATALOGUE[code.target].accepted_units):
        return InUnit(value, "%" if read_censored(value)[0] > 1 else "fraction")
    return InUnit(_times(value, factor), unit, sent_unit)


@lru_cache(maxsize=4096)  # bounded: units come from outside
def _scaled(target: str, rule: Rule, assumed: str, coded: tuple[str, ...]) -> tuple[float, str, str]:
    """Factor, unit and sent unit: 1 and the unit as sent where it is not accepted, "" for none."""
    variable = CATALOGUE[target]
    sent = [part for triplet in triplets(coded) for part in triplet[:2] if part]
    if rule is Rule.FIXED or (not sent and variable.unit in _DIMENSIONLESS):
        return 1.0, assumed, ""
    for spelling in sent:
        with suppress(UnacceptedUnit):
            factor, unit = scaled(variable, _UNITS.get("".join(spelling.split()).casefold(), spelling))
            return factor, unit, "" if factor == 1 else spelling
    return 1.0, sent[0] if sent else "", ""


def _times(value: str, factor: float) -> str:
    """A cell's number times `factor`; the cell itself where it is none, or for 1."""
    if factor == 1:
        return value
    number, sign = read_censored(value)
    return value if math.isnan(number) else f"{sign}{number * factor!r}"


@cache
def _mdc() -> Mapping[str, Code]:
    codes = read_codes("mdc")
    return MappingProxyType({code.code: code for code in codes} | {code.label: code for code in codes})


@cache
def _loinc() -> Mapping[str, Code]:
    return MappingProxyType({code.code: code for code in read_codes("loinc")})
