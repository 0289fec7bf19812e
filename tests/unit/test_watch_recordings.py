"""Beds of recordings: each a stay of its own, whatever its file is called."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from models.clinical.errors import InvalidInput
from models.mvpa.checkpoint import UnfitCheckpoint
from pipelines.watch_recordings import bed_names, recorded_bed
from prodrome.__main__ import app

START = datetime(2026, 11, 22, 18, 30, tzinfo=UTC)


def recording(path: Path) -> Path:
    """Twenty seconds of noise on three contacts."""
    values = np.random.default_rng(0).normal(scale=50.0, size=(3, 5120)).astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, values=values, rate_hz=256.0, channels=["LA1", "LA2", "LA3"])
    return path


def test_files_of_one_name_are_beds_of_two_stays(tmp_path: Path) -> None:
    paths = [recording(tmp_path / folder / "night.npz") for folder in ("p1", "p2")]
    names, told = bed_names(paths), list[str]()
    beds = [
        recorded_bed(path, 1, START, "line-length", told.append, called=name)
        for path, name in zip(paths, names, strict=True)
    ]
    assert [bed.stay.stay_id for bed in beds] == [
        "p1-night.npz-20261122T183000",
        "p2-night.npz-20261122T183000",
    ]
    assert len({bed.stay.subject_id for bed in beds}) == 2


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/a/p1/night.npz"], ["night"]),
        (["/a/x.edf", "/a/y.edf"], ["x", "y"]),
        (["/a/x.edf", "/a/x.npz"], ["x.edf", "x.npz"]),
        (["/a/p/x.edf", "/b/p/x.edf", "/b/y.edf"], ["a-p-x.edf", "b-p-x.edf", "y"]),
        (["/a/x.edf", "/b/x.edf", "/c/a-x.edf.edf"], ["x.edf-1", "b-x.edf", "a-x.edf.edf"]),
    ],
)
def test_names_tell_files_apart_by_as_little_as_it_takes(paths: list[str], names: list[str]) -> None:
    assert bed_names([Path(path) for path in paths]) == names


def test_names_whose_parts_are_alike_when_joined_differ_all_the_same() -> None:
    found = bed_names([Path("/a-b/x.edf"), Path("/a/b-x.edf"), Path("/c/x.edf"), Path("/c/b-x.edf")])
    assert len(set(found)) == 4


def test_one_file_twice_is_refused_by_name(tmp_path: Path) -> None:
    path = recording(tmp_path / "night.npz")
    with pytest.raises(InvalidInput, match=r"night\.npz is given twice"):
        bed_names([path, tmp_path / "p" / ".." / "night.npz"])


@pytest.mark.parametrize("start", ["gestern", "2026-11-22T18:30:00", "2026-13-01T00:00:00Z"])
@pytest.mark.parametrize("command", [["watch-recordings"], ["replay", "simulate"]])
def test_a_start_that_is_no_instant_is_a_clear_error(command: list[str], start: str) -> None:
    done = CliRunner().invoke(app, [*command, "--start", start])
    assert done.exit_code == 2
    assert isinstance(done.exception, SystemExit)
    assert "ISO 8601" in done.stderr


def test_a_checkpoint_is_read_in_the_size_that_is_told(tmp_path: Path) -> None:
    path, weights = recording(tmp_path / "night.npz"), tmp_path / "weights.pt"
    weights.write_bytes(b"no state dict")
    with pytest.raises(InvalidInput, match="needs its size"):
        recorded_bed(path, 1, START, str(weights), list[str]().append)
    with pytest.raises(UnfitCheckpoint, match=r"weights\.pt"):
        recorded_bed(path, 1, START, str(weights), list[str]().append, size="small")
