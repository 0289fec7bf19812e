"""The folder of an ingest: what goes in comes out bit for bit, whole or not at all, subjects never split."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from models.clinical.errors import InvalidInput, UnreadableSource
from models.clinical.interventions import intervention_table
from models.clinical.quarantine import Quarantined, Reason
from models.clinical.stay import Stay, observation_table
from pipelines.ingest import folder as folder_module
from pipelines.ingest import write as write_module
from pipelines.ingest.folder import open_source
from pipelines.ingest.ingestion import ingest
from pipelines.ingest.layout import (
    INTERVENTION_SCHEMA,
    INTERVENTIONS,
    OBSERVATION_SCHEMA,
    OBSERVATIONS,
    QUARANTINE_SCHEMA,
    SHARDS,
    STAY_SCHEMA,
    shard_of,
    shard_path,
)
from pipelines.ingest.source import IngestedStay, SetAside, Source

DOCUMENT = (Path(__file__).parents[2] / "docs" / "ingest.md").read_text(encoding="utf-8")
ADMITTED = datetime(2026, 3, 1, 8, tzinfo=UTC)
OUTSIDE = SetAside(Reason.OUTSIDE_STAY, "lactate", 3, "lactate 2 mmol/L lies outside every stay")


@dataclass
class Listed:
    """A source of stays that are given; `breaks_after` stays it fails."""

    given: Sequence[IngestedStay]
    breaks_after: int | None = None
    name: str = "listed"
    failures: Sequence[UnreadableSource] = (UnreadableSource("b.csv: empty"),)
    set_aside: Sequence[SetAside] = (OUTSIDE,)

    @property
    def stay_count(self) -> int:
        return len(self.given)

    def stays(self) -> Iterator[IngestedStay]:
        for place, one in enumerate(self.given):
            if place == self.breaks_after:
                raise UnreadableSource("the source ended early")
            yield one


def ingested(number: int, rows: int = 6) -> IngestedStay:
    """A stay of subject `number // 2` that has one of everything a stay can have."""
    rng = np.random.default_rng(number)
    time = pd.DatetimeIndex(
        [ADMITTED + timedelta(microseconds=int(t)) for t in rng.integers(0, 10**11, rows)]
    )
    lag = pd.to_timedelta(rng.integers(0, 9, rows), unit="h")
    observations = observation_table(
        time,
        time + lag,
        rng.choice(["heart_rate", "lactate", "ph"], rows),
        rng.normal(size=rows) / 3,
        known_until=[time[0] + lag[0] + pd.Timedelta(hours=1)] + [pd.NaT] * (rows - 1) if rows else [],
        censored=rng.choice(["", "<", ">"], rows),
    )
    interventions = intervention_table(
        [ADMITTED - timedelta(hours=5)] * 2,
        [ADMITTED] * 2,
        ["norepinephrine", "culture"],
        [0.1, np.nan],
        ["", "blood"],
    )
    stay = Stay(
        f"stay {number}",
        f"subject {number // 2}",
        ADMITTED,
        observations,
        age_years=None if number % 3 else 71.25,
        sex=None if number % 2 else "female",
        care_unit="Überwachung",
        hospital_admitted_at=ADMITTED - timedelta(days=1),
        discharged_at=ADMITTED + timedelta(days=3, microseconds=1) if number % 2 else None,
        interventions=interventions,
        synthetic=True,
        source="listed",
    )
    aside = (
        Quarantined(Reason.IMPLAUSIBLE, "900", 7, stay.stay_id, "heart_rate", 900.0, "[10, 300]", "1/min"),
        Quarantined(Reason.NOT_A_NUMBER, "'NEG'", None, "", "lactate", "NEG", "[0.05, 50]", "mmol/L"),
        Quarantined(Reason.NO_VALUE, "nothing", 0, stay.stay_id, "lactate", None),
    )
    told = (Quarantined(Reason.IMPLAUSIBLE, "age 400", 0, stay.stay_id, "age_years", 400.0),)
    hourly = number % 2 == 0
    return IngestedStay(
        stay,
        rows + 2 + len(aside),
        aside,
        told,
        converted={("lactate", "mg/dL"): 2},
        lag_assumed={"lactate": 1},
        hour=np.array([1, 2, 5]) if hourly else None,
        label=np.array([0, 0, 1], dtype=np.int8) if hourly else None,
        diagnoses=("A41.9",) if hourly else (),
        charting="metavision" if hourly else None,
    )


def assert_same(first: IngestedStay, second: IngestedStay) -> None:
    assert first.stay == second.stay
    pd.testing.assert_frame_equal(first.stay.observations, second.stay.observations, check_exact=True)
    pd.testing.assert_frame_equal(first.stay.interventions, second.stay.interventions, check_exact=True)
    for name in {field.name for field in fields(IngestedStay)} - {"stay", "hour", "label"}:
        assert getattr(first, name) == getattr(second, name), name
    for name in ("hour", "label"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), strict=True)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row groups, batches and buffers of a few rows, so that every stay crosses a border."""
    monkeypatch.setattr(write_module, "_ROWS_A_GROUP", 40)
    monkeypatch.setattr(write_module, "_FRAMES_HELD", 2)
    monkeypatch.setattr(folder_module, "_BATCH_ROWS", 16)


def test_what_goes_in_comes_out_in_its_order(tmp_path: Path, small_pieces: None) -> None:
    source = Listed([ingested(number, rows=number % 9 * 5) for number in range(60)])
    ingest(source, "listed", out=tmp_path / "out")
    again = open_source(tmp_path / "out")
    assert (again.stay_count, again.set_aside) == (60, (OUTSIDE,))
    assert [str(failure) for failure in again.failures] == ["b.csv: empty"]
    for first, second in zip(source.stays(), again.stays(), strict=True):
        assert_same(first, second)


def test_a_folder_ingested_from_a_folder_is_the_same(tmp_path: Path) -> None:
    ingest(Listed([ingested(number) for number in range(5)]), "listed", out=tmp_path / "one")
    ingest(open_source(tmp_path / "one"), "ingested", out=tmp_path / "two")
    for file in sorted((tmp_path / "one").rglob("*.parquet")):
        assert file.read_bytes() == (tmp_path / "two" / file.relative_to(tmp_path / "one")).read_bytes()


def test_a_subject_is_in_one_shard_and_every_shard_exists(tmp_path: Path) -> None:
    ingest(Listed([ingested(number) for number in range(40)]), "listed", out=tmp_path / "out")
    for table in (OBSERVATIONS, INTERVENTIONS):
        for shard in range(SHARDS):
            subjects = pq.read_table(tmp_path / "out" / shard_path(table, shard), columns=["subject"])
            assert {shard_of(name) for name in subjects["subject"].to_pylist()} <= {shard}


def test_shards_are_those_of_the_documented_rule() -> None:
    # printf p1 | sha256sum begins with f64551fcd6f07823: the last hexadecimal digit is the remainder by 16
    assert shard_of("p1") == 0x3


def test_an_ingest_that_breaks_off_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "out"
    ingest(Listed([ingested(1)]), "listed", out=out)
    with pytest.raises(UnreadableSource, match="ended early"):
        ingest(Listed([ingested(2), ingested(3)], breaks_after=1), "listed", out=out)
    assert [one.stay.stay_id for one in open_source(out).stays()] == ["stay 1"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_second_run_replaces_the_folder_and_clears_what_a_killed_one_left(tmp_path: Path) -> None:
    out = tmp_path / "out"
    ingest(Listed([ingested(1)]), "listed", out=out)
    (tmp_path / ".out.unfinished-1" / "observations").mkdir(parents=True)
    ingest(Listed([ingested(2)]), "listed", out=out)
    assert [one.stay.stay_id for one in open_source(out).stays()] == ["stay 2"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_killed_run_of_the_same_process_id_is_no_obstacle(tmp_path: Path) -> None:
    for kind in ("unfinished", "replaced"):
        (tmp_path / f".out.{kind}-{os.getpid()}" / "observations").mkdir(parents=True)
    for number in (1, 2):
        ingest(Listed([ingested(number)]), "listed", out=tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    with pytest.raises(InvalidInput, match="file/out cannot be made: "):
        ingest(Listed([ingested(1)]), "listed", out=tmp_path / "file" / "out")


def test_a_folder_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(InvalidInput, match="holds something else"):
        ingest(Listed([ingested(1)]), "listed", out=tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_an_unfinished_or_foreign_folder_is_no_source(tmp_path: Path) -> None:
    for text in (None, "{", '{"format": 99}', "[]"):
        if text is not None:
            (tmp_path / "ingest.json").write_text(text, encoding="utf-8")
        with pytest.raises(UnreadableSource, match=r"ingest\.json"):
            open_source(tmp_path)


def damage_swap(out: Path) -> None:
    first, second = (out / shard_path(OBSERVATIONS, shard_of(f"subject {number}")) for number in (0, 1))
    first.write_bytes(second.read_bytes())


def damage_cut(out: Path) -> None:
    path = out / shard_path(OBSERVATIONS, shard_of("subject 0"))
    os.truncate(path, path.stat().st_size // 2)


def damage_absent(out: Path) -> None:
    (out / shard_path(INTERVENTIONS, shard_of("subject 0"))).unlink()


def damage_short(out: Path) -> None:
    path = out / shard_path(OBSERVATIONS, shard_of("subject 0"))
    pq.write_table(pq.read_table(path, partitioning=None).slice(0, 3), path)


@pytest.mark.parametrize("damage", [damage_swap, damage_cut, damage_absent, damage_short])
def test_a_damaged_folder_is_never_read_as_whole(tmp_path: Path, damage: object) -> None:
    assert callable(damage)
    assert shard_of("subject 0") != shard_of("subject 1")
    ingest(Listed([ingested(0), ingested(2)]), "listed", out=tmp_path / "out")
    damage(tmp_path / "out")
    with pytest.raises(UnreadableSource, match=str(tmp_path)):
        list(open_source(tmp_path / "out").stays())


def test_the_record_says_what_was_read_with_what(tmp_path: Path) -> None:
    source: Source = Listed([ingested(number) for number in range(3)])
    ingest(source, "listed", out=tmp_path / "out")
    record = json.loads((tmp_path / "out" / "ingest.json").read_text(encoding="utf-8"))
    assert record["counts"]["cells_read"] == 3 * 11 + 3
    assert record["units"]["heart_rate"] == "1/min"
    assert record["versions"]["prodrome"]


def test_the_page_names_every_column_and_its_query_runs(tmp_path: Path) -> None:
    for schema in (STAY_SCHEMA, OBSERVATION_SCHEMA, INTERVENTION_SCHEMA, QUARANTINE_SCHEMA):
        assert [name for name in schema.names if f"`{name}`" not in DOCUMENT] == []
    ingest(Listed([ingested(number, rows=40) for number in range(4)]), "listed", out=tmp_path / "out")
    found = re.search(r" {4}SELECT.*?;", DOCUMENT, flags=re.DOTALL)
    assert found
    query = found[0].rstrip(";").replace("ingested/mimic3", str(tmp_path / "out"))
    stays = duckdb.connect().execute(f"SELECT stay FROM ({query})").fetchall()
    assert {stay for (stay,) in stays} == {f"stay {number}" for number in range(4)}
    observations = pd.read_parquet(tmp_path / "out" / OBSERVATIONS)
    assert len(observations) == 160
    assert set(observations["subject_shard"].astype(int)) == {shard_of(f"subject {n}") for n in (0, 1)}
