"""What every kind of test shares: where the real records are."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real records (`PRODROME_DATA`); skips where there is none."""
    folder = Path(os.environ.get("PRODROME_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real records at {folder}; set PRODROME_DATA")
    return folder.resolve()
