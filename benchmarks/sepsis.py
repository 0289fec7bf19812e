"""How well each model sees sepsis coming: CinC 2019, subjects kept aside, intervals over subjects, one table.

    python benchmarks/sepsis.py [SETTING MODEL ...] [--out FOLDER] [--draws N] [--json]

scores each MODEL (a rule, `lightgbm`, `NAME=FOLDER` with a trained model, or `NAME=shipped`) in one SETTING

    both     trained on A and B, held-out subjects of both
    a        trained on A, held-out subjects of A
    a-to-b   trained on A, every subject of B

and prints the figures of everything scored so far. A model's predictions are kept as SETTING/NAME.parquet
under FOLDER (artifacts/sepsis), so that the tables and the plot (auprc.png) can be made again without
scoring; `lightgbm` is fitted first. Records from PRODROME_DATA; without them, or without predictions, it says
so and stops.

The cost is processor time a stay on one core, of scoring alone: reading is left out.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import process_time

import numpy as np
import numpy.typing as npt

from benchmarks.evidence.figures import Figures, figures, read_predictions
from benchmarks.evidence.table import plot, tables
from benchmarks.gradient_boosting import fit
from benchmarks.peers.hourly_features import chart_of
from models import registry
from models.clinical.score import ScoreStatus
from pipelines.ingest.cinc2019 import open_source
from pipelines.ingest.source import IngestedStay
from pipelines.metrics.bootstrap import Bootstrap
from pipelines.prediction_files import PredictionTable, replacing
from pipelines.predictions import StayPrediction, predict
from pipelines.split import held_out, split_of

RULES = ("news2", "qsofa", "sirs")  # their scores are points, which claim no probability
ORDER = ("mgp-tcn", "mgp-tcn smoothed", "mgp-rnn", "raw-tcn", "lightgbm", *RULES)


@dataclass(frozen=True)
class Setting:
    """What is learnt from (training and validation subjects of `train`) and what is scored."""

    title: str
    train: tuple[str, ...]
    scored: tuple[str, ...]
    everyone: bool = False

    def holds(self, subject_id: str) -> bool:
        """Whether a subject of `scored` is scored."""
        return self.everyone or held_out(subject_id)


SETTINGS = {
    "both": Setting("A and B, held out", ("A", "B"), ("A", "B")),
    "a": Setting("A, held out", ("A",), ("A",)),
    "a-to-b": Setting("A to B", ("A",), ("B",), everyone=True),
}


@dataclass(frozen=True)
class Scored:
    """What is kept beside the predictions of one model in one setting."""

    name: str
    version: str
    threshold: float
    milliseconds: float  # of processor time a stay


def stays(data: Path, sets: Sequence[str], holds: Callable[[str], bool]) -> Iterator[IngestedStay]:
    """The labelled stays of `sets` whose subject `holds`."""
    for name in sets:
        for ingested in open_source(data / f"training_set{name}.zip").stays():
            if ingested.label is not None and holds(ingested.stay.subject_id):
                yield ingested


def score(data: Path, out: Path, slug: str, asked: str) -> None:
    """Score one model in one setting and keep its predictions."""
    setting, (name, _, place) = SETTINGS[slug], asked.partition("=")
    (out / slug).mkdir(parents=True, exist_ok=True)
    held = stays(data, setting.scored, setting.holds)
    if name == "lightgbm":
        scored = _score_lightgbm(data, out / slug, setting, list(held))
    else:
        scored = _score_model(out / slug, name, "default" if place == "shipped" else place or name, held)
    with replacing(out / slug / f"{name}.json") as unfinished:
        unfinished.write_text(json.dumps(vars(scored), indent=1) + "\n", encoding="utf-8")


def _score_model(out: Path, name: str, place: str, held: Iterator[IngestedStay]) -> Scored:
    model, count, spent = registry.load(place), 0, 0.0
    with PredictionTable.writing(out / f"{name}.parquet", model.threshold) as table:
        for count, ingested in enumerate(held, start=1):  # noqa: B007  how many there were
            start = process_time()
            prediction = predict(model, ingested)
            spent += process_time() - start
            table.add(prediction)
    return Scored(name, model.version, model.threshold, 1000 * spent / count)


def _score_lightgbm(data: Path, out: Path, setting: Setting, held: list[IngestedStay]) -> Scored:
    learn = [chart_of(one) for one in stays(data, setting.train, lambda subject: not held_out(subject))]
    boosted = fit(
        [one for one in learn if split_of(one.subject_id) == "train"],
        [one for one in learn if split_of(one.subject_id) == "validation"],
    )
    boosted.trees.save_model(str(out / "lightgbm.txt"))
    start = process_time()
    hourly = boosted.score([chart_of(one) for one in held])
    spent = process_time() - start
    with PredictionTable.writing(out / "lightgbm.parquet", boosted.threshold) as table:
        ends = np.cumsum([len(one.hour) for one in held if one.hour is not None])
        for ingested, own in zip(held, np.split(hourly, ends[:-1]), strict=True):
            table.add(_prediction(ingested, own))
    trees = f"{boosted.trees.best_iteration} trees"
    return Scored("lightgbm", trees, boosted.threshold, 1000 * spent / len(held))


def _prediction(ingested: IngestedStay, value: npt.NDArray[np.float64]) -> StayPrediction:
    """A score in every row: trees take what is missing as it is."""
    labelled, stay = ingested.labelled, ingested.stay
    assert labelled is not None  # `stays` gives no other
    no_spread = np.full(len(value), np.nan)
    return StayPrediction(
        stay_id=stay.stay_id,
        subject_id=stay.subject_id,
        admitted_at=stay.admitted_at,
        hour=labelled.hour,
        value=value,
        low=no_spread,
        high=no_spread,
        status=(ScoreStatus.PRESENT,) * len(value),
        reason=("",) * len(value),
        label=labelled.label,
    )


def rows_of(folder: Path, bootstrap: Bootstrap) -> dict[str, tuple[Scored, Figures]]:
    """Everything scored in one setting, the models first and the rules last."""
    names = [path.stem for path in folder.glob("*.parquet")]
    names.sort(key=lambda name: (ORDER.index(name) if name in ORDER else -1, name))
    return {
        name: (
            Scored(**json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))),
            figures(read_predictions(folder / f"{name}.parquet"), bootstrap, probabilities=name not in RULES),
        )
        for name in names
    }


def show(out: Path, bootstrap: Bootstrap, as_json: bool) -> None:
    """Print the figures of everything scored so far, and draw the plot."""
    found = {slug: rows_of(out / slug, bootstrap) for slug in SETTINGS}
    found = {slug: rows for slug, rows in found.items() if rows}
    if not found:
        print(f"nothing is scored in {out} yet: name a setting and models")
        return
    plot(
        {
            SETTINGS[slug].title: {name: one for name, (_, one) in rows.items()}
            for slug, rows in found.items()
        },
        out / "auprc.png",
    )
    if as_json:
        print(
            json.dumps(
                {
                    slug: {name: vars(scored) | one.as_json() for name, (scored, one) in rows.items()}
                    for slug, rows in found.items()
                }
            )
        )
        return
    for slug, rows in found.items():
        cost = {name: scored.milliseconds for name, (scored, _) in rows.items()}
        print(
            f"## {SETTINGS[slug].title}\n\n{tables({name: one for name, (_, one) in rows.items()}, cost)}\n"
        )


def main() -> None:
    """Score what is asked for, then print every figure there is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("setting", nargs="?", choices=SETTINGS)
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--out", type=Path, default=Path("artifacts/sepsis"))
    parser.add_argument("--draws", type=int, default=Bootstrap().draws, help="of the bootstrap")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    data = Path(os.environ.get("PRODROME_DATA", "")) / "icu" / "cinc2019"
    if asked.models and not data.is_dir():
        print(f"no real records at {data}; set PRODROME_DATA")
        return
    for model in asked.models:
        score(data, asked.out, asked.setting, model)
    show(asked.out, Bootstrap(draws=asked.draws), asked.json)


if __name__ == "__main__":
    main()
