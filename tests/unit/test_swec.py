"""SWEC recordings: HDF5 of weeks, MATLAB files of an hour."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import numpy as np
import pytest
import scipy.io  # type: ignore[import-untyped]

from models.clinical.annotation import BACKGROUND, Annotation
from models.clinical.errors import UnreadableSource
from pipelines.ingest.recordings.readers import open_recording

VALUES = np.random.default_rng(0).normal(0, 50, (3, 400)).astype(np.float32)


def swec(path: Path, seizures: Any = ((1.0, 2.5),), rate: object = 100.0) -> Path:
    with h5py.File(path, "w") as file:
        file["data/ieeg"] = VALUES
        if isinstance(seizures, dict):
            for name, values in seizures.items():
                file[f"data/seizures/{name}"] = values
        elif seizures is not None:
            file["data/seizures"] = seizures
        if rate is not None:
            file.attrs["sampling_rate"] = rate
    return path


FIELDS = np.array([(1.0, 2.5), (3.0, 3.5)], dtype=[("onsets", "f8"), ("offsets", "f8")])
CALM = (Annotation(0.0, 4.0, BACKGROUND),)  # somebody looked, and there is none
TWO = (Annotation(1.0, 1.5), Annotation(3.0, 0.5))


@pytest.mark.parametrize(
    ("seizures", "expected"),
    [
        (FIELDS, TWO),
        (FIELDS.reshape(2, 1), TWO),
        (np.array([[1.0, 2.5], [3.0, 3.5]]), TWO),
        (np.array([[1.0, 3.0, 3.7], [2.5, 3.5, 3.9]]), (*TWO, Annotation(3.7, 3.9 - 3.7))),
        ({"onsets": [1.0, 3.0], "offsets": [2.5, 3.5], "comment": "two"}, TWO),
        ({"onsets": np.empty(0), "offsets": np.empty(0)}, CALM),
        (np.empty((0, 2)), CALM),
        (None, ()),
    ],
)
def test_swec_hdf5(seizures: object, expected: tuple[Annotation, ...], tmp_path: Path) -> None:
    opened = open_recording(swec(tmp_path / "ID01_total.h5", seizures))
    assert opened.annotations == expected
    assert (opened.recording.rate_hz, opened.recording.seconds) == (100.0, 4.0)
    assert [channel.name for channel in opened.recording.channels] == ["E1", "E2", "E3"]
    np.testing.assert_array_equal(opened.recording.select([2, 0]).window(1.0, 2.0), VALUES[[2, 0], 100:200])


@pytest.mark.parametrize("offset", [2, np.nan, np.inf])
def test_a_swec_seizure_that_has_no_end_after_its_beginning_is_set_aside(
    offset: float, tmp_path: Path
) -> None:
    opened = open_recording(swec(tmp_path / "a.h5", ((1.0, 2.5), (3.0, offset))))
    assert opened.annotations == (Annotation(1.0, 1.5),)
    assert f"seizure 1 from 3 s to {offset} s" in opened.complaints[0]
    alone = open_recording(swec(tmp_path / "b.h5", ((3.0, offset),)))
    assert alone.annotations == ()  # not even calm


@pytest.mark.parametrize(
    ("rate", "seizures", "named"),
    [
        (None, ((1, 2),), "no attribute sampling_rate"),
        (-1.0, ((1, 2),), r"sampling_rate is -1\.0 Hz; expected > 0 Hz"),
        ("fast", ((1, 2),), "sampling_rate is 'fast'; expected one number in Hz"),
        ([100.0, 200.0], ((1, 2),), "sampling_rate is .100.0, 200.0.; expected one number in Hz"),
        (100.0, (1.0, 2.0, 3.0), r"data/seizures has shape \(3,\); expected \(n, 2\)"),
        (100.0, {"onsets": [1.0]}, "data/seizures holds onsets; expected onsets, offsets"),
        (100.0, {"onsets": [1.0], "offsets": [2.0, 3.0]}, "1 onsets and 2 offsets; expected as many"),
        (100.0, np.array([[b"early", b"late"]]), "data/seizures holds .* expected seconds"),
    ],
)
def test_a_swec_file_that_lacks_something(rate: object, seizures: object, named: str, tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match=named):
        open_recording(swec(tmp_path / "a.h5", seizures, rate))


def test_a_damaged_hdf5_file(tmp_path: Path) -> None:
    path = swec(tmp_path / "a.h5")
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(UnreadableSource, match="expected a whole HDF5 file"):
        open_recording(path)


def hour(folder: Path, version: str) -> Path:
    path = folder / "ID07_3h.mat"
    if version == "5":
        scipy.io.savemat(path, {"EEG": VALUES})
    else:
        with h5py.File(path, "w", userblock_size=512) as file:
            file["EEG"] = VALUES.T
        with path.open("r+b") as raw:
            raw.write(b"MATLAB 7.3 MAT-file".ljust(128))
    scipy.io.savemat(
        folder / "ID07_info.mat",
        {
            "fs": [[100]],
            "seizure_begin": [[7190.0], [7201.0], [9000.0]],
            "seizure_end": [[7200.5], [7202.0], [9e4]],
        },
    )
    return path


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_swec_hours_in_matlab(version: str, tmp_path: Path) -> None:
    opened = open_recording(hour(tmp_path, version))
    assert opened.annotations == (Annotation(0.0, 0.5), Annotation(1.0, 1.0), Annotation(1800.0, 1800.0))
    assert opened.recording.rate_hz == 100.0
    np.testing.assert_array_equal(opened.recording.samples.read([1, 2], 10, 50), VALUES[1:, 10:50])


def test_a_matlab_file_without_eeg(tmp_path: Path) -> None:
    path = tmp_path / "x.mat"
    scipy.io.savemat(path, {"other": VALUES})
    with pytest.raises(UnreadableSource, match="no EEG"):
        open_recording(path)


@pytest.mark.parametrize("name", ["Sz1", "ID3_sz12"])
def test_a_short_term_file_has_its_set_s_rate(name: str, tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / f"{name}.mat", {"EEG": VALUES})
    assert open_recording(tmp_path / f"{name}.mat").recording.rate_hz == 512.0


@pytest.mark.parametrize("name", ["ID07_3h", "Sz1"])
def test_a_file_that_states_its_own_rate_needs_no_other(name: str, tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / f"{name}.mat", {"EEG": VALUES, "fs": 100.0})
    assert open_recording(tmp_path / f"{name}.mat").recording.rate_hz == 100.0


@pytest.mark.parametrize(
    ("name", "named"),
    [
        (
            "ID07_3h",
            r"ID07_3h\.mat: states no rate; expected fs in it or in .*/ID07_info\.mat, or the name of",
        ),
        ("patient", r"patient\.mat: states no rate; .*<patient>_info\.mat beside <patient>_<hour>h\.mat"),
    ],
)
def test_no_rate_is_made_up(name: str, named: str, tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / f"{name}.mat", {"EEG": VALUES})
    with pytest.raises(UnreadableSource, match=named):
        open_recording(tmp_path / f"{name}.mat")


def test_an_hour_of_another_rate_than_its_info_file_says_is_refused(tmp_path: Path) -> None:
    path = hour(tmp_path, "5")
    scipy.io.savemat(path, {"EEG": VALUES, "fs": 200.0})
    with pytest.raises(UnreadableSource, match=r"400 samples at 200 Hz, but fs of ID07_info\.mat is 100 Hz"):
        open_recording(path)


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_a_rate_that_is_text_is_named(version: str, tmp_path: Path) -> None:
    path, info = hour(tmp_path, "5"), tmp_path / "ID07_info.mat"
    if version == "5":
        scipy.io.savemat(info, {"fs": "abc", "seizure_begin": [], "seizure_end": []})
    else:
        with h5py.File(info, "w") as file:
            file["fs"] = np.frombuffer(b"abc", np.uint8).astype(np.uint16).reshape(3, 1)
            file["fs"].attrs["MATLAB_class"] = np.bytes_("char")
            file["seizure_begin"], file["seizure_end"] = [1.0], [2.0]
    with pytest.raises(UnreadableSource, match=r"ID07_info\.mat: fs is (text|abc).*; expected numbers"):
        open_recording(path)


def test_no_seizures_in_version_7_3_are_none(tmp_path: Path) -> None:
    path = hour(tmp_path, "7.3")
    with h5py.File(tmp_path / "ID07_info.mat", "w") as file:
        file["fs"] = 100.0
        for name in ("seizure_begin", "seizure_end"):
            file[name] = np.zeros(2, np.uint64)  # the shape of an empty matrix
            file[name].attrs["MATLAB_empty"] = 1
    opened = open_recording(path)
    assert (opened.annotations, opened.complaints) == (CALM, ())
    with h5py.File(tmp_path / "ID07_info.mat", "r+") as file:
        del file["fs"]
        file["fs/rate"] = 100.0
    with pytest.raises(UnreadableSource, match="fs is a structure; expected numbers"):
        open_recording(path)


def test_infinite_samples_in_matlab_are_missing(tmp_path: Path) -> None:
    values = VALUES.astype(np.float64)
    values[2, 7] = -np.inf
    scipy.io.savemat(tmp_path / "Sz1.mat", {"EEG": values})
    found = open_recording(tmp_path / "Sz1.mat").recording.samples.read([0, 1, 2], 0, 400)
    assert np.argwhere(np.isnan(found)).tolist() == [[2, 7]]


@pytest.mark.data
def test_real_matlab_segments_without_eeg_are_refused_by_name(data_folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(data_folder / "ieeg/bonn_delhi_eeg/Delhi_dataset.zip") as archive:
        content = archive.read("EEG Epilepsy Datasets/ictal/ictal1.mat")
    assert scipy.io.loadmat(io.BytesIO(content))["ictal"].shape == (1024, 1)
    path = tmp_path / "ictal1.mat"
    path.write_bytes(content)
    with pytest.raises(UnreadableSource, match="no EEG"):
        open_recording(path)
