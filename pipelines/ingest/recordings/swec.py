"""The SWEC recordings: HDF5 with weeks of one patient, and the older hourly MATLAB files.

HDF5: `data/ieeg` (C, samples) in microvolt; `data/seizures` with onsets and offsets in seconds; attribute
`sampling_rate` of the file. MATLAB: `EEG` (C, samples), version 5 (read as a whole, an hour) or 7.3 (HDF5,
read in windows); rate and seizures are in `<patient>_info.mat` beside it (`fs`, `seizure_begin`,
`seizure_end`, in seconds after the first hour began), and the file's name says which hour it is:
`ID01_230h.mat`. Channels have no names in either: they are called `E1`, `E2`, ….

Source: https://huggingface.co/datasets/NeuroTec/SWEC_iEEG_Dataset; Burrello et al. 2019,
http://ieeg-swez.ethz.ch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
import scipy.io  # type: ignore[import-untyped]

from models.clinical.annotation import SEIZURE, Annotation
from models.clinical.errors import UnreadableSource
from models.clinical.recording import Channel, Recording, Samples, SampleSource, Stretch
from pipelines.ingest.recordings.arrays import ArraySamples
from pipelines.ingest.recordings.opened import OpenedRecording

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
HOUR_SECONDS = 3600.0
SHORT_TERM_RATE_HZ = 512.0  # of files without an info file: the short-term set is all of this rate
_HOUR = re.compile(r"(?P<patient>.+)_(?P<hour>\d+)h")


@dataclass(frozen=True)
class HDF5Samples:
    """A dataset (C, samples), or (samples, C) as MATLAB 7.3 stores it."""

    path: Path
    dataset: str
    transposed: bool

    def read(self, channels: Sequence[int], first: int, stop: int) -> Samples:
        """Samples (C, stop - first)."""
        with _hdf5(self.path) as file:
            data = file[self.dataset]
            block = data[first:stop, :].T if self.transposed else data[:, first:stop]
        return np.asarray(block[list(channels)], dtype=np.float32)


def open_swec(path: Path) -> OpenedRecording:
    """The HDF5 file of a patient. Raises UnreadableSource that names what is missing."""
    with _hdf5(path) as file:
        if "data/ieeg" not in file or file["data/ieeg"].ndim != 2:  # noqa: PLR2004 channels, samples
            raise UnreadableSource(f"{path}: no data/ieeg (channels, samples)")
        count, samples = file["data/ieeg"].shape
        rate_hz = _rate(path, file)
        seizures = _onsets_and_offsets(path, file["data/seizures"][()]) if "data/seizures" in file else ()
    return _opened(path, HDF5Samples(path, "data/ieeg", False), (count, samples), rate_hz, seizures)


def open_swec_hour(path: Path) -> OpenedRecording:
    """One MATLAB file, of an hour or of the short-term set. Raises UnreadableSource that names what is
    missing.
    """
    samples: SampleSource
    with path.open("rb") as file:
        is_hdf5 = _is_hdf5(file.read(520))
    if is_hdf5:
        with _hdf5(path) as matrix:
            shape = _shape(path, matrix.get("EEG"))[::-1]
        samples = HDF5Samples(path, "EEG", True)
    else:
        values = _matlab(path).get("EEG")
        shape = _shape(path, values)
        samples = ArraySamples(np.asarray(values, dtype=np.float32))
    rate_hz, seizures = _info(path)
    return _opened(path, samples, shape, rate_hz, seizures)


def _is_hdf5(head: bytes) -> bool:
    # MATLAB puts 512 bytes of its own before the HDF5 of version 7.3
    return head.startswith(HDF5_MAGIC) or head[512:520] == HDF5_MAGIC


def _opened(
    path: Path,
    samples: SampleSource,
    shape: tuple[int, int],
    rate_hz: float,
    seizures: Sequence[tuple[float, float]],
) -> OpenedRecording:
    channels = tuple(Channel(f"E{number}", rate_hz) for number in range(1, shape[0] + 1))
    kept, complaints = [], []
    for row, (onset, offset) in enumerate(seizures):
        if 0.0 <= onset <= offset:
            kept.append(Annotation(onset, offset - onset, SEIZURE))
        else:
            complaints.append(
                f"{path}: seizure {row} from {onset:g} s to {offset:g} s; expected 0 <= onset <= offset"
            )
    recording = Recording(path.stem, channels, (Stretch(0.0, shape[1] / rate_hz),), samples, None, str(path))
    return OpenedRecording(recording, tuple(kept), tuple(complaints))


def _rate(path: Path, file: Any) -> float:
    for holder in (file, file["data"], file["data/ieeg"]):
        if "sampling_rate" in holder.attrs:
            rate_hz = float(np.asarray(holder.attrs["sampling_rate"]).ravel()[0])
            return _checked_rate(path, "sampling_rate", rate_hz)
    raise UnreadableSource(f"{path}: no attribute sampling_rate; expected samples a second")


def _checked_rate(path: Path, name: str, rate_hz: float) -> float:
    if not (np.isfinite(rate_hz) and rate_hz > 0.0):
        raise UnreadableSource(f"{path}: {name} is {rate_hz} Hz; expected > 0 Hz")
    return rate_hz


def _onsets_and_offsets(path: Path, table: npt.NDArray[Any]) -> tuple[tuple[float, float], ...]:
    """Pairs from a table with fields `onsets` and `offsets`, or of two columns or rows."""
    if table.dtype.names:
        if not {"onsets", "offsets"} <= set(table.dtype.names):
            raise UnreadableSource(f"{path}: data/seizures has {table.dtype.names}; expected onsets, offsets")
        pairs = np.stack([table["onsets"].ravel(), table["offsets"].ravel()], axis=1)
    elif table.size == 0:
        return ()
    elif table.ndim == 2 and 2 in table.shape:  # noqa: PLR2004 onset and offset
        pairs = table if table.shape[1] == 2 else table.T  # noqa: PLR2004
    else:
        raise UnreadableSource(f"{path}: data/seizures has shape {table.shape}; expected (n, 2)")
    return tuple((float(onset), float(offset)) for onset, offset in pairs)


def _info(path: Path) -> tuple[float, tuple[tuple[float, float], ...]]:
    """Rate and seizures of an hour, from the patient's info file where there is one."""
    hour = _HOUR.fullmatch(path.stem)
    file = path.with_name(f"{hour['patient']}_info.mat") if hour else None
    if hour is None or file is None or not file.is_file():
        return SHORT_TERM_RATE_HZ, ()
    info = _matlab(file)
    if missing := [name for name in ("fs", "seizure_begin", "seizure_end") if name not in info]:
        raise UnreadableSource(f"{file}: no {', '.join(missing)}; expected fs, seizure_begin, seizure_end")
    begin, end = (
        np.asarray(info[name], dtype=np.float64).ravel() for name in ("seizure_begin", "seizure_end")
    )
    before = (int(hour["hour"]) - 1) * HOUR_SECONDS
    inside = [
        (max(float(onset), before) - before, min(float(offset), before + HOUR_SECONDS) - before)
        for onset, offset in zip(begin, end, strict=True)
        if onset < before + HOUR_SECONDS and offset > before
    ]
    return _checked_rate(file, "fs", float(np.asarray(info["fs"]).ravel()[0])), tuple(inside)


def _shape(path: Path, values: Any) -> tuple[int, int]:
    if values is None or values.ndim != 2:  # noqa: PLR2004 channels, samples
        raise UnreadableSource(f"{path}: no EEG (channels, samples)")
    return int(values.shape[0]), int(values.shape[1])


def _matlab(path: Path) -> Mapping[str, Any]:
    try:
        # only numbers are asked for: other MATLAB classes are never built
        found: Mapping[str, Any] = scipy.io.loadmat(path, variable_names=list(_NUMBERS))
    except (OSError, ValueError, TypeError, NotImplementedError, scipy.io.matlab.MatReadError) as error:
        raise UnreadableSource(f"{path}: expected a MATLAB file of version 5 or 7.3, but {error}") from error
    return found


_NUMBERS = ("EEG", "fs", "seizure_begin", "seizure_end")


@contextmanager
def _hdf5(path: Path) -> Iterator[Any]:
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise UnreadableSource(f"{path}: expected a whole HDF5 file, but {error}") from error
    with file:
        yield file
