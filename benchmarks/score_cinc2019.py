"""How many CinC 2019 stays a second are read, scored by each model, and turned into figures, on one core?

    python benchmarks/score_cinc2019.py [MODEL ...]

Real records from PRODROME_DATA (the first 300 stays of set A); says so and stops where there are none.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from time import process_time

import numpy as np

from models import registry
from models.clinical.errors import UnknownModel
from pipelines.ingest.cinc2019 import open_source
from pipelines.ingest.source import IngestedStay
from pipelines.metrics.cinc2019 import Cohort, summarise
from pipelines.predictions import StayPrediction, predict

STAYS = 300


def timed(what: str, stays: int, work: Callable[[], object]) -> None:
    """Print how many stays a second of processor time `work` handles."""
    start = process_time()
    work()
    spent = process_time() - start
    print(f"| {what:<18} | {stays / spent:>9.0f} | {1000 * spent / stays:>11.2f} |")


def cohort_of(predictions: list[StayPrediction], threshold: float) -> Cohort:
    """The cohort of labelled predictions."""
    return Cohort(
        rows=np.array([len(one.hour) for one in predictions]),
        label=np.concatenate([one.label for one in predictions if one.label is not None]),
        probability=np.concatenate([one.probability for one in predictions]),
        prediction=np.concatenate([one.predicted(threshold) for one in predictions]),
    )


def bench_model(name: str, stays: list[IngestedStay]) -> None:
    """Score the stays with one model, then make its figures."""
    try:
        model = registry.load(name)
    except UnknownModel as lacking:
        print(f"| {name:<18} | {'-':>9} | {'-':>11} | {lacking}")
        return
    predict(model, stays[0])  # first use pays for imports and caches
    predictions: list[StayPrediction] = []
    timed(f"score {name}", len(stays), lambda: predictions.extend(predict(model, one) for one in stays))
    cohort = cohort_of(predictions, model.threshold)
    timed(f"figures {name}", len(stays), lambda: summarise(cohort))


def main() -> None:
    """Print the table."""
    archive = Path(os.environ.get("PRODROME_DATA", "")) / "icu" / "cinc2019" / "training_setA.zip"
    if not archive.is_file():
        print(f"no real records at {archive}; set PRODROME_DATA")
        return
    stays: list[IngestedStay] = []
    print(
        "| step               |  stays/s  | ms per stay |\n|--------------------|-----------|-------------|"
    )
    timed("read", STAYS, lambda: stays.extend(islice(open_source(archive).stays(), STAYS)))
    for name in sys.argv[1:] or registry.names():
        bench_model(name, stays)


if __name__ == "__main__":
    main()
