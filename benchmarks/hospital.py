"""What does it take to re-score a hospital of 500 beds, and to score one more hour of all of them?

    python benchmarks/hospital.py [--json] [--model NAME_OR_FOLDER]

500 simulated stays of 39 hours, the median length in CinC 2019 set A, charted as its records are: one value
of a variable an hour at most, at the full hour, thinned to the median number of values of such a stay. Only
the model is timed, processor time of one process on one core: no reading of stays, no storage, no HTTP.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from time import process_time

import numpy as np
import pandas as pd
import torch

from benchmarks.evidence.printed import parser_of, show, verdict
from models.base import EarlyWarningModel
from models.clinical.stay import GRID_STEP, Stay, empty_observations, observation_table
from models.mgp_tcn import MGPTCN
from models.registry import load
from models.ward import Ward
from pipelines.simulate.checked import checked
from pipelines.simulate.stays import EPOCH, Seed, Wish, simulate_stay

BEDS, HOURS = 500, 39
VALUES = 250  # median of the values in a stay of set A
SIMULATED_VALUES = 335  # median of a simulated stay, one value of a variable an hour
HOUR = pd.Timedelta(hours=1)


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    bar: str
    seconds: float
    met: bool

    def cells(self) -> list[str]:
        """What is printed of it."""
        return [self.what, self.bar, f"{self.seconds:.2f}", verdict(self.met)]


def hourly(stay: Stay, random: np.random.Generator) -> Stay:
    """The stay as a CinC record would hold it: the last value of each variable in an hour, at its end."""
    table = stay.observations
    table = table.assign(time=table["time"].dt.ceil(HOUR)).drop_duplicates(["time", "variable"], keep="last")
    table = table[random.random(len(table)) < VALUES / SIMULATED_VALUES]
    charted = observation_table(table["time"], table["time"], table["variable"], table["value"])
    return replace(stay, observations=charted)


def hospital(beds: int, hours: int) -> list[Stay]:
    """Simulated stays of `hours`, charted hourly."""
    random = np.random.default_rng(0)
    raw = (
        simulate_stay(f"bed-{bed:03d}", Seed(0, (0, bed)), EPOCH, Wish(length_hours=hours))
        for bed in range(beds)
    )
    return [hourly(checked(one).stay, random) for one in raw]


def rescored(model: EarlyWarningModel, stays: list[Stay]) -> float:
    """Seconds to score every hour of every stay."""
    start = process_time()
    for stay in stays:
        model.score(stay)
    return process_time() - start


def one_more_hour(model: MGPTCN, stays: list[Stay]) -> float:
    """Seconds to score the last hour of every stay, all of them in a ward since their first.

    What is timed begins with one table of what became known in that hour.
    """
    ward, end = Ward(model), EPOCH + HOURS * GRID_STEP
    for stay in stays:
        ward.admit(stay.until(end - GRID_STEP))
    nothing = empty_observations().assign(stay_id=pd.Series(dtype="str"))
    ward.advance(nothing, end - GRID_STEP)
    new = [
        stay.observations[stay.observations["known_at"] > end - GRID_STEP].assign(stay_id=stay.stay_id)
        for stay in stays
    ]
    told = pd.concat(new, ignore_index=True)
    start = process_time()
    scores = ward.advance(told, end)
    spent = process_time() - start
    assert sum(map(len, scores.values())) == len(stays)
    return spent


def rows(name: str) -> Iterator[Row]:
    """The table."""
    model, stays = load(name), hospital(BEDS, HOURS)
    values = np.median([len(stay.observations) for stay in stays])
    described = f"{name}: {BEDS} stays of {HOURS} h, median {values:.0f} values"
    model.score(stays[0])  # compiles, and fills caches
    spent = rescored(model, stays)
    yield Row(f"{described}, every hour", "seconds", spent, spent < 10.0)  # noqa: PLR2004
    if isinstance(model, MGPTCN):
        spent = one_more_hour(model, stays)
        yield Row(f"{described}, one more hour", "< 1 s", spent, spent < 1.0)


def main(arguments: list[str]) -> None:
    """Print the table, or JSON."""
    parser = parser_of(__doc__)
    parser.add_argument("--model", default="mgp-tcn")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    show(rows(chosen.model), ("what", "bar", "seconds", "met"), as_json=chosen.json)


if __name__ == "__main__":
    main(sys.argv[1:])
