"""HDF5 in every compression that recordings come in, and files that cannot give what they promise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import hdf5plugin
import numpy as np
import pytest

from models.clinical.errors import UnreadableSource
from pipelines.ingest.recordings.hdf5 import HDF5Samples
from pipelines.ingest.recordings.readers import open_recording

VALUES = np.random.default_rng(0).normal(0, 50, (3, 400)).astype(np.float32)


def written(path: Path, dataset: str = "data/ieeg", values: Any = VALUES, **stored: Any) -> Path:
    """A file with the dataset, a chunk each second."""
    with h5py.File(path, "w") as file:
        file.create_dataset(dataset, data=values, **stored)
        file.attrs["sampling_rate"] = 100.0
    return path


@pytest.mark.parametrize(
    "stored", [dict(hdf5plugin.LZ4()), dict(hdf5plugin.Blosc()), {"compression": "gzip"}]
)
def test_compressed_samples_are_read_in_windows(stored: dict[str, Any], tmp_path: Path) -> None:
    path = written(tmp_path / "ID01.h5", chunks=(3, 90), **stored)
    recording = open_recording(path).recording
    for start, stop in ((0.0, 0.0), (0.1, 0.5), (0.8, 1.9), (3.55, 4.0), (0.0, 4.0)):
        found = recording.select([2, 0]).window(start, stop)
        np.testing.assert_array_equal(found, VALUES[[2, 0], round(100 * start) : round(100 * stop)])


def test_a_chunk_is_decompressed_once_for_the_windows_in_it(tmp_path: Path) -> None:
    path = written(tmp_path / "a.h5", chunks=(3, 200), compression="gzip")
    samples = open_recording(path).recording.samples
    samples.read([0], 0, 10)
    path.unlink()
    np.testing.assert_array_equal(samples.read([1], 150, 200), VALUES[1:2, 150:200])
    with pytest.raises(UnreadableSource, match=r"a\.h5"):
        samples.read([1], 150, 201)


def test_chunks_beyond_what_may_be_kept_are_read_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.ingest.recordings.hdf5.MOST_KEPT_BYTES", 1000)
    path = written(tmp_path / "a.h5", "EEG", VALUES.T, chunks=(200, 3), compression="gzip")
    samples = HDF5Samples(path, "EEG", True)
    np.testing.assert_array_equal(samples.read([2, 1], 190, 390), VALUES[[2, 1], 190:390])
    path.unlink()
    with pytest.raises(UnreadableSource, match=r"a\.h5"):
        samples.read([2, 1], 190, 390)


def test_infinite_samples_are_missing(tmp_path: Path) -> None:
    values = VALUES.astype(np.float64)
    values[1, 5:7] = np.inf, 1e300
    found = open_recording(written(tmp_path / "a.h5", values=values)).recording.window(0.0, 1.0)
    assert np.flatnonzero(np.isnan(found)).tolist() == [105, 106]


def unknown_filter(path: Path) -> None:
    with h5py.File(path, "w") as file:
        chunk = {"shape": VALUES.shape, "dtype": "f4", "chunks": (3, 200)}
        data = file.create_dataset("data/ieeg", compression=32099, allow_unknown_filter=True, **chunk)
        data.id.write_direct_chunk((0, 0), b"abcd" * 100)
        file.attrs["sampling_rate"] = 100.0


def group(path: Path) -> None:
    written(path, "data/ieeg/left")


def text(path: Path) -> None:
    written(path, values=[[b"a", b"b"]])


def kind(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["data/ieeg"] = np.dtype("f4")  # a type by a name, without data


def no_folder(path: Path) -> None:
    written(path, "data")


def joined(path: Path, parts: tuple[str, ...], samples: int = 200) -> None:
    """A virtual file of two parts, of which those named are there."""
    layout = h5py.VirtualLayout(VALUES.shape, "f4")
    for place, name in enumerate(("one.h5", "two.h5")):
        span = slice(200 * place, 200 * place + 200)
        if name in parts:
            written(path.with_name(name), "x", VALUES[:, span][:, :samples])
        layout[:, span] = h5py.VirtualSource(name, "x", (3, 200))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("data/ieeg", layout)
        file.attrs["sampling_rate"] = 100.0


def part_is_missing(path: Path) -> None:
    joined(path, ("one.h5",))


def part_is_short(path: Path) -> None:
    joined(path, ("one.h5", "two.h5"), 150)


def parts_leave_a_hole(path: Path) -> None:
    layout = h5py.VirtualLayout(VALUES.shape, "f4")
    written(path.with_name("one.h5"), "x", VALUES[:, :200])
    layout[:, :200] = h5py.VirtualSource("one.h5", "x", (3, 200))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("data/ieeg", layout)


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        (unknown_filter, "data/ieeg is compressed with HDF5 filter 32099"),
        (group, r"data/ieeg is a group of left; expected \(channels, samples\)"),
        (text, "data/ieeg holds .*; expected real numbers"),
        (kind, "no data/ieeg"),
        (no_folder, "no data/ieeg"),
        (part_is_missing, r"data/ieeg has a part in two\.h5, which is not there"),
        (part_is_short, r"one\.h5: x has shape \(3, 150\); expected at least 600"),
        (parts_leave_a_hole, "data/ieeg has parts for 600 of its 1200 numbers"),
    ],
)
def test_what_cannot_be_read_is_refused_when_it_is_opened(
    broken: Callable[[Path], None], named: str, tmp_path: Path
) -> None:
    broken(tmp_path / "bad.h5")
    with pytest.raises(UnreadableSource, match=named):
        open_recording(tmp_path / "bad.h5")


def test_a_file_put_together_of_parts_that_are_there(tmp_path: Path) -> None:
    joined(tmp_path / "all.h5", ("one.h5", "two.h5"))
    np.testing.assert_array_equal(open_recording(tmp_path / "all.h5").recording.window(0.0, 4.0), VALUES)


def test_a_file_put_together_of_a_file_a_channel(tmp_path: Path) -> None:
    layout = h5py.VirtualLayout((2, 300), "f4")
    for channel in range(2):
        written(tmp_path / f"{channel}.h5", "x", VALUES[channel])
        layout[channel] = h5py.VirtualSource(f"{channel}.h5", "x", (400,))[100:]
    with h5py.File(tmp_path / "all.h5", "w") as file:
        file.create_virtual_dataset("data/ieeg", layout)
        file.attrs["sampling_rate"] = 100.0
    np.testing.assert_array_equal(
        open_recording(tmp_path / "all.h5").recording.window(0.0, 3.0), VALUES[:2, 100:]
    )
    written(tmp_path / "1.h5", "x", VALUES[1, :399])
    with pytest.raises(UnreadableSource, match=r"1\.h5: x has shape \(399,\); expected at least \(400,\)"):
        open_recording(tmp_path / "all.h5")
    written(tmp_path / "1.h5", "y", VALUES[1])
    with pytest.raises(UnreadableSource, match=r"1\.h5: no dataset x"):
        open_recording(tmp_path / "all.h5")


def test_a_chunk_that_is_damaged_is_named_when_it_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "a.h5", chunks=(3, 100), compression="gzip")
    with h5py.File(path) as file:
        at = file["data/ieeg"].id.get_chunk_info(2).byte_offset
    with path.open("r+b") as raw:
        raw.seek(at)
        raw.write(bytes(200))
    recording = open_recording(path).recording
    np.testing.assert_array_equal(recording.window(1.0, 2.0), VALUES[:, 100:200])
    with pytest.raises(UnreadableSource, match=r"a\.h5: data/ieeg, samples 200 to 300: cannot be read"):
        recording.window(2.5, 2.6)
