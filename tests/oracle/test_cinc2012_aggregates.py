"""CinC 2012 against aggregates that another project took from the same records.

Source: A. Johnson, challenge2012 (first, last, lowest and highest value of each parameter in each stay). That
project cleans outliers of the monitors' channels and white cells below 1, so those agree for nearly all stays
and the rest for all.
"""

from itertools import islice
from pathlib import Path

import pandas as pd
import pytest

from models.clinical.stay import Stay
from pipelines.ingest.cinc2012 import open_source

pytestmark = pytest.mark.data

STAYS = 150
EXACT = {
    "BUN": "bun", "Creatinine": "creatinine", "GCS": "gcs_total", "Platelets": "platelets",
    "Lactate": "lactate", "Na": "sodium", "K": "potassium", "HCT": "hematocrit",
    "Mg": "magnesium", "HCO3": "bicarbonate", "PaO2": "pao2", "FiO2": "fio2", "ALT": "alt",
    "Albumin": "albumin", "TroponinT": "troponin_t",
}  # fmt: skip
NEARLY = {"HR": "heart_rate", "RespRate": "respiratory_rate", "Temp": "temperature", "pH": "ph", "WBC": "wbc"}


@pytest.fixture(scope="module")
def folder(data_folder: Path) -> Path:
    return data_folder / "icu" / "cinc2012"


@pytest.fixture(scope="module")
def aggregates(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "PhysionetChallenge2012-set-a.csv.gz").set_index("recordid")


@pytest.fixture(scope="module")
def stays(folder: Path) -> list[Stay]:
    return [ingested.stay for ingested in islice(open_source(folder / "set-a.zip").stays(), STAYS)]


@pytest.fixture(scope="module")
def observations(stays: list[Stay]) -> pd.DataFrame:
    table = pd.concat([stay.observations.assign(stay=int(stay.stay_id)) for stay in stays])
    return table.sort_values("time", kind="stable")


@pytest.mark.parametrize(("parameter", "name"), [*EXACT.items(), *NEARLY.items()])
def test_first_last_lowest_and_highest_agree(
    observations: pd.DataFrame, aggregates: pd.DataFrame, parameter: str, name: str
) -> None:
    values = observations[observations["variable"] == name].groupby("stay")["value"]
    ours = {"first": values.first(), "last": values.last(), "lowest": values.min(), "highest": values.max()}
    told = [statistic for statistic in ours if f"{parameter}_{statistic}" in aggregates]
    assert told[:2] == ["first", "last"]  # of laboratory results it has no others
    for statistic in told:
        theirs = aggregates[f"{parameter}_{statistic}"].reindex(ours[statistic].index)
        agree = (ours[statistic] - theirs).abs() < 1e-6
        share = 1.0 if parameter in EXACT else 0.98
        assert agree.mean() >= share, f"{parameter} {statistic}: {(~agree).sum()} of {len(agree)} differ"


def test_who_was_ventilated_and_for_how_long_agrees(stays: list[Stay], aggregates: pd.DataFrame) -> None:
    assert sum(not stay.interventions.empty for stay in stays) > STAYS / 3
    for stay in stays:
        table, told = stay.interventions, aggregates.loc[int(stay.stay_id)]
        assert table.empty == pd.isna(told["MechVentStartTime"])
        if not table.empty:
            begun = (table["start"].min() - pd.Timestamp(stay.admitted_at)) / pd.Timedelta(minutes=1)
            lasted = (table["end"].max() - table["start"].min()) / pd.Timedelta(minutes=1)
            assert (begun, lasted) == (told["MechVentStartTime"], told["MechVentDuration"])
