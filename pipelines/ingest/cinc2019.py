"""PhysioNet/CinC Challenge 2019: hourly ICU records as pipe-separated files, one stay a file.

Reads one .psv, a folder of them, or the zip as it is, one stay at a time. The records carry no dates: every
stay is admitted at `ADMITTED_AT`, and the row of ICULOS h is measured and known at admission + h hours, so
that grid hour h is ICULOS h. Source: Reyna et al. 2020, doi:10.1097/CCM.0000000000004145; data
doi:10.13026/v64v-d857.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path, PurePosixPath
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.clinical.errors import UnreadableSource
from models.clinical.quarantine import (
    Accepted,
    Cell,
    Quarantined,
    Reason,
    as_json,
    check_value,
    number_text,
    read_number,
)
from models.clinical.stay import Sex, Stay, observation_table
from models.clinical.units import same_unit
from models.clinical.variables import variable
from pipelines.ingest.facts import PLAUSIBLE_AGE, Facts
from pipelines.ingest.files import find_record_files
from pipelines.ingest.records import RecordSource
from pipelines.ingest.source import IngestedStay

SOURCE = "cinc2019"
ADMITTED_AT = datetime(2019, 1, 1, tzinfo=UTC)
LONGEST_STAY = 10_000  # hours; the challenge cuts stays at 336

# column -> (variable, the unit the challenge states, or means where it misprints it)
COLUMNS = MappingProxyType(
    {
        "HR": ("heart_rate", "1/min"),
        "O2Sat": ("oxygen_saturation", "%"),
        "Temp": ("temperature", "degC"),
        "SBP": ("systolic_pressure", "mmHg"),
        "MAP": ("mean_arterial_pressure", "mmHg"),
        "DBP": ("diastolic_pressure", "mmHg"),
        "Resp": ("respiratory_rate", "1/min"),
        "EtCO2": ("end_tidal_co2", "mmHg"),
        "BaseExcess": ("base_excess", "mmol/L"),
        "HCO3": ("bicarbonate", "mmol/L"),
        "FiO2": ("fio2", "fraction"),
        "pH": ("ph", "pH"),
        "PaCO2": ("paco2", "mmHg"),
        "SaO2": ("arterial_oxygen_saturation", "%"),
        "AST": ("ast", "U/L"),
        "BUN": ("bun", "mg/dL"),
        "Alkalinephos": ("alkaline_phosphatase", "U/L"),
        "Calcium": ("calcium", "mg/dL"),
        "Chloride": ("chloride", "mmol/L"),
        "Creatinine": ("creatinine", "mg/dL"),
        "Bilirubin_direct": ("bilirubin_direct", "mg/dL"),
        "Glucose": ("glucose", "mg/dL"),
        "Lactate": ("lactate", "mmol/L"),  # the challenge says mg/dL; the values are mmol/L (median 1.8)
        "Magnesium": ("magnesium", "mg/dL"),  # the challenge says mmol/dL; the values are mg/dL (median 2.0)
        "Phosphate": ("phosphate", "mg/dL"),
        "Potassium": ("potassium", "mmol/L"),
        "Bilirubin_total": ("bilirubin_total", "mg/dL"),
        "TroponinI": ("troponin_i", "ng/mL"),
        "Hct": ("hematocrit", "%"),
        "Hgb": ("hemoglobin", "g/dL"),
        "PTT": ("ptt", "s"),
        "WBC": ("wbc", "10^3/uL"),
        "Fibrinogen": ("fibrinogen", "mg/dL"),
        "Platelets": ("platelets", "10^3/uL"),
    }
)
FACTS = ("Age", "Gender", "Unit1", "Unit2", "HospAdmTime", "ICULOS")
LABEL = "SepsisLabel"
GENDER: MappingProxyType[str, Sex] = MappingProxyType({"0": "female", "1": "male"})
MISSING = frozenset({"", "nan"})


@dataclass(frozen=True)
class _Table:
    """One file: `number` (R, C) with NaN where there is none; `text` holds the cells that are not numbers."""

    columns: tuple[str, ...]
    number: npt.NDArray[np.float64]
    text: dict[tuple[int, int], str]

    def column(self, name: str) -> npt.NDArray[np.float64]:
        """The numbers (R,) of one column."""
        found: npt.NDArray[np.float64] = self.number[:, self.columns.index(name)]
        return found

    def first(self, name: str) -> tuple[int, Cell]:
        """The number of the first row that holds something in one column, from 1, and what it holds."""
        index = self.columns.index(name)
        for row, value in enumerate(self.column(name).tolist()):
            text = self.text.get((row, index))
            if text is not None or not np.isnan(value):
                return row + 1, value if text is None else text
        return 1, None


def open_source(path: Path) -> RecordSource:
    """The stays in a .psv file, a folder of them (recursively) or a zip, streamed and never unpacked.

    Raises UnreadableSource if the path is absent, a zip is damaged or there is no .psv.
    """
    return RecordSource(find_record_files(Path(path), ".psv"), _read_mapped)


def read_psv(name: str, content: bytes) -> IngestedStay:
    """The stay in one file; `name` is its path, whose stem becomes stay and subject id.

    Raises UnreadableSource naming file, row (the first below the header is row 1) and what was expected.
    """
    stay_id = PurePosixPath(name).stem
    table = _parsed(name, content)
    hour = _hours(name, table)
    observations, quarantine, cells_read = _observations(stay_id, table, hour)
    facts = Facts(stay_id)
    (age_row, age), (gender_row, gender) = table.first("Age"), table.first("Gender")
    stay = Stay(
        stay_id,
        subject_id=stay_id,
        admitted_at=ADMITTED_AT,
        observations=observations,
        age_years=facts.number("age_years", age, PLAUSIBLE_AGE, "years", age_row),
        sex=facts.choice("sex", gender, GENDER, gender_row),
        care_unit=_care_unit(facts, table),
        hospital_admitted_at=_hospital_admitted_at(facts, table),
        source=SOURCE,
    )
    told = tuple(facts.quarantined)
    return IngestedStay(stay, cells_read, quarantine, told, hour=hour, label=_labels(name, table))


def _read_mapped(name: str, content: bytes) -> tuple[IngestedStay, Counter[str]]:
    """`read_psv`; a column that is not mapped is quarantined cell by cell, so none is counted apart."""
    return read_psv(name, content), Counter()


def _parsed(name: str, content: bytes) -> _Table:
    header, _, body = content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").partition(b"\n")
    columns = tuple(header.decode("utf-8", "replace").strip().split("|"))
    _check_columns(name, columns, content)
    lines = body.rstrip(b"\n").split(b"\n") if body.strip() else []
    if not lines:
        raise UnreadableSource(f"{name}: no rows under the header; expected one row an hour")
    for row, line in enumerate(lines, 1):
        width = line.count(b"|") + 1
        if width != len(columns):
            raise UnreadableSource(f"{name}: row {row} has {width} cells; expected {len(columns)}")
    return _Table(columns, *_numbers(b"|".join(lines), len(columns)))


def _check_columns(name: str, columns: tuple[str, ...], content: bytes) -> None:
    if not content.strip():
        raise UnreadableSource(f"{name}: empty; expected a header and one row an hour")
    if len(columns) == 1 or b"\0" in content:
        raise UnreadableSource(f"{name}: not pipe-separated text; expected columns such as HR|O2Sat|Temp")
    missing = [column for column in (*COLUMNS, *FACTS) if column not in columns]
    if missing:
        raise UnreadableSource(f"{name}: missing column {', '.join(missing)}")
    if len(set(columns)) != len(columns):
        raise UnreadableSource(f"{name}: a column name appears twice in {'|'.join(columns)}")


def _numbers(body: bytes, width: int) -> tuple[npt.NDArray[np.float64], dict[tuple[int, int], str]]:
    cells = body.split(b"|")
    if b"_" not in body:  # float reads 1_000 as a number, the one rule does not
        with suppress(ValueError):
            return np.fromiter(map(float, cells), np.float64, len(cells)).reshape(-1, width), {}
    texts = [cell.decode("utf-8", "replace").strip() for cell in cells]
    number = np.array([read_number(text) for text in texts]).reshape(-1, width)
    return number, {
        divmod(index, width): text
        for index, text in enumerate(texts)
        if text.casefold() not in MISSING and np.isnan(number.flat[index])
    }


def _hours(name: str, table: _Table) -> npt.NDArray[np.int64]:
    hour = table.column("ICULOS")
    previous = 0.0
    for row, value in enumerate(hour.tolist(), 1):
        if not previous < value <= LONGEST_STAY or value != int(value):
            raise UnreadableSource(
                f"{name}: row {row} has ICULOS {number_text(value)}; expected whole hours that increase, "
                f"above {number_text(previous)} and at most {LONGEST_STAY}"
            )
        previous = value
    return hour.astype(np.int64)


def _labels(name: str, table: _Table) -> npt.NDArray[np.int8] | None:
    if LABEL not in table.columns:
        return None
    label = table.column(LABEL)
    wrong = np.flatnonzero((label != 0) & (label != 1))
    if len(wrong):
        row = int(wrong[0])
        raise UnreadableSource(
            f"{name}: row {row + 1} has {LABEL} {number_text(label[row])}; expected 0 or 1"
        )
    return label.astype(np.int8)


def _observations(
    stay_id: str, table: _Table, hour: npt.NDArray[np.int64]
) -> tuple[pd.DataFrame, tuple[Quarantined, ...], int]:
    low, high = _plausible(table.columns)
    plain = (table.number >= low) & (table.number <= high)
    rows, columns = (index.tolist() for index in np.nonzero(plain))
    values, signs, quarantine = table.number[plain].tolist(), [""] * len(rows), []
    others = _others(table, plain)
    for column, row in others:
        cell = table.text.get((row, column), float(table.number[row, column]))
        verdict = _judged(table.columns[column], cell)
        if isinstance(verdict, Quarantined):
            quarantine.append(replace(verdict, stay_id=stay_id, row=row + 1))
            continue
        rows.append(row)
        columns.append(column)
        values.append(verdict.value)
        signs.append(verdict.censored)
    time = np.datetime64(ADMITTED_AT.replace(tzinfo=None), "us") + hour[rows].astype("timedelta64[h]")
    names = [COLUMNS[table.columns[column]][0] for column in columns]
    observations = observation_table(time, time, names, values, censored=signs)
    return observations, tuple(quarantine), int(plain.sum()) + len(others)


@lru_cache(maxsize=16)
def _plausible(columns: tuple[str, ...]) -> npt.NDArray[np.float64]:
    """Between what a number of each column is an observation as it stands: least and greatest (2, C).

    Nothing lies between them where a column is not mapped, or its unit has to be converted.
    """
    none = np.inf, -np.inf
    ranges = [none] * len(columns)
    for index, column in enumerate(columns):
        name, unit = COLUMNS.get(column, ("", None))
        if name and same_unit(variable(name), unit):
            ranges[index] = variable(name).plausible
    return np.array(ranges).T


def _others(table: _Table, plain: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Column and row of every other cell that holds something and is not about the stay, in this order."""
    numbers = zip(*(index.tolist() for index in np.nonzero(~plain & ~np.isnan(table.number))), strict=True)
    facts = {index for index, column in enumerate(table.columns) if column in FACTS or column == LABEL}
    return sorted((column, row) for row, column in (*numbers, *table.text) if column not in facts)


def _judged(column: str, cell: Cell) -> Accepted | Quarantined:
    if column in COLUMNS:
        name, unit = COLUMNS[column]
        return check_value(name, cell, unit)
    detail = f"{SOURCE} has no column {column}: expected one of {', '.join(COLUMNS)}"
    return Quarantined(Reason.UNKNOWN_VARIABLE, detail, variable=column, value=as_json(cell))


def _care_unit(facts: Facts, table: _Table) -> str | None:
    for column, unit in (("Unit1", "MICU"), ("Unit2", "SICU")):
        row, cell = table.first(column)
        if facts.number(column, cell, (0, 1), "(flag)", row) == 1:
            return unit
    return None


def _hospital_admitted_at(facts: Facts, table: _Table) -> datetime | None:
    row, cell = table.first("HospAdmTime")
    hours = facts.number("hospital_admitted_at", cell, (-LONGEST_STAY, 0), "h", row)
    return None if hours is None else ADMITTED_AT + timedelta(hours=hours)
