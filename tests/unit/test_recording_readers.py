"""BrainVision, BIDS tables, SWEC in its three forms, NumPy and Arrow; and which reader a file gets."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import edfio
import h5py  # type: ignore[import-untyped]
import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pytest
import scipy.io  # type: ignore[import-untyped]

from models.clinical.annotation import Annotation
from models.clinical.errors import InvalidInput, UnreadableSource
from models.clinical.frames import Frame
from models.clinical.recording import Stretch
from pipelines.ingest.recordings.arrays import frames_from_arrow, frames_to_arrow, recording_of
from pipelines.ingest.recordings.readers import open_recording

STARTED = datetime(2024, 5, 6, 7, 8, tzinfo=UTC)
VALUES = np.random.default_rng(0).normal(0, 50, (3, 400)).astype(np.float32)


def brainvision(folder: Path, number_format: str = "IEEE_FLOAT_32", orientation: str = "MULTIPLEXED") -> Path:
    dtype = {"IEEE_FLOAT_32": "<f4", "INT_16": "<i2", "INT_32": "<i4"}[number_format]
    stored = (VALUES / 0.1).astype(dtype)
    (folder / "sub-1_ieeg.eeg").write_bytes((stored if orientation == "VECTORIZED" else stored.T).tobytes())
    lines = [
        "Brain Vision Data Exchange Header File Version 1.0",
        "[Common Infos]",
        "DataFile=sub-1_ieeg.eeg",
        "MarkerFile=sub-1_ieeg.vmrk",
        "DataFormat=BINARY",
        f"DataOrientation={orientation}",
        "NumberOfChannels=3",
        "SamplingInterval=10000",
        "[Binary Infos]",
        f"BinaryFormat={number_format}",
        "[Channel Infos]",
        "Ch1=A1,,0.1,µV",
        r"Ch2=A\12,,0.1,µV",
        "Ch3=A3,,0.1",
    ]
    (folder / "sub-1_ieeg.vhdr").write_text("\n".join(lines), encoding="utf-8")
    markers = [
        "Brain Vision Data Exchange Marker File, Version 1.0",
        "[Marker Infos]",
        "Mk1=New Segment,,1,1,0,20240506070800000000",
        "Mk2=New Segment,,101,1,0,20240506070810000000",
        r"Mk3=Comment,spike\1 wave,151,50,0",
    ]
    (folder / "sub-1_ieeg.vmrk").write_text("\n".join(markers), encoding="utf-8")
    return folder / "sub-1_ieeg.vhdr"


@pytest.mark.parametrize("number_format", ["IEEE_FLOAT_32", "INT_16", "INT_32"])
@pytest.mark.parametrize("orientation", ["MULTIPLEXED", "VECTORIZED"])
def test_brainvision_in_every_layout(number_format: str, orientation: str, tmp_path: Path) -> None:
    recording = open_recording(brainvision(tmp_path, number_format, orientation)).recording
    assert [channel.name for channel in recording.channels] == ["A1", "A,2", "A3"]
    np.testing.assert_allclose(recording.samples.read([0, 1, 2], 0, 400), VALUES, atol=0.1)
    np.testing.assert_allclose(recording.samples.read([2, 0], 37, 91), VALUES[[2, 0], 37:91], atol=0.1)


def test_brainvision_segments_are_stretches_and_markers_annotations(tmp_path: Path) -> None:
    opened = open_recording(brainvision(tmp_path))
    assert opened.recording.started_at == STARTED
    assert opened.recording.stretches == (Stretch(0.0, 1.0), Stretch(10.0, 3.0))
    assert opened.annotations == (Annotation(10.5, 0.5, "spike, wave"),)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("NumberOfChannels=3", "NumberOfChannels=0", "NumberOfChannels is '0'; expected a number above 0"),
        ("NumberOfChannels=3", "NumberOfChannels=4", "3 channel infos"),
        ("SamplingInterval=10000", "SamplingInterval=soon", "SamplingInterval is 'soon'"),
        ("IEEE_FLOAT_32", "UINT_8", "expected BINARY, INT_16"),
        ("sub-1_ieeg.eeg", "absent.eeg", r"absent\.eeg: cannot be read"),
        ("sub-1_ieeg.vmrk", "absent.vmrk", r"absent\.vmrk: cannot be read"),
    ],
)
def test_a_brainvision_header_that_cannot_be(old: str, new: str, named: str, tmp_path: Path) -> None:
    path = brainvision(tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(UnreadableSource, match=named):
        open_recording(path)


def test_truncated_brainvision_samples(tmp_path: Path) -> None:
    path = brainvision(tmp_path)
    data = tmp_path / "sub-1_ieeg.eeg"
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(UnreadableSource, match="truncated: 4799 bytes; expected a multiple of 12"):
        open_recording(path)


def bids(folder: Path, status: str = "bad", rate: str = "100") -> Path:
    signals = [edfio.EdfSignal(row, 100, label=f"A{number}") for number, row in enumerate(VALUES, 1)]
    path = folder / "sub-1_task-rest_run-2_ieeg.edf"
    edfio.Edf(signals, data_record_duration=1).write(path)
    tables = {
        "sub-1_task-rest_channels.tsv": f"name\tunits\tsampling_frequency\tstatus\nA2\tV\t{rate}\t{status}\n",
        "sub-1_space-MNI_electrodes.tsv": "name\tx\ty\tz\nA1\t1.5\t-2\t3\nA2\tn/a\tn/a\tn/a\nB9\t0\t0\t0\n",
        "sub-1_task-rest_run-2_events.tsv": "onset\tduration\ttrial_type\n1\t2\tseizure\nbad\t1\tx\n",
        "sub-1_task-rest_run-3_events.tsv": "onset\tduration\ttrial_type\n9\t9\tanother run\n",
    }
    for name, text in tables.items():
        (folder / name).write_text(text, encoding="utf-8")
    unit = json.dumps({"iEEGCoordinateUnits": "cm"})
    (folder / "sub-1_space-MNI_coordsystem.json").write_text(unit, encoding="utf-8")
    return path


def test_bids_tables_complete_the_recording(tmp_path: Path) -> None:
    opened = open_recording(bids(tmp_path))
    channels = opened.recording.channels
    assert [channel.bad for channel in channels] == [False, True, False]
    assert [channel.position_mm for channel in channels] == [(15.0, -20.0, 30.0), None, None]
    assert opened.annotations == (Annotation(1.0, 2.0, "seizure"),)
    assert [text.split(": ", 1)[1] for text in opened.complaints] == [
        "no channel 'B9' in the recording",
        "onset 'bad' is not in >= 0 s",
    ]


def test_a_rate_that_bids_contradicts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match="A2 has 200 Hz; expected 100 Hz"):
        open_recording(bids(tmp_path, rate="200"))


def test_a_bids_table_without_names_is_refused(tmp_path: Path) -> None:
    path = bids(tmp_path)
    (tmp_path / "sub-1_task-rest_channels.tsv").write_text("label\tstatus\nA1\tbad\n", encoding="utf-8")
    with pytest.raises(UnreadableSource, match="no column name"):
        open_recording(path)


def swec(path: Path, seizures: Any = ((1.0, 2.5),), rate: object = 100.0) -> Path:
    with h5py.File(path, "w") as file:
        file["data/ieeg"] = VALUES
        if seizures is not None:
            file["data/seizures"] = seizures
        if rate is not None:
            file.attrs["sampling_rate"] = rate
    return path


FIELDS = np.array([(1.0, 2.5), (3.0, 3.5)], dtype=[("onsets", "f8"), ("offsets", "f8")])
TWO = (Annotation(1.0, 1.5), Annotation(3.0, 0.5))


@pytest.mark.parametrize(
    ("seizures", "expected"),
    [
        (FIELDS, TWO),
        (FIELDS.reshape(2, 1), TWO),
        (np.array([[1.0, 2.5], [3.0, 3.5]]), TWO),
        (np.array([[1.0, 3.0, 3.7], [2.5, 3.5, 3.9]]), (*TWO, Annotation(3.7, 3.9 - 3.7))),
        (np.empty((0, 2)), ()),
        (None, ()),
    ],
)
def test_swec_hdf5(seizures: object, expected: tuple[Annotation, ...], tmp_path: Path) -> None:
    opened = open_recording(swec(tmp_path / "ID01_total.h5", seizures))
    assert opened.annotations == expected
    assert (opened.recording.rate_hz, opened.recording.seconds) == (100.0, 4.0)
    assert [channel.name for channel in opened.recording.channels] == ["E1", "E2", "E3"]
    np.testing.assert_array_equal(opened.recording.select([2, 0]).window(1.0, 2.0), VALUES[[2, 0], 100:200])


def test_a_swec_seizure_that_ends_before_it_begins_is_set_aside(tmp_path: Path) -> None:
    opened = open_recording(swec(tmp_path / "a.h5", ((1.0, 2.5), (3.0, 2.0))))
    assert opened.annotations == (Annotation(1.0, 1.5),)
    assert "seizure 1 from 3 s to 2 s" in opened.complaints[0]


@pytest.mark.parametrize(
    ("rate", "seizures", "named"),
    [
        (None, ((1, 2),), "no attribute sampling_rate"),
        (-1.0, ((1, 2),), r"sampling_rate is -1\.0 Hz; expected > 0 Hz"),
        (100.0, (1.0, 2.0, 3.0), r"data/seizures has shape \(3,\); expected \(n, 2\)"),
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


def test_a_short_term_file_has_its_set_s_rate(tmp_path: Path) -> None:
    path = tmp_path / "Sz1.mat"
    scipy.io.savemat(path, {"EEG": VALUES})
    assert open_recording(path).recording.rate_hz == 512.0


def test_a_numpy_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, values=VALUES, rate_hz=100.0, channels=["A1", "A2", "A3"])
    recording = open_recording(path).recording
    np.testing.assert_array_equal(recording.window(0.0, 4.0), VALUES)


@pytest.mark.parametrize(
    ("arrays", "named"),
    [
        ({"rate_hz": 1.0, "channels": ["A"]}, "no array values or data"),
        ({"values": VALUES, "channels": ["A"]}, "no array rate_hz or fs"),
        ({"values": VALUES, "rate_hz": 1.0}, "no array channels"),
        ({"values": np.array([{}]), "rate_hz": 1.0, "channels": ["A"]}, "NumPy archive of numbers"),
    ],
)
def test_a_numpy_archive_that_lacks_something(arrays: dict[str, Any], named: str, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)
    with pytest.raises(UnreadableSource, match=named):
        open_recording(path)


def test_an_array_with_other_names_than_rows() -> None:
    with pytest.raises(InvalidInput, match=r"shape \(3, 400\); expected \(2 channels"):
        recording_of(VALUES, 100.0, ["A", "B"])


FRAMES = [
    Frame(STARTED + timedelta(seconds=second), 100.0, ("A1", "A2", "A3"), VALUES[:, 100 * second :][:, :100])
    for second in range(3)
]


def test_frames_pass_through_arrow() -> None:
    back = list(frames_from_arrow(frames_to_arrow(FRAMES)))
    assert [(frame.start, frame.rate_hz, frame.channels) for frame in back] == [
        (frame.start, frame.rate_hz, frame.channels) for frame in FRAMES
    ]
    for ours, theirs in zip(back, FRAMES, strict=True):
        np.testing.assert_array_equal(ours.values, theirs.values)


def test_an_arrow_stream_is_of_one_montage_and_rate() -> None:
    other = Frame(STARTED, 200.0, ("A1", "A2", "A3"), VALUES)
    with pytest.raises(InvalidInput, match="another montage or rate"):
        frames_to_arrow([FRAMES[0], other])
    with pytest.raises(InvalidInput, match="0 frames"):
        frames_to_arrow([])


def arrow(metadata: dict[str, str], start: dict[str, str] | None) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, pa.schema([pa.field("A1", pa.float32())], metadata)) as writer:
        writer.write_batch(pa.record_batch([pa.array([1.0], pa.float32())], ["A1"]), custom_metadata=start)
    return bytes(sink.getvalue())


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"no stream", "batch 0: damaged"),
        (arrow({}, {"start": STARTED.isoformat()}), "no rate_hz"),
        (arrow({"rate_hz": "100"}, None), "batch 0: start is ''"),
        (arrow({"rate_hz": "100"}, {"start": "noon"}), "batch 0: start is 'noon'"),
    ],
)
def test_an_arrow_stream_that_is_none(content: bytes, named: str) -> None:
    with pytest.raises(UnreadableSource, match=named):
        list(frames_from_arrow(content))


def test_a_file_of_no_known_format(tmp_path: Path) -> None:
    path = tmp_path / "a.edf"
    path.write_bytes(b"\x80\x04pickled things")
    with pytest.raises(UnreadableSource, match="expected EDF, EDF"):
        open_recording(path)
    with pytest.raises(UnreadableSource, match=r"absent\.edf: cannot be read"):
        open_recording(tmp_path / "absent.edf")


@pytest.mark.data
def test_a_real_bids_recording(data_folder: Path) -> None:
    folder = data_folder / "ieeg/mnehfo_zurich_ieeg/data/sub-01/ses-interictalsleep/ieeg"
    opened = open_recording(folder / "sub-01_ses-interictalsleep_run-01_ieeg.vhdr")
    recording = opened.recording
    assert (len(recording.channels), recording.rate_hz, recording.seconds) == (50, 2000.0, 5.0)
    assert recording.started_at == datetime(2013, 12, 7, 8, 29, 20, tzinfo=UTC)
    assert recording.channels[0].shaft == "IAR"
    stored = np.fromfile(folder / "sub-01_ses-interictalsleep_run-01_ieeg.eeg", "<f4").reshape(-1, 50).T * 0.1
    np.testing.assert_allclose(recording.window(0.0, 5.0), stored, rtol=1e-6)
    assert sum(one.event_type == "ripple_AHR3-4" for one in opened.annotations) >= 1
    assert opened.complaints == ()


@pytest.mark.data
def test_a_real_seizure_as_numpy_archive(data_folder: Path) -> None:
    path = data_folder / "ieeg/ezfragility_pt01_ecog/pt01_seizure1_84ch_1000Hz_-1to2s.npz"
    recording = open_recording(path).recording
    assert (len(recording.channels), recording.rate_hz) == (84, 1000.0)
    assert {"G", "ATT"} <= {channel.shaft for channel in recording.channels}
    assert len(list(recording.frames(500))) == 7


@pytest.mark.data
def test_real_matlab_segments_without_eeg_are_refused_by_name(data_folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(data_folder / "ieeg/bonn_delhi_eeg/Delhi_dataset.zip") as archive:
        content = archive.read("EEG Epilepsy Datasets/ictal/ictal1.mat")
    assert scipy.io.loadmat(io.BytesIO(content))["ictal"].shape == (1024, 1)
    path = tmp_path / "ictal1.mat"
    path.write_bytes(content)
    with pytest.raises(UnreadableSource, match="no EEG"):
        open_recording(path)
