"""Rules over real CinC 2019 records: every row predicted, and the figures the same by both ways."""

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.evaluate.run import evaluate
from pipelines.evaluate.settings import EvaluationSettings, SourceSettings
from pipelines.ingest.cinc2019 import open_source
from pipelines.metrics.bootstrap import Bootstrap
from pipelines.metrics.challenge_files import evaluate_folders
from pipelines.prediction_files import score_challenge

RULES = ("news2", "qsofa", "sirs")


def settings(records: Path, draws: int) -> EvaluationSettings:
    source = SourceSettings("cinc2019", records, part="all")
    return EvaluationSettings((source,), RULES, bootstrap=Bootstrap(draws=draws), shuffles=1, engine="single")


@pytest.fixture(params=["A", "B"])
def records(request: pytest.FixtureRequest, data_folder: Path, tmp_path: Path) -> Path:
    """Forty real stays, unpacked for the length of one test."""
    folder = tmp_path / "records"
    folder.mkdir()
    with zipfile.ZipFile(data_folder / "icu" / "cinc2019" / f"training_set{request.param}.zip") as archive:
        for name in [name for name in archive.namelist() if name.endswith(".psv")][:40]:
            (folder / Path(name).name).write_bytes(archive.read(name))
    return folder


@pytest.mark.data
def test_every_row_of_a_real_record_is_predicted(records: Path, tmp_path: Path) -> None:
    done = score_challenge(open_source(records), "news2", tmp_path / "out")
    assert (done.stays, done.unreadable) == (40, ())
    for file in records.iterdir():
        predicted = (tmp_path / "out" / file.name).read_text().splitlines()
        assert len(predicted) == len(file.read_text().splitlines())
    assert done.hours_with_score > 0.9 * done.hours


@pytest.mark.data
def test_evaluation_and_written_files_give_the_same_figures(records: Path, tmp_path: Path) -> None:
    whole = evaluate(settings(records, 5), tmp_path / "all").cohorts[0]
    assert whole.counts.stays == 40
    for found in whole.models:
        score_challenge(open_source(records), found.model, tmp_path / found.model)
        assert evaluate_folders(records, tmp_path / found.model) == found.ranking.metrics


@pytest.mark.data
def test_real_scores_are_whole_points_and_silence_has_a_reason(records: Path, tmp_path: Path) -> None:
    evaluate(settings(records, 1), tmp_path / "out")
    scores = pd.read_parquet(tmp_path / "out" / "scores")
    for model, maximum in zip(RULES, (20, 3, 4), strict=True):
        table = scores[scores["model"] == model]
        scored = table["value"].notna()
        points = table.loc[scored, "value"] * maximum
        np.testing.assert_allclose(points, points.round(), atol=1e-9)
        assert points.nunique() > 2
        assert ((table["reason"] != "") == ~scored).all()
        assert ((table["status"] == "present") == scored).all()
