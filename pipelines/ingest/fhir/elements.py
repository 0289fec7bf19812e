"""Elements of FHIR resources, read without trust: references, codings and times of whatever shape came in.

A resource is named by a key: `Patient/17`, the `urn:uuid:` of its Bundle entry, `OWNER#id` where it is
contained, or `Patient?system|value` for an identifier. All keys of one resource mean the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from models.clinical.quarantine import read_time

_LITERAL = re.compile(r"(?:^|/)(?P<key>[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64})(?:/_history/[^/]*)?$")
_CONDITIONAL = re.compile(r"(?P<type>[A-Z][A-Za-z]+)\?identifier=(?P<token>.+)")


class Coding(NamedTuple):
    """One coding; `text` is its display, or the text of the concept around it."""

    system: str
    code: str
    text: str


def element(holder: object, *path: str) -> dict[str, Any]:
    """The object at a path of names; empty where there is none."""
    for name in path:
        holder = holder.get(name) if isinstance(holder, dict) else None
        if isinstance(holder, list):
            holder = holder[0] if holder else None
    return holder if isinstance(holder, dict) else {}


def elements(holder: object, name: str) -> list[dict[str, Any]]:
    """The objects of a repeating element; one object alone counts as a list of it."""
    held = holder.get(name) if isinstance(holder, dict) else None
    held = held if isinstance(held, list) else [held]
    return [one for one in held if isinstance(one, dict) and one]


def text(holder: object, name: str) -> str:
    """The text of a primitive element; empty where it is none."""
    held = holder.get(name) if isinstance(holder, dict) else None
    return held.strip() if isinstance(held, str) else ""


def codings(concept: object) -> list[Coding]:
    """The codings of a CodeableConcept, each with the best words there are."""
    words = text(concept, "text")
    found = [
        Coding(text(one, "system"), text(one, "code"), text(one, "display") or words)
        for one in elements(concept, "coding")
    ]
    return found or ([Coding("", "", words)] if words else [])


def words(concept: object) -> list[str]:
    """What a CodeableConcept says in words, the most telling first: text, displays, then bare codes."""
    coded = codings(concept)
    said = [text(concept, "text"), *(one.text for one in coded), *(one.code for one in coded)]
    return list(dict.fromkeys(word for word in said if word))


def keys(resource: dict[str, Any], url: str) -> list[str]:
    """Every key of a resource, the one it goes by first; empty where it has none."""
    kind, identity = text(resource, "resourceType"), text(resource, "id")
    if "#" in url:  # contained: its id means nothing outside
        return [url]
    literal = [f"{kind}/{identity}"] if identity else []
    return [*literal, *([literal_key(url)] if url else []), *identifiers(resource, kind)]


def identifiers(resource: object, kind: str) -> list[str]:
    """The keys of a resource by its business identifiers."""
    return [
        f"{kind}?{text(one, 'system')}|{text(one, 'value')}"
        for one in elements(resource, "identifier")
        if text(one, "value")
    ]


def reference(holder: object, name: str, kind: str, owner: str) -> str:
    """The key that a Reference points at; `owner` is the resource it stands in. Empty where there is none.

    A reference to another type than `kind` is none.
    """
    found = element(holder, name)
    pointed = text(found, "reference")
    if pointed.startswith("#"):
        return owner + pointed
    if pointed:
        key = literal_key(pointed)
        other = "/" in key and not key.startswith(("urn:", "http")) and key.split("/")[0] != kind
        return "" if other else key
    return next(iter(identifiers(found, kind)), "")


def literal_key(pointed: str) -> str:
    """The key in a relative, absolute, conditional or urn reference."""
    if conditional := _CONDITIONAL.search(pointed):
        token = conditional["token"]
        return f"{conditional['type']}?{token if '|' in token else '|' + token}"
    literal = None if pointed.startswith("urn:") else _LITERAL.search(pointed)
    return literal["key"] if literal else pointed


def effective(resource: object, name: str = "effective") -> str:
    """When it was: the dateTime, the instant, or the end of the period, which may be open."""
    period = element(resource, f"{name}Period")
    told = (text(resource, f"{name}DateTime"), text(resource, f"{name}Instant"))
    return next(filter(None, (*told, text(period, "end"), text(period, "start"))), "")


def clock(told: str) -> datetime | None:
    """The time of day that is told, in UTC; None where it is none, such as a date, or has no offset."""
    time = read_time(told)
    return time if time is not None and time.tzinfo is not None else None


def contained(resource: dict[str, Any], owner: str) -> Iterator[tuple[dict[str, Any], str]]:
    """The contained resources, each with its key."""
    for one in elements(resource, "contained"):
        if text(one, "resourceType") and text(one, "id"):
            yield one, f"{owner}#{text(one, 'id')}"
