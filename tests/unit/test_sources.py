"""Names of sources: every name leads to a module that opens it, and an unknown one says which there are."""

import subprocess
import sys
from pathlib import Path

import pytest

from models.clinical.errors import InvalidInput, UnreadableSource
from pipelines.ingest.sources import SOURCES, open_named

REPOSITORY = Path(__file__).parents[2]


def test_an_unknown_name_says_which_there_are(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no source 'mimic5'; there are: cinc2019, .*, ingested$"):
        open_named("mimic5", tmp_path)


@pytest.mark.parametrize("name", SOURCES)
def test_every_name_opens_a_source_or_says_what_it_expected(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match="absent"):
        list(open_named(name, tmp_path / "absent", memory_mb=64).stays())


def test_a_long_table_is_opened_by_its_name(tmp_path: Path) -> None:
    table = tmp_path / "ward.csv"
    table.write_text(
        "stay,time,variable,value,unit\na,2026-01-01T08:00:00Z,heart_rate,80,1/min\n", encoding="utf-8"
    )
    (ingested,) = open_named("table", table).stays()
    assert ingested.stay.observations["value"].tolist() == [80.0]


def test_naming_the_sources_imports_none() -> None:
    code = "import sys, pipelines.ingest.sources; print('pandas' in sys.modules, 'duckdb' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert done.stdout.split() == ["False", "False"]
