"""Watch live recordings: read signal as time passes, score it, post the scores to a running service.

Every bed has a detector of its own, all in one process. What cannot be delivered is sent again, because the
service keeps the first score of a segment. Where scoring falls behind the clock, signal is skipped: the
newest signal counts, and what was skipped shows as segments without a score. Where a bed's file or detector
fails it is watched no more, which is told, and the others go on.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from models.clinical.errors import EarlyWarningError, InvalidInput
from models.clinical.recording import Channel
from models.clinical.score import Score
from models.line_length import LineLengthConfig, LineLengthDetector
from pipelines.bedside import BedsideStay
from pipelines.client import ServiceClient, ServiceUnreachable
from pipelines.detect import detector_named, prepared
from pipelines.ingest.recordings.readers import open_recording
from pipelines.live_recording import WARM_UP, LiveBed, SimulatedPatient, segment_body
from pipelines.replay import WithService

SHORTEST_WAIT_SECONDS = 2.0  # between two rounds, of this process's time: a segment of real time is longer
LONGEST_LAG_SECONDS = 10.0  # of this process's time, behind the clock: then signal is skipped
SEGMENTS_A_POST = 120
SIMULATED_RATE_HZ = 256.0
SIMULATED_CONTACTS = 5  # on each of two shafts
SEIZURE_EVERY_SECONDS = 150.0  # of a viewer's time, whatever the service's clock does
FIRST_SEIZURE_SECONDS = 40.0
SHORTEST_PAUSE_SECONDS = 300.0  # of the patient's time, from one onset to the next
MOST_SIMULATED_BEDS = 8
FIRST_SUBJECT = 17  # the first of people whose seizures line length finds: not everybody's are
_SHAFTS = (("LA", "LH"), ("RA", "RH"))


@dataclass
class Watched:
    """How far watching has come: the verdicts of the service, segments that were never read, and which beds
    failed and why.
    """

    verdicts: Counter[str] = field(default_factory=Counter)
    skipped: int = 0
    failed: list[str] = field(default_factory=list)
    at: datetime | None = None


def simulated_beds(seed: int, count: int, start: datetime, speed: float) -> list[LiveBed]:
    """Beds E1, E2, … of simulated people, each with a seizure every few minutes of a viewer's time."""
    every = max(SEIZURE_EVERY_SECONDS * speed, SHORTEST_PAUSE_SECONDS) // 60 * 60
    beds = []
    for number in range(count):
        shafts = _SHAFTS[number % len(_SHAFTS)]
        channels = tuple(
            Channel(f"{shaft}{contact}", SIMULATED_RATE_HZ)
            for shaft in shafts
            for contact in range(1, SIMULATED_CONTACTS + 1)
        )
        onset = max(FIRST_SEIZURE_SECONDS * speed, 120.0) + number * every / 2
        subject = FIRST_SUBJECT + seed * MOST_SIMULATED_BEDS + number
        signal = SimulatedPatient(subject, channels, every, onset % (every - SHORTEST_PAUSE_SECONDS / 2))
        detector = LineLengthDetector(LineLengthConfig(rate_hz=SIMULATED_RATE_HZ))
        name = f"ieeg-{seed}-{number + 1}-{start:%Y%m%dT%H%M%S}"
        stay = BedsideStay(
            name, f"subject-{name}", start, None, (), bed=f"E{number + 1}", care_unit="iEEG", synthetic=True
        )
        beds.append(LiveBed(stay, signal, detector, {}))
    return beds


def bed_names(paths: Sequence[Path]) -> list[str]:
    """What tells each recording's stay: the file's name, and where names are alike its folders too.

    Two beds of one name would be one stay, and the second one's seizures would never alert. Raises
    InvalidInput where a recording is given twice.
    """
    whole = [path.resolve() for path in paths]
    for place, path in enumerate(whole):
        if path in whole[:place]:
            raise InvalidInput(f"{paths[place]} is given twice", value=str(paths[place]), bound="once each")
    names, depths = [path.stem for path in whole], [0] * len(whole)
    while len(set(names)) < len(names):
        for place in [place for place, name in enumerate(names) if names.count(name) > 1]:
            depths[place] += 1
            parts = whole[place].parts[1:][-depths[place] :]
            # joined, the parts of two whole paths may be alike
            names[place] = "-".join(parts) if depths[place] == len(parts) else f"{parts[-1]}-{place + 1}"
    return names


def recorded_bed(
    path: Path,
    number: int,
    start: datetime,
    detector_name: str,
    on_trouble: Callable[[str], None],
    *,
    size: str | None = None,
    called: str | None = None,
) -> LiveBed:
    """A recording played as if it began at `start`; `on_trouble` is told what of it could not be read.

    `size` is that of a released checkpoint. `called` tells its stay from others, see `bed_names`; the file's
    name without it. Raises UnreadableSource, UnknownModel, InvalidInput.
    """
    opened = open_recording(path)
    for complaint in opened.complaints:
        on_trouble(f"not read: {complaint}")
    recording = opened.recording
    detector = detector_named(detector_name, size)
    bad = {channel.name: "marked bad in the recording" for channel in recording.channels if channel.bad}
    name = f"{called or path.resolve().stem}-{start:%Y%m%dT%H%M%S}"
    stay = BedsideStay(
        name,
        f"subject-{name}",
        start,
        None,
        (),
        bed=f"E{number}",
        care_unit="iEEG",
        synthetic=recording.synthetic,
    )
    return LiveBed(stay, prepared(recording, detector.rate_hz), detector, bad)


def watch(
    beds: Sequence[LiveBed],
    client: ServiceClient,
    on_progress: Callable[[Watched], None] = lambda _: None,
    on_failure: Callable[[str], None] = lambda _: None,
) -> Watched:
    """Watch until every signal has ended or failed. Raises ServiceUnreachable."""
    clock, watched = WithService(client), Watched()

    def begin(bed: LiveBed) -> None:
        client.post_stay(bed.stay)
        bed.skip_to(clock.now - WARM_UP)
        _catch_up(bed, client, clock, watched)

    def follow(bed: LiveBed) -> None:
        _skip_if_behind(bed, clock, watched)
        _catch_up(bed, client, clock, watched)
        if bed.ended:
            client.post_stay(bed.stay, discharged_at=bed.read_until)

    going_on = _sound(beds, begin, watched, on_failure)
    while going_on:
        going_on = _sound(going_on, follow, watched, on_failure)
        watched.at = clock.now
        on_progress(watched)
        going_on = [bed for bed in going_on if not bed.ended]
        if going_on:
            due = min(bed.next_due for bed in going_on)
            time.sleep(max(clock.seconds_until(due), SHORTEST_WAIT_SECONDS))
    return watched


def _sound(
    beds: Sequence[LiveBed],
    step: Callable[[LiveBed], None],
    watched: Watched,
    on_failure: Callable[[str], None],
) -> list[LiveBed]:
    """The beds that got through `step`; of the others it is told why not."""
    sound = []
    for bed in beds:
        try:
            step(bed)
        except ServiceUnreachable:
            raise
        except Exception as error:  # whatever a file or a detector does, the other beds go on
            why = str(error) if isinstance(error, EarlyWarningError) else f"{type(error).__name__}: {error}"
            told = (
                f"bed {bed.stay.bed}, {bed.stay.stay_id}, is watched no more from {bed.read_until} on: {why}"
            )
            watched.failed.append(told)
            on_failure(told)
        else:
            sound.append(bed)
    return sound


def _skip_if_behind(bed: LiveBed, clock: WithService, watched: Watched) -> None:
    """Behind by too much, go on with as much of the newest signal as the shortest wait lets pass."""
    if not bed.ended and -clock.seconds_until(bed.next_due) > LONGEST_LAG_SECONDS:
        before = bed.read_until
        bed.skip_to(clock.now - timedelta(seconds=SHORTEST_WAIT_SECONDS * clock.speed))
        watched.skipped += (bed.read_until - before) // (bed.next_due - bed.read_until)


def _catch_up(bed: LiveBed, client: ServiceClient, clock: WithService, watched: Watched) -> None:
    """Score and post what is complete by now."""
    now = clock.now
    while not bed.ended and bed.next_due <= now:
        scores: list[Score] = []
        try:
            scores.extend(
                bed.scores(now, SEGMENTS_A_POST)
            )  # one by one: what came before a failure is posted
        finally:
            # a pause that is told segment by segment may be longer than a post
            for first in range(0, len(scores), SEGMENTS_A_POST):
                body = segment_body(bed, scores[first : first + SEGMENTS_A_POST])
                watched.verdicts.update(client.post_segments(bed.stay.stay_id, body))
