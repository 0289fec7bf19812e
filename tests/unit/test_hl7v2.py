"""The HL7 v2 source: a feed becomes stays, corrections take effect when they came, and no OBX is lost."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from models.clinical.errors import UnreadableSource
from models.clinical.quarantine import Reason
from pipelines.ingest.hl7v2 import Hl7v2, open_source
from pipelines.ingest.source import IngestedStay, IngestSummary

POTASSIUM = "2823-3^Potassium^LN"


def message(
    *segments: str, sent: str = "20260101120000+0000", event: str = "ORU^R01", patient: str = "p1"
) -> str:
    header = rf"MSH|^~\&|LAB|H|P|H|{sent}||{event}|id-{sent}|P|2.5"
    return "\r".join((header, f"PID|1||{patient}^^^H^MR||Doe^Jo||19600615|F", *segments)) + "\r"


def obr(order: str = "f-1", at: str = "20260101113000+0000", released: str = "") -> str:
    return f"OBR|1||{order}|24320-4^Panel^LN|||{at}{'|' * 15}{released}"


def obx(value: str, status: str = "F", unit: str = "mmol/L", code: str = POTASSIUM, kind: str = "NM") -> str:
    return f"OBX|1|{kind}|{code}||{value}|{unit}|||||{status}"


def _source(folder: Path, messages: Sequence[str], name: str = "feed.hl7") -> Hl7v2:
    (folder / name).write_bytes("".join(messages).encode())
    return open_source(folder / name)


def _one(folder: Path, *messages: str) -> IngestedStay:
    (ingested,) = _source(folder, messages).stays()
    return ingested


def _spans(ingested: IngestedStay) -> list[tuple[float, str, str]]:
    """Each kept value with the clock times between which it stood; "" for an open end."""
    table = ingested.stay.observations
    return [
        (value, f"{known:%H:%M}", "" if pd.isna(until) else f"{until:%H:%M}")
        for value, known, until in zip(table["value"], table["known_at"], table["known_until"], strict=True)
    ]


def test_a_message_becomes_a_stay_admitted_at_the_hour_before_its_first_result(tmp_path: Path) -> None:
    ingested = _one(tmp_path, message(obr(released="20260101120500+0000"), obx("4.1")))
    stay = ingested.stay
    assert (stay.stay_id, stay.subject_id, stay.sex, stay.source) == ("p1", "p1", "female", "hl7v2")
    assert stay.age_years == pytest.approx(65.55, abs=0.01)
    assert stay.admitted_at == datetime(2026, 1, 1, 11, tzinfo=UTC)
    assert _spans(ingested) == [(4.1, "12:05", "")]
    assert not ingested.lag_assumed


def test_a_correction_in_a_later_message_supersedes_when_it_came(tmp_path: Path) -> None:
    first = message(obr(released="20260101120500+0000"), obx("5.9"))
    corrected = message(obr(released="20260101120500+0000"), obx("4.1", "C"), sent="20260101150000+0000")
    assert _spans(_one(tmp_path, first, corrected)) == [(5.9, "12:05", "15:00"), (4.1, "15:00", "")]


def test_a_preliminary_result_stands_until_the_final_one_and_an_equal_one_is_a_duplicate(
    tmp_path: Path,
) -> None:
    feed = [
        message(obr(), obx(value, status), sent=f"202601011{hour}0000+0000")
        for hour, value, status in ((2, "5.9", "P"), (3, "4.1", "F"), (4, "4.1", "F"))
    ]
    ingested = _one(tmp_path, *feed)
    assert _spans(ingested) == [(5.9, "12:00", "13:00"), (4.1, "13:00", "")]
    assert [entry.reason for entry in ingested.quarantine] == [Reason.DUPLICATE]


@pytest.mark.parametrize(
    ("status", "value", "reason"),
    [("D", "5.9", Reason.WITHDRAWN), ("W", "", Reason.WITHDRAWN), ("X", "", Reason.NO_VALUE)],
)
def test_a_deleted_wrong_or_impossible_result_ends_the_earlier(
    tmp_path: Path, status: str, value: str, reason: Reason
) -> None:
    ended = message(obr(), obx(value, status), sent="20260101150000+0000")
    ingested = _one(tmp_path, message(obr(), obx("5.9")), ended)
    assert _spans(ingested) == [(5.9, "12:00", "15:00")]
    assert [entry.reason for entry in ingested.quarantine] == [reason]


@pytest.mark.parametrize("status", ["I", "O", "N", "U", "F"])
def test_a_message_without_a_result_ends_nothing(tmp_path: Path, status: str) -> None:
    pending = message(obr(), obx("", status), sent="20260101150000+0000")
    ingested = _one(tmp_path, message(obr(), obx("5.9")), pending)
    assert _spans(ingested) == [(5.9, "12:00", "")]
    assert [entry.reason for entry in ingested.quarantine] == [Reason.NO_VALUE]


def test_another_minute_of_one_order_is_another_measurement(tmp_path: Path) -> None:
    feed = [
        message(obr(at=f"20260101113{minute}00+0000"), obx(value), sent=f"20260101113{minute}30+0000")
        for minute, value in ((0, "4.1"), (1, "4.3"))
    ]
    assert _spans(_one(tmp_path, *feed)) == [(4.1, "11:30", ""), (4.3, "11:31", "")]


def test_a_correction_of_the_time_alone_means_the_same_measurement(tmp_path: Path) -> None:
    moved = message(obr(at="20260101114500+0000"), obx("5.9", "C"), sent="20260101150000+0000")
    ingested = _one(tmp_path, message(obr(), obx("5.9")), moved)
    assert _spans(ingested) == [(5.9, "12:00", "15:00"), (5.9, "15:00", "")]


def test_without_an_order_number_two_probes_stand_beside_each_other(tmp_path: Path) -> None:
    probe = "150344^MDC_TEMP^MDC"
    feed = [
        message(obr(order=""), obx(value, "R", "268192^MDC_DIM_DEGC^MDC", probe), sent=sent)
        for value, sent in (("36.5", "20260101120000+0000"), ("37.1", "20260101120001+0000"))
    ]
    assert [value for value, _, until in _spans(_one(tmp_path, *feed)) if not until] == [36.5, 37.1]


def test_a_result_twice_in_one_message_is_two(tmp_path: Path) -> None:
    assert [value for value, *_ in _spans(_one(tmp_path, message(obr(), obx("4.1"), obx("4.3"))))] == [
        4.1,
        4.3,
    ]


def test_admission_transfer_and_discharge_come_from_adt(tmp_path: Path) -> None:
    def visit(unit: str) -> str:
        return f"PV1|1|I|{unit}^12^B||||||||||||||||v7"

    feed = [
        message("EVN|A01|20260101080500+0000", visit("ER"), event="ADT^A01"),
        message("EVN|A02|20260101100000+0000", visit("ICU"), event="ADT^A02"),
        message(obr(), obx("4.1")),
        message("EVN|A03|20260103090000+0000", visit("ICU"), event="ADT^A03^ADT_A03"),
    ]
    stay = _one(tmp_path, *feed).stay
    assert (stay.stay_id, stay.subject_id, stay.care_unit) == ("v7", "p1", "ICU")
    assert stay.admitted_at == datetime(2026, 1, 1, 8, 5, tzinfo=UTC)
    assert stay.discharged_at == datetime(2026, 1, 3, 9, tzinfo=UTC)
    assert len(stay.observations) == 1  # it names no visit, and falls into this one


def test_a_visit_number_of_two_patients_makes_two_stays(tmp_path: Path) -> None:
    visit = f"PV1|1|I{'|' * 17}v7"
    feed = [message(visit, obr(), obx("4.1"), patient=patient) for patient in ("p2", "p1")]
    source = _source(tmp_path, feed)
    assert [ingested.stay.stay_id for ingested in source.stays()] == ["p1/v7", "p2/v7"]


def test_cultures_are_interventions_once_for_all_their_lines(tmp_path: Path) -> None:
    lines = [obx(f"{name}^Organism^SCT", code="600-7^Blood culture^LN", kind="CWE") for name in ("1", "2")]
    ingested = _one(tmp_path, message(obr(), *lines))
    table = ingested.stay.interventions
    assert list(zip(table["kind"], table["agent"], strict=True)) == [("culture", "blood")]
    assert table["start"].iloc[0] == pd.Timestamp("2026-01-01T11:30:00Z")
    assert [entry.reason for entry in ingested.quarantine] == [Reason.DUPLICATE]


def test_every_obx_is_kept_quarantined_or_counted(tmp_path: Path) -> None:
    nameless = message(obr(), obx("4.1")).replace("p1^^^H^MR", "")
    local = message(obr(), obx("4.1", code="K^Potassium^L"), obx("4.1", code="K^Potassium^L"))
    timeless = message(obr(at=""), obx("4.1"), patient="p9")
    implausible = message(obr(), obx("41"), obx("4.1", unit=""), obx("4.1", status="Z"), obx("4.1"))
    source, summary = _source(tmp_path, [nameless, local, timeless, implausible]), IngestSummary()
    (ingested,) = summary.counting_all(source)
    assert sorted(entry.reason for entry in ingested.quarantine) == [
        Reason.IMPLAUSIBLE,
        Reason.MALFORMED,
        Reason.MISSING_UNIT,
    ]
    counts = {(one.reason, one.code): one.count for one in source.set_aside}
    assert counts == {
        (Reason.UNKNOWN_STAY, "potassium"): 1,
        (Reason.UNKNOWN_VARIABLE, "L K Potassium"): 2,
        (Reason.MALFORMED, "potassium"): 1,
    }
    assert (summary.cells_read, summary.cells_kept) == (8, 1)


def test_a_broken_message_or_line_costs_only_itself(tmp_path: Path) -> None:
    feed = [
        "stray line\r",
        message(obr(), obx("4.1")),
        "MSH\rOBX|1\r",
        message(obr("f-2"), "no segment", obx("4.3")),
    ]
    source = _source(tmp_path, feed)
    (ingested,) = source.stays()
    assert ingested.stay.observations["value"].tolist() == [4.1, 4.3]
    messages = [str(failure).removeprefix(str(tmp_path)) for failure in source.failures]
    assert [text.split(": ", 1)[0] for text in messages] == [
        "/feed.hl7",
        "/feed.hl7 line 6",
        "/feed.hl7 line 8, message id-20260101120000+0000",
    ]
    assert "line 1 stands before any MSH: 'stray line'" in messages[0]


def test_a_folder_is_read_by_what_its_files_hold(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    _source(tmp_path / "deep", [message(obr(), obx("4.1"))], "a.txt")
    _source(tmp_path, [message(obr("f-2"), obx("4.3"))], "b.dat")
    (tmp_path / "notes.txt").write_text("not a message")
    source = open_source(tmp_path)
    for _ in range(2):  # each pass starts over
        (ingested,) = source.stays()
        assert ingested.stay.observations["value"].tolist() == [4.1, 4.3]
    assert source.failures == ()


@pytest.mark.parametrize("name", ["absent.hl7", "absent"])
def test_an_absent_path_and_a_folder_without_messages_are_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnreadableSource, match=f"{name}: no such file"):
        open_source(tmp_path / name)
    with pytest.raises(UnreadableSource, match="no file here begins with MSH"):
        open_source(tmp_path)


def test_the_order_of_versions_is_that_of_their_messages_not_of_the_feed(tmp_path: Path) -> None:
    corrected = message(obr(released="20260101120500+0000"), obx("4.1", "C"), sent="20260101150000+0000")
    first = message(obr(released="20260101120500+0000"), obx("5.9"))
    assert _spans(_one(tmp_path, corrected, first)) == [(5.9, "12:05", "15:00"), (4.1, "15:00", "")]


@pytest.mark.parametrize(("value", "status", "left"), [("4.1", "C", (4.1, "15:00", "")), ("", "D", None)])
def test_a_correction_that_leaves_out_the_time_means_the_one_measurement_there_is(
    tmp_path: Path, value: str, status: str, left: tuple[float, str, str] | None
) -> None:
    later = message(obr(at=""), obx(value, status), sent="20260101150000+0000")
    spans = _spans(_one(tmp_path, message(obr(), obx("5.9")), later))
    assert spans == [(5.9, "12:00", "15:00"), *([left] if left else [])]


@pytest.mark.parametrize(
    "time", ["99991231235959+0000", "99991231235959-1400", "00010101000000+1400", "2026010112304+0000"]
)
def test_a_time_off_the_calendar_costs_its_own_row_alone(tmp_path: Path, time: str) -> None:
    ingested = _one(tmp_path, message(obr("f-2", at=time), obx("4.4"), obr(), obx("5.9")))
    assert _spans(ingested) == [(5.9, "12:00", "")]
    assert [entry.reason for entry in ingested.quarantine] == [Reason.MALFORMED]


def test_an_empty_file_is_a_failure(tmp_path: Path) -> None:
    source = _source(tmp_path, [])
    assert list(source.stays()) == []
    assert ["is empty" in str(failure) for failure in source.failures] == [True]
