"""What a channel's name says of its kind: hearts and triggers are no electrodes, shafts stay electrodes."""

from pathlib import Path

import edfio
import numpy as np
import pytest

from pipelines.ingest.recordings.kinds import kind_of
from pipelines.ingest.recordings.readers import open_recording

NAMES = {
    "EKG": "EKG",
    "ECG V2-V1": "ECG",
    "ecg1": "ECG",
    "EMG chin": "EMG",
    "EOG-L": "EOG",
    "SaO2": "SAO2",
    "TRIGGER": "TRIGGER",
    "Status": "STATUS",
}


@pytest.mark.parametrize(("name", "kind"), NAMES.items())
def test_what_is_no_electrode_says_so(name: str, kind: str) -> None:
    assert kind_of(name) == kind


@pytest.mark.parametrize(
    "name", ["A1", "EEG Fp1", "DC4", "TEMP3", "ECGA1", "P1", "RESPA2", "STATUSQUO", "LEMG1", ""]
)
def test_what_may_be_an_electrode_is_one(name: str) -> None:
    assert kind_of(name) == ""


def test_of_an_edf_only_the_electrodes_are_scored(tmp_path: Path) -> None:
    signals = [
        edfio.EdfSignal(np.sin(np.arange(600) / 7.0), 100, label=name, physical_dimension="uV")
        for name in ("A1", "EKG", "A2", "EMG chin")
    ]
    edfio.Edf(signals).write(tmp_path / "a.edf")
    recording = open_recording(tmp_path / "a.edf").recording
    assert [channel.kind for channel in recording.channels] == ["", "EKG", "", "EMG"]
    assert [channel.name for channel in recording.electrodes().channels] == ["A1", "A2"]
