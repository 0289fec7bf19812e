"""One file of the older SWEC recordings: an hour of a patient, or a seizure of the short-term set.

`EEG` (C, samples) in microvolt, in a MATLAB file of version 5 or 7.3 (HDF5); either is read in windows. Rate
and seizures are in `<patient>_info.mat` beside it (`fs`, `seizure_begin`, `seizure_end`, in seconds after the
first hour began), and the file's name says which hour it is: `ID01_230h.mat`. A file of the short-term set,
`Sz3.mat`, has no such file; all of that set is of one rate.

Source: Burrello et al. 2019, http://ieeg-swez.ethz.ch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.clinical.errors import UnreadableSource
from models.clinical.recording import Recording, SampleSource, Stretch
from pipelines.ingest.recordings.hdf5 import HDF5_MAGIC, HDF5Samples, hdf5_file, matrix_in
from pipelines.ingest.recordings.matlab5 import Matlab5Samples, Place, find_matrix, small_matrices
from pipelines.ingest.recordings.opened import OpenedRecording
from pipelines.ingest.recordings.swec import Seizures, annotations_of, checked_rate, numbered_channels

HOUR_NAME = re.compile(r"(?P<patient>.+)_(?P<hour>\d+)h")
HOUR_SECONDS = 3600.0
SHORT_TERM_NAME = re.compile(r"(?:.*[_-])?sz\d+", re.IGNORECASE)
SHORT_TERM_RATE_HZ = 512.0
INFO = ("fs", "seizure_begin", "seizure_end")


@dataclass(frozen=True)
class Hour:
    """One file: the `number` of its hour, from 1 on, and how many channels and samples it holds."""

    path: Path
    number: int
    channels: int
    samples: int
    place: Place | None  # of the matrix in a file of version 5

    def source(self) -> SampleSource:
        """What reads it."""
        return HDF5Samples(self.path, "EEG", True) if self.place is None else Matlab5Samples(self.place)


def open_swec_hour(path: Path) -> OpenedRecording:
    """One file, of an hour or of the short-term set. Raises UnreadableSource that names what is missing."""
    named = HOUR_NAME.fullmatch(path.stem)
    number = int(named["hour"]) if named else 1
    hour = read_hour(path, number)
    info = path.with_name(f"{named['patient']}_info.mat") if named else None
    if info and info.is_file():
        rate_hz, known = read_info(info)
        check_rate(hour, rate_hz, info)
        seizures: Seizures | None = within_hours(known, number, number)
    else:
        rate_hz, seizures = _own_rate(path, info), None
    stretches = (Stretch(0.0, hour.samples / rate_hz),)
    channels = numbered_channels(hour.channels, rate_hz)
    recording = Recording(path.stem, channels, stretches, hour.source(), None, str(path))
    return OpenedRecording(recording, *annotations_of(path, seizures, stretches))


def check_rate(hour: Hour, rate_hz: float, info: Path) -> None:
    """Raises UnreadableSource for an hour of another rate: it states an `fs` of its own, or holds more than
    an hour at the patient's rate.
    """
    stated = numbers_in(hour.path, ("fs",))
    own_hz = rate_in(hour.path, stated) if stated else rate_hz
    if hour.samples > HOUR_SECONDS * rate_hz + 0.5:
        own_hz = hour.samples / HOUR_SECONDS
    if own_hz != rate_hz:
        raise UnreadableSource(
            f"{hour.path}: {hour.samples} samples at {own_hz:g} Hz, but fs of {info.name} is {rate_hz:g} Hz"
        )


def within_hours(seizures: Seizures, first: int, last: int) -> Seizures:
    """Those that touch the hours from `first` to `last`, cut to them, in seconds after the first began.

    One whose times are no numbers may touch any hour.
    """
    start, end = (first - 1) * HOUR_SECONDS, last * HOUR_SECONDS
    return tuple(
        (max(onset, start) - start, min(offset, end) - start)
        for onset, offset in seizures
        if not (onset >= end or offset <= start)
    )


def read_hour(path: Path, number: int) -> Hour:
    """What the file holds. Raises UnreadableSource where that is no hour."""
    if number < 1:
        raise UnreadableSource(f"{path}: hour {number}; expected hours from 1 on")
    if _is_hdf5(path):
        with hdf5_file(path) as file:
            samples, channels = matrix_in(path, file, "EEG").shape
        return Hour(path, number, int(channels), int(samples), None)
    place = find_matrix(path, "EEG")
    channels, samples = _shape(path, place)
    return Hour(path, number, channels, samples, place)


def _own_rate(path: Path, info: Path | None) -> float:
    """The rate of a file without an info file: its own `fs`, or that of the short-term set."""
    if stated := numbers_in(path, ("fs",)):
        return rate_in(path, stated)
    if SHORT_TERM_NAME.fullmatch(path.stem):
        return SHORT_TERM_RATE_HZ
    where = info or "<patient>_info.mat beside <patient>_<hour>h.mat"
    raise UnreadableSource(
        f"{path}: states no rate; expected fs in it or in {where}, "
        f"or the name of a short-term file (Sz1.mat), all of which have {SHORT_TERM_RATE_HZ:g} Hz"
    )


def _is_hdf5(path: Path) -> bool:
    # MATLAB puts 512 bytes of its own before the HDF5 of version 7.3
    with path.open("rb") as file:
        head = file.read(512 + len(HDF5_MAGIC))
    return head.startswith(HDF5_MAGIC) or head[512:] == HDF5_MAGIC


def _shape(path: Path, matrix: Any) -> tuple[int, int]:
    if matrix is None or len(matrix.shape) != 2:  # noqa: PLR2004 channels, samples
        raise UnreadableSource(f"{path}: no EEG (channels, samples)")
    return int(matrix.shape[0]), int(matrix.shape[1])


def read_info(file: Path) -> tuple[float, Seizures]:
    """Rate and seizures, in seconds after the first hour began."""
    info = numbers_in(file, INFO)
    if missing := [name for name in INFO if name not in info]:
        raise UnreadableSource(f"{file}: no {', '.join(missing)}; expected {', '.join(INFO)}")
    begin, end = info["seizure_begin"], info["seizure_end"]
    if len(begin) != len(end):
        raise UnreadableSource(
            f"{file}: {len(begin)} values of seizure_begin, {len(end)} of seizure_end; expected as many"
        )
    return rate_in(file, info), tuple(zip(begin.tolist(), end.tolist(), strict=True))


def rate_in(file: Path, numbers: Mapping[str, Any]) -> float:
    """The `fs` of a file. Raises UnreadableSource unless it is above 0."""
    if not len(numbers["fs"]):
        raise UnreadableSource(f"{file}: fs is empty; expected samples a second")
    return checked_rate(file, "fs", float(numbers["fs"][0]))


def numbers_in(path: Path, names: Sequence[str]) -> dict[str, Any]:
    """Small arrays of a file by name, flat; those that are not there are left out."""
    if _is_hdf5(path):
        with hdf5_file(path) as file:
            found: Mapping[str, Any] = {name: _stored(file[name]) for name in names if name in file}
    else:
        found = small_matrices(path, names)
    return {name: _numbers(path, name, found[name]) for name in names if name in found}


def _stored(held: Any) -> Any:
    """What is in a file of version 7.3, where text is its letters' numbers and an empty array its shape."""
    if not hasattr(held, "dtype"):
        return "a structure"
    if held.attrs.get("MATLAB_empty"):
        return np.empty(0)
    return "".join(map(chr, held[()].ravel())) if held.attrs.get("MATLAB_class") == b"char" else held[()]


def _numbers(path: Path, name: str, values: Any) -> npt.NDArray[np.float64]:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise UnreadableSource(f"{path}: {name} is {array.tolist()!s:.80}; expected numbers")
    return array.astype(np.float64).ravel()
