"""Evaluation: the figures are those of the files, of the subjects asked for, with intervals over subjects."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from models.clinical.errors import InvalidInput, UnreadableSource
from pipelines.evaluate import Cut, evaluate
from pipelines.ingest.cinc2019 import COLUMNS, open_source
from pipelines.metrics.bootstrap import Bootstrap, Interval, intervals
from pipelines.metrics.challenge_files import evaluate_folders
from pipelines.metrics.cinc2019 import Cohort, summarise
from pipelines.prediction_files import score_challenge

HEADER = [*COLUMNS, "Age", "Gender", "Unit1", "Unit2", "HospAdmTime", "ICULOS", "SepsisLabel"]
QUICK = Bootstrap(draws=50)
EVEN = Cut("even stays", lambda stay: int(stay.subject_id[1:]) % 2 == 0)


def psv(rows: int, septic: bool, seed: int) -> str:
    """Breathing and pressure at random, worse in a septic stay, which is labelled from its sixth row."""
    rng = np.random.default_rng(seed)
    lines = ["|".join(HEADER)]
    for row in range(rows):
        label = int(septic and row >= 5)
        cells = dict.fromkeys(HEADER, "NaN") | {"ICULOS": str(row + 1), "SepsisLabel": str(label)}
        cells["Resp"] = str(rng.integers(10, 26) + 4 * septic)
        cells["SBP"] = str(rng.integers(85, 140) - 10 * septic)
        lines.append("|".join(cells.values()))
    return "\n".join(lines) + "\n"


@pytest.fixture
def records(tmp_path: Path) -> Path:
    folder = tmp_path / "records"
    folder.mkdir()
    for number in range(24):
        (folder / f"p{number:06}.psv").write_text(psv(8 + number % 7, number % 4 < 2, number))
    return folder


def test_the_figures_are_those_of_the_written_files(records: Path, tmp_path: Path) -> None:
    evaluation = evaluate(open_source(records), ["qsofa"], tmp_path / "evaluated", bootstrap=QUICK)
    score_challenge(open_source(records), "qsofa", tmp_path / "scored")
    assert evaluation.models[0].metrics == evaluate_folders(records, tmp_path / "scored")


def test_counts_and_figures_reach_the_record(records: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    evaluation = evaluate(open_source(records), ["news2", "qsofa"], out, bootstrap=QUICK, cut=EVEN)
    record = json.loads((out / "evaluation.json").read_text())
    assert record == json.loads(json.dumps(evaluation.as_json()))
    assert record["cut"] == "even stays"
    assert (record["counts"]["stays"], record["counts"]["septic_stays"]) == (12, 6)
    assert [model["model"] for model in record["models"]] == ["news2", "qsofa"]
    assert record["ingest"]["stays"] == 12  # what the cut leaves out is not counted
    assert (
        record["ingest"]["cells_kept"] + sum(record["ingest"]["quarantined"].values())
        == (record["ingest"]["cells_read"])
    )
    for model in record["models"]:
        table = pq.read_table(out / f"{model['model']}.parquet").to_pandas()
        assert set(table["stay_id"]) == {f"p{number:06}" for number in range(0, 24, 2)}
        assert len(table) == record["counts"]["hours"]
        assert table["label"].sum() == record["counts"]["positive_hours"]
        assert model["hours_with_score_share"] == table["value"].notna().mean()


def test_intervals_hold_the_figure_and_repeat(records: Path, tmp_path: Path) -> None:
    one, two = (
        evaluate(open_source(records), ["qsofa"], tmp_path / name, bootstrap=QUICK).models[0]
        for name in ("one", "two")
    )
    assert one == two
    for name in ("auroc", "auprc", "utility"):
        interval, figure = getattr(one.intervals, name), getattr(one.metrics, name)
        assert interval.low < figure < interval.high


def test_the_configuration_names_what_decides_the_figures(records: Path, tmp_path: Path) -> None:
    first = evaluate(open_source(records), ["qsofa"], tmp_path, bootstrap=QUICK)
    reseeded = evaluate(open_source(records), ["qsofa"], tmp_path, bootstrap=Bootstrap(draws=50, seed=1))
    other_half = evaluate(open_source(records), ["qsofa"], tmp_path, bootstrap=QUICK, cut=EVEN)
    assert first.models[0].configuration != reseeded.models[0].configuration
    assert first.models[0].configuration != other_half.models[0].configuration
    assert first.counts.subjects_hash == reseeded.counts.subjects_hash != other_half.counts.subjects_hash


def test_stays_without_label_or_no_stay_at_all_are_refused(records: Path, tmp_path: Path) -> None:
    nobody = Cut("nobody", lambda stay: False)
    with pytest.raises(UnreadableSource, match="nobody"):
        evaluate(open_source(records), ["qsofa"], tmp_path / "out", cut=nobody)
    unlabelled = records / "p000004.psv"
    lines = [line.rpartition("|")[0] for line in unlabelled.read_text().splitlines()]
    unlabelled.write_text("\n".join(lines) + "\n")
    with pytest.raises(UnreadableSource, match="p000004 has no hourly label"):
        evaluate(open_source(records), ["qsofa"], tmp_path / "out")


@pytest.mark.parametrize("models", [[], ["qsofa", "qsofa"]])
def test_models_are_at_least_one_and_each_once(models: list[str], records: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="at least one model"):
        evaluate(open_source(records), models, tmp_path / "out")


def cohort(stays: int, rows: int) -> Cohort:
    rng = np.random.default_rng(1)
    label = (np.arange(stays * rows) // rows % 2).astype(np.int8)
    probability = rng.random(stays * rows) * (0.7 + 0.3 * label)
    return Cohort(np.full(stays, rows), label, probability, (probability > 0.5).astype(np.int8))


def test_one_subject_drawn_again_and_again_has_no_width() -> None:
    few = cohort(stays=2, rows=50)
    figures, found = summarise(few), intervals(few, ["one", "one"], QUICK)
    assert figures.auroc is not None
    assert found.auroc.low == found.auroc.high == pytest.approx(figures.auroc)


def test_more_subjects_make_narrower_intervals() -> None:
    def width(interval: Interval) -> float:
        assert interval.low is not None
        assert interval.high is not None
        return interval.high - interval.low

    few, many = cohort(stays=20, rows=10), cohort(stays=500, rows=10)
    names = [str(stay) for stay in range(500)]
    assert width(intervals(many, names, QUICK).auroc) < width(intervals(few, names[:20], QUICK).auroc) / 2


def test_an_interval_is_undefined_where_a_draw_has_no_septic_subject() -> None:
    found = intervals(cohort(stays=2, rows=5), ["ill", "well"], QUICK)
    assert found.auroc == found.utility == Interval(None, None)


@pytest.mark.parametrize(("draws", "level"), [(0, 0.95), (10, 1.0), (10, 0.0)])
def test_a_bootstrap_needs_draws_and_a_level(draws: int, level: float) -> None:
    with pytest.raises(InvalidInput, match="bootstrap"):
        Bootstrap(draws=draws, level=level)
