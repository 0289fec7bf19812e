"""How well each model sees sepsis coming: CinC 2019, subjects kept aside, intervals over subjects, one table.

    python benchmarks/sepsis.py [SETTING MODEL ...] [--out FOLDER] [--cache FOLDER] [--draws N] [--json]
                                [--page FILE]

scores each MODEL (a rule, `NAME=FOLDER` with a trained model, `NAME=shipped`; or `lightgbm`, which is fitted
first, or `lightgbm=FOLDER`, fitted before) in one SETTING

    both     trained on A and B, held-out subjects of both
    a        trained on A, held-out subjects of A
    a-to-b   trained on A, every subject of B
    b-to-a   trained on B, every subject of A
    few      trained on A and B, the first 500 held-out stays of each: for models that take their time

and prints the figures of everything scored so far. A model's predictions are kept as SETTING/NAME.parquet
under FOLDER (artifacts/sepsis), so that the tables and the plot (auprc.png) can be made again without
scoring; `--page` writes the tables to a Markdown file (docs/benchmark.md). Records from PRODROME_DATA;
without them, or without predictions, it says so and stops.

The cost is processor time a stay on one core, of scoring alone: reading is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import process_time

import numpy as np
import numpy.typing as npt

from benchmarks.evidence.figures import Figures, figures, read_predictions
from benchmarks.evidence.table import plot, summary, tables
from benchmarks.gradient_boosting import Boosted, fit
from benchmarks.peers.hourly_features import chart_of
from models import registry
from models.clinical.score import ScoreStatus
from models.clinical.stay import LabelledStay
from pipelines.ingest.cinc2019 import open_source
from pipelines.ingest.source import IngestedStay
from pipelines.metrics.bootstrap import Bootstrap
from pipelines.prediction_files import PredictionTable, replacing
from pipelines.predictions import StayPrediction, predict
from pipelines.split import held_out, split_of

RULES = registry.RULES
ORDER = (
    "ensemble",
    "mgp-tcn",
    "mgp-tcn smoothed",
    "mgp-rnn",
    "raw-tcn",
    "mvpa-grid",
    "hourly-trees",
    "dtw",
    "dtw-index",
    "lightgbm",
    "gru",
    *RULES,
)

PAGE = """# Models on CinC 2019

Made by `python benchmarks/sepsis.py --page docs/benchmark.md` from the predictions that the script kept; what
the figures mean, and what training cost, is in [evaluation.md](evaluation.md) and on the models' cards. 95 %
bootstrap intervals over subjects. The cost is processor time of scoring on a core that other work shared.

`A and B, held out` learns from both sets; `A to B` and `B to A` learn from one and are scored on every
subject of the other. `dtw` is what ships, `dtw-index` the index that `prodrome train dtw` builds. Peers:
`lightgbm` on hand-made features, `gru` a recurrent network on last values and what was measured when
(`experiments/gru_carried.toml`), and the rules. `mvpa-grid` is the attention on the hourly grid
([mvpa.md](mvpa.md)). A setting has the models that were scored in it.
"""


@dataclass(frozen=True)
class Setting:
    """What is learnt from (training and validation subjects of `train`) and what is scored."""

    title: str
    train: tuple[str, ...]
    scored: tuple[str, ...]
    everyone: bool = False
    most: int | None = None  # stays of each set, the first of those that are scored

    def holds(self, subject_id: str) -> bool:
        """Whether a subject of `scored` is scored."""
        return self.everyone or held_out(subject_id)

    def stays(self, records: Records) -> Iterator[LabelledStay]:
        """The stays that are scored."""
        for name in self.scored:
            yield from islice(records.stays([name], self.holds), self.most)


SETTINGS = {
    "both": Setting("A and B, held out", ("A", "B"), ("A", "B")),
    "a": Setting("A, held out", ("A",), ("A",)),
    "a-to-b": Setting("A to B", ("A",), ("B",), everyone=True),
    "b-to-a": Setting("B to A", ("B",), ("A",), everyone=True),
    "few": Setting("A and B, 1,000 held-out stays", ("A", "B"), ("A", "B"), most=500),
}


@dataclass(frozen=True)
class Scored:
    """What is kept beside the predictions of one model in one setting."""

    name: str
    version: str
    threshold: float
    milliseconds: float  # of processor time a stay


@dataclass(frozen=True)
class Records:
    """CinC 2019 archives in `data`; with a `cache`, what was read from them once is kept there."""

    data: Path
    cache: Path | None = None

    def stays(self, sets: Sequence[str], holds: Callable[[str], bool]) -> Iterator[LabelledStay]:
        """The labelled stays of `sets` whose subject `holds`."""
        for name in sets:
            for one in self._cached(name) if self.cache else self._read(name):
                if holds(one.stay.subject_id):
                    yield one

    def _read(self, name: str) -> Iterator[LabelledStay]:
        source = open_source(self.data / f"training_set{name}.zip")
        yield from (one.labelled for one in source.stays() if one.labelled is not None)

    def _cached(self, name: str) -> list[LabelledStay]:
        assert self.cache is not None  # asked before
        kept = self.cache / f"training_set{name}.pickle"  # of this program alone, so it can be trusted
        if not kept.is_file():
            self.cache.mkdir(parents=True, exist_ok=True)
            with replacing(kept) as unfinished:
                unfinished.write_bytes(pickle.dumps(list(self._read(name))))
        stays: list[LabelledStay] = pickle.loads(kept.read_bytes())
        return stays


def score(records: Records, out: Path, slug: str, asked: Sequence[str]) -> None:
    """Score models in one setting and keep their predictions; all but LightGBM share one reading."""
    setting, folder = SETTINGS[slug], out / slug
    folder.mkdir(parents=True, exist_ok=True)
    places = {name: place for name, _, place in (one.partition("=") for one in asked)}
    if "lightgbm" in places:
        place = places.pop("lightgbm")
        boosted = Boosted.load(Path(place)) if place else _boosted(records, setting)
        boosted.save(folder)
        _score_boosted(boosted, folder, list(setting.stays(records)))
    if places:
        _score_models(places, folder, setting.stays(records))


def _score_models(places: Mapping[str, str], out: Path, held: Iterator[LabelledStay]) -> None:
    """One table a model; `places` says where each is, nowhere for a rule."""
    loaded = {
        name: registry.load(name if place == "shipped" else place or name) for name, place in places.items()
    }
    spent, count = dict.fromkeys(loaded, 0.0), 0
    with ExitStack() as stack:
        tables_of = {
            name: stack.enter_context(PredictionTable.writing(out / f"{name}.parquet", model.threshold))
            for name, model in loaded.items()
        }
        for one in held:
            count += 1
            ingested = IngestedStay(one.stay, len(one.stay.observations), hour=one.hour, label=one.label)
            for name, model in loaded.items():
                start = process_time()
                prediction = predict(model, ingested)
                spent[name] += process_time() - start
                tables_of[name].add(prediction)
    for name, model in loaded.items():
        _keep(out, Scored(name, model.version, model.threshold, 1000 * spent[name] / count))


def _boosted(records: Records, setting: Setting) -> Boosted:
    stays = list(records.stays(setting.train, lambda subject: not held_out(subject)))
    start = process_time()
    learn = [chart_of(one) for one in stays]
    boosted = fit(
        [one for one in learn if split_of(one.subject_id) == "train"],
        [one for one in learn if split_of(one.subject_id) == "validation"],
    )
    print(f"lightgbm learnt in {process_time() - start:.0f} s of processor time", file=sys.stderr)
    return boosted


def _score_boosted(boosted: Boosted, out: Path, held: list[LabelledStay]) -> None:
    start = process_time()
    hourly = boosted.score([chart_of(one) for one in held])
    spent = process_time() - start
    ends = np.cumsum([len(one.hour) for one in held])
    with PredictionTable.writing(out / "lightgbm.parquet", boosted.threshold) as table:
        for one, own in zip(held, np.split(hourly, ends[:-1]), strict=True):
            table.add(_prediction(one, own))
    _keep(out, Scored("lightgbm", boosted.version, boosted.threshold, 1000 * spent / len(held)))


def _keep(out: Path, scored: Scored) -> None:
    with replacing(out / f"{scored.name}.json") as unfinished:
        unfinished.write_text(json.dumps(vars(scored), indent=1) + "\n", encoding="utf-8")


def _prediction(labelled: LabelledStay, value: npt.NDArray[np.float64]) -> StayPrediction:
    """A score in every row: trees take what is missing as it is."""
    stay = labelled.stay
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
        prior=0.0,  # there is no hour without a score
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


def show(out: Path, bootstrap: Bootstrap, as_json: bool, page: Path | None = None) -> None:
    """Print the figures of everything scored so far, or write them to `page`, and draw the plot."""
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
    short = summary(
        {SETTINGS[slug].title: {name: one for name, (_, one) in rows.items()} for slug, rows in found.items()}
    )
    sections = "\n".join(_section(SETTINGS[slug].title, rows) for slug, rows in found.items())
    told = f"## In short\n\nHourly AUROC · AUPRC · utility · AUPRC 7 h before onset\n\n{short}\n\n{sections}"
    if page is None:
        print(told)
    else:
        page.write_text(f"{PAGE}\n{told}", encoding="utf-8")


def _section(title: str, rows: Mapping[str, tuple[Scored, Figures]]) -> str:
    cost = {name: scored.milliseconds for name, (scored, _) in rows.items()}
    versions = ", ".join(f"`{name}` {scored.version}" for name, (scored, _) in rows.items())
    made = tables({name: one for name, (_, one) in rows.items()}, cost)
    return f"## {title}\n\n{made}\n\nVersions: {versions}.\n"


def main() -> None:
    """Score what is asked for, then print every figure there is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("setting", nargs="?", choices=SETTINGS)
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--out", type=Path, default=Path("artifacts/sepsis"))
    parser.add_argument(
        "--cache", type=Path, help="keeps the stays that were read, which saves minutes a run"
    )
    parser.add_argument("--draws", type=int, default=Bootstrap().draws, help="of the bootstrap")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--page", type=Path, help="the Markdown file to write the tables to")
    asked = parser.parse_args()
    data = Path(os.environ.get("PRODROME_DATA", "")) / "icu" / "cinc2019"
    if asked.models and not data.is_dir():
        print(f"no real records at {data}; set PRODROME_DATA")
        return
    if asked.models:
        score(Records(data, asked.cache), asked.out, asked.setting, asked.models)
    show(asked.out, Bootstrap(draws=asked.draws), asked.json, asked.page)


if __name__ == "__main__":
    main()
