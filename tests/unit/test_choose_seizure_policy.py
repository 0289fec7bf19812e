"""The seizure policy for a budget: from recordings and their annotations to a file that the service reads."""

from __future__ import annotations

import json
from pathlib import Path

import edfio
import numpy as np
import pytest
from typer.testing import CliRunner

from models.clinical.annotation import BACKGROUND, AnnotatedSpan, Annotation
from models.clinical.errors import InvalidInput, UnreadableSource
from models.line_length import LineLengthDetector
from models.mvpa.checkpoint import UnfitCheckpoint
from pipelines.choose_seizure_policy import choose_seizure_policy
from pipelines.ingest.annotations import read_annotations, write_annotations
from prodrome.__main__ import app
from service.policy import read_seizure_policy

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
    assert (strict.counts.positive, strict.counts.found, strict.recordings) == (1, 1, 1)
    assert strict.counts.seconds == SECONDS


def test_the_command_writes_what_the_service_reads(tmp_path: Path) -> None:
    path, out = recording(tmp_path / "night.edf"), tmp_path / "new" / "policy.json"
    truth(tmp_path / "truth", "night")
    arguments = ["choose-seizure-policy", str(path), "--false-alarms-per-hour", "0", "--out", str(out)]
    done = CliRunner().invoke(app, [*arguments, "--annotations", str(tmp_path / "truth")])
    assert done.exit_code == 0, done.output
    assert "1 of 1 seizures found, 0 false alarms an hour of at most 0" in done.stdout
    written = json.loads(out.read_text(encoding="utf-8"))
    assert written["chosen"]["false_alarms_per_hour"] == 0.0
    chosen = read_seizure_policy(out)
    assert (chosen.policy.threshold, chosen.policy.k) == (written["threshold"], 3)
    assert chosen.chosen_for == f"line-length {LineLengthDetector().version}"


def test_a_recording_without_its_table_is_named(tmp_path: Path) -> None:
    path = recording(tmp_path / "night.edf")
    with pytest.raises(UnreadableSource, match=r"night\.tsv"):
        choose_seizure_policy([path], 1.0, "line-length", tmp_path)


def test_a_recording_that_nobody_annotated_is_refused_and_one_said_to_be_calm_is_not(tmp_path: Path) -> None:
    path = recording(tmp_path / "night.edf")
    with pytest.raises(
        UnreadableSource, match=r"night\.edf: no annotation of night\.edf says where a seizure"
    ):
        choose_seizure_policy([path], 1.0, "line-length")
    for kind, refused in (("artifact", True), (BACKGROUND, False)):
        write_annotations(
            tmp_path / "night.tsv", [AnnotatedSpan((Annotation(0.0, 400.0, kind),), None, 400.0)]
        )
        if refused:
            with pytest.raises(UnreadableSource, match=r"night\.tsv: no annotation of night\.edf says"):
                choose_seizure_policy([path], 1.0, "line-length", tmp_path)
        else:
            calm = choose_seizure_policy([path], 20.0, "line-length", tmp_path)
            assert (calm.counts.positive, calm.counts.false <= 2) == (0, True)
            assert "no seizure to find" in calm.sentence()


def test_a_table_without_event_types_is_refused(tmp_path: Path) -> None:
    path = recording(tmp_path / "night.edf")
    (tmp_path / "night.tsv").write_text("onset\tduration\n200\t40\n", encoding="utf-8")
    with pytest.raises(UnreadableSource, match=r"night\.tsv: no column eventType"):
        choose_seizure_policy([path], 1.0, "line-length", tmp_path)


def test_where_no_threshold_serves_it_says_so_and_writes_nothing(tmp_path: Path) -> None:
    path, out = recording(tmp_path / "night.edf"), tmp_path / "policy.json"
    # what the detector calls a seizure is over more than a minute before this one
    early = AnnotatedSpan((Annotation(330.0, 20.0),), None, float(SECONDS))
    write_annotations(tmp_path / "night.tsv", [early])
    arguments = ["choose-seizure-policy", str(path), "--false-alarms-per-hour", "0", "--out", str(out)]
    done = CliRunner().invoke(app, [*arguments, "--annotations", str(tmp_path)])
    assert done.exit_code == 1
    assert "no threshold finds one of 1 seizures within 0 false alarms an hour" in done.stderr
    assert "no policy is written" in done.stderr
    assert not out.exists()


def test_detect_takes_the_policy_that_was_chosen(tmp_path: Path) -> None:
    path, found = recording(tmp_path / "night.edf"), tmp_path / "found.tsv"
    seizures = []
    for threshold in (0.5, 0.99):
        (tmp_path / "p.json").write_text(
            json.dumps({"threshold": threshold, "k": 3, "n": 4}), encoding="utf-8"
        )
        arguments = ["detect", str(path), "--out", str(found), "--policy", str(tmp_path / "p.json")]
        assert CliRunner().invoke(app, arguments).exit_code == 0
        seizures.append(len(read_annotations(found).spans[0].seizures))
    assert seizures == [1, 0]


def test_detect_refuses_a_policy_that_was_chosen_for_another_detector(tmp_path: Path) -> None:
    path, out, policy = recording(tmp_path / "night.edf"), tmp_path / "found.tsv", tmp_path / "p.json"
    truth(tmp_path / "truth", "night")
    chosen = choose_seizure_policy([path], 0.0, "line-length", tmp_path / "truth")
    policy.write_text(json.dumps(chosen.as_json()), encoding="utf-8")
    arguments = ["detect", str(path), "--out", str(out), "--policy", str(policy)]
    done = CliRunner().invoke(app, [*arguments, "--model", "mvpa"])
    assert isinstance(done.exception, InvalidInput)
    assert f"chosen for line-length {chosen.version}, not for mvpa" in str(done.exception)
    assert not out.exists()
    assert CliRunner().invoke(app, arguments).exit_code == 0


def test_a_released_checkpoint_is_told_its_size(tmp_path: Path) -> None:
    path = recording(tmp_path / "night.edf")
    truth(tmp_path / "truth", "night")
    (tmp_path / "released.pt").write_bytes(b"no checkpoint")
    arguments = ["choose-seizure-policy", str(path), "--false-alarms-per-hour", "1", "--size", "small"]
    arguments += ["--annotations", str(tmp_path / "truth"), "--model", str(tmp_path / "released.pt")]
    done = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "p.json")])
    assert isinstance(done.exception, UnfitCheckpoint)  # it was opened as a network of that size
