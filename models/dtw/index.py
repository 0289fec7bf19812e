"""Reference series on disk, with what became of each: the whole memory of a nearest-neighbour model.

    folder/index.json          format, version, variables, coding, SHA-256 of the arrays
    folder/index.safetensors   values, weights, lengths, members, outcome, onset_hours, stays

Values are kept in half precision (`half`, 2 bytes) or as they are (`single`, 4 bytes), weights in 1 byte.
100,000 stays x 44 variables x 48 h take 845 MB in single precision without weights, 634 MB in half precision
with them. A series that went through `coded` loses nothing more on its way to the disk and back.

Arrays are mapped into memory: single precision without weights is used where it lies, everything else is
decoded, all at once or by `IndexFile.parts` in as much as memory has room for. They are coded on their way to
the disk, some megabytes at a time. No row names a patient.

    N  references     V  variables     T  hours     B  blocks of LANES references
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from models.clinical.errors import InvalidInput, UnreadableSource
from models.dtw.lanes import LANES, LINE, aligned
from models.dtw.series import PADDING, References, Series

Coding = Literal["half", "single"]
Array = npt.NDArray[Any]

FORMAT, VERSION = "prodrome dtw index", 1
DESCRIPTION, ARRAYS = "index.json", "index.safetensors"
STEPS = 255  # of a weight in one byte
HALF_LARGEST = float(np.finfo(np.float16).max)
CHUNK = 1 << 22  # bytes hashed, or coded and written, at a time
_NAMES = {
    "F16": np.float16,
    "F32": np.float32,
    "I64": np.int64,
    "I32": np.int32,
    "I8": np.int8,
    "U8": np.uint8,
}
_CODES = {np.dtype(kind): name for name, kind in _NAMES.items()}


@dataclass(frozen=True, eq=False)
class Index:
    """References and, for each, `outcome` (N,) 0 or 1; `onset_hours` (N,) from its last hour to the onset,
    NaN without one; `stays` (N,) how many stays it was made of.
    """

    references: References
    outcome: npt.NDArray[np.int8]
    onset_hours: npt.NDArray[np.float32]
    stays: npt.NDArray[np.int32]

    def __post_init__(self) -> None:
        for name in ("outcome", "onset_hours", "stays"):
            if len(getattr(self, name)) != self.references.count:
                raise InvalidInput(
                    f"{name} of {len(getattr(self, name))} references: there are {self.references.count}",
                    value=len(getattr(self, name)),
                    bound=str(self.references.count),
                )
        if other := set(np.unique(self.outcome).tolist()) - {0, 1}:
            raise InvalidInput(f"outcome {other.pop()}: 0 or 1", value=sorted(other), bound="0 or 1")


def coded(one: Series) -> Series:
    """The series as `half` keeps it: values in half precision, weights in steps of 1/255.

    Raises InvalidInput for values beyond half precision.
    """
    _check_half(one.values)
    values = one.values.astype(np.float16).astype(np.float64)
    if one.weights is None:
        return Series(values, None, one.variables)
    weights = _weights(_steps(one.weights)).astype(np.float64)
    return Series(np.where(weights > 0.0, values, 0.0), weights, one.variables)


def save(index: Index, folder: Path, coding: Coding = "half") -> None:
    """Write an index to `folder`. Raises InvalidInput for values that single precision rounds, or that lie
    beyond half precision.
    """
    one = index.references
    if one.originals is not None:
        raise InvalidInput("the references hold values that single precision rounds: see `coded`")
    if coding == "half":
        _check_half(one.values)
    arrays: dict[str, _Coded] = {
        "values": _Coded(one.values, np.dtype(np.float16 if coding == "half" else np.float32)),
        **({} if one.weights is None else {"weights": _Coded(one.weights, np.dtype(np.uint8), _steps)}),
        "lengths": _Coded(one.lengths, one.lengths.dtype),
        "members": _Coded(one.members, one.members.dtype),
        "outcome": _Coded(index.outcome, np.dtype(np.int8)),
        "onset_hours": _Coded(index.onset_hours, np.dtype(np.float32)),
        "stays": _Coded(index.stays, np.dtype(np.int32)),
    }
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / ARRAYS, arrays)
    description: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "references": one.count,
        "variables": list(one.variables),
        "coding": coding,
        "sha256": _checksum(folder / ARRAYS),
    }
    description["own_sha256"] = _own_checksum(description)
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")


def fingerprint(index: Index) -> bytes:
    """A SHA-256 of what an index holds: equal for equal references, whichever file they came from."""
    one, digest = index.references, hashlib.sha256("\n".join(index.references.variables).encode())
    for array in (
        one.values,
        one.weights,
        one.lengths,
        one.members,
        index.outcome,
        index.onset_hours,
        index.stays,
    ):
        digest.update(b"" if array is None else np.ascontiguousarray(array).data.cast("B"))
    return digest.digest()


def load(folder: Path) -> Index:
    """What `save` wrote. Raises UnreadableSource for a file that is missing, foreign, newer or changed."""
    opened = IndexFile(folder)
    return Index(opened.references(), *(np.array(opened.arrays[name]) for name in IndexFile.beside))


class IndexFile:
    """An index on disk, mapped into memory; `arrays` as they are coded."""

    beside = ("outcome", "onset_hours", "stays")

    def __init__(self, folder: Path) -> None:
        """Open and check. Raises UnreadableSource."""
        described = _described(folder / DESCRIPTION)
        found = _checksum(folder / ARRAYS)
        if found != described["sha256"]:
            raise UnreadableSource(
                f"{folder / ARRAYS}: SHA-256 {found[:12]}…, but {DESCRIPTION} says "
                f"{described['sha256'][:12]}…: the file was changed or is not of this index"
            )
        self.variables = tuple(described["variables"])
        self._places = _places(folder / ARRAYS)
        self.arrays = {name: place.mapped() for name, place in self._places.items()}

    def references(self) -> References:
        """All of them; mapped where they need no decoding."""
        return self._decoded(self.arrays, self.arrays["members"])

    def parts(self, blocks: int) -> Iterator[tuple[npt.NDArray[np.int64], References]]:
        """At most `blocks` blocks at a time: the numbers (n,) of their references, and these from 0 on.

        Each part is mapped by itself: once it is dropped, none of its pages is held.
        """
        whole = len(self.arrays["lengths"])
        for first in range(0, whole, blocks):
            part: dict[str, Array] = {
                name: self._places[name].mapped(first, min(first + blocks, whole))
                for name in ("values", "weights", "lengths", "members")
                if name in self._places
            }
            members = part["members"]
            filled = members != PADDING
            numbers = np.sort(members[filled])
            members[filled] = np.searchsorted(numbers, members[filled])
            yield numbers, self._decoded(part, members)

    def _decoded(self, arrays: Mapping[str, Array], members: Array) -> References:
        weights = arrays.get("weights")
        return References(
            values=_singles(arrays["values"]),
            weights=None if weights is None else _filled(_weights(weights)),
            lengths=np.array(arrays["lengths"]),
            members=np.array(members),
            variables=self.variables,
        )


def size_bytes(count: int, variables: int, hours: int, coding: Coding = "half", *, weighted: bool) -> int:
    """How large the arrays of `count` references are on disk, the header left out."""
    slots = -(-count // LANES) * LANES
    per_value = (2 if coding == "half" else 4) + (1 if weighted else 0)
    return slots * variables * hours * per_value + slots * 16 + count * 9


def _steps(weights: Array) -> Array:
    return np.round(weights * STEPS).astype(np.uint8)


def _weights(steps: Array) -> Array:
    return steps.astype(np.float32) / np.float32(STEPS)


def _singles(values: Array) -> Array:
    return values if values.dtype == np.float32 else _filled(values)


def _filled(values: Array) -> Array:
    found = aligned(values.shape)
    found[...] = values
    return found


def _described(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnreadableSource(f"{path}: expected the description of an index, but {error}") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise UnreadableSource(f"{path}: not the description of a {FORMAT}")
    if found.get("version") != VERSION:
        raise UnreadableSource(f"{path}: version {found.get('version')} of the format; this reads {VERSION}")
    if lacking := {"variables", "sha256", "own_sha256"} - set(found):
        raise UnreadableSource(f"{path}: lacks {', '.join(sorted(lacking))}")
    if _own_checksum(found) != found["own_sha256"]:
        raise UnreadableSource(f"{path}: SHA-256 is not the {found['own_sha256']} it states: it was changed")
    return found


def _own_checksum(description: Mapping[str, Any]) -> str:
    """Of what a description says beside this."""
    said = {name: value for name, value in description.items() if name != "own_sha256"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _check_half(values: Array) -> None:
    largest = max(float(values.max(initial=0.0)), -float(values.min(initial=0.0)))  # no copy
    if largest > HALF_LARGEST:
        raise InvalidInput(
            f"a value of {largest:g} standardised units: half precision ends at {HALF_LARGEST:g}",
            value=largest,
            bound=f"<= {HALF_LARGEST:g}",
            unit="standardised",
        )


def _checksum(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise UnreadableSource(f"{path}: expected the arrays of an index, but {error}") from error
    return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class _Coded:
    """An array and how the file holds it: `code` of some of its rows at a time, as `kind`."""

    array: Array
    kind: np.dtype[Any]
    code: Callable[[Array], Array] = np.asarray

    @property
    def size_bytes(self) -> int:
        """On disk."""
        return self.array.size * self.kind.itemsize

    def pieces(self) -> Iterator[Array]:
        """All rows, coded, as many at a time as CHUNK bytes of the array."""
        rows = max(1, CHUNK * len(self.array) // max(self.array.nbytes, 1))
        for first in range(0, len(self.array), rows):
            piece = self.code(self.array[first : first + rows])
            yield np.ascontiguousarray(piece, self.kind)


@dataclass(frozen=True)
class _Place:
    """Where a file holds an array."""

    path: Path
    kind: np.dtype[Any]
    offset: int
    shape: tuple[int, ...]

    def mapped(self, first: int = 0, stop: int | None = None) -> Array:
        """Rows `first` to `stop` of it, copy-on-write."""
        stop = self.shape[0] if stop is None else stop
        row_bytes = int(np.prod(self.shape[1:])) * self.kind.itemsize
        shape = (stop - first, *self.shape[1:])
        return np.asarray(np.memmap(self.path, self.kind, "c", self.offset + first * row_bytes, shape))


def _write(path: Path, arrays: Mapping[str, _Coded]) -> None:
    """The safetensors layout, written piece by piece so that nothing is held twice."""
    header, end = {}, 0
    for name, one in arrays.items():
        header[name] = {
            "dtype": _CODES[one.kind],
            "shape": one.array.shape,
            "data_offsets": (end, end + one.size_bytes),
        }
        end += one.size_bytes
    text = json.dumps(header).encode()
    text = text.ljust(-(-(len(text) + 8) // LINE) * LINE - 8)  # so that the first array is aligned
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for one in arrays.values():
            for piece in one.pieces():
                file.write(piece.data.cast("B"))


def _places(path: Path) -> dict[str, _Place]:
    """Every array of a safetensors file."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header: dict[str, Any] = json.loads(file.read(size))
    header.pop("__metadata__", None)
    return {
        name: _Place(
            path, np.dtype(_NAMES[one["dtype"]]), 8 + size + one["data_offsets"][0], tuple(one["shape"])
        )
        for name, one in header.items()
    }
