"""From Encounters and Patients to stays, and from a resource to the stay that it belongs to.

Where a source knows ICU encounters, these are its stays; elsewhere every Encounter whose period begins at a
time is one. A resource belongs to the stay that its encounter is, or is part of; without such an encounter to
the patient's stay in whose period it lies. A treatment or culture before the admission belongs to the next
stay of the same hospital encounter, from the end of the stay before. A patient without any Encounter with a
period has one stay, from the full hour before the first observation.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pipelines.ingest.fhir.elements import clock, element, elements, reference, text, words

_END = datetime.max.replace(tzinfo=UTC)
_BEGIN = datetime.min.replace(tzinfo=UTC)
_INTENSIVE = re.compile(r"\b(icu|[a-z]{1,3}icu|intensive care|critical care)\b|encounter-icu$", re.IGNORECASE)


@dataclass(frozen=True)
class Encounter:
    """What an Encounter says of itself; times are None where it gives none with an offset.

    `location` is the key of its first Location, `place` what it calls it, or its class.
    """

    key: str
    patient: str
    part_of: str
    begins: datetime | None
    ends: datetime | None
    intensive: bool
    location: str
    place: str


def encounter(resource: dict[str, Any], key: str) -> Encounter:
    """The facts of an Encounter resource."""
    period = element(resource, "period")
    kinds = [*elements(resource, "type"), element(resource, "serviceType")]
    said = [word for kind in kinds for word in words(kind)]
    said += [text(one, "system") for one in elements(resource, "identifier")]
    coded = element(resource, "class")
    place = element(resource, "location", "location")
    return Encounter(
        key,
        reference(resource, "subject", "Patient", key),
        reference(resource, "partOf", "Encounter", key),
        clock(text(period, "start")),
        clock(text(period, "end")),
        any(_INTENSIVE.search(word) for word in said),
        reference(element(resource, "location"), "location", "Location", key),
        text(place, "display") or text(coded, "display") or text(coded, "code"),
    )


@dataclass(frozen=True)
class Span:
    """One stay of a patient: observations lie in [begins, ends), treatments in [cared_from, ends)."""

    stay: Encounter
    begins: datetime
    ends: datetime
    cared_from: datetime


@dataclass
class Encounters:
    """All Encounters of a source by key, and the stays among them."""

    by_key: dict[str, Encounter] = field(default_factory=dict)
    spans: dict[str, list[Span]] = field(default_factory=dict)
    dated: set[str] = field(default_factory=set)  # patients with any encounter that begins at a time
    _family_begins: dict[str, datetime] = field(default_factory=dict)

    def settle(self, patient_of: Mapping[str, str]) -> None:
        """Choose the stays, once everything is read; `patient_of` gives the patient that a key goes by."""
        known = [one for one in {one.key: one for one in self.by_key.values()}.values() if one.begins]
        intensive = [one for one in known if one.intensive]
        stays: defaultdict[str, list[Encounter]] = defaultdict(list)
        for one in known:
            family, begins = self.family(one.key), one.begins or _END
            self._family_begins[family] = min(begins, self._family_begins.get(family, _END))
            self.dated.add(patient_of.get(one.patient, one.patient))
        for one in intensive or known:
            stays[patient_of.get(one.patient, one.patient)].append(one)
        self.spans = {patient: self._spans(found) for patient, found in stays.items()}

    def _spans(self, stays: Sequence[Encounter]) -> list[Span]:
        spans: list[Span] = []
        for stay in sorted(stays, key=lambda one: (one.begins or _BEGIN, one.key)):
            begins = stay.begins or _BEGIN
            earlier = [span.ends for span in spans if span.ends <= begins]
            cared_from = max([self.hospital_begin(stay) or begins, *earlier])
            spans.append(Span(stay, begins, stay.ends or _END, min(cared_from, begins)))
        return spans

    def hospital_begin(self, stay: Encounter) -> datetime | None:
        """When the first encounter of the hospital admission began that the stay is part of."""
        return self._family_begins.get(self.family(stay.key))

    def family(self, key: str) -> str:
        """The outermost encounter that an encounter is part of: the hospital admission."""
        return self._line(key)[-1]

    def _line(self, key: str) -> list[str]:
        """The encounter, what it is part of, and so on; an encounter that is part of itself ends there."""
        line: list[str] = []
        while key and (found := self.by_key.get(key)) and found.key not in line:
            line.append(found.key)
            key = found.part_of
        return line or [key]

    def stay_of(self, patient: str, key: str, time: datetime | None, *, treatment: bool) -> Encounter | None:
        """The stay that a resource of this patient, encounter and time belongs to; None if there is none."""
        spans = self.spans.get(patient, [])
        stays = {span.stay.key: span.stay for span in spans}
        for line in self._line(key) if key else ():
            if line in stays:
                return stays[line]
        if time is None:
            return None
        inside = [
            span for span in spans if (span.cared_from if treatment else span.begins) <= time < span.ends
        ]
        return min(inside, key=lambda span: span.ends - span.begins).stay if inside else None

    def stays_of_family(self, patient: str, key: str) -> list[Encounter]:
        """The stays of a patient in the hospital admission that an encounter belongs to."""
        family = self.family(key)
        return [span.stay for span in self.spans.get(patient, []) if self.family(span.stay.key) == family]
