"""Settings of a run, and the search among configurations."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.clinical.errors import InvalidInput, UnreadableSource
from models.dtw_knn import DTWConfig
from pipelines.train_dtw import DTWSettings, read_settings

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
