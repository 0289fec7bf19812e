"""What every kind of test shares: where the real records are, and records made up for an evaluation."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from pipelines.ingest.cinc2019 import COLUMNS, FACTS

HEADER = (*COLUMNS, *FACTS, "SepsisLabel")

MakeRecords = Callable[..., Path]

settings.register_profile("untimed", deadline=None)  # how fast a shared machine is proves nothing
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real records (`PRODROME_DATA`); skips where there is none."""
    folder = Path(os.environ.get("PRODROME_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real records at {folder}; set PRODROME_DATA")
    return folder.resolve()


@pytest.fixture(scope="session")
def made_records() -> MakeRecords:
    """`made_records(folder, stays)`: CinC 2019 files, every fourth stay septic from its twentieth hour on.

    Septic stays breathe faster and have a lower pressure in the last hours before, and are measured as often
    as the others. Half of the stays are of each sex and unit, ages from 30 to 89.
    """

    def make(folder: Path, stays: int, first: int = 0) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(first, first + stays):
            (folder / f"p{number:06}.psv").write_text(_psv(number))
        return folder

    return make


def _psv(number: int) -> str:
    rng = np.random.default_rng(number)
    septic, lines = number % 4 == 0, ["|".join(HEADER)]
    for hour in range(1, 31 + number % 7):
        ill = septic and hour >= 16
        cells = dict.fromkeys(HEADER, "NaN") | {"ICULOS": str(hour), "HospAdmTime": "-2"}
        cells |= {"Age": str(30 + number % 60), "Gender": str(number % 2), "Unit1": str(number // 2 % 2)}
        cells |= {"Unit2": str(1 - number // 2 % 2), "SepsisLabel": str(int(septic and hour >= 20))}
        for column, low, high in (("HR", 60, 100), ("Resp", 11, 20), ("SBP", 105, 140), ("Temp", 36, 38)):
            if rng.random() < 0.8:
                shift = {"HR": 30, "Resp": 9, "SBP": -25, "Temp": 1}[column] * ill
                cells[column] = str(rng.integers(low, high) + shift)
        lines.append("|".join(cells.values()))
    return "\n".join(lines) + "\n"
