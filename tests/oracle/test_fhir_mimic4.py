"""MIMIC-IV's demo as FHIR, against counts made with plain JSON and against the same demo as tables.

Data: doi:10.13026/c2f9-3y63 (FHIR) and doi:10.13026/dp1f-ex47 (tables).
"""

import gzip
import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from models.clinical.quarantine import Reason
from pipelines.ingest import mimic4
from pipelines.ingest.fhir import FhirSource, open_source
from pipelines.ingest.source import IngestedStay, IngestSummary

pytestmark = pytest.mark.data

VITALS = {"8867-4", "9279-1", "2708-6", "8310-5", "8480-6", "8462-4"}


@pytest.fixture(scope="module")
def demo(data_folder: Path) -> Path:
    """The folder of the demo's FHIR files."""
    folder = data_folder / "icu" / "mimic4_fhir_demo" / "fhir"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    return folder


def _part(demo: Path, folder: Path, *names: str) -> FhirSource:
    """A source of some of the demo's files."""
    for name in names:
        file = f"Mimic{name}.ndjson.gz"
        (folder / file).symlink_to(demo / file)
    return open_source(folder)


def _resources(demo: Path, name: str) -> list[dict[str, Any]]:
    with gzip.open(demo / f"Mimic{name}.ndjson.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _value(code: str, holder: dict[str, Any]) -> float | None:
    """The value as the catalogue stores it, or None."""
    if "valueQuantity" not in holder:
        return None
    value = float(holder["valueQuantity"]["value"])
    return (value - 32) / 1.8 if code == "8310-5" else value


PLAUSIBLE = {
    "8867-4": (10, 300),
    "9279-1": (1, 120),
    "2708-6": (20, 100),
    "8310-5": (25, 45),
    "8480-6": (20, 320),
    "8462-4": (5, 320),
}


def test_the_vital_signs_of_the_emergency_department_are_all_accounted_for(
    demo: Path, tmp_path: Path
) -> None:
    begins = {one["id"]: one["period"]["start"] for one in _resources(demo, "EncounterED")}
    expected: Counter[str] = Counter()
    seen: set[tuple[str, str, str, float]] = set()
    for one in _resources(demo, "ObservationVitalSignsED"):
        encounter = one["encounter"]["reference"].removeprefix("Encounter/")
        for holder in one.get("component", [one]):
            code = holder["code"]["coding"][0]["code"]
            assert code in VITALS
            value, (low, high) = _value(code, holder), PLAUSIBLE[code]
            at = (encounter, one["effectiveDateTime"], code)
            early = datetime.fromisoformat(at[1]) < datetime.fromisoformat(begins[encounter])
            if value is None:
                expected["no_value"] += 1
            elif not low <= round(value, 9) <= high:
                expected["implausible"] += 1
            elif early:
                expected["before_admission"] += 1
            else:
                expected["duplicate" if (*at, value) in seen else "kept"] += 1
                seen.add((*at, value))
    summary = IngestSummary()
    source = _part(demo, tmp_path, "Patient", "EncounterED", "ObservationVitalSignsED")
    found = Counter({str(reason): count for reason, count in _counted(source, summary).items()})
    found["kept"] = summary.cells_kept
    assert found == expected
    assert (summary.stays, summary.cells_read) == (222, 5040 + 2 * 1260)
    assert expected["no_value"] == 701 + 2 * 63


def _counted(source: FhirSource, summary: IngestSummary) -> dict[Reason, int]:
    for _ in summary.counting_all(source):
        pass
    return summary.by_reason()


def test_every_file_at_once_loses_nothing(demo: Path) -> None:
    summary, source = IngestSummary(), open_source(demo)
    stays = list(summary.counting_all(source))
    assert len(stays) == 140
    assert summary.cells_kept + summary.quarantined.total() == summary.cells_read
    assert source.failures == ()
    expected = 7560 + sum(
        _cells(demo, name)
        for name in (
            "ObservationED",
            "ObservationOutputevents",
            "ObservationDatetimeevents",
            "ObservationMicroTest",
            "ObservationMicroSusc",
            "MedicationAdministration",
            "MedicationAdministrationICU",
            "Procedure",
            "ProcedureED",
            "ProcedureICU",
        )
    )
    # an organism without susceptibilities says so in words; with them it is a panel
    expected += sum("valueString" in one for one in _resources(demo, "ObservationMicroOrg"))
    assert summary.cells_read == expected + _untested_cultures(demo)


def _cells(demo: Path, name: str) -> int:
    return len(_resources(demo, name))


def _untested_cultures(demo: Path) -> int:
    """Specimens whose type says culture and that no test refers to."""
    tested = {one["specimen"]["reference"] for one in _resources(demo, "ObservationMicroTest")}
    return sum(
        "CULTURE" in one["type"]["coding"][0]["display"].split() and f"Specimen/{one['id']}" not in tested
        for one in _resources(demo, "Specimen")
    )


def test_urine_is_what_the_tables_of_the_same_demo_say(demo: Path, data_folder: Path, tmp_path: Path) -> None:
    source = _part(demo, tmp_path, "Patient", "EncounterICU", "ObservationOutputevents")
    fhir = Counter(_urine(stay) for stay in source.stays())
    tables = Counter(_urine(stay) for stay in mimic4.open_source(data_folder / "icu" / "mimic4_demo").stays())
    # FHIR's times have offsets, the tables' do not: four stays differ where the clocks change in them, and
    # two whose bladder was irrigated, which only the tables' reader settles
    assert (fhir & tables).total() == 134


def _urine(ingested: IngestedStay) -> tuple[tuple[float, float], ...]:
    table = ingested.stay.observations
    urine = table[table["variable"] == "urine_output"]
    hours = ingested.stay.hours(urine["time"]).round(6)
    return tuple(sorted(zip(hours.tolist(), urine["value"].tolist(), strict=True)))
