"""The ward that a policy is chosen on: the same from an evaluation and from the table of `prodrome score`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from typer.testing import CliRunner

from models.clinical.alarm import AlarmPolicy
from models.clinical.errors import InvalidInput, UnreadableSource
from pipelines.evaluate.run import evaluate
from pipelines.evaluate.settings import EvaluationSettings, SourceSettings
from pipelines.evaluate.wards import ward_of
from pipelines.ingest.cinc2019 import open_source
from pipelines.metrics.bootstrap import Bootstrap
from pipelines.metrics.burden import Ward, by_unit, simulate
from pipelines.prediction_files import score_challenge, score_source
from prodrome.__main__ import app
from tests.conftest import MakeRecords
from tests.unit.test_choose_policy import WINDOW


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, made_records: MakeRecords) -> Path:
    """Records, an evaluation of two rules on them, and what `prodrome score` writes of each kind."""
    place = tmp_path_factory.mktemp("wards")
    records = made_records(place / "records", 120)
    source = SourceSettings("cinc2019", records, part="all")
    settings = EvaluationSettings((source,), ("news2", "qsofa"), bootstrap=Bootstrap(draws=2), shuffles=0)
    evaluate(settings, place / "run")
    score_challenge(open_source(records), "news2", place / "challenge")
    score_source(open_source(records), "news2", place / "table")
    return place


def same(one: Ward, other: Ward) -> bool:
    return (one.subject, one.unit) == (other.subject, other.unit) and all(
        np.array_equal(getattr(mine, name), getattr(theirs, name), equal_nan=name == "score")
        for mine, theirs, names in [
            (one.watched, other.watched, ("rows", "time", "score")),
            (one.events, other.events, ("count", "onset", "end")),
        ]
        for name in names
    )


def test_an_evaluation_is_the_ward_of_the_predictions_it_holds(folder: Path) -> None:
    run = ward_of(folder / "run", model="news2")
    assert same(run.ward, ward_of(folder / "run" / "scores", model="news2").ward)
    assert same(run.ward, ward_of(folder / "challenge" / "predictions.parquet").ward)
    assert same(run.ward, ward_of(folder / "challenge").ward)
    assert not same(run.ward, ward_of(folder / "run", model="qsofa").ward)
    assert len(run.ward.events.onset) > 20


def test_units_reach_the_figures_from_every_table(folder: Path) -> None:
    ward = ward_of(folder / "run", model="news2").ward
    units = by_unit(ward, simulate(ward, AlarmPolicy(0.25), WINDOW))
    assert set(units) == {"MICU", "SICU"}
    for table in ("run/scores/part-00000", "challenge/predictions", "table/predictions"):
        told = pq.read_table(folder / f"{table}.parquet").column("care_unit").unique().to_pylist()
        assert sorted(told) == ["MICU", "SICU"]


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_the_table_of_any_source_tells_whose_each_stay_is(folder: Path, tmp_path: Path, ending: str) -> None:
    onsets = tmp_path / "onsets.csv"
    onsets.write_text("stay,onset_hour\np000004,26\n", encoding="utf-8")
    read = ward_of(folder / "table" / f"predictions.{ending}", onsets)
    assert read.by_subject
    assert read.ward.subject == ward_of(folder / "challenge").ward.subject
    assert set(read.ward.unit) == {"MICU", "SICU"}


@pytest.mark.parametrize(
    ("place", "model", "said"),
    [
        ("run", None, "run: scores of news2, qsofa; choose one by --model"),
        ("run/scores", None, "run: scores of news2, qsofa; choose one by --model"),
        ("run", "sirs", "run: scores of news2, qsofa; there is no sirs"),
        ("table", "news2", "table: one model's predictions; --model is for an evaluation"),
    ],
)
def test_a_model_that_is_not_clear_is_asked_for(
    folder: Path, place: str, model: str | None, said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        ward_of(folder / place, model=model)


def test_a_folder_of_neither_command_and_a_part_of_several_models_are_refused(folder: Path) -> None:
    with pytest.raises(UnreadableSource, match="records: expected a table of predictions, or a folder"):
        ward_of(folder / "records")
    with pytest.raises(UnreadableSource, match="scores of several models, news2, qsofa"):
        ward_of(folder / "run" / "scores" / "part-00000.parquet")
    with pytest.raises(InvalidInput, match="leave --onsets out"):
        ward_of(folder / "run", folder / "none.csv", "news2")


def test_the_command_takes_an_evaluation_and_shows_its_units(folder: Path, tmp_path: Path) -> None:
    out, page = tmp_path / "policy.json", tmp_path / "page.html"
    arguments = ["choose-policy", str(folder / "run"), "--alarms-per-bed-day", "4", "--model", "news2"]
    done = CliRunner().invoke(app, [*arguments, "--out", str(out), "--page", str(page)])
    assert (done.exit_code, "split by stay" in done.stderr) == (0, False), done.output
    assert out.is_file()
    assert '{"name": "MICU"' in page.read_text(encoding="utf-8")
