"""Any recording by its path: the first bytes and the name say which reader it needs; a folder holds hours."""

from __future__ import annotations

from pathlib import Path

from models.clinical.errors import UnreadableSource
from pipelines.ingest.recordings.arrays import open_npz
from pipelines.ingest.recordings.bids import is_bids, with_sidecars
from pipelines.ingest.recordings.brainvision import open_brainvision
from pipelines.ingest.recordings.edf import open_edf
from pipelines.ingest.recordings.hdf5 import HDF5_MAGIC
from pipelines.ingest.recordings.opened import OpenedRecording
from pipelines.ingest.recordings.swec import open_swec
from pipelines.ingest.recordings.swec_hour import open_swec_hour
from pipelines.ingest.recordings.swec_hours import open_swec_hours

EXPECTED = (
    "EDF, EDF+, BDF, BrainVision (.vhdr), SWEC (.h5, .mat, a folder of hours) or a NumPy archive (.npz)"
)
# how the formats begin; MATLAB writes its own name, also before the HDF5 of version 7.3
READERS = (
    (b"0       ", open_edf),
    (b"\xffBIOSEMI", open_edf),
    (HDF5_MAGIC, open_swec),
    (b"MATLAB", open_swec_hour),
    (b"Brain Vision", open_brainvision),
    (b"BrainVision", open_brainvision),
    (b"PK\x03\x04", open_npz),
)


def open_recording(path: Path) -> OpenedRecording:
    """The recording at `path`, with BIDS tables where they lie beside it; samples are read later.

    Raises UnreadableSource where the file is absent, of no known format, truncated or damaged.
    """
    if path.is_dir():
        return open_swec_hours(path)
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise UnreadableSource(f"{path}: cannot be read: {error.strerror}; expected {EXPECTED}") from error
    head = head.removeprefix(b"\xef\xbb\xbf")
    reader = next((reader for start, reader in READERS if head.startswith(start)), None)
    if reader is None:
        raise UnreadableSource(f"{path}: begins with {head!r}; expected {EXPECTED}")
    opened = reader(path)
    return with_sidecars(path, opened) if is_bids(path) else opened
