"""From a recording to annotations: what is prepared, alarms as events, the budget, the command."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import edfio
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from models.clinical.alarm import SEIZURE_POLICY, AlarmPolicy
from models.clinical.annotation import BACKGROUND, Annotation
from models.clinical.errors import InvalidInput, UnknownModel, UnreadableSource
from models.clinical.recording import UNKNOWN_START, Channel, Recording, Stretch
from models.clinical.score import ScoreSeries, ScoreStatus
from models.line_length import LineLengthDetector
from pipelines.detect import (
    alarm_events,
    background,
    detect,
    detector_named,
    left_out,
    policy_of,
    prepared,
    score_recording,
)
from pipelines.ingest.annotations import read_annotations
from pipelines.ingest.recordings.arrays import ArraySamples
from pipelines.metrics.seizures import ScoredRecording, score_seizures
from pipelines.simulate.ieeg import IEEGConfig, simulate_ieeg
from pipelines.simulate.ieeg_events import EventRates

PLAIN = AlarmPolicy(0.5, refractory=timedelta(0), condition="seizure")
SIMULATED = simulate_ieeg(1, 1, IEEGConfig(600.0, channel_count=6, seizure_onsets=(300.0,)))


def series(*values: float | None) -> ScoreSeries:
    present = [value is not None for value in values]
    return ScoreSeries(
        "r",
        "seizure",
        pd.date_range(UNKNOWN_START + timedelta(seconds=5), periods=len(values), freq="5s").as_unit("us"),
        np.array([np.nan if value is None else value for value in values]),
        tuple(ScoreStatus.PRESENT if there else ScoreStatus.INDETERMINATE for there in present),
        tuple("" if there else "no signal" for there in present),
    )


def events(policy: AlarmPolicy, *values: float | None) -> list[tuple[float, float, float | None]]:
    found = alarm_events(series(*values), policy, UNKNOWN_START)
    return [(one.onset_seconds, one.duration_seconds, one.confidence) for one in found]


def test_an_event_is_from_the_alarm_to_the_release() -> None:
    assert events(PLAIN, 0.1, 0.6, 0.9, 0.2, 0.1) == [(10.0, 10.0, 0.9)]


def test_k_of_n_delays_the_onset() -> None:
    assert events(replace(PLAIN, k=3, n=4), 0.6, 0.6, 0.1, 0.6, 0.6, 0.1) == [(20.0, 10.0, 0.6)]


def test_a_condition_has_a_least_duration() -> None:
    policy = replace(PLAIN, on_delay=timedelta(seconds=10))
    assert events(policy, 0.6, 0.6, 0.1, 0.6, 0.7, 0.8, 0.1) == [(30.0, 5.0, 0.8)]


def test_silence_does_not_end_an_event_and_the_recording_does() -> None:
    assert events(PLAIN, 0.6, None, None, 0.7) == [(5.0, 15.0, 0.7)]


def test_a_pause_is_no_seizure() -> None:
    calm = [0.1] * 3
    assert events(PLAIN, 0.6, 0.7, *[None] * 700, *calm) == [(5.0, 5.0, 0.7)]
    assert events(PLAIN, 0.6, 0.7, None, *calm) == [(5.0, 5.0, 0.7)]
    assert events(PLAIN, 0.6, 0.7, None, None) == [(5.0, 5.0, 0.7)]
    held = replace(PLAIN, off_delay=timedelta(seconds=10))
    assert events(held, 0.6, 0.7, None, *calm) == [(5.0, 5.0, 0.7)]
    assert events(held, 0.6, 0.7, *calm) == [(5.0, 20.0, 0.7)]


def test_what_is_high_on_both_sides_of_a_pause_is_one_event_where_szcore_joins_them() -> None:
    assert events(PLAIN, 0.6, 0.7, *[None] * 16, 0.8, 0.8, 0.1) == [(5.0, 100.0, 0.8)]
    assert events(PLAIN, 0.6, 0.7, *[None] * 17, 0.6, 0.6, 0.1) == [(5.0, 5.0, 0.7), (100.0, 10.0, 0.6)]
    held = replace(PLAIN, release=0.3)
    assert events(held, 0.6, 0.7, *[None] * 16, 0.4, 0.1) == [(5.0, 95.0, 0.7)]
    assert events(held, 0.6, 0.7, *[None] * 17, 0.4, 0.1) == [(5.0, 5.0, 0.7)]


def test_a_seizure_ends_with_the_signal_before_a_pause_of_hours() -> None:
    quiet = EventRates(0.0, 0.0, 0.0)
    opened = simulate_ieeg(1, 1, IEEGConfig(500.0, channel_count=6, seizure_onsets=(270.0,), events=quiet))
    cut = replace(opened.recording, stretches=(Stretch(0.0, 300.0), Stretch(18_300.0, 200.0)))
    lenient = replace(SEIZURE_POLICY, threshold=0.4, release=0.3)
    (event,) = detect(cut, LineLengthDetector(), lenient).span.annotations
    assert event.onset_seconds > 270.0
    assert event.end_seconds == 300.0


def test_what_the_refractory_time_silences_is_no_event() -> None:
    policy = replace(PLAIN, refractory=timedelta(seconds=60))
    assert events(policy, 0.6, 0.1, 0.6, 0.1, *[0.1] * 10, 0.6, 0.1) == [(5.0, 5.0, 0.6), (75.0, 5.0, 0.6)]


def test_nothing_scored_is_no_event() -> None:
    assert events(PLAIN) == []
    assert events(PLAIN, None, None) == []


def test_only_what_was_scored_is_background() -> None:
    found = background(series(None, 0.1, 0.2, None, None, 0.1, None), UNKNOWN_START)
    assert found == (Annotation(5.0, 10.0, BACKGROUND), Annotation(25.0, 5.0, BACKGROUND))
    assert background(series(None, None), UNKNOWN_START) == ()


def test_gaps_and_a_past_too_short_are_no_background() -> None:
    calm = replace(SIMULATED.recording, stretches=(Stretch(0.0, 120.0), Stretch(150.0, 52.0)))
    found = detect(calm, LineLengthDetector())
    assert found.span.annotations == (Annotation(60.0, 60.0, BACKGROUND), Annotation(150.0, 50.0, BACKGROUND))
    assert (found.scored, found.unscored_seconds) == (22, 92.0)


def test_what_a_detector_reads() -> None:
    channels = (Channel("A1", 256.0), Channel("A2", 256.0, bad=True), Channel("SpO2", 1.0, "%"))
    values = ArraySamples(np.random.default_rng(0).normal(0, 50, (3, 2560)).astype(np.float32))
    recording = Recording("r", channels, (Stretch(0.0, 10.0),), values)
    ready = prepared(recording, 512.0)
    assert [(channel.name, channel.rate_hz) for channel in ready.channels] == [("A1", 512.0)]
    assert left_out(recording) == "SpO2 (%)"
    assert left_out(recording.select([0, 1])) == ""
    with pytest.raises(InvalidInput, match="none of 2 channels"):
        prepared(recording.select([1, 2]), 512.0)


def test_the_best_128_of_more_channels_are_read() -> None:
    wide = simulate_ieeg(1, 1, IEEGConfig(20.0, rate_hz=64.0, channel_count=140)).recording
    assert len(prepared(wide, 64.0).channels) == 128


def test_an_unknown_detector_is_named() -> None:
    with pytest.raises(UnknownModel, match="no seizure detector 'oracle'; there is line-length"):
        detector_named("oracle")


def test_a_seizure_is_found_with_few_false_alarms_in_people_the_policy_was_not_made_on() -> None:
    scored = []
    for subject in (101, 102, 103):
        opened = simulate_ieeg(1, subject, IEEGConfig(900.0, channel_count=8, seizure_onsets=(450.0,)))
        found = detect(prepared(opened.recording, 512.0), LineLengthDetector())
        both = (
            [(one.onset_seconds, one.end_seconds) for one in span.seizures]
            for span in (opened.span, found.span)
        )
        scored.append(ScoredRecording(900.0, *both))
    metrics = score_seizures(scored)
    assert (metrics.event.sensitivity or 0.0) >= 2 / 3
    assert (metrics.event.precision or 0.0) >= 0.5
    assert metrics.latency_s is not None
    assert 0.0 < metrics.latency_s < 60.0


def test_a_gap_is_not_scored_and_scoring_goes_on_after_it() -> None:
    recording = SIMULATED.recording
    gapped = replace(recording, stretches=(Stretch(0.0, 300.0), Stretch(330.0, 300.0)))
    found = score_recording(gapped, LineLengthDetector())
    assert len(found) == 126
    assert [status for status in found.status[60:66]] == [ScoreStatus.INDETERMINATE] * 6  # noqa: C416
    assert found.status[66] is ScoreStatus.PRESENT


def test_every_stretch_is_scored_though_long_pauses_lie_between_them() -> None:
    recording = SIMULATED.recording
    frames = tuple(Stretch(100.0 * number, 5.0) for number in range(20))
    found = score_recording(replace(recording, stretches=frames), LineLengthDetector())
    assert [str(found.status[20 * number]) for number in range(12, 20)] == ["present"] * 8


def test_an_alarm_ends_no_later_than_the_recording() -> None:
    quiet = EventRates(0.0, 0.0, 0.0)
    opened = simulate_ieeg(1, 1, IEEGConfig(330.0, channel_count=6, seizure_onsets=(290.0,), events=quiet))
    found = detect(
        opened.recording, LineLengthDetector(), replace(SEIZURE_POLICY, threshold=0.4, release=0.3)
    )
    assert all(event.end_seconds <= 330.0 for event in found.span.annotations)


def prodrome(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "prodrome", *arguments], capture_output=True, text=True, check=False
    )


def test_the_command_writes_a_table_that_can_be_scored(tmp_path: Path) -> None:
    values = SIMULATED.recording.window(0.0, 600.0)
    signals = [
        edfio.EdfSignal(row.astype(np.float64), 512, label=channel.name, physical_dimension="uV")
        for row, channel in zip(values, SIMULATED.recording.channels, strict=True)
    ]
    signals.append(
        edfio.EdfSignal(values[0].astype(np.float64), 512, label="Way", physical_dimension="furlong")
    )
    signals.append(edfio.EdfSignal(values[0].astype(np.float64), 512, label="Count"))
    edfio.Edf(signals, data_record_duration=1).write(tmp_path / "a.edf")
    done = prodrome("detect", str(tmp_path / "a.edf"), "--out", str(tmp_path / "new" / "events.tsv"))
    assert done.returncode == 0, done.stderr
    assert "in 0.17 h; 108 of 120 segments with a score, 60 s not scored" in done.stderr
    assert "left out, no voltage: Way (furlong), Count (no unit)" in done.stderr
    (span,) = read_annotations(tmp_path / "new" / "events.tsv").spans
    assert span.seconds == 600.0


@pytest.mark.parametrize("values", [np.full((2, 46080), np.nan), np.ones((2, 300))])
def test_the_command_says_that_it_scored_nothing(values: npt.NDArray[np.float64], tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", values=values.astype(np.float32), rate_hz=512.0, channels=["A1", "A2"])
    done = prodrome("detect", str(tmp_path / "a.npz"), "--out", str(tmp_path / "events.tsv"))
    assert done.returncode == 1
    assert "segments with a score" in done.stderr
    assert "nothing is known of" in done.stderr
    assert not (tmp_path / "events.tsv").exists()


def test_the_command_says_how_many_electrodes_are_too_many(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(140, 1600)).astype(np.float32)
    values[:20] = 0.0
    np.savez(tmp_path / "a.npz", values=values, rate_hz=64.0, channels=[f"A{n}" for n in range(140)])
    done = prodrome("detect", str(tmp_path / "a.npz"), "--out", str(tmp_path / "events.tsv"))
    assert "read: the best 120 of 140 electrodes" in done.stderr


def test_the_command_refuses_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.edf").write_bytes(b"0       cut")
    done = prodrome("detect", str(tmp_path / "a.edf"), "--out", str(tmp_path / "events.tsv"))
    assert done.returncode == 2
    assert "expected an EDF or BDF header" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_checkpoint_file_needs_its_size(tmp_path: Path) -> None:
    (tmp_path / "released.pt").write_bytes(b"no checkpoint")
    with pytest.raises(InvalidInput, match=r"released.pt: a checkpoint file needs its size, small or medium"):
        detector_named(str(tmp_path / "released.pt"))
    with pytest.raises(UnreadableSource, match=r"released.pt: not a"):
        detector_named(str(tmp_path / "released.pt"), "small")


def test_the_policy_stands_at_the_detectors_threshold() -> None:
    assert policy_of(LineLengthDetector()) == SEIZURE_POLICY


def test_line_length_needs_no_torch() -> None:
    program = "import sys, models.line_length; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
