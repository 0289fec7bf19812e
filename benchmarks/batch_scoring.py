"""What does a stay cost in a batch, stage by stage, and how many a second do two processes score?

    python benchmarks/batch_scoring.py [--model MODEL] [--stays N]

Real records from PRODROME_DATA, the first N of the held-out stays of CinC 2019 sets A and B, written to a
folder of .psv files; says so and stops where there are none. Stages are processor time on one core. The plain
way asks the network's own modules, block after block of hours; its scores must be the others to 1e-6, or the
script fails.
"""

from __future__ import annotations

import argparse
import os
import pickle
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from time import perf_counter, process_time
from typing import TypeVar
from zipfile import ZipFile

import numpy as np
import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models import registry
from models.base import EarlyWarningModel
from models.channels import channels
from models.ensemble import Ensemble
from models.feed import Course, course_of
from models.mgp.encoding import EncodedStay, encode
from models.mgp.hourly import HourlyPath
from models.mgp.statespace import state_space
from models.mgp_tcn import DRAW_SEED, MGPTCN
from models.reading import BlockReader
from pipelines.ingest.cinc2019 import open_source
from pipelines.ingest.source import IngestedStay
from pipelines.prediction_files import TABLE_NAME, PredictionTable, score_challenge, write_psv
from pipelines.predictions import StayPrediction, predict
from pipelines.split import held_out

TOLERANCE = 1e-6  # score units
Answer = TypeVar("Answer")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="default")
    parser.add_argument("--stays", type=int, default=1000)
    asked = parser.parse_args()
    data = Path(os.environ.get("PRODROME_DATA", "")) / "icu" / "cinc2019"
    if not data.is_dir():
        print(f"no real records at {data}; set PRODROME_DATA")
        return
    with tempfile.TemporaryDirectory() as folder:
        records, out = Path(folder) / "records", Path(folder) / "scored"
        count = write_held_out(data, records, asked.stays)
        with threadpool_limits(1):
            stages(asked.model, records, min(count, 300))
        begun = perf_counter()
        score_challenge(open_source(records), asked.model, out, workers=2)
        wall, used = perf_counter() - begun, sum(getrusage(RUSAGE_CHILDREN)[:2])
        print(f"\ntwo processes: {count} stays in {wall:.1f} s, {count / wall:.0f} a second, start included")
        print(f"processor time of the two: {used:.1f} s, start included")


def write_held_out(data: Path, folder: Path, most: int) -> int:
    """Write the first held-out records of both sets to `folder`, half of `most` each; how many there are."""
    folder.mkdir()
    for name in "AB":
        with ZipFile(data / f"training_set{name}.zip") as archive:
            held = (one for one in archive.namelist() if one.endswith(".psv") and held_out(Path(one).stem))
            for one in islice(held, most // 2):
                (folder / Path(one).name).write_bytes(archive.read(one))
    return len(list(folder.iterdir()))


def stages(name: str, records: Path, count: int) -> None:
    """Print what each stage of `count` stays costs, and what the plain way does."""
    model = registry.load(name)
    stays = list(islice(open_source(records).stays(), count))
    predict(model, stays[0])  # first use pays for imports and caches
    print(f"| {count} stays | ms a stay |\n|---|---|")
    timed("read", count, lambda: list(islice(open_source(records).stays(), count)))
    timed("hand to another process", count, lambda: handed_over(stays))
    leader = model.leader if isinstance(model, Ensemble) else model
    if isinstance(leader, MGPTCN) and leader.config.feed == "filtered":
        of_network(leader, stays)
    for member in model.members if isinstance(model, Ensemble) else ():
        timed(f"score, {member.name} alone", count, lambda one=member: score_all(one, stays))  # type: ignore[misc]
    batch = timed(f"score, {model.name}", count, lambda: score_all(model, stays))
    timed("write", count, lambda: write_all(batch, model.threshold, records.with_name("written")))
    if isinstance(leader, MGPTCN):
        with plain(leader):
            alone, spent = measured(lambda: score_all(model, stays))
        difference = furthest(batch, alone)
        print(f"| score, {model.name}, the plain way | {1000 * spent / count:.2f} |")
        print(f"\nlargest difference between both ways: {difference:.1e}")
        if difference > TOLERANCE:
            raise SystemExit(f"scores differ by {difference}; expected at most {TOLERANCE}")


def of_network(model: MGPTCN, stays: Sequence[IngestedStay]) -> None:
    """Print what the parts of an MGP-TCN cost: encoding, channels, the process and its draws, the network."""
    count, scale = len(stays), model.standardisation
    encoded = timed("encode", count, lambda: [encode(one.stay, scale, len(one.stay.grid())) for one in stays])
    pairs = list(zip(stays, encoded, strict=True))
    beside = timed("channels", count, lambda: [channels(one.stay, rows, scale.learnt) for one, rows in pairs])
    draws = model.config.draws
    kept = HourlyPath(state_space(model.kernel), draws, DRAW_SEED)
    for what, path in (("drawn anew", None), ("kept", kept)):

        def course(one: EncodedStay, path: HourlyPath | None = path) -> Course:
            return course_of("filtered", model.kernel, one, draws=draws, seed=DRAW_SEED, path=path)

        courses = timed(
            f"process, {draws} draws, prior {what}", count, lambda: [course(one) for one in encoded]
        )
    with torch.inference_mode():
        inputs = [
            one.hour_inputs(model.network, torch.from_numpy(rows))
            for one, rows in zip(courses, beside, strict=True)
        ]
        timed(
            "network",
            count,
            lambda: [model.reader.read(one, model.reader.start(1 + draws)) for one in inputs],
        )


@contextmanager
def plain(model: MGPTCN) -> Iterator[None]:
    """Score by the network's own modules."""
    reader = model.reader
    model.reader = BlockReader(model.network)
    try:
        yield
    finally:
        model.reader = reader


def score_all(model: EarlyWarningModel, stays: Sequence[IngestedStay]) -> list[StayPrediction]:
    """One prediction a stay."""
    return [predict(model, one) for one in stays]


def handed_over(stays: Sequence[IngestedStay]) -> list[IngestedStay]:
    """The stays as another process gets them."""
    chunks = [stays[first : first + 16] for first in range(0, len(stays), 16)]
    return [one for chunk in chunks for one in pickle.loads(pickle.dumps(chunk, pickle.HIGHEST_PROTOCOL))]


def write_all(predictions: Sequence[StayPrediction], threshold: float, folder: Path) -> None:
    """Every file of the challenge and the table."""
    folder.mkdir(exist_ok=True)
    with PredictionTable.writing(folder / TABLE_NAME, threshold) as table:
        for one in predictions:
            write_psv(one, threshold, folder)
            table.add(one)


def furthest(ours: Sequence[StayPrediction], theirs: Sequence[StayPrediction]) -> float:
    """The largest difference of values and spreads; infinite where one has a score and the other none."""
    most = 0.0
    for one, other in zip(ours, theirs, strict=True):
        for side in ("value", "low", "high"):
            first, second = getattr(one, side), getattr(other, side)
            if not np.array_equal(np.isnan(first), np.isnan(second)):
                return float("inf")
            most = max(most, float(np.nanmax(np.abs(first - second), initial=0.0)))
    return most


def measured(work: Callable[[], Answer]) -> tuple[Answer, float]:
    """What `work` gives, and the processor time it took, seconds."""
    start = process_time()
    answer = work()
    return answer, process_time() - start


def timed(what: str, count: int, work: Callable[[], Answer]) -> Answer:
    """`work`, its cost printed."""
    answer, spent = measured(work)
    print(f"| {what} | {1000 * spent / count:.2f} |")
    return answer


if __name__ == "__main__":
    main()
