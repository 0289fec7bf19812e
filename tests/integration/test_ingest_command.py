"""`prodrome ingest`: the database holds what the source said, once; a killed run leaves nothing half."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from db.queries.clinical import clinical_stay
from db.queries.observations import observations_of
from db.queries.stays import stay_by_external_id
from db.rows import ObservationRow, QuarantineRow, StayRow
from models.clinical.interventions import intervention_table
from models.clinical.stay import Stay, observation_table
from pipelines.ingest.source import IngestedStay
from pipelines.ingest.sources import open_named
from pipelines.ingest.store import StayStore

ADMITTED = datetime(2026, 3, 1, 8, tzinfo=UTC)
HEADER = "stay,time,known_at,variable,value,unit\n"


def at(hour: float) -> datetime:
    return ADMITTED + timedelta(hours=hour)


def prodrome(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "prodrome", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two stays; one value of three is beyond belief."""
    rows = [
        f"{stay},{at(hour).isoformat()},{at(hour + 1).isoformat()},heart_rate,{value},1/min\n"
        for stay in ("a", "b")
        for hour, value in ((1, 80), (2, 900), (3, 82.5))
    ]
    table = tmp_path_factory.mktemp("ward") / "ward.csv"
    table.write_text(HEADER + "".join(rows), encoding="utf-8")
    return table


@pytest.fixture(scope="module")
def ingested(ward: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ward as a folder; to be copied by a test that changes it."""
    out = tmp_path_factory.mktemp("ingested") / "out"
    assert prodrome("ingest", "table", str(ward), "--out", str(out)).returncode == 0
    return out


def counts(engine: Engine) -> dict[str, int]:
    with Session(engine) as session:
        return {
            row.__tablename__: session.scalar(select(func.count()).select_from(row)) or 0
            for row in (StayRow, ObservationRow, QuarantineRow)
        }


def stored(engine: Engine, stay_id: str) -> Stay:
    with Session(engine) as session:
        row = stay_by_external_id(session, stay_id)
        assert row is not None
        return clinical_stay(row, observations_of(session, row.id))


def test_one_command_fills_folder_and_database_and_a_second_adds_nothing(
    ward: Path, database_url: str, engine: Engine, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = ("ingest", "table", str(ward), "--out", str(out), "--database", database_url, "--json")
    first = prodrome(*arguments)
    assert first.returncode == 0, first.stderr
    told = json.loads(first.stdout)
    assert (told["cells_read"], told["cells_kept"], told["quarantined"]) == (6, 4, {"implausible": 2})
    assert (told["stored"]["new_stays"], told["stored"]["observations"]) == (2, {"accepted": 4})
    assert "read 2 stays, 6 values: 4 kept, 2 quarantined (2 implausible)" in first.stderr
    assert {"quality.html", "quality.json", "ingest.json", "stays.parquet"} <= {
        path.name for path in out.iterdir()
    }
    once = counts(engine)
    assert once == {"stays": 2, "observations": 4, "quarantine": 2}
    second = prodrome(*arguments)
    assert (second.returncode, counts(engine)) == (0, once)
    assert json.loads(second.stdout)["stored"]["observations"] == {"duplicate": 4}


def test_the_database_gives_back_the_stay_with_what_no_longer_stands(
    engine: Engine, database_url: str
) -> None:
    observations = observation_table(
        [at(1), at(1), at(2), at(2), at(3)],
        [at(1), at(4), at(2), at(6), at(3)],
        ["lactate", "lactate", "ph", "ph", "troponin_i"],
        [2.0, 4.0, 7.1, 7.1, 0.01],
        known_until=[at(4), pd.NaT, at(5), pd.NaT, pd.NaT],  # corrected; withdrawn and said again
        censored=["", "", "", "", "<"],
    )
    stay = Stay("s", "p", ADMITTED, observations, age_years=70, sex="male", discharged_at=at(9))
    with StayStore.opened(database_url) as store:
        for _ in range(2):
            store.add(IngestedStay(stay, len(observations)))
    pd.testing.assert_frame_equal(stored(engine, "s").observations, observations)
    assert counts(engine)["observations"] == 5


def test_what_the_database_cannot_hold_is_named_and_the_rest_is_stored(
    engine: Engine, database_url: str
) -> None:
    table = observation_table([at(1)], [at(1)], ["ph"], [7.4])
    done = intervention_table([at(1)], [at(1)], ["culture"], [float("nan")], ["blood"])
    good = Stay("good", "p", ADMITTED, table, interventions=done)
    with StayStore.opened(database_url) as store:
        for stay in (replace(good, stay_id="bad", discharged_at=at(-1)), good):
            store.add(IngestedStay(stay, 2))
    (refusal,) = store.refused
    assert refusal.startswith("stay bad is not in the database: ")
    assert (counts(engine)["stays"], store.interventions_left_out) == (1, 1)


def test_a_database_that_does_not_answer_is_one_sentence(ward: Path) -> None:
    done = prodrome("ingest", "table", str(ward), "--database", "postgresql://nobody:secret@127.0.0.1:9/none")
    assert done.returncode == 2
    assert "database postgresql://nobody:***@127.0.0.1:9/none" in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr


# a run in the background of a shell, as of CI, begins with interrupts ignored
HEARING = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from prodrome.__main__ import command_line; command_line()"
)


@pytest.mark.parametrize("ended_by", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_ended_leaves_the_folder_as_it_was(
    ward: Path, ingested: Path, tmp_path: Path, ended_by: int
) -> None:
    out = shutil.copytree(ingested, tmp_path / "out")
    before = pq.read_table(out / "stays.parquet")
    long = tmp_path / "long.csv"
    rows = (f"s{i},{at(1).isoformat()},,heart_rate,80,1/min\n" for i in range(60_000))
    long.write_text(HEADER + "".join(rows), encoding="utf-8")
    command = [sys.executable, "-c", HEARING, "ingest", "table", str(long), "--out", str(out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        while not any(tmp_path.glob(".out.unfinished-*/stays.parquet")):
            assert running.poll() is None
            time.sleep(0.01)
        running.send_signal(ended_by)
        try:
            said = running.communicate(timeout=60)[1]
        finally:
            running.kill()  # leaving the block waits for it, however long it takes
    assert running.returncode == (-9 if ended_by == signal.SIGKILL else 130)
    assert ended_by == signal.SIGKILL or f"prodrome: interrupted; {out} is as it was before" in said
    assert pq.read_table(out / "stays.parquet") == before
    assert len(list(open_named("ingested", out).stays())) == 2
    assert prodrome("ingest", "table", str(ward), "--out", str(out)).returncode == 0
    assert list(tmp_path.glob(".out*")) == []


def test_every_later_command_takes_the_folder(ward: Path, ingested: Path, tmp_path: Path) -> None:
    for source, path in (("table", ward), ("ingested", ingested)):
        out = str(tmp_path / source)
        assert prodrome("score", source, str(path), "--model", "qsofa", "--out", out).returncode == 0
    one, two = (pq.read_table(tmp_path / name / "predictions.parquet") for name in ("table", "ingested"))
    assert one == two
    assert one.column_names == [
        *("stay", "time", "hour", "value", "low", "high", "status", "reason", "subject", "care_unit")
    ]
    lines = (tmp_path / "table" / "predictions.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(one) + 1


@pytest.mark.data
def test_a_real_export_is_ingested_and_accounted_for(data_folder: Path, tmp_path: Path) -> None:
    done = prodrome(
        "ingest", "mimic3", str(data_folder / "icu" / "mimic3_demo"), "--out", str(tmp_path / "out"), "--json"
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["stays"] == 136
    assert told["cells_kept"] + sum(told["quarantined"].values()) == told["cells_read"]
