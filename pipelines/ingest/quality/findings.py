"""What a reader of the quality report should look at first, said in sentences with their numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from models.clinical.quarantine import Reason
from models.clinical.variables import CATALOGUE

Json = dict[str, Any]

# what says that a value or its row was wrong; the rest lay elsewhere in time or was read twice
REJECTIONS = frozenset(
    {
        Reason.UNACCEPTED_UNIT,
        Reason.MISSING_UNIT,
        Reason.NOT_A_NUMBER,
        Reason.IMPLAUSIBLE,
        Reason.IN_FUTURE,
        Reason.KNOWN_BEFORE_MEASURED,
        Reason.MALFORMED,
    }
)
_MANY_QUARANTINED = 0.01  # of a variable's values
_LISTED = 6
_FEW = 10  # rows: below that a share says nothing
_RARE = 0.05  # of the stays
_MANY_UNMAPPED = 0.01  # of all rows
_EXPECTED = ("heart_rate", "respiratory_rate", "temperature", "systolic_pressure", "oxygen_saturation")


def findings(report: Mapping[str, Any]) -> list[str]:
    """Sentences, the most serious kind first; empty where nothing stands out."""
    kinds = (_unread, _absent, _unmapped, _outside, _much_quarantined, _rare, _unknown_facts, _assumed)
    return [sentence for kind in kinds for sentence in kind(report)]


def percent(share: float) -> str:
    """A share as people read it; what is not nothing never reads as 0 %."""
    if 0 < share < 0.001:  # noqa: PLR2004
        return "< 0.1 %"
    text = f"{100 * share:.1f}" if share < 0.1 else f"{100 * share:.0f}"  # noqa: PLR2004
    return f"{text.removesuffix('.0')} %"


def grouped(count: int) -> str:
    """A count with its thousands apart."""
    return f"{count:,}".replace(",", "\u202f")  # a narrow space that does not break


def counted(count: int, noun: str) -> str:
    """A count with its noun."""
    return f"{grouped(count)} {noun}" if count == 1 else f"{grouped(count)} {noun}s"


def _unread(report: Mapping[str, Any]) -> Iterator[str]:
    if failures := report["failures"]:
        yield f"{grouped(len(failures))} of the source could not be read at all: see the end of this page."


def _absent(report: Mapping[str, Any]) -> Iterator[str]:
    met = {one["variable"] for one in report["variables"] if one["kept"]}
    for name in _EXPECTED:
        if name not in met:
            yield f"No {CATALOGUE[name].label.lower()} at all: is its code mapped?"


def _unmapped(report: Mapping[str, Any]) -> Iterator[str]:
    unmapped, read = report["unmapped"], report["rows"]["read"]
    if unmapped["count"] > _MANY_UNMAPPED * max(read, 1):
        first = unmapped["most"][0]
        yield (
            f"{counted(unmapped['count'], 'row')} ({percent(unmapped['count'] / read)}) are of "
            f"{counted(unmapped['names'], 'code')} not mapped here; most often {first['name']} "
            f"({grouped(first['count'])})."
        )


def _outside(report: Mapping[str, Any]) -> Iterator[str]:
    outside, read = report["outside_stays"], report["rows"]["read"]
    if outside["count"] > _MANY_UNMAPPED * max(read, 1):
        share = percent(outside["count"] / read)
        yield f"{counted(outside['count'], 'mapped row')} ({share}) lie outside every stay."


def _much_quarantined(report: Mapping[str, Any]) -> Iterator[str]:
    many = [
        one
        for one in report["variables"]
        if one["rejected_share"] > _MANY_QUARANTINED and one["rejected"] > _FEW
    ]
    for one in sorted(many, key=lambda one: -one["rejected"])[:_LISTED]:
        reason, count = _first_rejection(one)
        yield (
            f"{one['label']}: {percent(one['rejected_share'])} of its values within stays are quarantined, "
            f"most as {reason} ({grouped(count)})."
        )


def _first_rejection(one: Json) -> tuple[str, int]:
    return next((reason, n) for reason, n in one["quarantined_by_reason"].items() if reason in REJECTIONS)


def _rare(report: Mapping[str, Any]) -> Iterator[str]:
    rare = [one["label"] for one in report["variables"] if 0 < one["stays_share"] < _RARE]
    if rare:
        yield f"In fewer than {percent(_RARE)} of the stays: {', '.join(rare)}."


def _unknown_facts(report: Mapping[str, Any]) -> Iterator[str]:
    stays = report["stays"]
    known = stays["age_years"]["count"] if stays["age_years"] else 0
    if known < stays["stays"]:
        without = stays["stays"] - known
        yield f"The age is not known in {grouped(without)} of {counted(stays['stays'], 'stay')}."
    if stays["without_observations"]:
        yield f"No observation in {counted(stays['without_observations'], 'stay')}."


def _assumed(report: Mapping[str, Any]) -> Iterator[str]:
    count = sum(one["lag_assumed"] for one in report["variables"])
    observations = report["rows"]["observations"]
    if count:
        yield (
            f"For {counted(count, 'observation')} ({percent(count / observations)}) the source does not say "
            "when it became known: the catalogue's lag is assumed."
        )
