"""The benchmark of models on archives: it keeps what the models say, read from the zip or from the cache."""

from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from benchmarks.gradient_boosting import Boosted
from benchmarks.peers.hourly_features import chart_of
from benchmarks.sepsis import Records, score
from models import registry
from pipelines.ingest.cinc2019 import COLUMNS, open_source
from pipelines.predictions import predict
from pipelines.split import held_out

HEADER = [*COLUMNS, "Age", "Gender", "Unit1", "Unit2", "HospAdmTime", "ICULOS", "SepsisLabel"]


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Records:
    """An archive of 80 stays of 30 hours, every third septic from its 20th hour on."""
    data = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(1)
    with ZipFile(data / "training_setA.zip", "w") as archive:
        for number in range(80):
            lines = ["|".join(HEADER)]
            for hour in range(1, 31):
                label = int(number % 3 == 0 and hour >= 20)
                cells = dict.fromkeys(HEADER, "NaN") | {"ICULOS": str(hour), "SepsisLabel": str(label)}
                cells |= {"Resp": f"{rng.integers(10, 20) + 8 * label}", "SBP": f"{rng.integers(95, 140)}"}
                lines.append("|".join(cells.values()))
            archive.writestr(f"p{number:06}.psv", "\n".join(lines) + "\n")
    return Records(data)


def test_predictions_of_held_out_subjects_are_kept(records: Records, tmp_path: Path) -> None:
    score(records, tmp_path, "a", ["qsofa"])
    table = pq.read_table(tmp_path / "a" / "qsofa.parquet")
    model, archive = registry.load("qsofa"), records.data / "training_setA.zip"
    held = [one for one in open_source(archive).stays() if held_out(one.stay.subject_id)]
    assert held
    expected = np.concatenate([predict(model, one).probability for one in held])
    np.testing.assert_array_equal(table["probability"].to_numpy(), expected)


def test_a_cache_changes_nothing(records: Records, tmp_path: Path) -> None:
    score(records, tmp_path / "plain", "a", ["sirs"])
    cached = Records(records.data, tmp_path / "cache")
    for again in ("filled", "used"):
        score(cached, tmp_path / again, "a", ["sirs"])
        tables = [pq.read_table(tmp_path / out / "a" / "sirs.parquet") for out in ("plain", again)]
        assert tables[0].equals(tables[1])
    assert (tmp_path / "cache" / "training_setA.pickle").is_file()


def test_trees_fitted_before_are_scored_again(records: Records, tmp_path: Path) -> None:
    score(records, tmp_path / "one", "a", ["lightgbm"])
    folder = tmp_path / "one" / "a"
    score(records, tmp_path / "two", "a", [f"lightgbm={folder}"])
    tables = [pq.read_table(tmp_path / out / "a" / "lightgbm.parquet") for out in ("one", "two")]
    assert tables[0].equals(tables[1])
    held = list(records.stays(("A",), held_out))
    expected = Boosted.load(folder).score([chart_of(one) for one in held])
    np.testing.assert_array_equal(tables[0]["value"].to_numpy(), expected)
