"""No cell is ever lost, whatever the table holds, and the order of its rows does not matter."""

import csv
import random
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.ingest.cinc2019 import COLUMNS, FACTS, read_psv
from pipelines.ingest.long_table import open_source
from pipelines.ingest.source import IngestedStay

HEADER = ("stay", "time", "known_at", "variable", "value", "unit")
CELLS = st.one_of(
    st.sampled_from(["80", "7.4", "900", "<0.01", ">50", "NEG", "", "NaN", "inf", "1e999", "1_0", "-5"]),
    st.text(st.characters(codec="ascii", exclude_characters='|\n\r\0"'), max_size=6),
    st.floats(allow_nan=False).map(repr),
)
TIMES = st.one_of(
    st.datetimes().map(lambda time: time.isoformat()),
    st.integers(0, 90).map(lambda minute: f"2026-01-01T{8 + minute // 60:02}:{minute % 60:02}:00Z"),
    st.sampled_from(["", "yesterday"]),
)
ROWS = st.tuples(
    st.sampled_from(["a", "b", "c"]),
    TIMES,
    TIMES,
    st.sampled_from(["heart_rate", "8310-5", "lactate", "wbc", "pulse"]),
    CELLS,
    st.sampled_from(["1/min", "Cel", "mg/dL", "mmol/L", "10*3/uL", "", "stone"]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(CELLS, min_size=34, max_size=34), min_size=1, max_size=5))
def test_every_cell_of_a_record_is_kept_or_quarantined(table: list[list[str]]) -> None:
    lines = ["|".join((*COLUMNS, *FACTS))]
    lines += ["|".join((*row, "71", "0", "NaN", "NaN", "-1", str(hour))) for hour, row in enumerate(table, 1)]
    ingested = read_psv("p.psv", "\n".join(lines).encode())
    held = sum(cell.strip().casefold() not in ("", "nan") for row in table for cell in row)
    assert ingested.cells_read == held
    assert ingested.cells_kept + len(ingested.quarantine) == held


def _read(rows: list[tuple[str, ...]], folder: Path) -> tuple[dict[str, IngestedStay], list[str]]:
    path = folder / "rows.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows((HEADER, *rows))
    source = open_source(path)
    stays = {ingested.stay.stay_id: ingested for ingested in source.stays()}
    return stays, [str(failure).split(": ")[1] for failure in source.failures]


@settings(max_examples=60, deadline=None)
@given(st.lists(ROWS, max_size=12), st.randoms(use_true_random=False))
def test_every_row_of_a_long_table_is_accounted_for_in_any_order(
    rows: list[tuple[str, ...]], shuffler: random.Random
) -> None:
    shuffled = list(rows)
    shuffler.shuffle(shuffled)
    with tempfile.TemporaryDirectory() as folder:
        (stays, failures), (others, other_failures) = (
            _read(table, Path(folder)) for table in (rows, shuffled)
        )
    assert sorted(failures) == sorted(other_failures)
    failed = {failure.removeprefix("stay ") for failure in failures}
    assert set(stays) | failed == {row[0] for row in rows}
    for stay_id, ingested in stays.items():
        assert ingested.cells_read == sum(row[0] == stay_id for row in rows)
        other = others[stay_id]
        assert ingested.stay.admitted_at == other.stay.admitted_at
        assert ingested.stay.observations.equals(other.stay.observations)
        assert sorted(entry.detail for entry in ingested.quarantine) == sorted(
            entry.detail for entry in other.quarantine
        )
