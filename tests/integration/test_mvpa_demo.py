"""The demonstration detector from simulation to annotations: trained for a few steps, saved, loaded, used."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from models.clinical.errors import InvalidInput, UnreadableSource
from models.clinical.recording import UNKNOWN_START
from models.clinical.score import Score
from models.folder import DESCRIPTION
from models.mvpa import MVPAConfig
from models.mvpa.detector import Detector, DetectorConfig
from models.mvpa.folder import load_detector
from models.mvpa.training import TrainingConfig
from pipelines.detect import detect, detector_named, policy_of, prepared, score_recording
from pipelines.simulate.ieeg import IEEGConfig, simulate_ieeg
from pipelines.train_mvpa import MVPASettings, Simulated, read_settings, train_mvpa

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "mvpa_demo.toml"
RATE_HZ = 64.0
SETTINGS = MVPASettings(
    network=MVPAConfig(16, 2, 2, 1, 16, 8, 8, 320),
    detector=DetectorConfig(context=3, fewest_segments=3, rate_hz=RATE_HZ),
    simulated=Simulated(
        training=(1, 3),
        validation=(3, 4),
        held_out=(4, 5),
        fewest_channels=2,
        most_channels=3,
        seizure_segments=20,
        calm_excerpts=1,
        calm_segments=4,
        hours=0.2,
    ),
    pretraining=TrainingConfig(steps=2, batch=1),
    classification=TrainingConfig(steps=3, batch=1),
    save_every=2,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("mvpa")
    train_mvpa(out, SETTINGS, lambda _: None)
    return out


def test_a_trained_folder_is_a_detector_by_its_path(folder: Path) -> None:
    detector = detector_named(str(folder))
    assert (detector.name, detector.rate_hz) == ("mvpa", RATE_HZ)
    assert policy_of(detector).threshold == detector.threshold
    opened = simulate_ieeg(1, 9, IEEGConfig(60.0, rate_hz=RATE_HZ, channel_count=3))
    found = detect(prepared(opened.recording, RATE_HZ), detector)
    assert [score.value is not None for score in found.series] == [False] * 2 + [True] * 10


def told(score: Score) -> tuple[object, ...]:
    """What both ways say; a live score names channels and their surprise, too."""
    return score.time, score.value, score.status, score.reason


def test_offline_and_live_are_the_same_bits(folder: Path) -> None:
    recording = simulate_ieeg(1, 9, IEEGConfig(60.0, rate_hz=RATE_HZ, channel_count=3)).recording
    offline = [told(score) for score in score_recording(recording, load_detector(folder))]
    live, detector = list[object](), load_detector(folder)
    for frame in recording.frames(37):
        live += map(told, detector.feed(frame))
    assert live == offline
    assert detector.advance(UNKNOWN_START + timedelta(seconds=65))[0].value is None


def test_a_stopped_run_goes_on_and_ends_in_the_same_weights(folder: Path, tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    def stop(line: str) -> None:
        if line.startswith("classification step 2"):
            raise Stopped

    with pytest.raises(Stopped):
        train_mvpa(tmp_path, SETTINGS, stop)
    told: list[str] = []
    train_mvpa(tmp_path, SETTINGS, told.append)
    assert not any(line.startswith("pretraining") for line in told)
    weights = "weights.safetensors"
    assert (tmp_path / weights).read_bytes() == (folder / weights).read_bytes()


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ("classification", TrainingConfig(steps=4, batch=1)),
        ("simulated", replace(SETTINGS.simulated, training=(4, 6), held_out=(1, 3))),
        ("detector", replace(SETTINGS.detector, context=4)),
        ("seed", 1),
    ],
)
def test_a_run_of_other_settings_or_subjects_is_refused(folder: Path, part: str, other: object) -> None:
    changed: dict[str, Any] = {part: other}
    with pytest.raises(InvalidInput, match=f"holds another run: {part}; take another folder"):
        train_mvpa(folder, replace(SETTINGS, **changed), lambda _: None)


def test_a_run_of_which_nobody_knows_the_settings_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "classification.pt").write_bytes((folder / "classification.pt").read_bytes())
    with pytest.raises(InvalidInput, match=r"classification\.pt, of unknown settings"):
        train_mvpa(tmp_path, SETTINGS, lambda _: None)


def test_a_folder_that_is_cut_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / DESCRIPTION).write_bytes((folder / DESCRIPTION).read_bytes())
    with pytest.raises(UnreadableSource, match=r"expected model.json and weights.safetensors"):
        load_detector(tmp_path)


def test_subjects_on_two_sides_are_refused() -> None:
    with pytest.raises(InvalidInput, match="1 subjects are in training and in held_out"):
        Simulated(training=(1, 3), validation=(5, 6), held_out=(2, 3))


def test_the_experiment_file_is_read_and_its_mistakes_are_named(tmp_path: Path) -> None:
    assert read_settings(EXPERIMENT).simulated.held_out == (2050, 2060)
    (tmp_path / "a.toml").write_text("[network]\nbreadth = 3\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match="breadth"):
        read_settings(tmp_path / "a.toml")


def test_a_detector_says_what_it_is() -> None:
    assert Detector.name == "mvpa"
    with pytest.raises(InvalidInput, match="threshold = 0"):
        DetectorConfig(threshold=0.0)
