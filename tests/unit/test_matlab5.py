"""Windows of a MATLAB 5 matrix: what scipy reads of the whole, and what is damaged is refused."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import scipy.io  # type: ignore[import-untyped]
from scipy.sparse import eye_array  # type: ignore[import-untyped]

from models.clinical.errors import UnreadableSource
from pipelines.ingest.recordings import matlab5
from pipelines.ingest.recordings.matlab5 import Matlab5Samples, Place, find_matrix, small_matrices

VALUES = np.random.default_rng(0).integers(0, 200, (3, 4000))


def saved(path: Path, *, compressed: bool, **arrays: object) -> Path:
    scipy.io.savemat(path, arrays, do_compression=compressed)
    return path


def found(path: Path) -> Place:
    place = find_matrix(path, "EEG")
    assert place is not None
    return place


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", ["f8", "f4", "i2", "u1", "i8"])
def test_windows_are_those_of_the_whole(
    kind: str, compressed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matlab5, "PIECE", 1 << 8)
    monkeypatch.setattr(matlab5, "MARK", 1 << 11)
    place = found(saved(tmp_path / "a.mat", compressed=compressed, EEG=VALUES.astype(kind)))
    assert place.shape == VALUES.shape
    samples, random = Matlab5Samples(place), np.random.default_rng(1)
    for first, stop in np.sort(random.integers(0, 4001, (60, 2)), axis=1).tolist():
        window = samples.read([2, 0], first, stop)
        assert window.dtype == np.float32
        np.testing.assert_array_equal(window, VALUES[[2, 0], first:stop])


def test_doubles_that_matlab_keeps_as_small_integers(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.mat", compressed=False, EEG=VALUES[:, :2].astype(np.int16))
    content = bytearray(path.read_bytes())
    flags = content.index(struct.pack("<II", 6, 8)) + 8
    content[flags] = 6  # of the class double
    path.write_bytes(content)
    assert scipy.io.loadmat(path, mat_dtype=True)["EEG"].dtype == np.float64
    np.testing.assert_array_equal(Matlab5Samples(found(path)).read([0, 1, 2], 0, 2), VALUES[:, :2])


@pytest.mark.parametrize("compressed", [False, True])
def test_a_matrix_is_found_among_others(compressed: bool, tmp_path: Path) -> None:
    others = {
        "a_structure": {"EEG": np.ones((2, 2))},
        "a_cell": np.array([1, "x", np.ones(3)], dtype=object),
        "a_word": "EEG",
        "sparse": eye_array(3).tocsc(),
        "complex": np.ones((2, 2)) + 1j,
    }
    path = saved(tmp_path / "a.mat", compressed=compressed, **others, EEG=VALUES.astype("f8"))
    np.testing.assert_array_equal(Matlab5Samples(found(path)).read([1], 10, 20), VALUES[1:2, 10:20])
    assert find_matrix(path, "other") is None
    assert find_matrix(path, "complex") is None


def test_the_other_byte_order(tmp_path: Path) -> None:
    """A file of the first machines MATLAB ran on, written by hand: scipy reads it and writes none."""
    numbers = VALUES[:, :5].astype(">f8").tobytes("F")
    parts = struct.pack(">IIII", 6, 8, 6, 0) + struct.pack(">IIii", 5, 8, 3, 5)
    parts += struct.pack(">HH4s", 3, 1, b"EEG") + struct.pack(">II", 9, len(numbers)) + numbers
    path = tmp_path / "a.mat"
    path.write_bytes(b"MATLAB 5.0".ljust(124) + b"\x01\x00MI" + struct.pack(">II", 14, len(parts)) + parts)
    np.testing.assert_array_equal(scipy.io.loadmat(path)["EEG"], VALUES[:, :5])
    np.testing.assert_array_equal(Matlab5Samples(found(path)).read([0, 1, 2], 1, 4), VALUES[:, 1:4])


def test_memory_does_not_grow_with_the_matrix(tmp_path: Path) -> None:
    values = np.resize(VALUES, (8, 1_000_000)).astype(np.int16)
    place = found(saved(tmp_path / "a.mat", compressed=True, EEG=values))
    tracemalloc.start()
    samples = Matlab5Samples(place)
    for first in range(0, 1_000_000, 2560):
        samples.read(range(8), first, min(first + 2560, 1_000_000))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert values.nbytes > 15e6
    assert peak_bytes < 5e6  # the decompressor's pieces: this repeats itself, so they unfold far


@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_cut_short_is_refused(compressed: bool, tmp_path: Path) -> None:
    path = saved(tmp_path / "a.mat", compressed=compressed, EEG=VALUES.astype("f8"))
    whole, samples = path.read_bytes(), Matlab5Samples(found(path))
    path.write_bytes(whole[:-100])
    with pytest.raises(UnreadableSource, match=r"a\.mat: expected whole MATLAB matrices, but byte 136"):
        find_matrix(path, "EEG")
    with pytest.raises(UnreadableSource, match=r"a\.mat: ends before its matrix does"):
        samples.read([0], 3000, 4000)


def test_a_damaged_compressed_matrix_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.mat", compressed=True, EEG=VALUES.astype("f8"))
    content = bytearray(path.read_bytes())
    content[4000:4100] = b"\xff" * 100
    path.write_bytes(content)
    with pytest.raises(UnreadableSource, match=r"a\.mat: expected a compressed matrix, but Error -3"):
        Matlab5Samples(found(path)).read([0], 0, 4000)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"MATLAB 5.0".ljust(126) + b"XX", "its header is another"),
        (b"MATLAB", "its header is another"),
        (b"MATLAB 5.0".ljust(126) + b"IM" + struct.pack("<II", 14, 4) + b"1234", "whole MATLAB matrices"),
        (b"MATLAB 5.0".ljust(126) + b"IM" + struct.pack("<II", 15, 8) + b"12345678", "whole MATLAB matrices"),
    ],
)
def test_what_is_no_matlab_file_is_refused(content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(UnreadableSource, match=says):
        find_matrix(tmp_path / "a.mat", "EEG")


def test_a_shape_that_its_numbers_do_not_fill_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.mat", compressed=False, EEG=VALUES.astype("f8"))
    content = path.read_bytes().replace(struct.pack("<ii", 3, 4000), struct.pack("<ii", 3, 4001))
    path.write_bytes(content)
    with pytest.raises(UnreadableSource, match=r"EEG has shape \(3, 4001\) and 96000 bytes of numbers"):
        find_matrix(path, "EEG")


INFO: dict[str, object] = {"fs": 512.0, "begin": [[7190.25], [7201.5]], "end": np.array([[90_000, 2]])}


@pytest.mark.parametrize("compressed", [False, True])
def test_small_matrices_are_what_scipy_reads(compressed: bool, tmp_path: Path) -> None:
    path = saved(tmp_path / "a.mat", compressed=compressed, **INFO, none=[], word="512", more=VALUES)
    read, theirs = small_matrices(path, ("begin", "end", "fs", "none", "absent")), scipy.io.loadmat(path)
    assert sorted(read) == ["begin", "end", "fs", "none"]
    for name, numbers in read.items():
        np.testing.assert_array_equal(numbers, theirs[name].ravel("F"))
    with pytest.raises(UnreadableSource, match=r"a\.mat: word is text or a structure; expected numbers"):
        small_matrices(path, ("word",))


def test_a_matrix_that_is_not_small_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matlab5, "LARGEST_WHOLE", 100)
    path = saved(tmp_path / "a.mat", compressed=False, EEG=VALUES.astype("f8"))
    with pytest.raises(UnreadableSource, match=r"a\.mat: EEG has 96000 bytes; expected at most 100"):
        small_matrices(path, ("EEG",))


@pytest.mark.parametrize("compressed", [False, True])
def test_whatever_is_damaged_is_read_or_refused(compressed: bool, tmp_path: Path) -> None:
    whole = saved(tmp_path / "a.mat", compressed=compressed, **INFO).read_bytes()
    random, refused = np.random.default_rng(2), 0
    for _ in range(300):  # scipy raises what it likes, and on some of these ends the process
        content = bytearray(whole)
        for place in random.integers(len(whole), size=2):
            content[place] ^= 1 << int(random.integers(8))
        (tmp_path / "a.mat").write_bytes(content[: random.integers(len(whole) // 2, 2 * len(whole))])
        try:
            small_matrices(tmp_path / "a.mat", tuple(INFO))
        except UnreadableSource:
            refused += 1
    assert 50 < refused < 300
