"""A live recording's bed: which episode it shows, and who is named; the simulated signal that has no end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from db.rows import AlertRow, Evaluation, SegmentScoreRow, StayRow
from models.clinical.alarm import SEIZURE_POLICY
from models.clinical.contacts import by_shaft, contact_ranges
from models.clinical.recording import Channel
from models.clinical.score import ScoreStatus
from models.line_length import LineLengthConfig, LineLengthDetector
from models.seizure import SegmentScore
from pipelines.bedside import BedsideStay
from pipelines.ingest.recordings.arrays import recording_of
from pipelines.live_recording import LiveBed, SimulatedPatient, segment_body
from service.alerting import foremost
from service.recordings import Detector, decisions_on, newest_episode, recording_tile

START = datetime(2026, 11, 22, 8, tzinfo=UTC)
SEGMENT = timedelta(seconds=5)
STAY = StayRow(external_id="ieeg-1", bed="12", admitted_at=START, synthetic=True)
DETECTOR = Detector("line-length", "1", SEGMENT, ("LA3", "LA4", "LB1"), {"LB1": "flat"})
LOW, HIGH = 0.3, 0.9


def segments(*values: float | None) -> list[SegmentScoreRow]:
    """Segments of 5 s from the start on; the channels of a high one are LA5, LA3, LA4."""
    return [
        SegmentScoreRow(
            time=START + number * SEGMENT,
            value=value,
            status=ScoreStatus.INDETERMINATE if value is None else ScoreStatus.PRESENT,
            reason="3 of 3 channels without signal" if value is None else "",
            channels=["LA5", "LA3", "LA4"] if value == HIGH else [],
        )
        for number, value in enumerate(values, 1)
    ]


@pytest.mark.parametrize(
    ("values", "began", "ended", "going_on"),
    [
        ([LOW, HIGH, HIGH, HIGH], 5, 20, True),  # from the first high segment, not from the alarm
        ([LOW, HIGH, HIGH, HIGH, LOW, LOW, LOW], 5, 20, False),
        ([HIGH] * 3 + [LOW] * 5 + [HIGH] * 4 + [LOW] * 4, 40, 60, False),  # the newest of two
        ([LOW, HIGH, HIGH, HIGH, None, None], 5, 20, True),  # silence is not recovery
    ],
)
def test_an_episode_is_its_high_segments(
    values: list[float | None], began: float, ended: float, going_on: bool
) -> None:
    rows = segments(*values)
    found = newest_episode(rows, decisions_on(STAY, rows, SEIZURE_POLICY), SEIZURE_POLICY, SEGMENT)
    assert found is not None
    assert ((found.began - START).total_seconds(), (found.ended - START).total_seconds()) == (began, ended)
    assert found.going_on is going_on


def test_two_high_segments_are_no_episode() -> None:
    rows = segments(LOW, HIGH, HIGH, LOW)
    assert newest_episode(rows, decisions_on(STAY, rows, SEIZURE_POLICY), SEIZURE_POLICY, SEGMENT) is None


def test_a_segment_without_a_score_is_shown_as_none_with_its_reason() -> None:
    rows = segments(LOW, None)
    told = recording_tile(STAY, rows, decisions_on(STAY, rows, SEIZURE_POLICY), SEIZURE_POLICY, DETECTOR)
    assert told["score"]["value"] is None
    assert told["score"]["reason"] == "3 of 3 channels without signal"
    assert told["last_data_at"] == "2026-11-22T08:00:05Z"
    assert told["recording"]["bad"] == [{"channel": "LB1", "reason": "flat"}]
    assert told["recording"]["shafts"] == [["LA", ["LA3", "LA4"]], ["LB", ["LB1"]]]


def test_an_episode_stays_on_the_tile_when_its_segments_are_no_longer_judged() -> None:
    rows = segments(LOW, HIGH, HIGH, HIGH)
    first = recording_tile(STAY, rows, decisions_on(STAY, rows, SEIZURE_POLICY), SEIZURE_POLICY, DETECTOR)
    stay = StayRow(external_id="ieeg-1", admitted_at=START, synthetic=True, tile=first)
    later = segments(LOW, LOW)
    then = recording_tile(stay, later, decisions_on(stay, later, SEIZURE_POLICY), SEIZURE_POLICY, DETECTOR)
    assert then["recording"]["episode"] == first["recording"]["episode"] | {"going_on": False}
    assert then["recording"]["episode"]["channels"] == ["LA3\N{EN DASH}LA5"]
    assert then["recording"]["episode"]["seconds"] == 15


def test_an_episode_keeps_its_beginning_and_its_place_while_it_leaves_the_hour_that_is_judged() -> None:
    rows = segments(LOW, *[HIGH] * 8, LOW, LOW, LOW)
    for row in rows[2:]:
        row.channels = ["LB1"]  # where it went
    stay = StayRow(external_id="ieeg-1", admitted_at=START, synthetic=True)
    for first in range(len(rows)):
        judged = rows[first:]
        decisions = decisions_on(stay, judged, SEIZURE_POLICY)
        stay.tile = recording_tile(stay, judged, decisions, SEIZURE_POLICY, DETECTOR)
        episode = stay.tile["recording"]["episode"]
        assert (episode["began"], episode["seconds"]) == ("2026-11-22T08:00:05Z", 40)
        assert episode["channels"] == ["LA3\N{EN DASH}LA5"]


def test_contacts_are_named_by_shaft_as_ranges() -> None:
    named = contact_ranges(["LA5", "LB1", "LA3", "LA4", "LA9", "Cz"])
    assert named == ["LA3\N{EN DASH}LA5", "LA9", "LB1", "Cz"]
    assert by_shaft(["A'12", "A'2"]) == {"A'": ["A'2", "A'12"]}


def test_a_bed_shows_the_alert_that_waits() -> None:
    at = {"acknowledged_at": START}
    answered = AlertRow(id=2, raised_at=START + SEGMENT, evaluation=Evaluation.PENDING, **at)
    waiting = AlertRow(id=1, raised_at=START, evaluation=Evaluation.PENDING)
    assert foremost([answered, waiting]) is waiting
    assert foremost([answered]) is answered
    assert foremost([]) is None


def live_bed() -> LiveBed:
    channels = tuple(Channel(f"LA{contact}", 128.0) for contact in range(1, 4))
    signal = SimulatedPatient(1, channels, 300.0, 120.0)
    stay = BedsideStay("ieeg-1", "s", START, None, (), synthetic=True)
    return LiveBed(stay, signal, LineLengthDetector(LineLengthConfig(rate_hz=128.0)), {"LA3": "marked"})


def test_a_bed_reads_up_to_now_and_no_further_and_names_channels_of_a_seizure() -> None:
    bed = live_bed()
    assert list(bed.scores(START + timedelta(seconds=4.9), 10)) == []
    scores = list(bed.scores(START + timedelta(seconds=163), 100))
    assert bed.read_until == scores[-1].time == START + timedelta(seconds=160)
    high = [one for one in scores if one.value is not None and one.value >= SEIZURE_POLICY.threshold]
    assert high
    assert all(isinstance(one, SegmentScore) and one.channels for one in high)
    body = segment_body(bed, scores[-1:])
    assert body["channels"][2] == {"name": "LA3", "bad": True, "reason": "marked"}  # type: ignore[index]


def test_a_bed_that_was_skipped_ahead_keeps_to_its_grid_and_tells_the_gap() -> None:
    bed = live_bed()
    list(bed.scores(START + timedelta(seconds=100), 100))
    bed.skip_to(START + timedelta(seconds=133))
    assert bed.read_until == START + timedelta(seconds=130)
    scores = list(bed.scores(START + timedelta(seconds=135), 100))
    assert [one.value is None for one in scores] == [True] * 6 + [False]


def test_simulated_signal_goes_on_over_its_recordings() -> None:
    signal = live_bed().signal
    across = signal.window(297.5, 302.5)
    assert across.shape == (3, 640)
    assert np.array_equal(across[:, 320:], signal.window(300.0, 302.5))


def test_an_infinite_sample_counts_as_missing_and_names_its_channel() -> None:
    values = np.random.default_rng(0).normal(scale=50.0, size=(3, 1280)).astype(np.float32)
    values[1, 700] = np.inf
    signal = recording_of(values, 128.0, ["LA1", "LA2", "LA3"])
    bed = LiveBed(live_bed().stay, signal, LineLengthDetector(LineLengthConfig(rate_hz=128.0)), {})
    first, second = bed.scores(START + timedelta(seconds=10), 10)
    assert bed.bad == {"LA2": "signal missing"}
    assert second.time == first.time + SEGMENT
    low = segment_body(bed, [second])["segments"][0]["signal"][1]["low"]  # type: ignore[index]
    assert low.count(None) == 1
