"""HL7 v2 against the FHIR bundles that Microsoft's converter makes of the same messages.

Each OBX of the message is an Observation of the bundle, with the same code, number, unit, time and status.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from models.clinical.quarantine import read_censored
from pipelines.ingest.hl7v2 import open_source
from pipelines.ingest.hl7v2.results import Result, parse_message
from pipelines.ingest.hl7v2.segments import RawMessage, Segment, decoded, raw_messages, segments
from pipelines.ingest.source import IngestSummary

pytestmark = pytest.mark.data

MESSAGES = ("LAB-ORU-1", "LAB-ORU-2", "ORU-R01-RMGEAD")
STATUS = {"F": "final", "P": "preliminary", "I": "unknown"}


@pytest.fixture(scope="module")
def samples(data_folder: Path) -> Path:
    return data_folder / "interop" / "hl7v2"


def _read(folder: Path, name: str) -> tuple[list[Segment], list[Result]]:
    with (folder / f"{name}.hl7").open("rb") as file:
        (raw,) = (one for one in raw_messages(file) if isinstance(one, RawMessage))
    text = decoded(raw.content)
    (patient,) = parse_message(text).patients
    return [one for one in segments(text)[0] if one.name == "OBX"], list(patient.results)


def _bundle(folder: Path, name: str) -> list[dict[str, Any]]:
    bundle = json.loads((folder / "expected_fhir" / f"{name}-expected.json").read_text())
    resources = [entry["resource"] for entry in bundle["entry"]]
    return [resource for resource in resources if resource["resourceType"] == "Observation"]


@pytest.mark.parametrize("name", MESSAGES)
def test_every_obx_is_the_observation_of_the_bundle(samples: Path, name: str) -> None:
    folder = samples / "microsoft_fhir_converter"
    lines, results = _read(folder, name)
    expected = _bundle(folder, name)
    assert len(lines) == len(results) == len(expected) > 0
    for line, result, observation in zip(lines, results, expected, strict=True):
        assert line.text(3) == observation["code"]["coding"][0]["code"]
        assert STATUS[line.text(11)] == observation["status"]
        told = observation.get("valueQuantity", {})
        assert line.text(6) == told.get("unit", "")
        if "effectiveDateTime" in observation:
            assert result.reading.time == datetime.fromisoformat(observation["effectiveDateTime"])
        if result.fault is None:  # in the unit of the message: none of these is scaled
            assert read_censored(result.reading.value)[0] == told["value"]


def test_the_samples_are_accounted_for_to_the_obx(samples: Path) -> None:
    count = sum(
        line.startswith(b"OBX|")
        for file in samples.rglob("*.hl7")
        for line in file.read_bytes().replace(b"\n", b"\r").split(b"\r")
    )
    source, summary = open_source(samples), IngestSummary()
    stays = {ingested.stay.stay_id: ingested.stay for ingested in summary.counting_all(source)}
    assert source.failures == ()
    assert summary.cells_read == count
    pressures = stays["1"].observations
    assert dict(zip(pressures["variable"], pressures["value"], strict=True)) == {
        "systolic_pressure": 120,
        "diastolic_pressure": 80,
        "mean_arterial_pressure": 100,
    }
