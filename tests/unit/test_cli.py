"""The command line as documented: every command and option is on its page, mistakes are one sentence."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from db.schema import migrated
from db.session import make_engine
from pipelines.ingest.cinc2019 import COLUMNS, FACTS
from pipelines.ingest.sources import SOURCES
from prodrome.__main__ import app

HEADER = (*COLUMNS, *FACTS)
PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")


def commands(group: Any, words: tuple[str, ...] = ("prodrome",)) -> dict[str, Any]:
    """Every leaf command by what one types."""
    children: dict[str, Any] = getattr(group, "commands", {})
    if not children:
        return {" ".join(words): group}
    return {
        name: leaf
        for word, child in children.items()
        for name, leaf in commands(child, (*words, word)).items()
    }


@pytest.mark.parametrize(("typed", "command"), commands(get_command(app)).items())
def test_page_has_every_command_and_option(typed: str, command: Any) -> None:
    line = next((row for row in PAGE.splitlines() if row.startswith(f"| `{typed}")), None)
    assert line, f"{typed} is not in docs/cli.md"
    options = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
    assert options - set(re.findall(r"--[a-z-]+", line)) - {"--help"} == set()


def test_page_has_nothing_that_does_not_exist() -> None:
    known = set(commands(get_command(app)))
    for row in re.findall(r"^\| `(prodrome [^`]*)`", PAGE, flags=re.MULTILINE):
        assert any(row.startswith(typed) for typed in known), row


def prodrome(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "prodrome", *arguments], capture_output=True, text=True, check=False
    )


def test_a_mistake_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    done = prodrome("metrics", "cinc2019", str(tmp_path / "absent"), str(tmp_path))
    assert done.returncode == 2
    assert "absent" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "command",
    [("ingest",), ("score",), ("evaluate", "--model", "news2"), ("replay",)],
    ids=lambda words: words[0],
)
def test_an_unknown_source_is_answered_with_those_there_are(command: tuple[str, ...], tmp_path: Path) -> None:
    out = () if command[0] == "replay" else ("--out", str(tmp_path / "out"))
    done = prodrome(command[0], "mimic5", str(tmp_path), *command[1:], *out)
    assert done.returncode == 2
    assert f"no source 'mimic5'; there are: {', '.join(SOURCES)}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "command", [("sepsis3", "x.csv/labels.parquet"), ("cohort", "x.csv"), ("sensitivity", "x.csv/deep")]
)
def test_labels_that_cannot_be_written_are_refused_before_anything_is_read(
    command: tuple[str, str], tmp_path: Path
) -> None:
    table = tmp_path / "x.csv"
    table.write_text("stay,time,variable,value,unit\n", encoding="utf-8")
    name, out = command
    cohort = ("hourly",) if name == "cohort" else ()
    result = prodrome("label", name, *cohort, "table", str(table), "--out", str(tmp_path / out))
    assert result.returncode == 2
    assert "Invalid value for" in result.stderr
    assert "--out" in result.stderr
    assert "labelling" not in result.stderr


def test_labels_make_the_folder_they_go_to(tmp_path: Path) -> None:
    table, out = tmp_path / "x.csv", tmp_path / "new" / "deep" / "labels.parquet"
    table.write_text("stay,time,variable,value,unit\n", encoding="utf-8")
    result = prodrome("label", "sepsis3", "table", str(table), "--out", str(out))
    assert (result.returncode, out.exists()) == (0, True)
    assert "0 stays" in result.stderr


def test_an_ingest_needs_a_place_to_go(tmp_path: Path) -> None:
    (tmp_path / "p1.psv").write_text("HR|ICULOS\n80|1\n", encoding="utf-8")
    done = prodrome("ingest", "cinc2019", str(tmp_path))
    assert done.returncode == 2
    assert "needs a folder (--out), a database (--database), or both" in done.stderr


def test_the_page_lists_every_source() -> None:
    listed = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|$", PAGE, flags=re.MULTILINE))
    assert listed == {name: kind.path for name, kind in SOURCES.items()}


def test_an_unknown_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "p1.psv").write_text("HR|ICULOS\n80|1\n", encoding="utf-8")
    done = prodrome("score", "cinc2019", str(tmp_path), "--model", "oracle", "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert "oracle" in done.stderr


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "p1.psv").write_text("HR|ICULOS\n80|1\n", encoding="utf-8")
    (tmp_path / "taken").write_text("", encoding="utf-8")
    done = prodrome("score", "cinc2019", str(tmp_path), "--model", "news2", "--out", str(tmp_path / "taken"))
    assert done.returncode == 2
    assert "Invalid value for --out" in done.stderr
    assert "Traceback" not in done.stderr


def test_migrate_makes_the_database_of_an_empty_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "var" / "prodrome.db"
    monkeypatch.setenv("PRODROME_DATABASE_URL", f"sqlite:///{database}")
    done = prodrome("migrate")
    assert (done.returncode, done.stderr) == (0, "")
    assert migrated(make_engine(f"sqlite:///{database}"))


def test_what_was_set_aside_is_said(tmp_path: Path) -> None:
    rows = [{"HR": "80", "Temp": "98.6", "ICULOS": "1"}, {"HR": "900", "Temp": "37", "ICULOS": "2"}]
    lines = ["|".join(HEADER), *("|".join(row.get(name, "NaN") for name in HEADER) for row in rows)]
    (tmp_path / "p1.psv").write_text("\n".join(lines), encoding="utf-8")
    done = prodrome("score", "cinc2019", str(tmp_path), "--model", "news2", "--out", str(tmp_path / "out"))
    assert done.returncode == 0
    assert "read 1 stays, 4 values: 2 kept, 2 quarantined (2 implausible)" in done.stderr
    assert len((tmp_path / "out" / "p1.psv").read_text(encoding="utf-8").splitlines()) == 3


def test_starting_the_command_line_imports_neither_torch_nor_pandas() -> None:
    heavy = ("torch", "pandas", "numba", "sqlalchemy", "duckdb", "pyarrow", "numpy")
    code = f"import sys, prodrome; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
