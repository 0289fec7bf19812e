"""Which versions of an observation stand, and since when.

A sender reports a measurement, may correct it and may withdraw it. A version stands in [known_at,
known_until): a correction or withdrawal ends at its own `known_at` what it concerns, and nothing is deleted.
Reports may come twice, late and out of order; what stands at any time is what their order by `known_at` says.
Two things are not remembered: the withdrawal of what nobody has reported yet, which is refused, and that a
value was confirmed, should a correction from before that confirmation come after it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ReportStatus(StrEnum):
    """What a sender says of a report, in the words of FHIR R4's observation status."""

    PRELIMINARY = "preliminary"
    FINAL = "final"
    AMENDED = "amended"
    CORRECTED = "corrected"
    ENTERED_IN_ERROR = "entered-in-error"
    CANCELLED = "cancelled"

    @property
    def corrects(self) -> bool:
        """Whether it replaces what was said of the same moment."""
        return self in (ReportStatus.AMENDED, ReportStatus.CORRECTED)

    @property
    def withdraws(self) -> bool:
        """Whether it takes back what was said."""
        return self in (ReportStatus.ENTERED_IN_ERROR, ReportStatus.CANCELLED)


class Receipt(StrEnum):
    """What became of a report."""

    ACCEPTED = "accepted"
    CORRECTED = "corrected"  # stored, and it ended another version
    WITHDRAWN = "withdrawn"
    DUPLICATE = "duplicate"  # it says what is known already
    NOT_FOUND = "not_found"  # it withdraws what was never reported


@dataclass(frozen=True)
class ObservationFacts:
    """One good report: catalogue name of the variable, `value` finite in its canonical unit.

    `identifier` is the sender's name for the measurement, equal in all its versions, "" for none. `value` is
    None only where `status` withdraws whatever was reported.
    """

    time: datetime
    known_at: datetime
    variable: str
    value: float | None
    censored: str = ""
    identifier: str = ""
    status: ReportStatus = ReportStatus.FINAL


@dataclass(slots=True)
class Version:
    """A report that was stored: it stands in [known_at, known_until). `row_id` is None while it is new."""

    time: datetime
    known_at: datetime
    variable: str
    value: float
    censored: str = ""
    identifier: str = ""
    status: ReportStatus = ReportStatus.FINAL
    known_until: datetime | None = None
    row_id: int | None = None

    def stands_at(self, moment: datetime) -> bool:
        """Whether it was known and neither corrected nor withdrawn."""
        return self.known_at <= moment and self.stands_after(moment)

    def stands_after(self, moment: datetime) -> bool:
        """Whether it was neither corrected nor withdrawn by then."""
        return self.known_until is None or moment < self.known_until

    def says(self, report: ObservationFacts) -> bool:
        """Whether a report has the same content."""
        said = (self.variable, self.time, self.value, self.censored)
        return said == (report.variable, report.time, report.value, report.censored)


class Ledger:
    """The versions of one stay's observations. `versions` are those a report to come may concern.

    `new` are the versions made since, in order; `changed` those given that now end, or end earlier, or have
    got a name.
    """

    def __init__(self, versions: Iterable[Version] = ()) -> None:
        self.new: list[Version] = []
        self.changed: dict[int, Version] = {}
        self._of_moment: defaultdict[tuple[str, datetime], list[Version]] = defaultdict(list)
        self._of_name: defaultdict[tuple[str, str], list[Version]] = defaultdict(list)
        for version in versions:
            self._enter(version)

    def take(self, report: ObservationFacts) -> Receipt:
        """Enter a report, and say what became of it."""
        return self._withdraw(report) if report.status.withdraws else self._store(report)

    def _store(self, report: ObservationFacts) -> Receipt:
        concerned = self._concerned(report)
        if any(_is_again(one, report) for one in concerned):
            return Receipt.DUPLICATE
        held = next((one for one in concerned if _holds(one, report)), None)
        ended = [one for one in self._replaceable(report) if one.stands_at(report.known_at)]
        ended = [one for one in ended if not one.says(report) and not _follows(one, report)]
        ends = [one.known_until for one in ended if one.known_until is not None]
        for one in ended:
            self._end(one, report.known_at)
        if held is None:
            ends += [one.known_at for one in self._successors(report)]
            self._append(report, min(ends, default=None))
        elif report.identifier and not held.identifier:
            self._name(held, report.identifier)
        if ended:
            return Receipt.CORRECTED
        return Receipt.ACCEPTED if held is None else Receipt.DUPLICATE

    def _concerned(self, report: ObservationFacts) -> list[Version]:
        """The versions of the report's name, or where it has none, of its variable and time.

        A name that is new may be that of a version which came without one.
        """
        moment = self._of_moment[report.variable, report.time]
        if not report.identifier:
            return moment
        own = self._of_name[report.identifier, report.variable]
        return own or [one for one in moment if not one.identifier]

    def _replaceable(self, report: ObservationFacts) -> list[Version]:
        """What a report ends where it stands."""
        concerned = self._concerned(report)
        named = [one for one in concerned if one.identifier == report.identifier != ""]
        return list(concerned) if report.status.corrects else named

    def _successors(self, report: ObservationFacts) -> list[Version]:
        """What ends the report though it came before it, because it became known later."""
        moment = self._of_moment[report.variable, report.time]
        found = [one for one in moment if one.status.corrects and self._replaces(one, report)]
        if report.identifier:
            found += self._of_name[report.identifier, report.variable]
        return [one for one in found if _follows(one, report)]

    def _replaces(self, correction: Version, report: ObservationFacts) -> bool:
        """Whether a correction of the moment was meant for the report too, whose name it does not have."""
        if not correction.identifier:
            return True
        own = self._of_name[correction.identifier, correction.variable]
        return not report.identifier and correction is min(own, key=lambda one: one.known_at)

    def _withdraw(self, report: ObservationFacts) -> Receipt:
        concerned = self._concerned(report)
        if report.value is not None:
            concerned = [
                one for one in concerned if one.identifier == report.identifier != "" or one.says(report)
            ]
        if not concerned:
            return Receipt.NOT_FOUND
        standing = [one for one in concerned if one.stands_at(report.known_at)]
        if not standing and all(one.known_at > report.known_at for one in concerned):
            # a sender's clock that runs behind must not leave its error standing
            first = min(concerned, key=lambda one: one.known_at)
            standing = [first] if first.stands_at(first.known_at) else []
        for one in standing:
            self._end(one, max(report.known_at, one.known_at))
        return Receipt.WITHDRAWN if standing else Receipt.DUPLICATE

    def _append(self, report: ObservationFacts, known_until: datetime | None) -> None:
        assert report.value is not None
        version = Version(
            report.time,
            report.known_at,
            report.variable,
            report.value,
            report.censored,
            report.identifier,
            report.status,
            known_until,
        )
        self.new.append(version)
        self._enter(version)

    def _enter(self, version: Version) -> None:
        self._of_moment[version.variable, version.time].append(version)
        if version.identifier:
            self._of_name[version.identifier, version.variable].append(version)

    def _end(self, version: Version, moment: datetime) -> None:
        version.known_until = moment
        self._note(version)

    def _name(self, version: Version, identifier: str) -> None:
        version.identifier = identifier
        self._of_name[identifier, version.variable].append(version)
        self._note(version)

    def _note(self, version: Version) -> None:
        if version.row_id is not None:
            self.changed[version.row_id] = version


def _is_again(version: Version, report: ObservationFacts) -> bool:
    """Whether the version is that very report, which changes nothing even where the version has ended."""
    same = (version.known_at, version.status) == (report.known_at, report.status)
    return same and version.says(report) and report.identifier in ("", version.identifier)


def _follows(version: Version, report: ObservationFacts) -> bool:
    """Whether the version comes after the report; of one `known_at` a correction comes last."""
    if version.known_at == report.known_at:
        return version.status.corrects and not report.status.corrects
    return version.known_at > report.known_at


def _holds(version: Version, report: ObservationFacts) -> bool:
    """Whether the version says so already; a report without a name is also held by one known later."""
    known_then = version.known_at <= report.known_at or not report.identifier
    return version.says(report) and known_then and version.stands_after(report.known_at)
