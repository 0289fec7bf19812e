"""Part files that were tampered with or do not belong together are refused, with file and row."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models.clinical.errors import UnreadableSource
from pipelines.evaluate.parts import Chunk, PartFolder, Scored, key_of, score_part
from pipelines.evaluate.scored import read_evidence
from pipelines.ingest.cinc2019 import open_source
from tests.conftest import MakeRecords

MODELS = tuple(Scored(name, name, threshold) for name, threshold in (("news2", 0.25), ("qsofa", 0.667)))


@pytest.fixture
def folder(tmp_path: Path, made_records: MakeRecords) -> Path:
    """One part of four stays, scored by two rules."""
    stays = tuple(open_source(made_records(tmp_path / "records", 4)).stays())
    chunk = Chunk(0, "A", stays)
    PartFolder(tmp_path).write(0, key_of("", chunk), score_part(MODELS, chunk))
    return tmp_path


def test_hours_come_in_the_order_of_the_stays(folder: Path) -> None:
    found = read_evidence(folder, ["news2", "qsofa"])
    assert found.stays["stay_id"].tolist() == [f"p{number:06}" for number in range(4)]
    assert len(found.hour) == found.rows.sum() == len(found.scores["qsofa"].value)
    assert found.septic.tolist() == [True, False, False, False]
    half = found.of(found.septic)
    assert half.label.sum() == found.label.sum()
    assert len(half.scores["news2"].probability) == found.rows[0]


# index 30 is the first of the second model: stays of 30, 31, 32 and 33 hours, one model after the other
CHANGES: dict[str, tuple[int, dict[str, Any], str]] = {
    "out of bounds": (5, {"status": "present", "value": 1.5}, r"score 1\.5 of stay p000000 .* in \[0, 1\]"),
    "NaN": (5, {"status": "present", "value": np.nan}, "score nan of stay p000000 with status present"),
    "label": (5, {"label": 7}, "label 7 must be 0 or 1"),
    "hour": (33, {"hour": 99}, "qsofa has hour 99 where the first model has 4"),
    "stay": (33, {"stay_id": "p999999"}, "qsofa has stay_id p999999 where the first model has p000000"),
}


@pytest.mark.parametrize(("row", "cells", "said"), CHANGES.values(), ids=CHANGES.keys())
def test_a_row_that_cannot_be_is_named(folder: Path, row: int, cells: dict[str, Any], said: str) -> None:
    path = folder / "scores" / "part-00000.parquet"
    rows = pd.read_parquet(path).to_dict("records")
    rows[row] = rows[row] | cells
    pd.DataFrame(rows).to_parquet(path, index=False)
    with pytest.raises(UnreadableSource, match=rf"part-00000\.parquet row {row + 1}: {said}"):
        read_evidence(folder, ["news2", "qsofa"])


def test_a_model_of_fewer_hours_is_named(folder: Path) -> None:
    path = folder / "scores" / "part-00000.parquet"
    pd.read_parquet(path).drop(index=30).to_parquet(path, index=False)
    with pytest.raises(UnreadableSource, match="qsofa has 125 hours, the first 126"):
        read_evidence(folder, ["news2", "qsofa"])


def test_scores_of_other_stays_than_the_facts_are_refused(folder: Path) -> None:
    path = folder / "stays" / "part-00000.parquet"
    pd.read_parquet(path).iloc[1:].to_parquet(path, index=False)
    with pytest.raises(UnreadableSource, match="expected the same stays in both"):
        read_evidence(folder, ["news2", "qsofa"])


def test_a_model_that_did_not_score_is_named(folder: Path) -> None:
    with pytest.raises(UnreadableSource, match=r"no row of model sirs; there are \['news2', 'qsofa'\]"):
        read_evidence(folder, ["news2", "sirs"])


def test_a_part_is_done_only_with_the_key_of_its_stays(folder: Path, tmp_path: Path) -> None:
    stays = tuple(open_source(tmp_path / "records").stays())
    parts, chunk = PartFolder(folder), Chunk(0, "A", stays)
    assert parts.holds(0, key_of("", chunk))
    assert not parts.holds(0, key_of("other weights", chunk))
    assert not parts.holds(0, key_of("", Chunk(0, "A", stays[:-1])))
    (folder / "measured" / "part-00000.parquet").write_bytes(b"half a file")
    assert not parts.holds(0, key_of("", chunk))
