"""The page for newcomers is typed as it stands, in an empty folder, and gives what it says."""

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pandas as pd

PAGE = Path(__file__).parents[2] / "docs" / "your-data.md"
COMMANDS = re.compile(r"(cat|python|prodrome|head) ")


def read_page() -> tuple[list[str], list[str]]:
    """The lines that are typed, and those that say what comes out."""
    typed: list[str] = []
    told: list[str] = []
    inside = False
    for block in re.findall(r"^(?:    .*\n|\n(?=    ))+", PAGE.read_text(encoding="utf-8"), re.MULTILINE):
        for line in textwrap.dedent(block).splitlines():
            inside = inside or "<<'" in line
            (typed if inside or COMMANDS.match(line) else told).append(line)
            inside = inside and line not in {"CSV", "PY"}
    return typed, [line for line in told if line]


def test_the_page_can_be_typed_as_it_stands(tmp_path: Path) -> None:
    typed, told = read_page()
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(typed)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert len(told) == 1
    assert told[0] in done.stderr
    scores = pd.read_csv(tmp_path / "scores" / "predictions.csv")
    assert set(scores["stay"]) == {"A-17", "B-02"}
    assert (scores["status"] == "present").any()
    labels = pd.read_parquet(tmp_path / "labels.parquet").set_index("stay")
    assert labels.loc["A-17", "onset"] == pd.Timestamp("2026-03-02T11:00:00Z")
    assert labels.loc["B-02", "onset"] is pd.NaT
    evaluation = json.loads((tmp_path / "evaluation" / "evaluation.json").read_text(encoding="utf-8"))
    assert {"mgp-tcn", "news2"} <= set(json.dumps(evaluation).replace('"', " ").split())
