"""A recording watched against a real service, by a process that ends in the middle and by the next one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx

from models.clinical.alarm import SEIZURE_POLICY
from models.clinical.errors import UnreadableSource
from models.clinical.recording import Channel, Samples
from models.line_length import LineLengthConfig, LineLengthDetector
from pipelines.bedside import BedsideStay
from pipelines.client import ServiceClient
from pipelines.live_recording import LiveBed, SimulatedPatient, segment_body
from pipelines.simulate.ieeg import IEEGConfig, simulate_ieeg
from pipelines.watch_recordings import simulated_beds, watch

NOW = datetime(2026, 11, 22, 18, 30, tzinfo=UTC)  # the service clock of `settings`
RATE_HZ = 128.0


def bed() -> LiveBed:
    """Three minutes that began five minutes ago, with a seizure after two."""
    config = IEEGConfig(seconds=180.0, rate_hz=RATE_HZ, channel_count=4, seizure_onsets=(120.0,))
    stay = BedsideStay("eeg-1", "s-1", NOW - timedelta(minutes=5), None, (), bed="E1", synthetic=True)
    detector = LineLengthDetector(LineLengthConfig(rate_hz=RATE_HZ))
    return LiveBed(stay, simulate_ieeg(1, 2, config).recording, detector, {})


def test_a_process_started_again_repeats_nothing_and_alerts_once(api: httpx.Client) -> None:
    client = ServiceClient(httpx.Client(base_url=api.base_url, timeout=60))
    with client:
        crashed = bed()
        client.post_stay(crashed.stay)
        sent = client.post_segments("eeg-1", segment_body(crashed, list(crashed.scores(NOW, 28))))
        assert sent == ["accepted"] * 28
        assert len(api.get("/v1/alerts").json()["alerts"]) == 1

        watched = watch([bed()], client)
    assert watched.verdicts == {"duplicate": 28, "accepted": 8}
    assert watched.skipped == 0
    assert len(api.get("/v1/alerts?state=all").json()["alerts"]) == 1
    segments = api.get("/v1/stays/eeg-1/segment-scores").json()["segments"]
    assert len(segments) == 36
    discharged = api.get("/v1/stays/eeg-1").json()["stay"]["discharged_at"]
    assert discharged == segments[-1]["time"] == "2026-11-22T18:28:00Z"


class Torn(SimulatedPatient):
    """A signal that cannot be read any more after a minute."""

    def window(self, start_seconds: float, stop_seconds: float) -> Samples:
        if stop_seconds > 60.0:
            raise UnreadableSource("night.npz: cut off at 60 s")
        return super().window(start_seconds, stop_seconds)


def test_a_bed_that_fails_is_told_and_the_others_go_on(api: httpx.Client) -> None:
    healthy, channels = bed(), tuple(Channel(f"LA{contact}", RATE_HZ) for contact in range(1, 4))
    stay = BedsideStay("eeg-0", "s-0", NOW - timedelta(minutes=5), None, (), bed="E0", synthetic=True)
    detector = LineLengthDetector(LineLengthConfig(rate_hz=RATE_HZ))
    torn = LiveBed(stay, Torn(1, channels, 300.0, 120.0), detector, {})
    told: list[str] = []
    with ServiceClient(httpx.Client(base_url=api.base_url, timeout=60)) as client:
        watched = watch([torn, healthy], client, on_failure=told.append)
    assert watched.failed == told
    assert told[0].startswith(
        "bed E0, eeg-0, is watched no more from 2026-11-22 18:26:00+00:00 on: night.npz"
    )
    assert len(api.get("/v1/stays/eeg-0/segment-scores").json()["segments"]) == 12  # what came before is kept
    assert api.get("/v1/stays/eeg-1").json()["stay"]["discharged_at"] == "2026-11-22T18:28:00Z"
    assert len(api.get("/v1/stays/eeg-1/segment-scores").json()["segments"]) == 36


def test_simulated_beds_have_a_seizure_within_a_viewers_minutes_at_any_speed() -> None:
    for speed in (1.0, 120.0):
        beds = simulated_beds(0, 2, NOW, speed)
        assert [one.stay.bed for one in beds] == ["E1", "E2"]
        assert all(one.stay.synthetic for one in beds)
        for one in beds:
            signal = one.signal
            assert signal.onset_seconds / speed <= 180  # type: ignore[attr-defined]
            assert signal.every_seconds % 5 == 0  # type: ignore[attr-defined]


def test_both_beds_of_the_demonstration_alert_with_their_first_seizure() -> None:
    for one in simulated_beds(0, 2, NOW, 120.0):
        assert isinstance(one.signal, SimulatedPatient)
        onset = NOW + timedelta(seconds=one.signal.onset_seconds)
        one.skip_to(onset - timedelta(minutes=3))
        scores = list(one.scores(onset + timedelta(minutes=1), most=60))
        alarms = [
            decision.alarm.time
            for decision in SEIZURE_POLICY.decide_on(one.stay.stay_id, scores)
            if decision.alarm is not None
        ]
        assert len(alarms) == 1
        assert onset < alarms[0] < onset + timedelta(seconds=45)
