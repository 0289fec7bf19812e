"""The cells of an Observation: its own value and each component's, one cell each.

A panel (members or components, no value of its own) is no cell. A status of entered-in-error or cancelled
withdraws; amended and corrected replace the version before; preliminary, final and unknown stand as they
are. Waveforms (SampledData), times, ranges and yes-or-no answers are no numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from models.clinical.interventions import InterventionKind
from models.clinical.quarantine import Cell
from pipelines.ingest.codes_table import Code
from pipelines.ingest.fhir.codes import UCUM, Quantity, code_map, in_accepted_unit
from pipelines.ingest.fhir.elements import (
    Coding,
    codings,
    effective,
    element,
    elements,
    identifiers,
    text,
)
from pipelines.ingest.fhir.treatments import says_culture

WITHDRAWN = frozenset({"entered-in-error", "cancelled"})
_VERSIONED = WITHDRAWN | {"amended", "corrected", "preliminary"}
_RANKS = {"preliminary": 0, "amended": 2, "corrected": 2} | dict.fromkeys(WITHDRAWN, 3)
_ORDINAL = (
    "http://hl7.org/fhir/StructureDefinition/ordinalValue",
    "http://hl7.org/fhir/StructureDefinition/itemWeight",
)
_MICROBIOLOGY = frozenset({"MB", "microbiology"})
_CULTURE = Code("", "", "", InterventionKind.CULTURE)  # perhaps: its specimen and test decide
_OTHER_VALUES = ("Boolean", "Range", "Ratio", "Time", "DateTime", "Period", "Attachment")


class StagedCell(NamedTuple):
    """A cell as it is staged, times as sent; `versioned` says that another version of it may come by the same
    business identifier under another id. Of versions without a time of their own the highest `rank` is last.
    """

    variable: str
    value: Cell
    unit: str
    sent_unit: str
    time: str
    issued: str
    updated: str
    identity: str
    business: list[str]
    versioned: bool
    withdrawn: bool
    rank: int


@dataclass(frozen=True)
class ObservedCell:
    """One cell of an Observation: its codings and what they mean, and its value as sent."""

    codings: list[Coding]
    code: Code | None
    quantity: Quantity


def observed_cells(resource: dict[str, Any]) -> Iterator[ObservedCell]:
    """Every cell of an Observation; a culture is one even where it holds only the organisms it found."""
    categories = [
        coding.code
        for concept in elements(resource, "category")
        for coding in codings(concept)
        if coding.code
    ]
    components = elements(resource, "component")
    own = quantity_of(resource)
    cell = _cell(resource, own or Quantity(None), categories)
    has_parts = bool(components or elements(resource, "hasMember"))
    says_something = own is not None and not (own.value is None and components)
    if says_something or not has_parts or _is_culture(cell):
        yield cell
    for component in components:
        yield _cell(component, quantity_of(component) or Quantity(None), categories)


def _cell(holder: dict[str, Any], quantity: Quantity, categories: list[str]) -> ObservedCell:
    coded = codings(holder.get("code"))
    code = code_map().meaning(coded, categories)
    if code is None and _is_microbiology(coded, categories):
        code = _CULTURE
    return ObservedCell(coded, code, quantity)


def _is_culture(cell: ObservedCell) -> bool:
    return cell.code is not None and cell.code.intervention is InterventionKind.CULTURE


def _is_microbiology(coded: list[Coding], categories: list[str]) -> bool:
    return not _MICROBIOLOGY.isdisjoint(categories) or any(
        coding.system.endswith("microbiology-test") or says_culture(coding.text) for coding in coded
    )


def staged(resource: dict[str, Any], cell: ObservedCell, code: Code, identity: str) -> StagedCell:
    """The cell with its unit made out; `identity` is the resource's key, with a number from its second on."""
    quantity, sent = in_accepted_unit(code, cell.quantity)
    status = text(resource, "status")
    return StagedCell(
        code.target,
        quantity.value,
        quantity.unit,
        sent,
        effective(resource),
        text(resource, "issued"),
        text(element(resource, "meta"), "lastUpdated"),
        identity,
        [] if " " in identity else identifiers(resource, "Observation"),
        status in _VERSIONED,
        status in WITHDRAWN,
        _RANKS.get(status, 1),
    )


def quantity_of(holder: dict[str, Any]) -> Quantity | None:
    """The value[x] of an Observation or component; None where it has neither that nor a reason why not."""
    if "valueQuantity" in holder:
        return _quantity(element(holder, "valueQuantity"))
    if "valueCodeableConcept" in holder:
        return Quantity(_answer(element(holder, "valueCodeableConcept")))
    for name in ("valueInteger", "valueString", "valueDecimal"):
        if name in holder:
            return Quantity(_plain(holder[name]))
    if "valueSampledData" in holder:
        samples = text(element(holder, "valueSampledData"), "data").count(" ") + 1
        return Quantity(f"SampledData: a waveform of {samples} samples")
    for name in _OTHER_VALUES:
        if f"value{name}" in holder:
            return Quantity(f"{name}: {_short(holder[f'value{name}'])}")
    return Quantity(None) if "dataAbsentReason" in holder else None


def _quantity(sent: dict[str, Any]) -> Quantity:
    value, comparator = _plain(sent.get("value")), text(sent, "comparator")
    cell: Cell = value if value is None or not comparator else f"{comparator}{value}"
    system, unit, code = text(sent, "system"), text(sent, "unit"), text(sent, "code")
    if system in ("", UCUM):
        return Quantity(cell, unit, code)
    # the unit is coded in another system: the words, or the code where there are none
    return Quantity(cell, unit or code)


def _plain(value: object) -> Cell:
    if isinstance(value, bool):
        return str(value)
    return value if isinstance(value, int | float | str) or value is None else _short(value)


def _short(value: object) -> str:
    return str(value)[:100]


def _answer(concept: dict[str, Any]) -> Cell:
    """The number of a coded answer: its ordinal value, else a number that stands as its code or words."""
    for coding in elements(concept, "coding"):
        for extension in elements(coding, "extension"):
            if text(extension, "url") in _ORDINAL:
                return _plain(extension.get("valueDecimal"))
    coded = codings(concept)
    said = [*(coding.code for coding in coded), *(coding.text for coding in coded), text(concept, "text")]
    numbers = [word for word in said if word.isdecimal()]
    return next(iter([*numbers, *reversed(said)]), "")
