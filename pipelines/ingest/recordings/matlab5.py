"""A matrix in a MATLAB file of version 5, read a stretch of columns at a time.

    file      header (128 bytes), elements
    element   type, bytes, content; a compressed one is the zlib stream of another element
    matrix    flags, dimensions, name, numbers; column after column

Columns of a recording are its samples, so a window is one piece of the file. Of a compressed matrix the
decompressor's state is kept every MARK bytes: a window costs at most that much more, wherever it lies, and
memory does not grow with the file. Text, cells, structures, sparse and complex matrices are not read.

Source: MathWorks, MAT-File Format, level 5,
https://www.mathworks.com/help/pdf_doc/matlab/matfile_format.pdf.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.clinical.errors import UnreadableSource
from models.clinical.recording import Samples
from pipelines.ingest.recordings.opened import as_samples

HEADER_BYTES, TAG_BYTES = 128, 8
ORDERS = {b"IM": "<", b"MI": ">"}  # how the header writes "MI" says which byte comes first
KINDS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
MATRIX, COMPRESSED = 14, 15
CLASSES = range(1, 16)  # cells, structures, objects, text, sparse ones, then those of numbers
NUMERIC_CLASSES = CLASSES[5:]
COMPLEX = 0x0800
HEAD_BYTES = 1024  # of a matrix, before its numbers: flags, dimensions and a name of at most 63 letters
PIECE = 1 << 14  # bytes read of a compressed matrix at a time
MARK = 1 << 24  # bytes of content between two states that are kept
LARGEST_WHOLE = 1 << 22  # bytes of a matrix that is read as a whole


@dataclass(frozen=True)
class Place:
    """Where a matrix is: `content_bytes` in the file from `start` on, the numbers `offset` bytes into what
    they hold, which may have to be decompressed.
    """

    path: Path
    start: int
    content_bytes: int
    compressed: bool
    offset: int
    kind: np.dtype[np.number]
    shape: tuple[int, ...]


def find_matrix(path: Path, name: str) -> Place | None:
    """The matrix of real numbers called `name`, None where there is none.

    Raises UnreadableSource for a file that is cut short, damaged, or of another version.
    """
    return next((place for called, place in _found(path) if called == name), None)


def small_matrices(path: Path, names: Sequence[str]) -> dict[str, npt.NDArray[np.number]]:
    """The numbers of small matrices by name, flat; those that are not there are left out.

    Raises UnreadableSource as `find_matrix`, and for one of these names that is large or no real numbers.
    """
    found = {}
    for name, place in _found(path):
        if name not in names:
            continue
        if place is None:
            raise UnreadableSource(f"{path}: {name} is text or a structure; expected numbers")
        size = math.prod(place.shape) * place.kind.itemsize
        if size > LARGEST_WHOLE:
            raise UnreadableSource(f"{path}: {name} has {size} bytes; expected at most {LARGEST_WHOLE}")
        found[name] = np.frombuffer(_content(place).read(place.offset, size), place.kind)
    return found


class Matlab5Samples:
    """The columns of a matrix (C, samples) as samples."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._content = _content(place)

    def read(self, channels: Sequence[int], first: int, stop: int) -> Samples:
        """Samples (C, stop - first). Raises UnreadableSource where the file does not hold them."""
        count, kind = self.place.shape[0], self.place.kind
        sample_bytes = count * kind.itemsize
        content = self._content.read(self.place.offset + first * sample_bytes, (stop - first) * sample_bytes)
        values = np.frombuffer(content, kind).reshape(stop - first, count)
        return as_samples(np.ascontiguousarray(values[:, list(channels)].T))


@dataclass(frozen=True)
class _Stored:
    """Content that lies in the file as it is."""

    place: Place

    def read(self, offset: int, size: int) -> bytes:
        with self.place.path.open("rb") as file:
            file.seek(self.place.start + offset)
            found = file.read(size)
        if len(found) < size:
            raise _cut_short(self.place.path)
        return found


@dataclass(frozen=True)
class _State:
    """A decompressor that was given `consumed` bytes and gave `produced`."""

    consumed: int
    produced: int
    inflater: zlib._Decompress


class _Inflated:
    """Content that is decompressed on the way, from the nearest state before it."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._marks = [_State(0, 0, zlib.decompressobj())]
        self._latest = self._marks[0]  # before the last piece, where the next window most often begins

    def read(self, offset: int, size: int) -> bytes:
        before = [state for state in (*self._marks, self._latest) if state.produced <= offset]
        pieces = []
        for at, content in self._pieces(max(before, key=lambda state: state.produced), offset + size):
            pieces.append(content[max(offset - at, 0) : offset + size - at])
        return b"".join(pieces)

    def _pieces(self, state: _State, end: int) -> Iterator[tuple[int, bytes]]:
        """Pieces of content, each with where it begins, from a state on until `end` is reached."""
        consumed, produced, inflater = state.consumed, state.produced, state.inflater.copy()
        with self.place.path.open("rb") as file:
            file.seek(self.place.start + consumed)
            while produced < end:
                self._keep(_State(consumed, produced, inflater.copy()))
                piece = file.read(min(PIECE, self.place.content_bytes - consumed))
                content = self._decompressed(inflater, piece)
                yield produced, content
                consumed, produced = consumed + len(piece), produced + len(content)

    def _decompressed(self, inflater: zlib._Decompress, piece: bytes) -> bytes:
        if not piece:
            raise _cut_short(self.place.path)
        try:
            return inflater.decompress(piece)
        except zlib.error as error:
            raise UnreadableSource(f"{self.place.path}: expected a compressed matrix, but {error}") from error

    def _keep(self, state: _State) -> None:
        self._latest = state
        if state.produced >= self._marks[-1].produced + MARK:
            self._marks.append(state)


def _content(place: Place) -> _Stored | _Inflated:
    return _Inflated(place) if place.compressed else _Stored(place)


def _cut_short(path: Path) -> UnreadableSource:
    return UnreadableSource(f"{path}: ends before its matrix does")


def _found(path: Path) -> Iterator[tuple[str, Place | None]]:
    """`_matrices` of a file whose header is right."""
    with path.open("rb") as file:
        order = ORDERS.get(file.read(HEADER_BYTES)[-2:])
    if order is None:
        raise UnreadableSource(f"{path}: expected a MATLAB file of version 5 or 7.3; its header is another")
    try:
        yield from _matrices(path, order)
    except (struct.error, ValueError, zlib.error) as error:
        raise UnreadableSource(f"{path}: expected whole MATLAB matrices, but {error}") from error


def _matrices(path: Path, order: str) -> Iterator[tuple[str, Place | None]]:
    """Each matrix by its name, and where it is, None for one that is not of real numbers."""
    end, at = path.stat().st_size, HEADER_BYTES
    with path.open("rb") as file:
        while at + TAG_BYTES <= end:
            file.seek(at)
            kind, size = struct.unpack(f"{order}II", file.read(TAG_BYTES))
            start, at = at + TAG_BYTES, at + TAG_BYTES + size
            if at > end:
                raise ValueError(f"byte {start} begins one of {size} bytes, and the file has {end}")
            head = file.read(min(size, HEAD_BYTES))
            if kind == COMPRESSED:
                head = zlib.decompressobj().decompress(head, HEAD_BYTES)
            elif kind != MATRIX:
                continue
            skipped = TAG_BYTES if kind == COMPRESSED else 0
            described = _described(head[skipped:], order)
            if described is None:
                continue
            name, numbers = described
            if numbers is None:
                yield name, None
                continue
            offset, dtype, shape = numbers
            yield name, Place(path, start, size, kind == COMPRESSED, offset + skipped, dtype, shape)


Numbers = tuple[int, np.dtype[np.number], tuple[int, ...]]  # where they begin, their type, the shape


def _described(head: bytes, order: str) -> tuple[str, Numbers | None] | None:
    """A matrix's name and real numbers, or no numbers; None for what has no such head."""
    _, at, _, following = _tag(head, 0, order)
    (flags,) = struct.unpack_from(f"{order}I", head, at)
    if flags & 0xFF not in CLASSES:
        return None
    _, at, size, following = _tag(head, following, order)
    shape = struct.unpack_from(f"{order}{size // 4}i", head, at)
    _, at, size, following = _tag(head, following, order)
    name = head[at : at + size].decode("latin-1")
    if flags & 0xFF not in NUMERIC_CLASSES or flags & COMPLEX:
        return name, None
    kind, at, size, _ = _tag(head, following, order)
    if kind not in KINDS:
        raise ValueError(f"{name} holds numbers of type {kind}")
    dtype = np.dtype(order + KINDS[kind])
    if size != math.prod(shape) * dtype.itemsize or min(shape) < 0:
        raise ValueError(f"{name} has shape {shape} and {size} bytes of numbers")
    return name, (at, dtype, shape)


def _tag(head: bytes, at: int, order: str) -> tuple[int, int, int, int]:
    """Type, start and bytes of the element at `at`, and where the next begins; small ones are one word."""
    first, size = struct.unpack_from(f"{order}II", head, at)
    if first >> 16:
        return first & 0xFFFF, at + 4, first >> 16, at + TAG_BYTES
    start = at + TAG_BYTES
    return first, start, size, start + -(-size // TAG_BYTES) * TAG_BYTES
