"""The SWEC recordings: HDF5 with weeks of one patient.

`data/ieeg` (C, samples) in microvolt; `data/seizures` with onsets and offsets in seconds; attribute
`sampling_rate` of the file. Channels have no names: they are called `E1`, `E2`, …. The older files of an hour
each are read by `swec_hour.py` and `swec_hours.py`.

Source: https://huggingface.co/datasets/NeuroTec/SWEC_iEEG_Dataset.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import numpy as np

from models.clinical.annotation import BACKGROUND, SEIZURE, Annotation
from models.clinical.errors import UnreadableSource
from models.clinical.recording import Channel, Recording, Stretch
from pipelines.ingest.recordings.hdf5 import HDF5Samples, hdf5_file, matrix_in
from pipelines.ingest.recordings.opened import OpenedRecording

FIELDS = ("onsets", "offsets")

Seizures = Sequence[tuple[float, float]]  # onset and offset of each, in seconds


def open_swec(path: Path) -> OpenedRecording:
    """The HDF5 file of a patient. Raises UnreadableSource that names what is missing."""
    with hdf5_file(path) as file:
        count, samples = matrix_in(path, file, "data/ieeg").shape
        rate_hz = _rate(path, file)
        seizures = _seizures(path, file["data/seizures"]) if "data/seizures" in file else None
    stretches, channels = (Stretch(0.0, samples / rate_hz),), numbered_channels(count, rate_hz)
    source = HDF5Samples(path, "data/ieeg", False)
    recording = Recording(path.stem, channels, stretches, source, None, str(path))
    return OpenedRecording(recording, *annotations_of(path, seizures, stretches))


def numbered_channels(count: int, rate_hz: float) -> tuple[Channel, ...]:
    """Channels whose names nobody recorded."""
    return tuple(Channel(f"E{number}", rate_hz) for number in range(1, count + 1))


def annotations_of(
    path: Path, seizures: Seizures | None, stretches: Sequence[Stretch]
) -> tuple[tuple[Annotation, ...], tuple[str, ...]]:
    """The seizures, and a sentence for each that cannot be one.

    None where nobody looked for them; where somebody did and there is none, all that was recorded is
    background.
    """
    if seizures is None:
        return (), ()
    if not seizures:
        return tuple(Annotation(one.start_seconds, one.seconds, BACKGROUND) for one in stretches), ()
    kept, complaints = [], []
    for row, (onset, offset) in enumerate(seizures):
        if 0.0 <= onset <= offset < math.inf:
            kept.append(Annotation(onset, offset - onset, SEIZURE))
        else:
            complaints.append(
                f"{path}: seizure {row} from {onset:g} s to {offset:g} s; "
                "expected 0 <= onset <= offset, finite"
            )
    return tuple(kept), tuple(complaints)


def checked_rate(path: Path, name: str, rate_hz: float) -> float:
    """The rate. Raises UnreadableSource unless it is above 0."""
    if not (np.isfinite(rate_hz) and rate_hz > 0.0):
        raise UnreadableSource(f"{path}: {name} is {rate_hz} Hz; expected > 0 Hz")
    return rate_hz


def _rate(path: Path, file: Any) -> float:
    for holder in (file, file["data"], file["data/ieeg"]):
        if "sampling_rate" in holder.attrs:
            stated = np.asarray(holder.attrs["sampling_rate"])
            if stated.dtype.kind not in "iuf" or stated.size != 1:
                raise UnreadableSource(
                    f"{path}: sampling_rate is {stated.tolist()!r}; expected one number in Hz"
                )
            return checked_rate(path, "sampling_rate", float(stated.item()))
    raise UnreadableSource(f"{path}: no attribute sampling_rate; expected samples a second")


def _seizures(path: Path, held: Any) -> Seizures:
    """Pairs from a group or a table with `onsets` and `offsets`, or from a table of two columns or rows."""
    if isinstance(held, h5py.Group):
        if not all(isinstance(held.get(name), h5py.Dataset) for name in FIELDS):
            raise UnreadableSource(
                f"{path}: data/seizures holds {', '.join(held) or 'nothing'}; expected onsets, offsets"
            )
        return _pairs(path, *(held[name][()] for name in FIELDS))
    table = held[()]
    if held.dtype.names:
        if not set(FIELDS) <= set(held.dtype.names):
            raise UnreadableSource(f"{path}: data/seizures has {held.dtype.names}; expected onsets, offsets")
        return _pairs(path, *(table[name] for name in FIELDS))
    if not held.size:
        return ()
    if held.ndim != 2 or 2 not in held.shape:  # noqa: PLR2004 onset and offset
        raise UnreadableSource(f"{path}: data/seizures has shape {held.shape}; expected (n, 2)")
    return _pairs(path, *(table.T if held.shape[1] == 2 else table))  # noqa: PLR2004


def _pairs(path: Path, onsets: Any, offsets: Any) -> Seizures:
    begin, end = np.asarray(onsets).ravel(), np.asarray(offsets).ravel()
    if len(begin) != len(end):
        raise UnreadableSource(
            f"{path}: data/seizures has {len(begin)} onsets and {len(end)} offsets; expected as many"
        )
    if {begin.dtype.kind, end.dtype.kind} - set("iuf"):
        raise UnreadableSource(f"{path}: data/seizures holds {begin.tolist()!r:.80}; expected seconds")
    return tuple(zip(begin.astype(float).tolist(), end.astype(float).tolist(), strict=True))
