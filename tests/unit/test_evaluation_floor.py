"""Checks against leakage: measuring habits are found where they tell, and shuffled labels are at chance."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.evaluate.floor import check_leakage, folds
from pipelines.evaluate.measured import fact_rows, measurement_rows
from pipelines.evaluate.parts import Chunk, PartFolder, Scored, key_of, score_part
from pipelines.evaluate.scored import Evidence, read_evidence
from pipelines.ingest.cinc2019 import open_source
from pipelines.metrics.classification import auroc
from tests.conftest import HEADER, MakeRecords


def evidence_of(records: Path, out: Path) -> Evidence:
    chunk = Chunk(0, "A", tuple(open_source(records).stays()))
    PartFolder(out).write(0, key_of("", chunk), score_part((Scored("qsofa", "qsofa", 0.667),), chunk))
    return read_evidence(out, ["qsofa"])


@pytest.fixture
def telling(tmp_path: Path, made_records: MakeRecords) -> Evidence:
    """Lactate is measured every hour from the sixteenth on in septic stays, and never in the others."""
    records = made_records(tmp_path / "records", 64)
    place = HEADER.index("Lactate")
    for path in records.iterdir():
        rows = [line.split("|") for line in path.read_text().splitlines()]
        septic = any(row[-1] == "1" for row in rows)
        for row in rows[16:] if septic else []:
            row[place] = "1.0"
        path.write_text("\n".join("|".join(row) for row in rows) + "\n")
    return evidence_of(records, tmp_path)


def test_the_floor_finds_what_measuring_tells(telling: Evidence, tmp_path: Path) -> None:
    found = check_leakage(tmp_path, telling, shuffles=6)
    floor = auroc(telling.label, found.floor.probability)
    assert floor is not None
    assert floor > 0.95
    assert len(found.shuffled) == 6
    assert abs(np.mean(found.shuffled) - 0.5) < 0.12
    assert np.mean(found.shuffled) < floor - 0.3


def test_values_alone_tell_the_floor_nothing(tmp_path: Path, made_records: MakeRecords) -> None:
    evidence = evidence_of(made_records(tmp_path / "records", 64), tmp_path)
    found = auroc(evidence.label, check_leakage(tmp_path, evidence, shuffles=0).floor.probability)
    known_hour = auroc(evidence.label, evidence.hour.astype(np.float64))
    assert found is not None
    assert known_hour is not None
    assert found < known_hour + 0.05  # counts tell the hour of the stay, and no more


def test_a_subject_is_on_one_side_in_every_stay() -> None:
    sides = folds(["A\tp1", "A\tp2", "A\tp1", "B\tp1"] * 5)
    assert sides[0] == sides[2]
    assert set(folds([f"A\tp{number}" for number in range(40)])) == {0, 1}


def test_one_class_gives_a_floor_that_claims_nothing(tmp_path: Path, made_records: MakeRecords) -> None:
    stays = tuple(open_source(made_records(tmp_path / "records", 3, first=1)).stays())
    chunk = Chunk(0, "A", stays)
    PartFolder(tmp_path).write(0, "", score_part((Scored("qsofa", "qsofa", 0.667),), chunk))
    found = check_leakage(tmp_path, read_evidence(tmp_path, ["qsofa"]), shuffles=2)
    assert np.isnan(found.floor.value).all()
    assert (found.floor.probability == 0).all()
    assert found.shuffled == ()
    assert len(measurement_rows(stays)) == fact_rows("A", stays).to_pandas()["hours"].sum()
    assert isinstance(pd.read_parquet(tmp_path / "measured"), pd.DataFrame)
