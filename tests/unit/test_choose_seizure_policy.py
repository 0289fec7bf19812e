"""The seizure policy for a budget: from recordings and their annotations to a file that the service reads."""

from __future__ import annotations

import json
from pathlib import Path

import edfio
import numpy as np
import pytest
from typer.testing import CliRunner

from models.clinical.annotation import AnnotatedSpan, Annotation
from models.clinical.errors import UnreadableSource
from pipelines.choose_seizure_policy import choose_seizure_policy
from pipelines.ingest.annotations import write_annotations
from prodrome.__main__ import app
from service.policy import read_policy

RATE, SECONDS = 128, 400
SEIZURE, NOISE = (200, 240), (300, 330)  # seconds: a seizure of all three channels, a burst that is none


def recording(path: Path, burst: tuple[int, int] | None = None) -> Path:
    """Noise of three channels, ten times as strong in the seizure, four times in a burst."""
    values = np.random.default_rng(3).normal(scale=10.0, size=(3, SECONDS * RATE))
    values[:, SEIZURE[0] * RATE : SEIZURE[1] * RATE] *= 10.0
    if burst is not None:
        values[:, burst[0] * RATE : burst[1] * RATE] *= 4.0
    signals = [
        edfio.EdfSignal(row, RATE, label=f"A{n}", physical_dimension="uV", physical_range=(-1000, 1000))
        for n, row in enumerate(np.clip(values, -999, 999), 1)
    ]
    edfio.Edf(signals, data_record_duration=1).write(path)
    return path


def truth(folder: Path, name: str) -> None:
    folder.mkdir(exist_ok=True)
    annotation = Annotation(float(SEIZURE[0]), float(SEIZURE[1] - SEIZURE[0]))
    write_annotations(folder / f"{name}.tsv", [AnnotatedSpan((annotation,), None, float(SECONDS))])


def test_a_budget_of_none_goes_above_the_burst_and_a_bearable_one_below(tmp_path: Path) -> None:
    path = recording(tmp_path / "night.edf", NOISE)
    truth(tmp_path / "truth", "night")
    strict = choose_seizure_policy([path], 0.0, "line-length", tmp_path / "truth")
    lenient = choose_seizure_policy([path], 20.0, "line-length", tmp_path / "truth")
    assert lenient.policy.threshold < strict.policy.threshold
    assert strict.metrics.event.sensitivity == lenient.metrics.event.sensitivity == 1.0
    assert strict.metrics.event.fp_per_24h == 0.0
    assert (strict.seizures, strict.recordings) == (1, 1)
    assert strict.hours == pytest.approx(SECONDS / 3600)


def test_the_command_writes_what_the_service_reads(tmp_path: Path) -> None:
    path, out = recording(tmp_path / "night.edf"), tmp_path / "new" / "policy.json"
    truth(tmp_path / "truth", "night")
    arguments = ["choose-seizure-policy", str(path), "--false-alarms-per-hour", "0", "--out", str(out)]
    done = CliRunner().invoke(app, [*arguments, "--annotations", str(tmp_path / "truth")])
    assert done.exit_code == 0, done.output
    assert "100% of 1 seizures found" in done.stdout
    written = json.loads(out.read_text(encoding="utf-8"))
    assert written["chosen"]["false_alarms_per_hour"] == 0.0
    assert read_policy(out).threshold == written["threshold"]
    assert read_policy(out).k == 3


def test_a_recording_without_its_table_is_named(tmp_path: Path) -> None:
    path = recording(tmp_path / "night.edf")
    with pytest.raises(UnreadableSource, match=r"night\.tsv"):
        choose_seizure_policy([path], 1.0, "line-length", tmp_path)
