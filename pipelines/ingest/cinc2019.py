"""PhysioNet/CinC Challenge 2019: hourly ICU records as pipe-separated files, one stay a file.

Reads one .psv, a folder of them, or the zip as it is, one stay at a time. The records carry no dates: every
stay is admitted at `ADMITTED_AT`, and the row of ICULOS h is measured and known at admission + h hours, so
that grid hour h is ICULOS h. Source: Reyna et al. 2020, doi:10.1097/CCM.0000000000004145; data
doi:10.13026/v64v-d857.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.clinical.errors import UnreadableSource
from models.clinical.quarantine import (
    Cell,
    Quarantined,
    Reason,
    as_json,
    check_values,
    number_text,
    read_number,
)
from models.clinical.stay import Sex, Stay, observation_table
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

    def present(self, name: str) -> tuple[npt.NDArray[np.int64], Sequence[Cell] | npt.NDArray[np.float64]]:
        """The rows (P,) of one column that hold something, and what they hold (P,)."""
        index, number = self.columns.index(name), self.column(name)
        if not self.text:
            row = np.flatnonzero(~np.isnan(number))
            return row, number[row]
        text = {row: cell for (row, column), cell in self.text.items() if column == index}
        held = [row for row, value in enumerate(number.tolist()) if row in text or not np.isnan(value)]
        return np.array(held, dtype=np.int64), [text.get(row, float(number[row])) for row in held]


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
    (age_row, age), (gender_row, gender) = _first(table, "Age"), _first(table, "Gender")
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
    hours, names, values, signs = [], [], [], [np.array([], dtype="U1")]
    quarantine: list[Quarantined] = []
    cells_read = 0
    for column in table.columns:
        if column in FACTS or column == LABEL:
            continue
        row, cells = table.present(column)
        if not len(row):
            continue
        cells_read += len(row)
        if column not in COLUMNS:
            quarantine += _unknown_column(stay_id, column, row, cells)
            continue
        name, unit = COLUMNS[column]
        checked = check_values(variable(name), cells, unit)
        hours.append(hour[row[checked.accepted]])
        values.append(checked.value[checked.accepted])
        names += [name] * len(values[-1])
        signs.append(checked.censored[checked.accepted])
        quarantine += [_placed(entry, stay_id, row) for entry in checked.quarantined]
    elapsed = np.concatenate([*hours, []]).astype("timedelta64[h]")
    time = pd.DatetimeIndex(np.datetime64(ADMITTED_AT.replace(tzinfo=None), "us") + elapsed, tz=UTC)
    observations = observation_table(
        time,
        time,
        names,
        np.concatenate([*values, []]),
        censored=np.concatenate([np.array([], "U1"), *signs]),
    )
    return observations, tuple(quarantine), cells_read


def _placed(entry: Quarantined, stay_id: str, rows: npt.NDArray[np.int64]) -> Quarantined:
    return replace(entry, stay_id=stay_id, row=int(rows[entry.row or 0]) + 1)


def _unknown_column(
    stay_id: str,
    column: str,
    rows: npt.NDArray[np.int64],
    cells: Sequence[Cell] | npt.NDArray[np.float64],
) -> list[Quarantined]:
    detail = f"{SOURCE} has no column {column}: expected one of {', '.join(COLUMNS)}"
    return [
        Quarantined(Reason.UNKNOWN_VARIABLE, detail, row, stay_id, column, as_json(cell))
        for row, cell in zip((rows + 1).tolist(), cells, strict=True)
    ]


def _first(table: _Table, column: str) -> tuple[int, Cell]:
    """The number of the first row that holds something, from 1, and what it holds."""
    row, cells = table.present(column)
    return (int(row[0]) + 1, cells[0]) if len(row) else (1, None)


def _care_unit(facts: Facts, table: _Table) -> str | None:
    for column, unit in (("Unit1", "MICU"), ("Unit2", "SICU")):
        row, cell = _first(table, column)
        if facts.number(column, cell, (0, 1), "(flag)", row) == 1:
            return unit
    return None


def _hospital_admitted_at(facts: Facts, table: _Table) -> datetime | None:
    row, cell = _first(table, "HospAdmTime")
    hours = facts.number("hospital_admitted_at", cell, (-LONGEST_STAY, 0), "h", row)
    return None if hours is None else ADMITTED_AT + timedelta(hours=hours)
