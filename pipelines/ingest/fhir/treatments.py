"""What was done to a patient, as FHIR says it: drugs given, procedures, and cultures taken.

A drug is known by what its concept, its Medication or a formulary's list of Medications calls it; a culture
by its specimen and test. Given is every administration that is not marked as not done or as an error.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from models.clinical.interventions import InterventionKind
from models.clinical.quarantine import read_number
from pipelines.ingest.fhir.elements import (
    codings,
    effective,
    element,
    elements,
    identifiers,
    reference,
    text,
    words,
)
from pipelines.ingest.treatments import antibiotic, is_culture, vasopressor, vasopressor_agent

_NOT_DONE = frozenset({"not-done", "entered-in-error", "cancelled", "preparation"})
# MIMIC's electronic record of administrations says so in the method of a completed one
_NOT_GIVEN = re.compile(r"^(not given|hold dose|not flushed)", re.IGNORECASE)
_CULTURED = re.compile(r"\b(cultures?|gram stain)\b", re.IGNORECASE)
_NAMED_IN_IDENTIFIER = re.compile(r"medication-name$")


class StagedTreatment(NamedTuple):
    """A treatment as it is staged.

    `kind` is set where its code already tells what it is; `end` is "" where it goes on.
    """

    kind: str
    agent: str
    names: list[str]
    medication: str
    route: str
    request: str
    start: str
    end: str
    rate: float | None
    rate_unit: str
    withdrawn: bool


class StagedCulture(NamedTuple):
    """An Observation on a specimen, which may be a culture; `agent` is set where its code says so."""

    agent: str
    test: str
    specimen: str
    time: str
    withdrawn: bool


class StagedSpecimen(NamedTuple):
    """A Specimen by all its keys; `cultured` where its own type says that it was taken for a culture."""

    kind: str
    time: str
    keys: list[str]
    cultured: bool


@dataclass(frozen=True)
class Done:
    """What a treatment is: a kind of intervention and its agent."""

    kind: InterventionKind
    agent: str


@dataclass
class Formulary:
    """The Medications of a source: what each is called, by its keys and by its codes."""

    names: dict[str, list[str]] = field(default_factory=dict)
    ingredients: dict[str, list[str]] = field(default_factory=dict)

    def add(self, resource: dict[str, Any], keys: Sequence[str], owner: str) -> None:
        """Take in a Medication."""
        named = [
            text(one, "value") for one in elements(resource, "identifier") if _is_name(text(one, "system"))
        ]
        called = [*named, *words(resource.get("code"))]
        for one in elements(resource, "ingredient"):
            called += words(one.get("itemCodeableConcept"))
            if item := reference(one, "itemReference", "Medication", owner):
                self.ingredients.setdefault(keys[0], []).append(item)
        coded = [f"{one.system}|{one.code}" for one in codings(resource.get("code"))]
        coded += [key.partition("?")[2] for key in identifiers(resource, "Medication")]
        for key in (*keys, *coded):
            self.names.setdefault(key, called)

    def called(self, key: str) -> list[str]:
        """What the Medication of this key, or of this `system|code`, is called, its ingredients too."""
        own = self.names.get(key, [])
        return [*own, *(name for item in self.ingredients.get(key, ()) for name in self.names.get(item, ()))]


def _is_name(system: str) -> bool:
    return _NAMED_IN_IDENTIFIER.search(system) is not None


def staged_administration(resource: dict[str, Any], owner: str) -> StagedTreatment:
    """The MedicationAdministration as it is staged; `owner` is its key."""
    concept, dosage = resource.get("medicationCodeableConcept"), element(resource, "dosage")
    coded = [f"{one.system}|{one.code}" for one in codings(concept)]
    method = " ".join(words(dosage.get("method"))[:1])
    rate, unit = _rate(dosage)
    start, end = _span(resource, "effective")
    return StagedTreatment(
        "",
        "",
        [*words(concept), *coded],
        reference(resource, "medicationReference", "Medication", owner),
        _route(dosage) or _route_of_category(resource),
        reference(resource, "request", "MedicationRequest", owner),
        start,
        end,
        rate,
        unit,
        text(resource, "status") in _NOT_DONE or _NOT_GIVEN.match(method) is not None,
    )


def staged_deed(resource: dict[str, Any], kind: str, agent: str, name: str) -> StagedTreatment:
    """A Procedure or Observation whose code says what was done; `name` is the time element's name."""
    start, end = _span(resource, name)
    withdrawn = text(resource, "status") in _NOT_DONE
    return StagedTreatment(kind, agent, [], "", "", "", start, end, None, "", withdrawn)


def _span(resource: dict[str, Any], name: str) -> tuple[str, str]:
    """When something began and ended: what is given at a time ends with it, a period may be open."""
    period = element(resource, f"{name}Period")
    if start := text(period, "start"):
        return start, text(period, "end")
    at = effective(resource, name)
    return at, at


def staged_specimen(resource: dict[str, Any], named: list[str]) -> StagedSpecimen:
    """A Specimen of any kind; most are no culture."""
    kind = next(iter(words(resource.get("type"))), "")
    collected = effective(element(resource, "collection"), "collected")
    return StagedSpecimen(kind, collected, named, says_culture(kind))


def says_culture(name: str) -> bool:
    """Whether a name says by itself that something was cultured or looked at for bacteria."""
    return _CULTURED.search(name) is not None


def route_of_request(resource: dict[str, Any]) -> str:
    """The route that a MedicationRequest orders."""
    return _route(element(resource, "dosageInstruction"))


def _route(dosage: dict[str, Any]) -> str:
    return next(iter(words(dosage.get("route"))), "")


def _route_of_category(resource: dict[str, Any]) -> str:
    """MIMIC's ICU drugs have no route, but a category such as `08-Antibiotics (IV)`."""
    category = " ".join(words(resource.get("category"))).casefold()
    if "non iv" in category:
        return "PO"
    return "IV" if "(iv)" in category else ""


def _rate(dosage: dict[str, Any]) -> tuple[float | None, str]:
    """The rate of a dosage and its unit: a quantity, or a ratio such as 500 mg in 1 h."""
    quantity, ratio = element(dosage, "rateQuantity"), element(dosage, "rateRatio")
    over, below = element(ratio, "numerator"), element(ratio, "denominator")
    if quantity:
        value, unit = read_number(quantity.get("value")), _unit(quantity)
    elif over and below:
        size = read_number(below.get("value")) if "value" in below else 1.0
        value = read_number(over.get("value")) / size if size else math.nan
        unit = f"{_unit(over)}/{_unit(below)}"
    else:
        return None, ""
    return (value if math.isfinite(value) else None), unit


def _unit(quantity: dict[str, Any]) -> str:
    return text(quantity, "code") or text(quantity, "unit")


def meaning(treatment: StagedTreatment, formulary: Formulary, routes: Mapping[str, str]) -> Done | None:
    """What a treatment is; None where it is no antibiotic, no vasopressor and nothing else that is known."""
    if treatment.kind:
        return Done(InterventionKind(treatment.kind), treatment.agent)
    route = treatment.route or routes.get(treatment.request, "")
    # all of its names together: one alone may leave out that it is drops for the eye
    name = "; ".join(called(treatment, formulary))
    if ingredient := antibiotic(name, route or None):
        return Done(InterventionKind.ANTIBIOTIC, ingredient)
    if kind := vasopressor(name):
        return Done(kind, vasopressor_agent(name) or name)
    return None


def called(treatment: StagedTreatment, formulary: Formulary) -> list[str]:
    """Everything the drug is called, the most telling first."""
    found = [*formulary.called(treatment.medication)] if treatment.medication else []
    for name in treatment.names:
        found += formulary.called(name) if "|" in name else [name]
    return list(dict.fromkeys(found))


def culture(staged: StagedCulture, specimen: str) -> Done | None:
    """What was cultured; None where the Observation on this specimen is no culture."""
    if staged.agent or is_culture(specimen, staged.test):
        return Done(InterventionKind.CULTURE, specimen.casefold() or staged.agent or staged.test.casefold())
    return None
