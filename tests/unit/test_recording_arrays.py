"""NumPy archives and Arrow streams; and which reader a file gets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pytest

from models.clinical.errors import InvalidInput, UnreadableSource
from models.clinical.frames import Frame
from models.line_length import LineLengthConfig, LineLengthDetector
from pipelines.detect import detect, prepared
from pipelines.ingest.recordings.arrays import frames_from_arrow, frames_to_arrow, recording_of
from pipelines.ingest.recordings.readers import open_recording

STARTED = datetime(2024, 5, 6, 7, 8, tzinfo=UTC)
VALUES = np.random.default_rng(0).normal(0, 50, (3, 400)).astype(np.float32)


def test_a_numpy_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, values=VALUES, rate_hz=100.0, channels=["A1", "A2", "A3"])
    recording = open_recording(path).recording
    np.testing.assert_array_equal(recording.window(0.0, 4.0), VALUES)


NAMED = {"values": VALUES, "channels": ["A1", "A2", "A3"]}


@pytest.mark.parametrize(
    ("arrays", "named"),
    [
        ({"rate_hz": 1.0, "channels": ["A"]}, "no array values or data"),
        ({"values": VALUES, "channels": ["A"]}, "no array rate_hz or fs"),
        ({"values": VALUES, "rate_hz": 1.0}, "no array channels"),
        ({"values": np.array([{}]), "rate_hz": 1.0, "channels": ["A"]}, "NumPy archive of numbers"),
        ({**NAMED, "rate_hz": [100.0, 100.0]}, r"a\.npz: rate_hz is \[100\.0, 100\.0\]; expected one number"),
        ({**NAMED, "fs": "fast"}, r"a\.npz: fs is 'fast'; expected one number above 0, in Hz"),
        ({**NAMED, "rate_hz": 0}, r"a\.npz: rate_hz is 0; expected one number above 0"),
        ({**NAMED, "rate_hz": np.nan}, r"a\.npz: rate_hz is nan; expected one number above 0"),
        (
            {**NAMED, "rate_hz": 1.0, "values": [["a", "b"]]},
            r"a\.npz: values holds <U1; expected real numbers",
        ),
        ({**NAMED, "rate_hz": 1.0, "values": VALUES * 1j}, r"a\.npz: values holds complex64; expected real"),
        ({**NAMED, "rate_hz": 1.0, "channels": ["A"]}, r"a\.npz: values have shape \(3, 400\)"),
        ({**NAMED, "rate_hz": 1.0, "channels": ["A", "A", "B"]}, r"a\.npz: a: two channels named 'A'"),
    ],
)
def test_a_numpy_archive_that_lacks_something(arrays: dict[str, Any], named: str, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)
    with pytest.raises(UnreadableSource, match=named):
        open_recording(path)


def test_a_damaged_compressed_archive_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, values=VALUES, rate_hz=100.0, channels=["A1", "A2", "A3"])
    content = bytearray(path.read_bytes())
    content[60:80] = bytes([255]) * 20  # where the compressed values begin
    path.write_bytes(content)
    with pytest.raises(UnreadableSource, match=r"a\.npz: expected a NumPy archive of numbers, but Error -3"):
        open_recording(path)


def test_an_archive_with_a_damaged_header_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, values=VALUES, rate_hz=100.0, channels=["A1", "A2", "A3"])
    path.write_bytes(path.read_bytes().replace(b"(3, 400), }", b"(3, 400),  "))
    with pytest.raises(UnreadableSource, match=r"a\.npz: expected a NumPy archive of numbers"):
        open_recording(path)


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e300])
def test_an_infinite_sample_is_missing_and_the_rest_is_scored(value: float, tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(0, 50, (3, 12_000))
    values[1, 9000] = value
    np.savez(tmp_path / "a.npz", values=values, rate_hz=[100.0], channels=["A1", "A2", "A3"])
    recording = open_recording(tmp_path / "a.npz").recording
    assert np.argwhere(np.isnan(recording.window(0.0, 120.0))).tolist() == [[1, 9000]]
    detector = LineLengthDetector(LineLengthConfig(rate_hz=128.0))
    assert detect(prepared(recording, 128.0), detector).scored > 0


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


def test_an_infinite_sample_or_an_empty_batch_does_not_end_an_arrow_stream() -> None:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, pa.schema([pa.field("A1", pa.float64())], {"rate_hz": "100"})) as writer:
        for second, values in enumerate(([1.0, np.inf], [], [None, 1e300], [4.0, 5.0])):
            batch = pa.record_batch([pa.array(values, pa.float64())], ["A1"])
            start = (STARTED + timedelta(seconds=second)).isoformat()
            writer.write_batch(batch, custom_metadata={"start": start})
    frames = list(frames_from_arrow(bytes(sink.getvalue())))
    assert [frame.start.second for frame in frames] == [0, 2, 3]
    np.testing.assert_array_equal(
        np.concatenate([frame.values[0] for frame in frames]), [1.0, np.nan, np.nan, np.nan, 4.0, 5.0]
    )


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
def test_a_real_seizure_as_numpy_archive(data_folder: Path) -> None:
    path = data_folder / "ieeg/ezfragility_pt01_ecog/pt01_seizure1_84ch_1000Hz_-1to2s.npz"
    recording = open_recording(path).recording
    assert (len(recording.channels), recording.rate_hz) == (84, 1000.0)
    assert {"G", "ATT"} <= {channel.shaft for channel in recording.channels}
    assert len(list(recording.frames(500))) == 7
