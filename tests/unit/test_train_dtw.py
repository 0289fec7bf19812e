"""Settings of a run, and the search among configurations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.clinical.errors import InvalidInput, UnreadableSource
from models.dtw_knn import DTWKNN, DTWConfig
from pipelines.train_dtw import DTWSettings, read_settings, train_on

from .test_dtw_knn import CONFIG, RECIPE, SICK, TRAIN, VALIDATION, WELL

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


@pytest.mark.parametrize("name", ["dtw.toml", "dtw_prototypes.toml"])
def test_the_experiments_are_settings(name: str) -> None:
    settings = read_settings(EXPERIMENTS / name)
    assert settings.candidates()


def test_a_search_tries_every_combination() -> None:
    settings = DTWSettings(search={"hours": [6, 12], "voting.neighbours": [5, 9, 15]})
    found = settings.candidates()
    assert [(one.hours, one.voting.neighbours) for one in found] == [
        (hours, count) for hours in (6, 12) for count in (5, 9, 15)
    ]


def test_without_a_search_the_configuration_itself_is_taken() -> None:
    assert DTWSettings().candidates() == [DTWConfig()]


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("[config]\nweeks = 1", InvalidInput, "weeks"),
        ("[recipe]\nepochs = 1", InvalidInput, "epochs"),
        ("speed = 1", InvalidInput, "speed"),
        ("[config", UnreadableSource, "expected a TOML file"),
    ],
)
def test_a_bad_file_is_refused(text: str, error: type[Exception], says: str, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(text, encoding="utf-8")
    with pytest.raises(error, match=says):
        read_settings(tmp_path / "run.toml")


def test_a_search_names_fields() -> None:
    with pytest.raises(InvalidInput, match="search"):
        DTWSettings(search={"voting.weeks": [1]}).candidates()


def test_what_a_search_found_best_is_saved_with_its_threshold(tmp_path: Path) -> None:
    said: list[str] = []
    settings = DTWSettings(CONFIG, RECIPE, {"voting.neighbours": [3, 7]}, threshold_stays=6)
    parts = {"train": TRAIN, "validation": VALIDATION, "test": []}
    train_on(parts, "made-up stays", tmp_path, settings, said.append)  # type: ignore[arg-type]
    tried = json.loads((tmp_path / "search.json").read_text(encoding="utf-8"))
    best = max(tried, key=lambda one: one["validation"]["auprc"])  # of equal ones the first
    model = DTWKNN.load(tmp_path)
    assert [one["config"]["voting"]["neighbours"] for one in tried] == [3, 7]
    assert len(said) == 2
    assert model.config == DTWConfig.from_json(best["config"])
    assert model.training["source"] == "made-up stays"
    assert model.training["validation"]["utility_stays"] == 6
    assert model.score(SICK).value[-1] > model.threshold > model.score(WELL).value[-1]


def test_settings_are_checked_before_anything_is_read() -> None:
    with pytest.raises(InvalidInput, match="threshold_stays 0: at least 1"):
        DTWSettings(threshold_stays=0)
    with pytest.raises(InvalidInput, match="search of hours: a list of values, not 8"):
        DTWSettings(search={"hours": 8})  # type: ignore[dict-item]
