"""The older SWEC recordings of a patient: a folder with a MATLAB file for each hour, as one recording.

    ID01/ID01_1h.mat, ID01_2h.mat, …   an hour each
    ID01/ID01_info.mat                 rate and seizures

The clock begins with the first hour that is there; an hour that is not, and the rest of one that is cut
short, is a gap. No more than two files are open at a time, whatever the length.

Source: Burrello et al. 2019, http://ieeg-swez.ethz.ch.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

import numpy as np

from models.clinical.errors import UnreadableSource
from models.clinical.recording import Recording, Samples, Stretch
from pipelines.ingest.recordings.opened import OpenedRecording
from pipelines.ingest.recordings.swec import Seizures, annotations_of, numbered_channels
from pipelines.ingest.recordings.swec_hour import (
    HOUR_NAME,
    HOUR_SECONDS,
    INFO,
    Hour,
    check_rate,
    read_hour,
    read_info,
    within_hours,
)

OPEN_FILES = 2  # a window may reach from one into the next


class JoinedSamples:
    """The samples of hours one after the other, as if they were of one file."""

    def __init__(self, hours: Sequence[Hour]) -> None:
        self.hours = tuple(hours)
        self._starts = (0, *accumulate(hour.samples for hour in hours))
        self._source = lru_cache(maxsize=OPEN_FILES)(Hour.source)

    def read(self, channels: Sequence[int], first: int, stop: int) -> Samples:
        """Samples (C, stop - first). Raises UnreadableSource where a file does not hold them."""
        found = [np.empty((len(channels), 0), dtype=np.float32)]
        for place in range(max(bisect_right(self._starts, first) - 1, 0), len(self.hours)):
            begin, end = self._starts[place : place + 2]
            if begin >= stop:
                break
            source = self._source(self.hours[place])
            found.append(source.read(channels, max(first, begin) - begin, min(stop, end) - begin))
        return np.concatenate(found, axis=1)


def open_swec_hours(folder: Path) -> OpenedRecording:
    """The hours of a patient in `folder` as one recording.

    Raises UnreadableSource for a folder without hours, with those of two patients, without the info file,
    and for hours whose channels or rates differ.
    """
    patient, files = _files(folder)
    info = folder / f"{patient}_info.mat"
    if not info.is_file():
        raise UnreadableSource(f"{info}: is not there; expected {', '.join(INFO)} of the hours beside it")
    rate_hz, seizures = read_info(info)
    hours = [read_hour(path, number) for number, path in sorted(files.items())]
    for hour in hours:
        _check_alike(hour, hours[0])
        check_rate(hour, rate_hz, info)
    stretches = _stretches(hours, rate_hz)
    recorded, outside = _recorded(within_hours(seizures, hours[0].number, hours[-1].number), stretches)
    channels = numbered_channels(hours[0].channels, rate_hz)
    recording = Recording(patient, channels, stretches, JoinedSamples(hours), None, str(folder))
    annotations, complaints = annotations_of(info, recorded, stretches)
    return OpenedRecording(
        recording, annotations, (*complaints, *_cut_short(hours, rate_hz), *_set_aside(info, outside))
    )


def _files(folder: Path) -> tuple[str, dict[int, Path]]:
    """The patient and the file of each hour."""
    files: dict[int, Path] = {}
    patients: dict[str, Path] = {}
    for path in sorted(folder.glob("*.mat")):
        if found := HOUR_NAME.fullmatch(path.stem):
            patients.setdefault(found["patient"], path)
            twice = files.setdefault(int(found["hour"]), path)
            if len(patients) > 1:
                raise UnreadableSource(
                    f"{folder}: hours of {' and '.join(patients)}; expected those of one patient"
                )
            if twice != path:
                raise UnreadableSource(f"{folder}: {twice.name} and {path.name} are the same hour")
    if not files:
        raise UnreadableSource(f"{folder}: no <patient>_<number>h.mat; a folder is read of SWEC hours only")
    return next(iter(patients)), files


def _check_alike(hour: Hour, first: Hour) -> None:
    if hour.channels != first.channels:
        raise UnreadableSource(
            f"{hour.path}: {hour.channels} channels, but {first.path.name} has {first.channels}"
        )


def _stretches(hours: Sequence[Hour], rate_hz: float) -> tuple[Stretch, ...]:
    """Hours as times, those that follow on each other in one."""
    stretches: list[Stretch] = []
    samples = 0
    for place, hour in enumerate(hours):
        if place and _follows(hour, hours[place - 1], rate_hz):
            samples += hour.samples
            stretches[-1] = Stretch(stretches[-1].start_seconds, samples / rate_hz)
        else:
            samples = hour.samples
            stretches.append(Stretch((hour.number - hours[0].number) * HOUR_SECONDS, samples / rate_hz))
    return tuple(stretches)


def _follows(hour: Hour, before: Hour, rate_hz: float) -> bool:
    return hour.number == before.number + 1 and _is_whole(before, rate_hz)


def _is_whole(hour: Hour, rate_hz: float) -> bool:
    return hour.samples >= HOUR_SECONDS * rate_hz - 0.5


def _recorded(seizures: Seizures, stretches: Iterable[Stretch]) -> tuple[Seizures, int]:
    """The seizures of which something was recorded, and how many others there are."""
    times = [(stretch.start_seconds, stretch.end_seconds) for stretch in stretches]
    kept = tuple(
        (onset, offset)
        for onset, offset in seizures
        if any(not (onset >= end or offset <= start) for start, end in times)
    )
    return kept, len(seizures) - len(kept)


def _cut_short(hours: Sequence[Hour], rate_hz: float) -> list[str]:
    """A sentence for each hour but the last that is not whole: its rate may be another."""
    return [
        f"{hour.path}: {hour.samples / rate_hz:g} s at {rate_hz:g} Hz; the rest of the hour is a gap"
        for hour in hours[:-1]
        if not _is_whole(hour, rate_hz)
    ]


def _set_aside(info: Path, outside: int) -> list[str]:
    return [f"{info}: {outside} seizures where nothing was recorded; they are left out"] if outside else []
