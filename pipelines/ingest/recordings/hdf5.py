"""HDF5 as recordings have it: one matrix of numbers, read in windows, whatever filter compressed it.

A compressed chunk can only be read as a whole, and the released SWEC files hold three minutes of all channels
in one: the chunks of the last window are kept, because the next one most often lies in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt

from models.clinical.errors import UnreadableSource
from models.clinical.recording import Samples
from pipelines.ingest.recordings.opened import as_samples

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
MOST_KEPT_BYTES = 1 << 28  # of the chunks that all channels have at one time


class HDF5Samples:
    """A dataset (C, samples), or (samples, C) as MATLAB 7.3 stores it."""

    def __init__(self, path: Path, dataset: str, transposed: bool) -> None:
        self.path, self.dataset, self.transposed = path, dataset, transposed
        self._kept: tuple[int, npt.NDArray[Any]] = -1, np.empty((0, 0))  # the first sample, and the numbers

    def read(self, channels: Sequence[int], first: int, stop: int) -> Samples:
        """Samples (C, stop - first). Raises UnreadableSource where the file cannot give them."""
        begin, held = self._kept
        if first < begin or stop > begin + held.shape[1]:
            begin, held = self._chunks(first, stop)
            if held.nbytes <= MOST_KEPT_BYTES:
                self._kept = begin, held
        return as_samples(held[list(channels), first - begin : stop - begin])

    def _chunks(self, first: int, stop: int) -> tuple[int, npt.NDArray[Any]]:
        """The first sample and all channels' numbers of the chunks that hold [first, stop)."""
        with hdf5_file(self.path) as file:
            data = file[self.dataset]
            count, samples = data.shape[::-1] if self.transposed else data.shape
            length = data.chunks[0 if self.transposed else 1] if data.chunks else 1
            # a window may begin in one chunk and end in the next
            if count * length * data.dtype.itemsize <= MOST_KEPT_BYTES // 2:
                first, stop = first // length * length, min(-(-stop // length) * length, samples)
            try:
                return first, data[first:stop, :].T if self.transposed else data[:, first:stop]
            except OSError as error:
                raise UnreadableSource(
                    f"{self.path}: {self.dataset}, samples {first} to {stop}: cannot be read: {error}"
                ) from error


@contextmanager
def hdf5_file(path: Path) -> Iterator[Any]:
    """The file, open for reading. Raises UnreadableSource where it is not whole, also while it is read."""
    # it makes more filters known to HDF5, and most commands read no HDF5
    import hdf5plugin  # noqa: F401, PLC0415

    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, KeyError, RuntimeError) as error:
        raise UnreadableSource(f"{path}: expected a whole HDF5 file, but {error}") from error


def matrix_in(path: Path, file: Any, name: str) -> Any:
    """The dataset of that name. Raises UnreadableSource unless it has two axes of readable numbers."""
    data = file.get(name)
    if isinstance(data, h5py.Group):
        raise UnreadableSource(
            f"{path}: {name} is a group of {', '.join(data) or 'nothing'}; expected (channels, samples)"
        )
    if not isinstance(data, h5py.Dataset) or data.ndim != 2:  # noqa: PLR2004 channels, samples
        raise UnreadableSource(f"{path}: no {name} (channels, samples)")
    _check_readable(path, data)
    return data


def _check_readable(path: Path, data: Any) -> None:
    if data.dtype.kind not in "iuf":
        raise UnreadableSource(f"{path}: {data.name[1:]} holds {data.dtype}; expected real numbers")
    if data.is_virtual:
        _check_parts(path, data)
    stored = data.id.get_create_plist()
    for place in range(stored.get_nfilters()):
        code, _, _, called = stored.get_filter(place)
        if not h5py.h5z.filter_avail(code):
            raise UnreadableSource(
                f"{path}: {data.name[1:]} is compressed with HDF5 filter {code} "
                f"({called.decode(errors='replace') or 'without a name'}), which is not known here"
            )


def _check_parts(path: Path, data: Any) -> None:
    """HDF5 reads zeros for every part of a virtual dataset that is not there: each must be."""
    held = 0
    for part in data.virtual_sources():
        held += part.vspace.get_select_npoints()
        if part.file_name == ".":
            _check_part(path, data.file, part)
            continue
        # as HDF5 looks for it: beside the file, then in the working directory
        found = next(
            (file for file in (path.parent / part.file_name, Path(part.file_name)) if file.is_file()), None
        )
        if found is None:
            raise UnreadableSource(
                f"{path}: {data.name[1:]} has a part in {part.file_name}, which is not there"
            )
        with hdf5_file(found) as file:
            _check_part(found, file, part)
    if held < data.size:
        raise UnreadableSource(f"{path}: {data.name[1:]} has parts for {held} of its {data.size} numbers")


def _check_part(path: Path, file: Any, part: Any) -> None:
    source, wanted, count = file.get(part.dset_name), part.src_space, part.vspace.get_select_npoints()
    if not isinstance(source, h5py.Dataset):
        raise UnreadableSource(f"{path}: no dataset {part.dset_name}, which is part of another file's")
    _check_readable(path, source)
    # all of a dataset is not told as a shape
    whole = wanted.get_select_type() == h5py.h5s.SEL_ALL
    least = () if whole else tuple(place + 1 for place in wanted.get_select_bounds()[1])
    if source.size < count or any(size < bound for size, bound in zip(source.shape, least, strict=False)):
        raise UnreadableSource(
            f"{path}: {part.dset_name} has shape {source.shape}; expected at least {least or count}"
        )
