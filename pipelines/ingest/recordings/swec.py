"""The SWEC recordings: HDF5 with weeks of one patient.

`data/ieeg` (C, samples) in microvolt; `data/seizures` with onsets and offsets in seconds; attribute
`sampling_rate` of the file. Channels have no names: they are called `E1`, `E2`, …. The older files of an hour
each are read by `swec_hour.py` and `swec_hours.py`.

Source: https://huggingface.co/datasets/NeuroTec/SWEC_iEEG_Dataset.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt

from models.clinical.annotation import SEIZURE, Annotation
from models.clinical.errors import UnreadableSource
from models.clinical.recording import Channel, Recording, Samples, Stretch
from pipelines.ingest.recordings.opened import OpenedRecording

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"

Seizures = Sequence[tuple[float, float]]  # onset and offset of each, in seconds


@dataclass(frozen=True)
class HDF5Samples:
    """A dataset (C, samples), or (samples, C) as MATLAB 7.3 stores it."""

    path: Path
    dataset: str
    transposed: bool

    def read(self, channels: Sequence[int], first: int, stop: int) -> Samples:
        """Samples (C, stop - first)."""
        with hdf5_file(self.path) as file:
            data = file[self.dataset]
            block = data[first:stop, :].T if self.transposed else data[:, first:stop]
        return np.asarray(block[list(channels)], dtype=np.float32)


def open_swec(path: Path) -> OpenedRecording:
    """The HDF5 file of a patient. Raises UnreadableSource that names what is missing."""
    with hdf5_file(path) as file:
        if "data/ieeg" not in file or file["data/ieeg"].ndim != 2:  # noqa: PLR2004 channels, samples
            raise UnreadableSource(f"{path}: no data/ieeg (channels, samples)")
        count, samples = file["data/ieeg"].shape
        rate_hz = _rate(path, file)
        seizures = _onsets_and_offsets(path, file["data/seizures"][()]) if "data/seizures" in file else ()
    stretch, channels = Stretch(0.0, samples / rate_hz), numbered_channels(count, rate_hz)
    source = HDF5Samples(path, "data/ieeg", False)
    recording = Recording(path.stem, channels, (stretch,), source, None, str(path))
    return OpenedRecording(recording, *annotations_of(path, seizures))


def numbered_channels(count: int, rate_hz: float) -> tuple[Channel, ...]:
    """Channels whose names nobody recorded."""
    return tuple(Channel(f"E{number}", rate_hz) for number in range(1, count + 1))


def annotations_of(path: Path, seizures: Seizures) -> tuple[tuple[Annotation, ...], tuple[str, ...]]:
    """The seizures, and a sentence for each that cannot be one."""
    kept, complaints = [], []
    for row, (onset, offset) in enumerate(seizures):
        if 0.0 <= onset <= offset:
            kept.append(Annotation(onset, offset - onset, SEIZURE))
        else:
            complaints.append(
                f"{path}: seizure {row} from {onset:g} s to {offset:g} s; expected 0 <= onset <= offset"
            )
    return tuple(kept), tuple(complaints)


def checked_rate(path: Path, name: str, rate_hz: float) -> float:
    """The rate. Raises UnreadableSource unless it is above 0."""
    if not (np.isfinite(rate_hz) and rate_hz > 0.0):
        raise UnreadableSource(f"{path}: {name} is {rate_hz} Hz; expected > 0 Hz")
    return rate_hz


@contextmanager
def hdf5_file(path: Path) -> Iterator[Any]:
    """The file, open for reading. Raises UnreadableSource where it is not whole."""
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise UnreadableSource(f"{path}: expected a whole HDF5 file, but {error}") from error
    with file:
        yield file


def _rate(path: Path, file: Any) -> float:
    for holder in (file, file["data"], file["data/ieeg"]):
        if "sampling_rate" in holder.attrs:
            rate_hz = float(np.asarray(holder.attrs["sampling_rate"]).ravel()[0])
            return checked_rate(path, "sampling_rate", rate_hz)
    raise UnreadableSource(f"{path}: no attribute sampling_rate; expected samples a second")


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
