"""BrainVision files, and BIDS tables beside them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import edfio
import numpy as np
import pytest
from typer.testing import CliRunner

from models.clinical.annotation import Annotation
from models.clinical.errors import UnreadableSource
from models.clinical.recording import Stretch
from pipelines.detect import prepared
from pipelines.ingest.recordings.readers import open_recording
from prodrome.__main__ import app

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
        ("[Binary Infos]", "[Binary Infos]\nUseBigEndianOrder=MAYBE", "UseBigEndianOrder is 'MAYBE'"),
        ("A1,,0.1", "A1,,0.0", r"vhdr: channel A1: its resolution is '0\.0'; expected a number other than 0"),
        ("A3,,0.1", "A3,,fine", r"vhdr: channel A3: its resolution is 'fine'"),
        ("DataFile=sub-1_ieeg.eeg", "", "no DataFile"),
        ("sub-1_ieeg.eeg", "absent.eeg", r"absent\.eeg: cannot be read"),
        ("sub-1_ieeg.vmrk", "absent.vmrk", r"absent\.vmrk: cannot be read"),
    ],
)
def test_a_brainvision_header_that_cannot_be(old: str, new: str, named: str, tmp_path: Path) -> None:
    path = brainvision(tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(UnreadableSource, match=named):
        open_recording(path)


def test_a_brainvision_header_of_another_code_page(tmp_path: Path) -> None:
    path = brainvision(tmp_path)
    text = path.read_text(encoding="utf-8").replace("Ch1=A1", "Ch1=Brücke€1")
    path.write_bytes(text.replace("[Common Infos]", "[Common Infos]\nCodepage=ANSI").encode("cp1252"))
    markers = path.with_suffix(".vmrk")
    markers.write_bytes(markers.read_text(encoding="utf-8").replace("spike", "Anfälle").encode("cp1252"))
    opened = open_recording(path)
    first = opened.recording.channels[0]
    assert (first.name, first.unit) == ("Brücke€1", "uV")
    assert opened.annotations[0].event_type == "Anfälle, wave"


def test_brainvision_files_named_after_their_header(tmp_path: Path) -> None:
    path = brainvision(tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace("=sub-1_ieeg.", "=$b."), encoding="utf-8")
    opened = open_recording(path)
    assert (opened.recording.started_at, opened.recording.seconds) == (STARTED, 13.0)


@pytest.mark.parametrize("orientation", ["MULTIPLEXED", "VECTORIZED"])
def test_brainvision_numbers_in_the_other_byte_order(orientation: str, tmp_path: Path) -> None:
    path = brainvision(tmp_path, "INT_16", orientation)
    data = tmp_path / "sub-1_ieeg.eeg"
    data.write_bytes(np.fromfile(data, "<i2").astype(">i2").tobytes())
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("[Binary Infos]", "[Binary Infos]\nUseBigEndianOrder=YES"), encoding="utf-8")
    np.testing.assert_allclose(
        open_recording(path).recording.samples.read([0, 2], 0, 400), VALUES[[0, 2]], atol=0.1
    )


def test_an_infinite_brainvision_sample_is_missing(tmp_path: Path) -> None:
    path, data = brainvision(tmp_path), tmp_path / "sub-1_ieeg.eeg"
    stored = np.fromfile(data, "<f4")
    stored[31] = np.inf
    data.write_bytes(stored.tobytes())
    found = open_recording(path).recording.window(0.0, 1.0)
    assert np.argwhere(np.isnan(found)).tolist() == [[1, 10]]


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


def typed(folder: Path, *types: str) -> Path:
    """The recording, its channels of these types."""
    rows = [f"{name}\t{kind}\tgood\n" for name, kind in zip(("A1", "A,2", "A3"), types, strict=True)]
    (folder / "sub-1_channels.tsv").write_text("".join(["name\ttype\tstatus\n", *rows]), encoding="utf-8")
    return brainvision(folder)


@pytest.mark.parametrize("kind", ["ECG", "EMG", "EOG", "TRIG", "MISC", "ref"])
def test_what_bids_calls_no_electrode_is_not_read_as_one(kind: str, tmp_path: Path) -> None:
    recording = open_recording(typed(tmp_path, "SEEG", kind, "n/a")).recording
    assert [channel.kind for channel in recording.channels] == ["", kind.upper(), ""]
    assert [channel.name for channel in recording.electrodes().channels] == ["A1", "A3"]
    assert [channel.name for channel in prepared(recording, 100.0).channels] == ["A1", "A3"]


@pytest.mark.parametrize("kind", ["SEEG", "ECOG", "DBS", "EEG", "seeg"])
def test_what_bids_calls_an_electrode_is_one(kind: str, tmp_path: Path) -> None:
    recording = open_recording(typed(tmp_path, kind, kind, kind)).recording
    assert len(recording.electrodes().channels) == 3


def test_detect_names_what_is_no_electrode(tmp_path: Path) -> None:
    path = typed(tmp_path, "SEEG", "ECG", "TRIG")
    done = CliRunner().invoke(app, ["detect", str(path), "--out", str(tmp_path / "found.tsv")])
    assert "left out, no electrodes: A,2 (ECG), A3 (TRIG)" in done.output


def test_a_rate_that_bids_contradicts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match="A2 has 200 Hz; expected 100 Hz"):
        open_recording(bids(tmp_path, rate="200"))


def test_a_bids_table_without_names_is_refused(tmp_path: Path) -> None:
    path = bids(tmp_path)
    (tmp_path / "sub-1_task-rest_channels.tsv").write_text("label\tstatus\nA1\tbad\n", encoding="utf-8")
    with pytest.raises(UnreadableSource, match="no column name"):
        open_recording(path)


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
