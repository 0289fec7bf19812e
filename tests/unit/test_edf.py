"""EDF, EDF+C, EDF+D and BDF, read in windows; files that are truncated, damaged or say what cannot be."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time
from pathlib import Path

import edfio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from models.clinical.annotation import Annotation
from models.clinical.errors import UnreadableSource
from models.clinical.recording import Stretch
from pipelines.ingest.recordings.edf import edf_annotations, open_edf
from pipelines.watch_recordings import recorded_bed
from prodrome.__main__ import app

RECORDS, RATE = 6, 100
SIGNAL = np.sin(np.arange(RECORDS * RATE) / 7.0) * 150.0


def write(
    path: Path,
    annotations: tuple[edfio.EdfAnnotation, ...] = (),
    unit: str = "uV",
    starttime: time | None = None,
) -> Path:
    signal = edfio.EdfSignal(
        SIGNAL, RATE, label="A1", physical_dimension=unit, physical_range=(-200.0, 200.0)
    )
    recording = edfio.Recording(startdate=datetime(2024, 5, 6, tzinfo=UTC).date())
    edfio.Edf(
        [signal], annotations=annotations, recording=recording, data_record_duration=1, starttime=starttime
    ).write(path)
    return path


def patched(path: Path, at: int, content: bytes) -> Path:
    raw = bytearray(path.read_bytes())
    raw[at : at + len(content)] = content
    path.write_bytes(raw)
    return path


def discontinuous(path: Path, starts: list[float]) -> Path:
    """An EDF+D of one channel, its record times written by hand."""
    write(path, (edfio.EdfAnnotation(0.0, None, "room for any time"),))
    patched(path, 192, b"EDF+D")
    size = path.stat().st_size
    record_bytes = (size - 3 * 256) // RECORDS
    for number, start in enumerate(starts):
        text = f"+{start:g}\x14\x14\x00".encode()
        patched(path, 3 * 256 + number * record_bytes + 2 * RATE, text.ljust(record_bytes - 2 * RATE, b"\0"))
    return path


def test_samples_are_what_was_written(tmp_path: Path) -> None:
    recording = open_edf(write(tmp_path / "a.edf", starttime=time(7, 8))).recording
    assert recording.started_at == datetime(2024, 5, 6, 7, 8, tzinfo=UTC)
    assert (recording.seconds, recording.rate_hz, recording.channels[0].name) == (6.0, 100.0, "A1")
    np.testing.assert_allclose(recording.window(0.0, 6.0)[0], SIGNAL, atol=400 / 65535)


@settings(max_examples=40)
@given(bounds=st.tuples(st.integers(0, RECORDS * RATE), st.integers(0, RECORDS * RATE)))
def test_any_window_is_a_part_of_the_whole(
    bounds: tuple[int, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    first, stop = sorted(bounds)
    folder = tmp_path_factory.getbasetemp()
    path = folder / "windows.edf"
    recording = open_edf(path if path.is_file() else write(path)).recording
    part = recording.samples.read([0], first, stop)
    np.testing.assert_array_equal(part, recording.samples.read([0], 0, RECORDS * RATE)[:, first:stop])


@pytest.mark.parametrize(("unit", "factor"), [("uV", 1.0), ("mV", 1e3), ("V", 1e6), ("nV", 1e-3)])
def test_voltages_become_microvolt(unit: str, factor: float, tmp_path: Path) -> None:
    recording = open_edf(write(tmp_path / "a.edf", unit=unit)).recording
    assert recording.channels[0].unit == "uV"
    np.testing.assert_allclose(
        recording.window(0.0, 1.0)[0], SIGNAL[:RATE] * factor, atol=factor * 400 / 65535
    )


def test_other_units_stay(tmp_path: Path) -> None:
    assert open_edf(write(tmp_path / "a.edf", unit="mmHg")).recording.channels[0].unit == "mmHg"


def test_annotations_keep_onset_duration_text_and_channel(tmp_path: Path) -> None:
    said = (
        edfio.EdfAnnotation(1.5, 2.25, "seizure"),
        edfio.EdfAnnotation(3.0, None, "spike@@A1"),
    )
    assert open_edf(write(tmp_path / "a.edf", said)).annotations == (
        Annotation(1.5, 2.25, "seizure"),
        Annotation(3.0, 0.0, "spike", channels=("A1",)),
    )


def test_a_start_between_two_seconds_moves_the_clock_and_not_the_annotations(tmp_path: Path) -> None:
    said = (edfio.EdfAnnotation(1.5, None, "seizure"),)
    opened = open_edf(write(tmp_path / "a.edf", said, starttime=time(7, 8, 9, 250_000)))
    assert opened.recording.started_at == datetime(2024, 5, 6, 7, 8, 9, 250_000, tzinfo=UTC)
    assert opened.annotations[0].onset_seconds == 1.5
    assert opened.recording.stretches == (Stretch(0.0, 6.0),)


def test_gaps_of_edf_plus_d_are_kept(tmp_path: Path) -> None:
    recording = open_edf(discontinuous(tmp_path / "d.edf", [0, 1, 10.5, 11.5, 12.5, 100])).recording
    assert recording.stretches == (Stretch(0.0, 2.0), Stretch(10.5, 3.0), Stretch(100.0, 1.0))
    window = recording.window(1.5, 11.0)[0]
    np.testing.assert_allclose(window[:50], SIGNAL[150:200], atol=0.01)
    assert np.isnan(window[50:900]).all()
    np.testing.assert_allclose(window[900:], SIGNAL[200:250], atol=0.01)


def test_a_clock_that_goes_back_is_refused_with_the_record(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match=r"record 3 begins at 1\.5 s; expected >= 3 s"):
        open_edf(discontinuous(tmp_path / "d.edf", [0, 1, 2, 1.5, 4, 5]))


def test_a_record_of_edf_plus_d_without_a_time_is_refused(tmp_path: Path) -> None:
    path = discontinuous(tmp_path / "d.edf", [0, 1, 2, 3, 4, 5])
    record_bytes = (path.stat().st_size - 3 * 256) // RECORDS
    patched(path, 3 * 256 + 2 * record_bytes + 2 * RATE, b"\0" * 8)
    with pytest.raises(UnreadableSource, match="record 2 begins with"):
        open_edf(path)


def test_edf_plus_d_without_any_time_is_refused(tmp_path: Path) -> None:
    signal = edfio.EdfSignal(SIGNAL, RATE, label="A1")
    edfio.Edf([signal], data_record_duration=1).write(tmp_path / "d.edf")
    with pytest.raises(UnreadableSource, match="times of 0 of its 6 records"):
        open_edf(patched(tmp_path / "d.edf", 192, b"EDF+D"))


def test_an_annotation_that_cannot_be_read_is_set_aside(tmp_path: Path) -> None:
    path = write(tmp_path / "a.edf", (edfio.EdfAnnotation(0.5, None, "good"),))
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"+0.5\x14good", b"*0.5\x14good"))
    opened = open_edf(path)
    assert opened.annotations == ()
    assert "record 0" in opened.complaints[0]
    assert "good" in opened.complaints[0]


def test_signals_of_different_rates_keep_theirs(tmp_path: Path) -> None:
    slow = edfio.EdfSignal(np.arange(60.0), 10, label="SpO2", physical_dimension="%")
    fast = edfio.EdfSignal(SIGNAL, RATE, label="A1", physical_dimension="uV", physical_range=(-200, 200))
    path = tmp_path / "mixed.edf"
    edfio.Edf([slow, fast], data_record_duration=1).write(path)
    recording = open_edf(path).recording
    assert [channel.rate_hz for channel in recording.channels] == [10.0, 100.0]
    np.testing.assert_allclose(recording.samples.read([0], 5, 35)[0], np.arange(5.0, 35.0), atol=0.01)
    np.testing.assert_allclose(recording.electrodes().window(1.0, 2.0)[0], SIGNAL[100:200], atol=0.01)


def test_signals_of_one_label_are_told_apart(tmp_path: Path) -> None:
    signals = [edfio.EdfSignal(np.arange(60.0), 10, label="T8-P8") for _ in range(2)]
    path = tmp_path / "twice.edf"
    edfio.Edf(signals, data_record_duration=1).write(path)
    assert [channel.name for channel in open_edf(path).recording.channels] == ["T8-P8", "T8-P8#2"]


def test_a_recorder_that_was_still_writing(tmp_path: Path) -> None:
    path = patched(write(tmp_path / "a.edf"), 236, b"-1      ")
    path.write_bytes(path.read_bytes()[:-30])
    opened = open_edf(path)
    assert opened.recording.seconds == 5.0
    assert "bytes behind record 5" in opened.complaints[0]


# where a field of the only signal begins, in a file of one signal
PHYSICAL_MIN, PHYSICAL_MAX, DIGITAL_MIN, DIGITAL_MAX, SAMPLES = (
    256 + start for start in (104, 112, 120, 128, 216)
)
BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no header": (lambda path: path.write_bytes(b"0       short"), "expected an EDF or BDF header"),
    "other bytes": (lambda path: path.write_bytes(b"\0" * 600), "expected an EDF or BDF header"),
    "header cut": (lambda path: path.write_bytes(path.read_bytes()[:300]), "inside its header, at byte 300"),
    "no signals": (lambda path: patched(path, 252, b"0   "), "number of signals is '0'; expected in"),
    "header length": (lambda path: patched(path, 184, b"768     "), "header bytes is '768'; expected 512"),
    "record count": (lambda path: patched(path, 236, b"six     "), "number of records is 'six'"),
    "duration": (lambda path: patched(path, 244, b"-1      "), r"record duration -1\.0 s; expected >= 0 s"),
    "duration text": (lambda path: patched(path, 244, b"nan     "), "record duration is 'nan'"),
    "no time": (lambda path: patched(path, 244, b"0       "), "records of 0 s hold no signal"),
    "digital order": (
        lambda path: patched(path, DIGITAL_MIN, b"32767   "),
        r"digital range \[32767, 32767\]",
    ),
    "digital bound": (
        lambda path: patched(path, DIGITAL_MAX, b"99999   "),
        r"'99999'; expected in \[-32768, 32767\]",
    ),
    "physical": (
        lambda path: patched(path, PHYSICAL_MIN, b"200     "),
        r"A1.*physical range \[200, 200\] uV",
    ),
    "physical text": (lambda path: patched(path, PHYSICAL_MAX, b"high    "), "physical maximum is 'high'"),
    "samples": (
        lambda path: patched(path, SAMPLES, b"0       "),
        r"samples a record is '0'; expected in \[1",
    ),
    "huge record": (lambda path: patched(path, SAMPLES, b"99999999"), "truncated|expected at most"),
}


@pytest.mark.parametrize(("damage", "named"), BROKEN.values(), ids=BROKEN)
def test_what_is_wrong_is_named(damage: Callable[[Path], object], named: str, tmp_path: Path) -> None:
    signal = edfio.EdfSignal(SIGNAL, RATE, label="A1", physical_dimension="uV", physical_range=(-200, 200))
    path = tmp_path / "broken.edf"
    edfio.Edf([signal], data_record_duration=1).write(path)
    damage(path)
    with pytest.raises(UnreadableSource, match=named) as raised:
        open_edf(path)
    assert "broken.edf" in str(raised.value)


@pytest.mark.parametrize(("cut", "kept"), [(1, 5), (199, 5), (200, 5), (201, 4), (1000, 1), (1199, 0)])
def test_whole_records_of_a_truncated_file_are_kept_and_what_is_lost_is_named(
    cut: int, kept: int, tmp_path: Path
) -> None:
    signal = edfio.EdfSignal(SIGNAL, RATE, label="A1", physical_dimension="uV", physical_range=(-200, 200))
    path = tmp_path / "cut.edf"
    edfio.Edf([signal], data_record_duration=1).write(path)
    whole = open_edf(path)
    assert whole.complaints == ()
    expected = whole.recording.window(0.0, float(kept))
    path.write_bytes(path.read_bytes()[:-cut])
    if kept == 0:
        with pytest.raises(UnreadableSource, match=r"truncated: 0\.\d+ records of 200 bytes; expected 6"):
            open_edf(path)
        return
    opened = open_edf(path)
    lost = RECORDS - kept
    assert opened.recording.seconds == kept
    np.testing.assert_array_equal(opened.recording.window(0.0, float(kept)), expected)
    assert opened.complaints == (
        f"{path}: truncated: {lost} of 6 records are lost, {lost} s from record {kept} on",
    )
    with pytest.raises(UnreadableSource, match=f"{lost} of 6 records are lost"):
        edf_annotations(path)


def test_the_command_detects_in_what_is_left_and_says_so_by_its_exit_code(tmp_path: Path) -> None:
    path, out = write(tmp_path / "cut.edf"), tmp_path / "found.tsv"
    path.write_bytes(path.read_bytes()[:-150])
    done = CliRunner().invoke(app, ["detect", str(path), "--out", str(out)])
    assert done.exit_code == 1
    assert "1 of 6 records are lost, 1 s from record 5 on" in done.stderr
    assert "line-length: 0 of 1 segments with a score" in done.stderr
    assert not out.exists()


def test_who_watches_what_is_left_is_told(tmp_path: Path) -> None:
    path, told = write(tmp_path / "cut.edf"), list[str]()
    path.write_bytes(path.read_bytes()[:-150])
    bed = recorded_bed(path, 1, datetime(2026, 11, 22, 8, tzinfo=UTC), "line-length", told.append)
    assert bed.stay.bed == "E1"
    assert told == [f"not read: {path}: truncated: 1 of 6 records are lost, 1 s from record 5 on"]


def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.edf")
    recording = open_edf(path).recording
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(UnreadableSource, match="ends inside record 5"):
        recording.window(0.0, 6.0)


def test_a_file_without_a_signal_still_has_annotations(tmp_path: Path) -> None:
    path = tmp_path / "hypnogram.edf"
    edfio.Edf([], annotations=[edfio.EdfAnnotation(0, 30, "Sleep stage W")]).write(path)
    with pytest.raises(UnreadableSource, match="0 signals besides annotations"):
        open_edf(path)
    assert edf_annotations(path).annotations == (Annotation(0.0, 30.0, "Sleep stage W"),)
