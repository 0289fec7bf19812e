"""No cell is ever lost, whatever a source holds, and the order of a table's rows does not matter."""

import csv
import random
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.ingest.cinc2012 import read_record
from pipelines.ingest.cinc2019 import COLUMNS, FACTS, read_psv
from pipelines.ingest.hl7v2 import open_source as open_messages
from pipelines.ingest.long_table import open_source
from pipelines.ingest.source import IngestedStay, IngestSummary

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


@settings(max_examples=60)
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


@settings(max_examples=60)
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


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["00:07", "01:30", "48:00", "1:75", "x"]),
            st.sampled_from(["HR", "Temp", "MechVent", "Weight", "Cholesterol", "SysABP", "NISysABP"]),
            st.one_of(st.sampled_from(["1", "80", "-1", "900", "NA", ""]), st.floats().map(repr)),
        ),
        max_size=12,
    )
)
def test_every_row_of_a_cinc_2012_record_is_kept_quarantined_or_counted(rows: list[tuple[str, ...]]) -> None:
    content = "\n".join(["Time,Parameter,Value", "00:00,RecordID,7", *(",".join(row) for row in rows)])
    ingested, unmapped = read_record("7.txt", content.encode())
    assert ingested.cells_read + unmapped.total() == len(rows)


SEGMENTS = st.one_of(
    st.tuples(
        st.sampled_from(["NM", "SN", "ST", "CWE", ""]),
        st.sampled_from(
            ["8867-4^HR^LN", "150456^MDC_PULS_OXIM_SAT_O2^MDC", "600-7^Culture^LN", "X^Y^L", "", "^^LN"]
        ),
        st.sampled_from(["80", "^80", "<^5", "<5", "", '""', "1~2", "a\\T\\b", "\\X4\\", "|", "^^^^"]),
        st.sampled_from(["/min", "%", "", "262688^MDC_DIM_PERCENT^MDC", "stone"]),
        st.sampled_from(["F", "P", "C", "D", "W", "X", "I", "R", "", "?"]),
        st.sampled_from(["20260101120000+0000", "202601011230", "20260101", ""]),
    ).map(lambda cells: "OBX|1|{}|{}||{}|{}|||||{}|||{}".format(*cells)),
    st.sampled_from(
        ["PID|1||p1", "PID|1||p2", "PID|1", "OBR|1||f1||||20260101110000+0000", "PV1|1|I", "ZZZ", "x|y"]
    ),
    st.text(st.characters(codec="ascii", exclude_characters="\r\n"), max_size=8).map(
        lambda text: f"NTE|{text}"
    ),
)


@settings(max_examples=60)
@given(st.lists(st.lists(SEGMENTS, max_size=6), min_size=1, max_size=4))
def test_every_obx_of_a_feed_is_kept_quarantined_or_counted(messages: list[list[str]]) -> None:
    header = r"MSH|^~\&|A|B|C|D|20260101{0:02}0000||ORU^R01|{0}|P|2.5"
    feed = "\r".join(line for hour, lines in enumerate(messages) for line in (header.format(hour), *lines))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "feed.hl7"
        path.write_text(feed, encoding="utf-8", newline="")
        summary = IngestSummary()
        for ingested in summary.counting_all(open_messages(path)):
            assert ingested.cells_kept + len(ingested.quarantine) == ingested.cells_read
    assert summary.cells_read == sum(line.startswith("OBX") for lines in messages for line in lines)
