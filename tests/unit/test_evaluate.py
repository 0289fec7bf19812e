"""Evaluation: the figures are those of the files, of the subjects asked for, with intervals over subjects."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models import registry
from models.clinical.errors import InvalidInput, UnreadableSource
from pipelines.evaluate.run import evaluate
from pipelines.evaluate.settings import EvaluationSettings, PolicySettings, SourceSettings, SubgroupSettings
from pipelines.ingest.cinc2019 import open_source
from pipelines.metrics.bootstrap import Bootstrap, Interval, intervals
from pipelines.metrics.challenge_files import evaluate_folders
from pipelines.metrics.cinc2019 import Cohort, summarise
from pipelines.prediction_files import score_challenge
from tests.conftest import MakeRecords

QUICK = Bootstrap(draws=12)


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory, made_records: MakeRecords) -> Path:
    return made_records(tmp_path_factory.mktemp("evaluate") / "records", 80)


def of(records: Path, **changes: Any) -> EvaluationSettings:
    source = SourceSettings("cinc2019", records, part="all")
    settings = EvaluationSettings((source,), ("news2", "qsofa"), bootstrap=QUICK, shuffles=1)
    return replace(settings, engine="single", **changes)


@pytest.fixture(scope="module")
def out(records: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluated")
    evaluate(of(records), folder)
    return folder


def test_the_figures_are_those_of_the_written_files(records: Path, out: Path, tmp_path: Path) -> None:
    score_challenge(open_source(records), "qsofa", tmp_path)
    record = json.loads((out / "evaluation.json").read_text())
    found = record["cohorts"][0]["models"][1]["ranking"]["metrics"]
    assert found == json.loads(json.dumps(evaluate_folders(records, tmp_path).__dict__))


def test_counts_and_scores_are_of_the_same_hours(out: Path) -> None:
    record = json.loads((out / "evaluation.json").read_text())
    counts, scores = record["cohorts"][0]["counts"], pd.read_parquet(out / "scores")
    assert (counts["stays"], counts["septic_stays"]) == (80, 20)
    assert [model["model"] for model in record["cohorts"][0]["models"]] == ["news2", "qsofa"]
    for _, rows in scores.groupby("model"):
        assert len(rows) == counts["hours"]
        assert rows["label"].sum() == counts["positive_hours"]
        assert rows["value"].notna().mean() > 0.9
    ingest = record["sources"][0]["ingest"]
    assert ingest["cells_kept"] + sum(ingest["quarantined"].values()) == ingest["cells_read"]


def test_the_same_run_writes_the_same_record(records: Path, out: Path, tmp_path: Path) -> None:
    evaluate(of(records), tmp_path)
    for path in out.rglob("*.*"):
        assert (tmp_path / path.relative_to(out)).read_bytes() == path.read_bytes(), path


def test_intervals_hold_the_figure(out: Path) -> None:
    ranking = json.loads((out / "evaluation.json").read_text())["cohorts"][0]["models"][0]["ranking"]
    for name in ("auroc", "auprc", "utility"):
        interval, figure = ranking["intervals"][name], ranking["metrics"][name]
        assert interval["low"] < figure < interval["high"]


def test_the_configuration_names_what_decides_the_figures(records: Path) -> None:
    first = of(records)
    assert first.hash == replace(first, engine="ray", workers=7).hash
    assert first.hash != replace(first, bootstrap=Bootstrap(draws=30, seed=1)).hash
    assert first.hash != replace(first, policies=(PolicySettings(k=2, n=3),)).hash


def test_only_the_part_asked_for_is_evaluated(records: Path, tmp_path: Path) -> None:
    source = SourceSettings("cinc2019", records, part="train")
    found = evaluate(of(records, sources=(source,), models=("qsofa",)), tmp_path)
    assert found.sources[0].stays_read == 80
    assert found.sources[0].evaluated + found.sources[0].outside_part == 80
    assert 45 < found.sources[0].evaluated < 65  # seven in ten


def test_figures_of_two_sites_stand_beside_those_of_both(
    records: Path, made_records: MakeRecords, tmp_path: Path
) -> None:
    other = made_records(tmp_path / "other", 24, first=100)
    sources = tuple(
        SourceSettings("cinc2019", path, site, part="all") for path, site in ((records, "A"), (other, "B"))
    )
    found = evaluate(of(records, sources=sources, models=("news2",), trained_at=("A",)), tmp_path / "out")
    assert [(one.cohort, one.external) for one in found.cohorts] == [
        ("all stays", None),
        ("A", False),
        ("B", True),
    ]
    assert [one.counts.stays for one in found.cohorts] == [104, 80, 24]
    alone = evaluate(of(other, models=("news2",)), tmp_path / "alone").cohorts[0].models[0]
    assert found.cohorts[2].models[0].ranking == alone.ranking


def test_alarms_keep_to_the_budget_as_closely_as_scores_allow(records: Path, tmp_path: Path) -> None:
    found = evaluate(of(records, models=("news2",), alarms_per_bed_day=0.3), tmp_path)
    within = found.cohorts[0].models[0].at_budget
    assert within is not None
    assert within.alarms_per_bed_day <= 0.3
    assert within.warnings.figures.alarms_per_bed_day == within.alarms_per_bed_day


def test_a_stay_without_label_is_refused_by_name(made_records: MakeRecords, tmp_path: Path) -> None:
    records = made_records(tmp_path / "records", 8)
    unlabelled = records / "p000004.psv"
    lines = [line.rpartition("|")[0] for line in unlabelled.read_text().splitlines()]
    unlabelled.write_text("\n".join(lines) + "\n")
    with pytest.raises(UnreadableSource, match="p000004 has no hourly label"):
        evaluate(of(records), tmp_path / "out")


def test_stays_of_one_class_are_refused(made_records: MakeRecords, tmp_path: Path) -> None:
    records = made_records(tmp_path / "records", 3, first=1)
    with pytest.raises(InvalidInput, match="records: no positive subject among 3 stays"):
        evaluate(of(records), tmp_path / "out")
    for path in records.iterdir():
        path.unlink()
    with pytest.raises(InvalidInput, match="records: no stay without an event among 1"):
        evaluate(of(made_records(records, 1)), tmp_path / "out")


def test_a_table_of_subgroups_is_read_before_anything_is_scored(records: Path, tmp_path: Path) -> None:
    groups = SubgroupSettings(table=tmp_path / "none.csv")
    with pytest.raises(UnreadableSource, match=r"none\.csv: no such file"):
        evaluate(of(records, subgroups=groups), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_part_without_a_stay_is_refused(made_records: MakeRecords, tmp_path: Path) -> None:
    records = made_records(tmp_path / "records", 1)  # p000000 trains
    with pytest.raises(UnreadableSource, match=r"records \(held-out\): no readable stay"):
        evaluate(of(records, sources=(SourceSettings("cinc2019", records),)), tmp_path / "out")


def test_a_model_is_evaluated_once_whatever_it_is_called(records: Path, tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    registry.load("qsofa").save(saved)
    with pytest.raises(InvalidInput, match="every model once"):
        evaluate(of(records, models=("qsofa", str(saved))), tmp_path / "out")


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
