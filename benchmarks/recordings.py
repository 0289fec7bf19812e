"""A day of electrodes in constant memory: an EDF of 24 h, 64 channels, 512 Hz, read and searched.

    python benchmarks/recordings.py [--hours 24] [--channels 64] [--detect-hours 2] [--subjects 8]

The file is written to a temporary folder (5.7 GB for a day): a minute of simulated signal, again and again.
Then a folder of three SWEC hours of compressed MATLAB 5, with a gap. Each row runs in a process of its own,
so that its peak memory is its own. Last, the line-length detector on simulated people that its policy was not
made on.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing import Queue
from pathlib import Path

import edfio
import numpy as np
import scipy.io  # type: ignore[import-untyped]

from benchmarks.evidence.costs import peak_mb
from models.clinical.annotation import AnnotatedSpan
from models.clinical.recording import Recording
from models.line_length import LineLengthDetector
from pipelines.detect import detect, prepared
from pipelines.ingest.recordings.readers import open_recording
from pipelines.ingest.recordings.resample import resampled
from pipelines.metrics.seizures import ScoredRecording, score_seizures
from pipelines.simulate.ieeg import IEEGConfig, simulate_ieeg

RATE_HZ = 512
FIRST_SUBJECT = 1000  # the policy was looked at on subjects below 10
HEADER_RECORDS = slice(236, 244)
SWEC_HOURS = (1, 2, 4)


def a_minute(channels: int) -> Recording:
    """A simulated minute without a seizure."""
    return simulate_ieeg(0, 1, IEEGConfig(60.0, channel_count=channels, seizure_onsets=())).recording


def write_hours(folder: Path, channels: int) -> None:
    """A folder of SWEC hours: a simulated minute, repeated; one file under several names."""
    folder.mkdir()
    first, *others = (folder / f"ID01_{number}h.mat" for number in SWEC_HOURS)
    hour = np.tile(a_minute(channels).window(0.0, 60.0), 60)
    scipy.io.savemat(first, {"EEG": hour}, do_compression=True)
    for path in others:
        os.link(first, path)
    none = np.empty((0, 1))
    scipy.io.savemat(folder / "ID01_info.mat", {"fs": RATE_HZ, "seizure_begin": none, "seizure_end": none})


def write_day(path: Path, hours: float, channels: int) -> None:
    """An EDF of a simulated minute, repeated; records of one second."""
    minute = a_minute(channels)
    signals = [
        edfio.EdfSignal(row.astype(np.float64), RATE_HZ, label=channel.name, physical_dimension="uV")
        for row, channel in zip(minute.window(0.0, 60.0), minute.channels, strict=True)
    ]
    edfio.Edf(signals, data_record_duration=1).write(path)
    content = path.read_bytes()
    header_bytes = 256 * (channels + 1)
    header, data = bytearray(content[:header_bytes]), content[header_bytes:]
    minutes = round(hours * 60)
    header[HEADER_RECORDS] = str(minutes * 60).encode().ljust(8)
    with path.open("wb") as file:
        file.write(header)
        for _ in range(minutes):
            file.write(data)


def read_all(path: Path, _: float) -> float:
    """Every sample, in windows of 5 s; seconds of signal."""
    recording = open_recording(path).recording
    samples = sum(int(values.shape[1]) for _, values in recording.blocks(5 * RATE_HZ))
    return samples / RATE_HZ


def read_here_and_there(path: Path, hours: float) -> float:
    """So many hours in windows of 5 s at random places; seconds of signal."""
    recording, count = open_recording(path).recording, round(hours * 720)
    longest = recording.stretches[0].seconds - 5.0
    for start in np.random.default_rng(0).uniform(0.0, longest, count).tolist():
        recording.window(start, start + 5.0)
    return 5.0 * count


def resample_to_256(path: Path, _: float) -> float:
    """An hour at half the rate; seconds of signal."""
    recording = resampled(open_recording(path).recording, 256.0)
    for start in range(0, 3600, 5):
        recording.window(start, start + 5.0)
    return 3600.0


def find_seizures(path: Path, hours: float) -> float:
    """The line-length detector over the first hours; seconds of signal."""
    recording = open_recording(path).recording
    ready = prepared(recording, float(RATE_HZ))
    detector = LineLengthDetector()
    for number, frame in enumerate(ready.frames(5 * RATE_HZ)):
        if number >= hours * 720:
            break
        detector.feed(frame)
    return hours * 3600


def measured(work: Callable[[Path, float], float], path: Path, hours: float) -> tuple[float, float, float]:
    """Seconds of signal, CPU seconds and peak MB of `work` in a fresh process."""
    context = multiprocessing.get_context("spawn")
    answers: Queue[tuple[float, float, float]] = context.Queue()
    process = context.Process(target=_answer, args=(work, path, hours, answers))
    process.start()
    answer = answers.get()
    process.join()
    return answer


def _answer(
    work: Callable[[Path, float], float], path: Path, hours: float, answers: Queue[tuple[float, float, float]]
) -> None:
    began = time.process_time()
    signal = work(path, hours)
    spent = time.process_time() - began
    answers.put((signal, spent, peak_mb()))


def print_rows(path: Path, works: Sequence[tuple[Callable[[Path, float], float], float]]) -> None:
    """A row a work, each with how many hours it is given."""
    print("| what | hours of signal | CPU s | times real time | peak RSS |\n|---|---|---|---|---|")
    for work, hours in works:
        signal, spent, peak = measured(work, path, hours)
        name = work.__name__.replace("_", " ")
        print(
            f"| {name} | {signal / 3600:.2f} | {spent:.1f} | {signal / spent:,.0f} | {peak:.0f} MB |",
            flush=True,
        )


def held_out(subjects: int) -> str:
    """Figures of the line-length detector on simulated people."""
    scored = []
    for subject in range(FIRST_SUBJECT, FIRST_SUBJECT + subjects):
        opened = simulate_ieeg(1, subject, IEEGConfig(5400.0, channel_count=24, seizures_per_day=40.0))
        found = detect(prepared(opened.recording, float(RATE_HZ)), LineLengthDetector())
        scored.append(ScoredRecording(5400.0, _events(opened.span), _events(found.span)))
    metrics = score_seizures(scored)
    seizures = sum(len(one.reference) for one in scored)
    return (
        f"line-length, {subjects} simulated people, {1.5 * subjects:g} h, {seizures} seizures: "
        f"sensitivity {metrics.event.sensitivity}, precision {metrics.event.precision}, "
        f"F1 {metrics.event.f1}, "
        f"{metrics.event.fp_per_24h} false a day, kappa {metrics.kappa_5s}, latency {metrics.latency_s} s"
    )


def _events(span: AnnotatedSpan) -> list[tuple[float, float]]:
    return [(seizure.onset_seconds, seizure.end_seconds) for seizure in span.seizures]


def _gigabytes(path: Path) -> str:
    return f"{path.stat().st_size / 1e9:.2f} GB"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--detect-hours", type=float, default=2.0)
    parser.add_argument("--subjects", type=int, default=8)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="prodrome-") as folder:
        day, hours = Path(folder) / "day.edf", Path(folder) / "ID01"
        write_day(day, chosen.hours, chosen.channels)
        print(f"{chosen.hours:g} h, {chosen.channels} channels, {RATE_HZ} Hz: {_gigabytes(day)}", flush=True)
        some, thousand = chosen.detect_hours, 1000 / 720
        print_rows(
            day,
            (
                (read_all, chosen.hours),
                (read_here_and_there, thousand),
                (resample_to_256, 1.0),
                (find_seizures, some),
            ),
        )
        day.unlink()
        write_hours(hours, chosen.channels)
        print(f"SWEC hours {SWEC_HOURS}, {_gigabytes(hours / 'ID01_1h.mat')} each", flush=True)
        print_rows(hours, ((read_all, 3.0), (read_here_and_there, thousand / 10), (find_seizures, 3.0)))
    print(held_out(chosen.subjects))


if __name__ == "__main__":
    main()
