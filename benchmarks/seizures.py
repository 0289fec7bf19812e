"""Seizure detectors on simulated people that taught them nothing: one policy, one scoring, one table.

    python benchmarks/seizures.py [--config experiments/mvpa_demo.toml] [--model mvpa] [--subjects 10]

The subjects that the run's file holds out. Line length stands there twice: at its own threshold, and at the
one chosen on the validation subjects as that of the network was.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from models.clinical.alarm import SEIZURE_POLICY, AlarmPolicy
from models.line_length import LineLengthDetector
from pipelines.detect import detector_named, policy_of
from pipelines.seizure_threshold import ScoredSeizures, best_policy, figures, score_opened
from pipelines.train_mvpa import Simulated, read_settings

HEADER = (
    "| detector | threshold | sensitivity | precision | F1 | false an hour | latency, s "
    "| sample sensitivity | sample precision | sample F1 | kappa, 5 s | CPU s an hour |\n" + "|---" * 12 + "|"
)


def scored(simulated: Simulated, subjects: tuple[int, int], model: str) -> tuple[list[ScoredSeizures], float]:
    """A fresh detector's scores of each of these subjects, and CPU seconds, simulation included."""
    began = time.process_time()
    found = [score_opened(opened, detector_named(model)) for opened in simulated.recordings(subjects)]
    return found, time.process_time() - began


def row(name: str, found: list[ScoredSeizures], policy: AlarmPolicy, spent: float) -> str:
    """One line of the table."""
    metrics = figures(found, policy)
    event, sample = metrics.event, metrics.sample
    hourly = None if event.fp_per_24h is None else event.fp_per_24h / 24.0
    hours = sum(one.truth.seconds or 0.0 for one in found) / 3600.0
    numbers = (
        policy.threshold,
        event.sensitivity,
        event.precision,
        event.f1,
        hourly,
        metrics.latency_s,
        sample.sensitivity,
        sample.precision,
        sample.f1,
        metrics.kappa_5s,
        spent / hours,
    )
    cells = " | ".join("none" if number is None else f"{number:.3g}" for number in numbers)
    return f"| {name} | {cells} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, default=Path("experiments/mvpa_demo.toml"))
    parser.add_argument("--model", default="mvpa", help="mvpa, or a folder that `prodrome train mvpa` wrote")
    parser.add_argument("--subjects", type=int, default=10)
    chosen = parser.parse_args()
    simulated = read_settings(chosen.config).simulated
    first, stop = simulated.held_out
    held_out = (first, min(stop, first + chosen.subjects))
    people = held_out[1] - held_out[0]
    print(
        f"{people} simulated people, {people * simulated.hours:g} h, {people} seizures\n{HEADER}", flush=True
    )
    found, spent = scored(simulated, held_out, chosen.model)
    print(row("mvpa", found, policy_of(detector_named(chosen.model)), spent), flush=True)
    found, spent = scored(simulated, held_out, LineLengthDetector.name)
    print(row("line-length", found, policy_of(LineLengthDetector()), spent), flush=True)
    validation, _ = scored(simulated, simulated.validation, LineLengthDetector.name)
    print(row("line-length, chosen", found, best_policy(validation, SEIZURE_POLICY), spent), flush=True)


if __name__ == "__main__":
    main()
