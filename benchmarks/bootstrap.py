"""What intervals over subjects cost: 1,000 resamples of 8,000 stays of hourly rows, beside the plain way.

The plain way draws subjects, lays their rows end to end, and asks scikit-learn for both areas and the
challenge's utility anew. It is measured on a few draws. Processor time of one thread.

    python benchmarks/bootstrap.py [--stays 8000] [--draws 1000]
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score  # type: ignore[import-untyped]

from pipelines.metrics.bootstrap import Bootstrap, intervals, subject_weights
from pipelines.metrics.cinc2019 import Cohort, stay_utilities

_PLAIN_DRAWS = 10
_THRESHOLD = 0.05


def cohort_of(stays: int, seed: int = 7) -> Cohort:
    """Stays of 8 to 69 hours; one in fourteen turns positive, and its scores rise."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(8, 70, stays)
    onset = np.where(rng.random(stays) < 1 / 14, rng.integers(0, rows), rows)
    hour = np.concatenate([np.arange(count) for count in rows])
    label = (hour >= np.repeat(onset, rows)).astype(np.int8)
    probability = 1 / (1 + np.exp(-rng.normal(-4, 1, len(hour)) - 1.5 * label))
    return Cohort(rows, label, probability, (probability >= _THRESHOLD).astype(np.int8))


def plain(cohort: Cohort, draws: int) -> float:
    """Seconds of as many of the same resamples."""
    subjects = [str(stay) for stay in range(len(cohort.rows))]
    weights = subject_weights(subjects, Bootstrap(draws=draws))
    place = np.split(np.arange(len(cohort.label)), np.cumsum(cohort.rows)[:-1])
    began = time.process_time()
    for weight in weights:
        drawn = np.repeat(np.arange(len(cohort.rows)), weight)
        rows = np.concatenate([place[stay] for stay in drawn])
        label, probability = cohort.label[rows], cohort.probability[rows]
        earned = stay_utilities(cohort.rows[drawn], label, cohort.prediction[rows])
        roc_auc_score(label, probability)
        average_precision_score(label, probability)
        earned.normalised()
    return time.process_time() - began


def ours(cohort: Cohort, draws: int) -> float:
    """Seconds of the intervals, compiled code at hand."""
    subjects = [str(stay) for stay in range(len(cohort.rows))]
    intervals(cohort, subjects, Bootstrap(draws=2))
    began = time.process_time()
    intervals(cohort, subjects, Bootstrap(draws=draws))
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stays", type=int, default=8000)
    parser.add_argument("--draws", type=int, default=1000)
    chosen = parser.parse_args()
    cohort = cohort_of(chosen.stays)
    seconds, plain_seconds = ours(cohort, chosen.draws), plain(cohort, _PLAIN_DRAWS)
    each = plain_seconds / _PLAIN_DRAWS
    print(f"{chosen.stays} stays, {len(cohort.label)} rows, {chosen.draws} draws")
    print(f"ours   {seconds:8.2f} s  {1000 * seconds / chosen.draws:8.2f} ms a draw")
    print(f"plain  {each * chosen.draws:8.2f} s  {1000 * each:8.2f} ms a draw, of {_PLAIN_DRAWS} draws")
    print(f"ratio  {each * chosen.draws / seconds:8.1f}")


if __name__ == "__main__":
    main()
