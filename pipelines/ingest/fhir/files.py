"""The FHIR resources in files: Bundles, single resources and ndjson, plain or gzipped, one at a time.

An ndjson file streams; a Bundle or a single resource is read whole. What is no resource comes as Unreadable
with its file and line, and the ones beside it are still read.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.clinical.errors import UnreadableSource

SUFFIXES = (".ndjson", ".ndjson.gz", ".jsonl", ".json", ".json.gz")
LARGEST_TEXT = 256 * 2**20  # bytes of one line, Bundle or resource
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")  # half of a character: no text, and no file can hold it
_SHOWN = 60  # characters of a line that is no JSON, in its message


@dataclass(frozen=True)
class Found:
    """A resource and where it stands; `url` is its Bundle entry's fullUrl, or its owner's key and `#id`."""

    resource: dict[str, Any]
    where: str
    url: str = ""


@dataclass(frozen=True)
class Unreadable:
    """A line or entry that is no resource: file and line, and what was expected."""

    file: str
    detail: str


def find_files(path: Path) -> tuple[Path, ...]:
    """The FHIR files behind a path, by name. Raises UnreadableSource if there are none."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file() and file.name.endswith(SUFFIXES))
        # npm packages of FHIR examples carry a description of themselves
        found = tuple(file for file in files if file.name != "package.json")
    else:
        found = (path,) if path.is_file() and path.name.endswith(SUFFIXES) else ()
    if not found:
        raise UnreadableSource(
            f"{path}: no FHIR file there; expected {', '.join(SUFFIXES)} or a folder of them"
        )
    return found


def resources(file: Path) -> Iterator[Found | Unreadable]:
    """Every resource of a file. Raises UnreadableSource where the file ends too early or is no gzip."""
    try:
        if file.name.removesuffix(".gz").endswith((".ndjson", ".jsonl")):
            yield from _lines(file)
        else:
            with _opened(file) as stream:
                text = stream.read(LARGEST_TEXT + 1)
            yield from _entries(_parsed(text, file.name, file.name), file.name)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableSource(f"{file}: the file is damaged or cannot be read: {error}") from error


def _lines(file: Path) -> Iterator[Found | Unreadable]:
    with _opened(file) as stream:
        number = 0
        while line := stream.readline(LARGEST_TEXT + 1):
            number += 1
            if line.strip():
                yield from _entries(_parsed(line, file.name, f"{file.name} line {number}"), file.name)


def _opened(file: Path) -> Any:
    return gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb")


def _parsed(text: bytes, file: str, where: str) -> Found | Unreadable:
    if len(text) > LARGEST_TEXT:
        return Unreadable(file, f"{where}: longer than {LARGEST_TEXT} bytes")
    try:
        read = json.loads(text)
        if _SURROGATE.search(text):
            read = json.loads(json.dumps(read, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        shown = text[:_SHOWN].decode("utf-8", errors="replace")
        return Unreadable(file, f"{where}: expected a FHIR resource as JSON, but {error}: {shown!r}")
    return _resource(read, file, where)


def _resource(read: object, file: str, where: str, url: str = "") -> Found | Unreadable:
    if isinstance(read, dict) and isinstance(read.get("resourceType"), str):
        return Found(read, where, url)
    return Unreadable(file, f"{where}: expected an object with a resourceType, found {type(read).__name__}")


def _entries(found: Found | Unreadable, file: str) -> Iterator[Found | Unreadable]:
    """The resource itself, or each that its Bundle holds, Bundles in Bundles too."""
    if isinstance(found, Unreadable) or found.resource["resourceType"] != "Bundle":
        yield found
        return
    entries = found.resource.get("entry", [])
    if not isinstance(entries, list):
        yield Unreadable(file, f"{found.where}: expected the Bundle's entry to be a list")
        return
    for number, entry in enumerate(entries, 1):
        where = f"{found.where} entry {number}"
        if not isinstance(entry, dict):
            yield Unreadable(file, f"{where}: expected an object with a resource")
        elif "resource" in entry:  # a batch response or a delete request may hold none
            url = entry.get("fullUrl")
            inner = _resource(entry["resource"], file, where, url if isinstance(url, str) else "")
            yield from _entries(inner, file)
