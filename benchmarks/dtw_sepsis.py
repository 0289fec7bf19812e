"""What the DTW ensemble is worth on CinC 2019, and what each part of it adds.

    python benchmarks/dtw_sepsis.py FOLDER [--cache FOLDER] [--sets A B] [--stays N] [--hours N] [--peer N]

takes held-out subjects, every positive hour and about `--hours` others of the first `--stays` stays, each of
those weighed up to all it stands for, and prints hourly AUROC and AUPRC of the model in FOLDER, of its best
single variable and of its votes unweighted; of the same votes over fewer references, of whom as many fewer
are neighbours; and, on `--peer` hours,
of tslearn's KNeighborsTimeSeriesClassifier on the same excerpts, with the processor time a score of each.

Records from PRODROME_DATA, or what `benchmarks/sepsis.py --cache` has kept; without them it says so and
stops.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from time import process_time

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, roc_auc_score  # type: ignore[import-untyped]

from benchmarks.sepsis import Records
from models.clinical.stay import LabelledStay
from models.dtw.index import Index, coded
from models.dtw.series import references
from models.dtw_knn import DTWKNN
from models.dtw_learning import draw
from models.dtw_recruiting import Recipe, labelled_course
from models.dtw_votes import MEASURED, Votes
from models.mgp.standardise import VARIABLES
from pipelines.split import held_out

Floats = npt.NDArray[np.float64]

SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2)  # of the references


@dataclass(frozen=True)
class Row:
    """One line of the table; `milliseconds` of processor time a score, NaN where it was not timed."""

    name: str
    auroc: float
    auprc: float
    milliseconds: float = float("nan")

    def __str__(self) -> str:
        cost = "" if np.isnan(self.milliseconds) else f"{self.milliseconds:.2f}"
        return f"| {self.name} | {self.auroc:.3f} | {self.auprc:.3f} | {cost} |"


def row(
    name: str, score: Floats, label: npt.NDArray[np.int8], weight: Floats, cost: float = float("nan")
) -> Row:
    """Figures of scores (n,) of weighed hours."""
    auroc, auprc = (
        figure(label, score, sample_weight=weight) for figure in (roc_auc_score, average_precision_score)
    )
    return Row(name, float(auroc), float(auprc), cost)


def ours(model: DTWKNN, stays: list[LabelledStay], hours: int) -> Iterator[Row]:
    """The model, its parts, and the same over fewer references."""
    recipe = Recipe(tuning_hours=hours)
    for share in (*SHARES, 1.0):
        votes = model.votes if share == 1.0 else fewer(model, share)
        start = process_time()
        drawn = draw(model.config, votes, model.learnt.standardisation, stays, recipe)
        cost = 1000 * (process_time() - start) / len(drawn.label)
        told = drawn.label, drawn.weight
        name = f"{votes.ensemble.index.references.count} references"
        yield row(name, drawn.evidence @ model.learnt.worth, *told, cost)
    yield row("every vote alike", drawn.evidence.mean(axis=1), *told)
    for what, names in (("values of one variable", VARIABLES), ("when one was measured", MEASURED)):
        groups = model.config.groups()
        single = [row(name, drawn.evidence[:, groups.index((name,))], *told) for name in names]
        best = max(single, key=lambda one: one.auprc)
        yield replace(best, name=f"best by {what}: {best.name}")


def fewer(model: DTWKNN, share: float) -> Votes:
    """The votes over a random share of the references, of cases as of controls."""
    index, random = model.learnt.index, np.random.default_rng(1)
    alike = [random.permutation(np.flatnonzero(index.outcome == kind)) for kind in (0, 1)]
    chosen = np.sort(np.concatenate([one[: max(1, int(share * len(one)))] for one in alike]))
    many = [coded(index.references.one(int(number))) for number in chosen]
    part = Index(references(many), index.outcome[chosen], index.onset_hours[chosen], index.stays[chosen])
    samples = min(model.config.voting.samples, int((part.outcome == 0).sum()))
    neighbours = max(5, int(share * model.config.voting.neighbours))
    voting = replace(model.config.voting, samples=samples, neighbours=neighbours)
    return Votes(model.config.groups(), part, model.learnt.metric, voting)


def peer(model: DTWKNN, stays: list[LabelledStay], count: int) -> Row:
    """tslearn's classifier over the same references, unknown values at their median, on at most `count`
    hours.
    """
    from tslearn.neighbors import (  # type: ignore[import-untyped]  # noqa: PLC0415  slow to import
        KNeighborsTimeSeriesClassifier,
    )

    index, config = model.learnt.index, model.config
    many = np.array(
        [index.references.one(number).values[: len(VARIABLES)].T for number in range(len(index.outcome))]
    )
    classifier = KNeighborsTimeSeriesClassifier(
        config.voting.neighbours,
        metric="dtw",
        metric_params={"global_constraint": "sakoe_chiba", "sakoe_chiba_radius": config.voting.radius_hours},
    ).fit(many, index.outcome)
    queries, label, weight = hours_of(model, stays, count)
    start = process_time()
    score = classifier.predict_proba(queries)[:, 1]
    return row(
        f"tslearn, {len(label)} hours", score, label, weight, 1000 * (process_time() - start) / len(label)
    )


def hours_of(
    model: DTWKNN, stays: list[LabelledStay], count: int
) -> tuple[Floats, npt.NDArray[np.int8], Floats]:
    """As many positive hours as others, excerpts (n, H, V), their labels, and weights as they occur."""
    random, places = (
        np.random.default_rng(2),
        [(n, i) for n, one in enumerate(stays) for i in range(len(one.hour))],
    )
    label = np.array([stays[n].label[i] for n, i in places])
    chosen = np.concatenate(
        [random.permutation(np.flatnonzero(label == kind))[: count // 2] for kind in (0, 1)]
    )
    excerpts = [
        labelled_course(stays[n], model.learnt.standardisation).excerpt(
            int(stays[n].hour[i]), model.config.hours, model.config.fading_hours
        )
        for n, i in (places[place] for place in chosen)
    ]
    found = label[chosen]
    share = np.array([(found == kind).sum() / (label == kind).sum() for kind in (0, 1)])
    return np.array([one.values[: len(VARIABLES)].T for one in excerpts]), found, 1.0 / share[found]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, metavar="FOLDER")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--sets", nargs="+", default=["A", "B"], choices=["A", "B"])
    parser.add_argument("--stays", type=int, default=1500)
    parser.add_argument("--hours", type=int, default=4000)
    parser.add_argument("--peer", type=int, default=0)
    asked = parser.parse_args()
    data = Path(os.environ.get("PRODROME_DATA", "")) / "icu" / "cinc2019"
    if asked.cache is None and not data.is_dir():
        print(f"no real records at {data}; set PRODROME_DATA")
        return
    model = DTWKNN.load(asked.model)
    records, each = Records(data, asked.cache), asked.stays // len(asked.sets)
    stays = [one for name in asked.sets for one in islice(records.stays([name], held_out), each)]
    print(f"{model.version}: {len(stays)} held-out stays of {' and '.join(asked.sets)}\n")
    print("| | AUROC | AUPRC | ms a score |\n|---|---|---|---|")
    for one in ours(model, stays, asked.hours):
        print(one, flush=True)
    if asked.peer:
        print(peer(model, stays, asked.peer))


if __name__ == "__main__":
    main()
