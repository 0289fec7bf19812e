"""Real EDF and BDF files, sample by sample as edfio reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import edfio
import numpy as np
import pytest

from pipelines.ingest.recordings.edf import edf_annotations, open_edf

FIXTURES = (
    "edf_samples/mne_test.edf",
    "edf_samples/mne_test.bdf",
    "edf_samples/short_psg.edf",
    "edf_samples/short_psg.bdf",
    "edf_samples/test_subsecond.edf",
    "edf_samples/test_subsecond.bdf",
    "epilepsy2bids_samples/PN00-5_sample.edf",
    "epilepsy2bids_samples/P_ID10_r5_sample.edf",
    "epilepsy2bids_samples/aaaaaaac_s001_t000_sample.edf",
    "epilepsy2bids_samples/chb01_01_sample.edf",
)


@pytest.mark.data
@pytest.mark.parametrize("name", FIXTURES)
def test_real_files_read_as_edfio_reads_them(name: str, data_folder: Path) -> None:
    path = data_folder / "ieeg" / name
    theirs: Any = edfio.read_edf(path) if path.suffix == ".edf" else edfio.read_bdf(path)
    opened = open_edf(path)
    annotations = [(one.onset, one.duration or 0.0, one.text) for one in theirs.annotations]
    ours = [(one.onset_seconds, one.duration_seconds, one.event_type) for one in opened.annotations]
    assert ours == annotations
    assert len(opened.recording.channels) == len(theirs.signals)
    for position, (channel, signal) in enumerate(zip(opened.recording.channels, theirs.signals, strict=True)):
        read = opened.recording.samples.read([position], 0, len(signal.data))[0]
        np.testing.assert_allclose(read, signal.data, rtol=1e-5, atol=1e-4)
        assert channel.rate_hz == pytest.approx(signal.sampling_frequency)


@pytest.mark.data
def test_one_recording_in_two_formats_has_one_fingerprint(data_folder: Path) -> None:
    hashes = {
        open_edf(data_folder / "ieeg" / "edf_samples" / f"mne_test{ending}").recording.content_hash()
        for ending in (".edf", ".bdf")
    }
    assert len(hashes) == 1


@pytest.mark.data
def test_a_real_hypnogram(data_folder: Path) -> None:
    span = edf_annotations(data_folder / "ieeg" / "edf_samples" / "SC4001EC-Hypnogram.edf")
    assert len(span.annotations) > 100
    assert span.annotations[0].event_type == "Sleep stage W"
