"""The demo sets as they are: every row is kept or accounted for, and what is kept is plausible."""

import csv
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from models.clinical.quarantine import Reason
from models.clinical.variables import CATALOGUE
from pipelines.ingest.codes_table import read_codes
from pipelines.ingest.source import IngestedStay, IngestSummary
from pipelines.ingest.sources import open_named

pytestmark = pytest.mark.data

# rows of the tables read, as their READMEs and line counts have them
MIMIC3_ROWS = {
    "chartevents": 758_355,
    "labevents": 76_074,
    "outputevents": 11_320,
    "inputevents_cv": 34_799,
    "inputevents_mv": 13_224,
    "procedureevents_mv": 753,
    "prescriptions": 10_398,
    "microbiologyevents": 2_003,
}


@pytest.fixture(scope="module")
def mimic3(data_folder: Path) -> tuple[list[IngestedStay], IngestSummary]:
    """Every stay of the MIMIC-III demo, and the totals of the pass."""
    folder, summary = data_folder / "icu" / "mimic3_demo", IngestSummary()
    return list(summary.counting_all(open_named("mimic3", folder, memory_mb=512))), summary


def test_mimic3_every_row_is_accounted_for(mimic3: tuple[list[IngestedStay], IngestSummary]) -> None:
    stays, summary = mimic3
    assert len(stays) == 136
    assert summary.cells_read == sum(MIMIC3_ROWS.values())
    assert summary.cells_read == summary.cells_kept + sum(summary.quarantined.values())
    assert Reason.MALFORMED not in summary.by_reason()
    assert Counter(one.charting for one in stays) == {"metavision": 77, "carevue": 59}


def test_mimic3_medians_are_those_of_the_sick(mimic3: tuple[list[IngestedStay], IngestSummary]) -> None:
    """Every variable in its unit: a factor forgotten would move a median out of its plausible middle."""
    table = pd.concat([one.stay.observations for one in mimic3[0]])
    median = table.groupby("variable")["value"].median()
    expected = {
        "heart_rate": (80, 95),
        "temperature": (36.5, 37.5),
        "fio2": (0.4, 0.6),
        "creatinine": (0.7, 1.5),
        "lactate": (1.5, 3.5),
        "tidal_volume_spontaneous": (350, 550),
        "body_weight": (65, 90),
        "body_height": (155, 175),
        "pao2": (85, 115),
        "urine_output": (50, 110),
        "hemoglobin": (9, 11),
        "total_peep": (5, 10),
    }
    for name, (low, high) in expected.items():
        assert low <= median[name] <= high, name
    missing = set(CATALOGUE) - set(median.index)
    assert missing == {"end_tidal_co2"}  # nobody of the demo had it


def test_mimic3_few_values_are_implausible(mimic3: tuple[list[IngestedStay], IngestSummary]) -> None:
    stays, summary = mimic3
    kept = Counter(name for one in stays for name in one.stay.observations["variable"])
    for (reason, name), count in summary.quarantined.items():
        if reason is Reason.IMPLAUSIBLE:
            assert count <= 0.05 * kept[name], name


def test_mimic3_labels_are_those_of_its_dictionaries(data_folder: Path) -> None:
    folder = data_folder / "icu" / "mimic3_demo"
    labels: dict[str, str] = {}
    for name in ("D_ITEMS", "D_LABITEMS"):
        with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as lines:
            labels |= {row["itemid"]: row["label"] for row in csv.DictReader(lines)}
    for code in read_codes("mimic3"):
        item, _, words = code.code.partition(" ")
        assert code.label == (f"{labels[item]}: {words}" if words else labels[item])


def test_mimic3_treatments(mimic3: tuple[list[IngestedStay], IngestSummary]) -> None:
    table = pd.concat([one.stay.interventions for one in mimic3[0]])
    rates = table[table["kind"] == "norepinephrine"]["rate"]
    assert rates.between(0.001, 5).all()
    assert {"antibiotic", "culture", "invasive_ventilation", "renal_replacement"} <= set(table["kind"])
    agents = table.groupby("kind")["agent"].agg(set)
    assert not {agent for agent in agents["culture"] if "mrsa" in agent or "nasal" in agent}
    assert {"vancomycin", "piperacillin/tazobactam", "meropenem"} <= agents["antibiotic"]


@pytest.mark.parametrize(
    ("name", "folder", "stays"),
    [
        ("mimic4", "mimic4_demo", 140),
        ("meds", "mimic4_demo_meds", 140),
        pytest.param("eicu", "eicu_demo", 2520, marks=pytest.mark.nightly),
    ],
)
def test_other_demos_are_accounted_for(data_folder: Path, name: str, folder: str, stays: int) -> None:
    summary = IngestSummary()
    for _ in summary.counting_all(open_named(name, data_folder / "icu" / folder, memory_mb=512)):
        pass
    assert summary.stays == stays
    assert summary.cells_kept > 100_000
    assert summary.cells_read == summary.cells_kept + sum(summary.quarantined.values())
    assert Reason.MALFORMED not in summary.by_reason()
