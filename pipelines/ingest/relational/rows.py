"""Rows of a relational source in batches; the verdict on their values, all of one code and unit at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]

from models.clinical.errors import UnacceptedUnit
from models.clinical.quarantine import (
    Cell,
    CheckedValues,
    Quarantined,
    Reason,
    as_json,
    cell_text,
    check_values,
)
from models.clinical.units import accepted_unit, same_unit
from models.clinical.variables import variable
from pipelines.ingest.codes_table import Code, Rule

NOT_A_TIME = np.iinfo(np.int64).min  # microseconds; how numpy writes NaT
FAHRENHEIT_ABOVE = 50.0  # no living body has 50 degC, none has 50 degF
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Integers = npt.NDArray[np.int64]
Places = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]
Objects = npt.NDArray[np.object_]


@dataclass(frozen=True)
class RowBatch:
    """Rows (n,) of a source, sorted by `stay`, which counts the stays in the order of their ids.

    Times are in microseconds since 1970, NOT_A_TIME for none; `code` indexes the source's codes; `text` holds
    what is no finite number, else None; `unit` is "" for none.
    """

    stay: Integers
    code: Integers
    time: Integers
    ended_at: Integers
    known_at: Integers
    number: npt.NDArray[np.float64]
    text: Objects
    unit: Objects
    withdrawn: Flags

    def __len__(self) -> int:
        return len(self.stay)

    def part(self, chosen: slice | Places) -> Self:
        """Some of the rows."""
        return type(self)(*(getattr(self, field.name)[chosen] for field in fields(self)))

    @classmethod
    def of(cls, batch: pa.RecordBatch) -> Self:
        """The rows of an Arrow batch with these columns."""
        column = {name: batch.column(name) for name in batch.schema.names}
        whole = {
            name: column[name].fill_null(NOT_A_TIME).to_numpy(zero_copy_only=False)
            for name in ("time", "ended_at", "known_at")
        }
        for name in ("stay", "code"):
            whole[name] = column[name].to_numpy(zero_copy_only=False).astype(np.int64, copy=False)
        return cls(
            number=column["number"].fill_null(math.nan).to_numpy(zero_copy_only=False),
            withdrawn=column["withdrawn"].to_numpy(zero_copy_only=False),
            text=_texts(column["text"], None),
            unit=_texts(column["unit"], ""),
            **whole,
        )


def _texts(column: pa.Array, absent: str | None) -> Objects:
    """The texts of a column as objects, each distinct one made once."""
    encoded = column.dictionary_encode()
    words = np.array([*encoded.dictionary.to_pylist(), absent], dtype=object)
    found: Objects = words[encoded.indices.fill_null(len(words) - 1).to_numpy(zero_copy_only=False)]
    return found


@dataclass(frozen=True)
class JudgedRows:
    """The rows (n,) with the verdict on their values: `value` and `censored` as observations hold them.

    `fault` (n,) is the Quarantined where the value is none and `faulty` says where; `unit` (n,) is the one
    that the value was read in, and `converted` whether it is another than the variable's.
    """

    rows: RowBatch
    value: npt.NDArray[np.float64]
    censored: npt.NDArray[np.str_]
    unit: Objects
    fault: Objects
    faulty: Flags
    converted: Flags

    def __len__(self) -> int:
        return len(self.value)

    def part(self, chosen: slice | Places) -> JudgedRows:
        """Some of the rows."""
        rest = (getattr(self, field.name)[chosen] for field in fields(self)[1:])
        return JudgedRows(self.rows.part(chosen), *rest)

    @classmethod
    def joined(cls, parts: Sequence[JudgedRows]) -> JudgedRows:
        """Parts one after the other."""
        if len(parts) == 1:
            return parts[0]
        rows = RowBatch(
            *(
                np.concatenate([getattr(part.rows, field.name) for part in parts])
                for field in fields(RowBatch)
            )
        )
        rest = (np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)[1:])
        return cls(rows, *rest)


def judged(codes: Sequence[Code], rows: RowBatch) -> JudgedRows:
    """The verdict on the value of each row; interventions have none, their rows pass as they are."""
    count = len(rows)
    verdicts = JudgedRows(
        rows,
        value=rows.number.copy(),
        censored=np.full(count, "", dtype="U1"),
        unit=rows.unit.copy(),
        fault=np.full(count, None, dtype=object),
        faulty=np.zeros(count, dtype=np.bool_),
        converted=np.zeros(count, dtype=np.bool_),
    )
    for members in _of_one_code_and_unit(rows):
        code = codes[int(rows.code[members[0]])]
        for unit, chosen in _units(code, str(rows.unit[members[0]]), rows.number[members]):
            verdicts.unit[members[chosen]] = unit
            if code.intervention is None:
                _judge(verdicts, code, unit, members[chosen])
    return verdicts


def _of_one_code_and_unit(rows: RowBatch) -> list[Places]:
    if not len(rows):
        return []
    unit, units = pd.factorize(rows.unit)  # by hash: sorting them took half of the time of judging
    key = rows.code * len(units) + unit
    order = np.argsort(key, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(key[order])) + 1)


def _judge(verdicts: JudgedRows, code: Code, unit: str, members: Places) -> None:
    """Numbers are judged as an array, the few texts among them one by one."""
    number, text = verdicts.rows.number[members], verdicts.rows.text[members]
    worded = np.isnan(number)
    plain = members[~worded]
    _take(verdicts, plain, check_values(variable(code.target), number[~worded], unit))
    if worded.any():
        _take(verdicts, members[worded], check_values(variable(code.target), list(text[worded]), unit))
    if not _canonical(code, unit):
        verdicts.converted[members] = ~verdicts.faulty[members]


def _take(verdicts: JudgedRows, members: Places, checked: CheckedValues) -> None:
    verdicts.value[members] = checked.value
    verdicts.censored[members] = checked.censored
    verdicts.faulty[members] = ~checked.accepted
    for fault in checked.quarantined:
        verdicts.fault[members[fault.row or 0]] = replace(fault, row=None)


def _canonical(code: Code, unit: str) -> bool:
    try:
        return same_unit(variable(code.target), unit)
    except UnacceptedUnit:
        return True  # nothing in it was accepted


def _units(code: Code, reported: str, number: npt.NDArray[np.float64]) -> list[tuple[str, Flags]]:
    """The unit of each value (n,), by the mapping's rule: the units with the values they hold for."""
    everywhere = np.ones(len(number), dtype=np.bool_)
    if code.rule is Rule.SHARE:
        above, low, high = number > 1.0, "fraction", "%"
    elif code.rule is Rule.TEMPERATURE:
        if _accepts(code, reported):
            return [(reported, everywhere)]
        above, low, high = number > FAHRENHEIT_ABOVE, "degC", "degF"
    else:
        unit = code.unit if code.rule is Rule.FIXED or not reported.strip() else reported
        return [(unit, everywhere)]
    return [(unit, chosen) for unit, chosen in ((low, ~above), (high, above)) if chosen.any()]


def _accepts(code: Code, unit: str) -> bool:
    try:
        accepted_unit(variable(code.target), unit)
    except UnacceptedUnit:
        return False
    return True


def row_fault(
    reason: Reason, what: str, codes: Sequence[Code], values: JudgedRows, index: int, *, bound: str = ""
) -> Quarantined:
    """Why one row is set aside, in words that name it: `what` is the rest of the sentence."""
    code, number = codes[int(values.rows.code[index])], float(values.rows.number[index])
    cell: Cell = values.rows.text[index] if math.isnan(number) else number
    unit = str(values.unit[index])
    given = f"{code.target} {cell_text(cell)} {unit} ({code.table} {code.code})"
    return Quarantined(reason, f"{given} {what}", None, "", str(code.target), as_json(cell), bound, unit)


def moment_text(microseconds: int) -> str:
    """A time of a row as ISO 8601 in UTC."""
    return (_EPOCH + timedelta(microseconds=microseconds)).isoformat()
