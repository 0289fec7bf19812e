"""One file of the older SWEC recordings: an hour of a patient, or a seizure of the short-term set.

`EEG` (C, samples) in microvolt, in a MATLAB file of version 5 or 7.3 (HDF5); either is read in windows. Rate
and seizures are in `<patient>_info.mat` beside it (`fs`, `seizure_begin`, `seizure_end`, in seconds after the
first hour began), and the file's name says which hour it is: `ID01_230h.mat`.

Source: Burrello et al. 2019, http://ieeg-swez.ethz.ch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io  # type: ignore[import-untyped]

from models.clinical.errors import UnreadableSource
from models.clinical.recording import Recording, SampleSource, Stretch
from pipelines.ingest.recordings.hdf5 import HDF5_MAGIC, HDF5Samples, hdf5_file, matrix_in
from pipelines.ingest.recordings.matlab5 import Matlab5Samples, Place, find_matrix
from pipelines.ingest.recordings.opened import OpenedRecording
from pipelines.ingest.recordings.swec import Seizures, annotations_of, checked_rate, numbered_channels

HOUR_NAME = re.compile(r"(?P<patient>.+)_(?P<hour>\d+)h")
HOUR_SECONDS = 3600.0
SHORT_TERM_RATE_HZ = 512.0  # of files without an info file: the short-term set is all of this rate
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
    rate_hz, seizures = read_info(info) if info and info.is_file() else (SHORT_TERM_RATE_HZ, ())
    stretch = Stretch(0.0, hour.samples / rate_hz)
    channels = numbered_channels(hour.channels, rate_hz)
    recording = Recording(path.stem, channels, (stretch,), hour.source(), None, str(path))
    return OpenedRecording(recording, *annotations_of(path, within_hours(seizures, number, number)))


def within_hours(seizures: Seizures, first: int, last: int) -> Seizures:
    """Those that touch the hours from `first` to `last`, cut to them, in seconds after the first began."""
    start, end = (first - 1) * HOUR_SECONDS, last * HOUR_SECONDS
    return tuple(
        (max(onset, start) - start, min(offset, end) - start)
        for onset, offset in seizures
        if onset < end and offset > start
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
            found: Mapping[str, Any] = {name: file[name][()] for name in names if name in file}
    else:
        found = _matlab(path, names)
    return {name: np.asarray(found[name], dtype=np.float64).ravel() for name in names if name in found}


def _matlab(path: Path, names: Sequence[str]) -> Mapping[str, Any]:
    try:
        # only numbers are asked for: other MATLAB classes are never built
        found: Mapping[str, Any] = scipy.io.loadmat(path, variable_names=list(names))
    except (OSError, ValueError, TypeError, NotImplementedError, scipy.io.matlab.MatReadError) as error:
        raise UnreadableSource(f"{path}: expected a MATLAB file of version 5 or 7.3, but {error}") from error
    return found
