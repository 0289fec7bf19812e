"""The table of models: figures from kept predictions, in any order, alike when made again."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from benchmarks.evidence.figures import Figures, figures, read_predictions
from benchmarks.evidence.table import cell, summary, tables
from benchmarks.sepsis import SETTINGS, show
from models.clinical.score import ScoreStatus
from pipelines.metrics.bootstrap import Bootstrap, Interval
from pipelines.metrics.classification import auprc
from pipelines.prediction_files import PredictionTable
from pipelines.predictions import StayPrediction
from pipelines.split import held_out

QUICK = Bootstrap(draws=20)


def drawn(number: int) -> StayPrediction:
    """A stay of 30 hours; every fourth is septic, and its score rises."""
    rng = np.random.default_rng(number)
    hour = np.arange(1, 31)
    label = ((hour > 12) & (number % 4 == 0)).astype(np.int8)
    value = np.clip(rng.random(30) * 0.3 + 0.2 * label, 0, 1)
    value[:2] = np.nan
    return StayPrediction(
        stay_id=f"p{number:03}",
        subject_id=f"p{number:03}",
        admitted_at=datetime(2026, 1, 1, tzinfo=UTC),
        hour=hour,
        value=value,
        low=np.full(30, np.nan),
        high=np.full(30, np.nan),
        status=tuple(ScoreStatus.ABSENT if np.isnan(v) else ScoreStatus.PRESENT for v in value),
        reason=tuple("nothing known" if np.isnan(v) else "" for v in value),
        prior=0.01,
        label=label,
    )


def keep(folder: Path, name: str, numbers: list[int]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with PredictionTable.writing(folder / f"{name}.parquet", 0.25) as table:
        for number in numbers:
            table.add(drawn(number))
    kept = {"name": name, "version": "1", "threshold": 0.25, "milliseconds": 2.0}
    (folder / f"{name}.json").write_text(json.dumps(kept))
    return folder / f"{name}.parquet"


def made(path: Path, *, probabilities: bool = True) -> Figures:
    return figures(read_predictions(path), QUICK, probabilities=probabilities)


def test_figures_are_those_of_the_rows_that_were_kept(tmp_path: Path) -> None:
    one = made(keep(tmp_path, "one", list(range(40))))
    rows = [drawn(number) for number in range(40)]
    label = np.concatenate([row.label for row in rows if row.label is not None])
    assert (one.stays, one.septic_stays, one.hours, one.untold_onsets) == (40, 10, 1200, 0)
    assert one.hourly.auprc == auprc(label, np.concatenate([row.probability for row in rows]))
    assert (one.horizons[0].cases, one.horizons[0].controls) == (10, 100)
    assert one.calibration is not None
    assert one.calibration_intervals is not None
    ends = one.calibration_intervals.brier
    assert one.calibration.brier is not None
    assert ends.low is not None
    assert ends.high is not None
    assert ends.low < one.calibration.brier < ends.high


def test_the_order_of_scoring_changes_no_figure(tmp_path: Path) -> None:
    numbers = list(range(40))
    forwards, backwards = keep(tmp_path, "one", numbers), keep(tmp_path, "two", numbers[::-1])
    assert made(forwards) == made(backwards)


def test_points_are_not_called_probabilities(tmp_path: Path) -> None:
    one = made(keep(tmp_path, "news2", list(range(40))), probabilities=False)
    assert "| news2 | - | - | - | - |" in tables({"news2": one}, {"news2": 1.0})


def test_the_table_is_made_again_from_what_was_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show(tmp_path, QUICK, as_json=False)
    assert "nothing is scored" in capsys.readouterr().out
    keep(tmp_path / "a", "raw-tcn", list(range(40)))
    keep(tmp_path / "a", "news2", list(range(40)))
    show(tmp_path, QUICK, as_json=False)
    text = capsys.readouterr().out
    assert text.index("| raw-tcn |") < text.index("| news2 |")
    assert (tmp_path / "auprc.png").stat().st_size > 10_000
    show(tmp_path, QUICK, as_json=True)
    record = json.loads(capsys.readouterr().out)
    assert record["a"]["raw-tcn"]["hourly"]["auprc"] == made(tmp_path / "a" / "raw-tcn.parquet").hourly.auprc
    assert record["a"]["news2"]["calibration"] is None


def test_only_subjects_kept_aside_are_scored() -> None:
    names = [f"p{number:06}" for number in range(300)]
    assert all(SETTINGS["a-to-b"].holds(name) for name in names)
    for slug in ("both", "a"):
        assert [SETTINGS[slug].holds(name) for name in names] == [held_out(name) for name in names]


def test_an_undefined_figure_is_a_dash() -> None:
    assert cell(None, Interval(None, None)) == "-"
    assert cell(0.5, Interval(None, None)) == "0.500"
    assert cell(0.5, Interval(0.4, 0.6)) == "0.500 (0.400 to 0.600)"


def test_the_summary_has_every_model_in_every_setting(tmp_path: Path) -> None:
    one, two = (made(keep(tmp_path, name, list(range(40)))) for name in ("one", "two"))
    lines = summary({"A to B": {"one": one}, "B to A": {"one": one, "two": two}}).splitlines()
    assert lines[0] == "| model | A to B | B to A |"
    ahead = next(horizon.auprc for horizon in one.horizons if horizon.hours == 7)
    assert one.hourly.auroc is not None
    assert ahead is not None
    assert lines[2].startswith(f"| one | {one.hourly.auroc:.3f} · ")
    assert lines[2].endswith(f" · {ahead:.3f} |")
    assert lines[3].startswith("| two | - | ")
    assert len(lines) == 4
