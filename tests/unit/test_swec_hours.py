"""A folder of SWEC hours: one recording, with lazy windows across files and gaps where hours are missing."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import h5py  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
import pytest
import scipy.io  # type: ignore[import-untyped]

from models.clinical.annotation import BACKGROUND, Annotation
from models.clinical.errors import UnreadableSource
from models.clinical.recording import Stretch
from pipelines.ingest.annotations import read_annotations
from pipelines.ingest.recordings.arrays import recording_of
from pipelines.ingest.recordings.readers import open_recording

RATE_HZ, HOUR = 2, 7200
SIGNAL = np.random.default_rng(0).normal(0, 50, (3, 5 * HOUR)).astype(np.float32)
Write = Callable[[Path, npt.NDArray[np.float32]], None]


def of_hour(number: int) -> npt.NDArray[np.float32]:
    return SIGNAL[:, (number - 1) * HOUR : number * HOUR]


def version_5(path: Path, values: npt.NDArray[np.float32], **beside: object) -> None:
    scipy.io.savemat(path, {"EEG": values.astype(np.float64), **beside}, do_compression=True)


def version_7(path: Path, values: npt.NDArray[np.float32], **beside: object) -> None:
    with h5py.File(path, "w", userblock_size=512) as file:
        file["EEG"] = values.T
        for name, value in beside.items():
            file[name] = value
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file".ljust(128))


def info(folder: Path, *seizures: tuple[float, float], fs: object = RATE_HZ) -> None:
    begin, end = np.array(seizures, dtype=float).reshape(-1, 2).T
    told = {"fs": fs, "seizure_begin": begin[:, np.newaxis], "seizure_end": end[:, np.newaxis]}
    scipy.io.savemat(folder / "ID01_info.mat", told)


def folder_of(folder: Path, *hours: int) -> Path:
    """Hours in either version, by turns."""
    info(folder)
    for number in hours:
        (version_5 if number % 2 else version_7)(folder / f"ID01_{number}h.mat", of_hour(number))
    return folder


def test_hours_are_one_recording(tmp_path: Path) -> None:
    opened = open_recording(folder_of(tmp_path, 1, 2, 3))
    recording = opened.recording
    assert (recording.recording_id, recording.rate_hz) == ("ID01", 2.0)
    assert recording.stretches == (Stretch(0.0, 10_800.0),)
    assert [channel.name for channel in recording.channels] == ["E1", "E2", "E3"]
    assert (opened.annotations, opened.complaints) == ((Annotation(0.0, 10_800.0, BACKGROUND),), ())
    random = np.random.default_rng(2)
    for first, stop in np.sort(random.integers(0, 3 * HOUR, (40, 2)), axis=1).tolist():
        window = recording.select([2, 0]).window(first / RATE_HZ, stop / RATE_HZ)
        np.testing.assert_array_equal(window, SIGNAL[[2, 0], first:stop])
    blocks = np.concatenate([values for _, values in recording.blocks(999)], axis=1)
    np.testing.assert_array_equal(blocks, SIGNAL[:, : 3 * HOUR])
    whole = recording_of(SIGNAL[:, : 3 * HOUR], 2.0, ["a", "b", "c"])
    assert recording.content_hash() == whole.content_hash()


def test_hours_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    info(tmp_path)
    for number in (9, 10):
        version_5(tmp_path / f"ID01_{number}h.mat", of_hour(number - 8))
    recording = open_recording(tmp_path).recording
    np.testing.assert_array_equal(recording.window(3599.0, 3601.0), SIGNAL[:, HOUR - 2 : HOUR + 2])


def test_a_missing_hour_is_a_gap_of_the_clock(tmp_path: Path) -> None:
    recording = open_recording(folder_of(tmp_path, 2, 3, 5)).recording
    assert recording.stretches == (Stretch(0.0, 7200.0), Stretch(10_800.0, 3600.0))
    window = recording.window(7199.0, 10_801.0)
    assert np.isnan(window[:, 2:-2]).all()
    np.testing.assert_array_equal(window[:, :2], of_hour(3)[:, -2:])
    np.testing.assert_array_equal(window[:, -2:], of_hour(5)[:, :2])


def test_seizures_count_from_the_first_hour_that_is_there(tmp_path: Path) -> None:
    folder_of(tmp_path, 2, 3, 5)
    info(
        tmp_path,
        (100.0, 200.0),  # in an hour before the first
        (3500.0, 3650.0),  # reaches into it
        (7150.0, 7260.0),  # from one file into the next
        (12_000.0, 12_060.0),  # in the hour that is not there
        (15_000.0, 15_100.0),
    )
    opened = open_recording(tmp_path)
    assert opened.annotations == (
        Annotation(0.0, 50.0),
        Annotation(3550.0, 110.0),
        Annotation(11_400.0, 100.0),
    )
    assert [one.partition("ID01_info.mat: ")[2] for one in opened.complaints] == [
        "1 seizures where nothing was recorded; they are left out"
    ]


def test_hours_without_a_seizure_are_background_where_they_were_recorded(tmp_path: Path) -> None:
    info(folder_of(tmp_path, 1, 3), (3700.0, 3800.0))  # in the hour that is not there
    opened = open_recording(tmp_path)
    assert opened.annotations == tuple(Annotation(start, 3600.0, BACKGROUND) for start in (0.0, 7200.0))
    alone = open_recording(tmp_path / "ID01_3h.mat")
    assert alone.annotations == (Annotation(0.0, 3600.0, BACKGROUND),)


@pytest.mark.parametrize(("onset", "offset"), [(100.0, 90.0), (np.nan, 90.0), (100.0, np.nan)])
def test_a_seizure_that_has_no_end_after_its_beginning_is_set_aside(
    onset: float, offset: float, tmp_path: Path
) -> None:
    info(folder_of(tmp_path, 1), (onset, offset))
    for path in (tmp_path, tmp_path / "ID01_1h.mat"):
        opened = open_recording(path)
        assert opened.annotations == ()
        assert f"seizure 0 from {onset:g} s to {offset:g} s" in opened.complaints[0]


def test_an_hour_cut_short_leaves_a_gap_and_says_so(tmp_path: Path) -> None:
    folder_of(tmp_path, 1, 3)
    version_5(tmp_path / "ID01_2h.mat", of_hour(2)[:, :1000])
    version_5(tmp_path / "ID01_4h.mat", of_hour(4)[:, :500])  # the recording ended there
    opened = open_recording(tmp_path)
    assert opened.recording.stretches == (Stretch(0.0, 4100.0), Stretch(7200.0, 3850.0))
    assert len(opened.complaints) == 1
    assert "ID01_2h.mat: 500 s at 2 Hz; the rest of the hour is a gap" in opened.complaints[0]
    np.testing.assert_array_equal(opened.recording.window(7200.0, 7201.0), of_hour(3)[:, :2])


def test_the_info_file_may_be_of_version_7(tmp_path: Path) -> None:
    folder_of(tmp_path, 1)
    with h5py.File(tmp_path / "ID01_info.mat", "w") as file:
        file["fs"], file["seizure_begin"], file["seizure_end"] = [[2.0]], [[10.0, 30.0]], [[15.0, 31.0]]
    opened = open_recording(tmp_path)
    assert opened.recording.rate_hz == 2.0
    assert opened.annotations == (Annotation(10.0, 5.0), Annotation(30.0, 1.0))


@pytest.mark.parametrize("write", [version_5, version_7])
def test_another_number_of_channels_is_refused(write: Write, tmp_path: Path) -> None:
    write(folder_of(tmp_path, 1) / "ID01_2h.mat", of_hour(2)[:2])
    with pytest.raises(UnreadableSource, match=r"ID01_2h\.mat: 2 channels, but ID01_1h\.mat has 3"):
        open_recording(tmp_path)


@pytest.mark.parametrize("write", [version_5, version_7])
def test_more_than_an_hour_s_samples_are_another_rate(write: Write, tmp_path: Path) -> None:
    write(folder_of(tmp_path, 1) / "ID01_2h.mat", SIGNAL[:, : 2 * HOUR])
    says = r"ID01_2h\.mat: 14400 samples at 4 Hz, but fs of ID01_info\.mat is 2 Hz"
    with pytest.raises(UnreadableSource, match=says):
        open_recording(tmp_path)


@pytest.mark.parametrize("write", [version_5, version_7])
def test_a_rate_of_an_hour_s_own_must_be_the_patient_s(write: Callable[..., None], tmp_path: Path) -> None:
    write(folder_of(tmp_path, 1) / "ID01_2h.mat", of_hour(2)[:, : HOUR // 2], fs=np.array([[1.0]]))
    says = r"ID01_2h\.mat: 3600 samples at 1 Hz, but fs of ID01_info\.mat is 2 Hz"
    with pytest.raises(UnreadableSource, match=says):
        open_recording(tmp_path)
    write(tmp_path / "ID01_2h.mat", of_hour(2), fs=np.array([[2.0]]))
    assert open_recording(tmp_path).recording.seconds == 7200.0


def another_patient(folder: Path) -> None:
    version_5(folder / "ID02_2h.mat", of_hour(2))


def the_same_hour(folder: Path) -> None:
    version_5(folder / "ID01_01h.mat", of_hour(1))


def hour_zero(folder: Path) -> None:
    version_5(folder / "ID01_0h.mat", of_hour(1))


def no_info(folder: Path) -> None:
    (folder / "ID01_info.mat").unlink()


def no_hours(folder: Path) -> None:
    (folder / "ID01_1h.mat").unlink()


def an_end_too_few(folder: Path) -> None:
    scipy.io.savemat(
        folder / "ID01_info.mat", {"fs": 2, "seizure_begin": [[1.0], [5.0]], "seizure_end": [[2.0]]}
    )


def an_empty_rate(folder: Path) -> None:
    info(folder, fs=np.empty((0, 0)))


def no_rate_above_0(folder: Path) -> None:
    info(folder, fs=0)


def no_signal(folder: Path) -> None:
    scipy.io.savemat(folder / "ID01_2h.mat", {"ECG": SIGNAL})


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (another_patient, "hours of ID01 and ID02; expected those of one patient"),
        (the_same_hour, r"ID01_01h\.mat and ID01_1h\.mat are the same hour"),
        (hour_zero, r"ID01_0h\.mat: hour 0; expected hours from 1 on"),
        (no_info, r"ID01_info\.mat: is not there; expected fs, seizure_begin, seizure_end"),
        (no_hours, r"no <patient>_<number>h\.mat; a folder is read of SWEC hours only"),
        (an_end_too_few, r"ID01_info\.mat: 2 values of seizure_begin, 1 of seizure_end"),
        (an_empty_rate, r"ID01_info\.mat: fs is empty"),
        (no_rate_above_0, r"ID01_info\.mat: fs is 0\.0 Hz; expected > 0 Hz"),
        (no_signal, r"ID01_2h\.mat: no EEG"),
    ],
)
def test_a_folder_that_is_not_of_one_patient(
    damage: Callable[[Path], None], says: str, tmp_path: Path
) -> None:
    damage(folder_of(tmp_path, 1))
    with pytest.raises(UnreadableSource, match=says):
        open_recording(tmp_path)


def test_memory_does_not_grow_with_the_hours(tmp_path: Path) -> None:
    values = np.random.default_rng(3).integers(-99, 99, (8, 50 * 3600)).astype(np.int16)
    info(tmp_path, fs=50)
    for number in (1, 2, 3):
        scipy.io.savemat(tmp_path / f"ID01_{number}h.mat", {"EEG": values}, do_compression=True)
    tracemalloc.start()
    samples = sum(block.shape[1] for _, block in open_recording(tmp_path).recording.blocks(500))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert samples == 3 * values.shape[1]
    assert peak_bytes < values.nbytes / 2


def test_a_seizure_from_one_file_into_the_next_is_found(tmp_path: Path) -> None:
    rate_hz, random = 64, np.random.default_rng(4)
    signal = random.normal(0, 20, (2, 3660 * rate_hz)).astype(np.float32)
    signal[:, 3560 * rate_hz : 3640 * rate_hz] *= 20
    info(tmp_path, (3560.0, 3640.0), fs=rate_hz)
    version_5(tmp_path / "ID01_1h.mat", signal[:, : 3600 * rate_hz])
    version_7(tmp_path / "ID01_2h.mat", signal[:, 3600 * rate_hz :])
    command = ["detect", str(tmp_path), "--out", str(tmp_path / "found.tsv")]
    done = subprocess.run(
        [sys.executable, "-m", "prodrome", *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "1 seizures in 1.02 h" in done.stderr
    (span,) = read_annotations(tmp_path / "found.tsv").spans
    (event,) = span.seizures
    assert 3560.0 < event.onset_seconds < 3600.0 < event.end_seconds
