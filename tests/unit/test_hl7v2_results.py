"""One HL7 v2 message: separators, escapes, value types, codes, units, clocks and the verdict on each OBX."""

from datetime import UTC, datetime, timedelta, timezone
from io import BytesIO

import pytest

from models.clinical.errors import UnreadableSource
from models.clinical.quarantine import Accepted, Quarantined, Reason
from pipelines.ingest.hl7v2.results import Message, parse_message, verdict
from pipelines.ingest.hl7v2.segments import RawMessage, decoded, raw_messages, read_hl7_time, segments

HEADER = r"MSH|^~\&|LAB|H|P|H|20260101120000+0100||ORU^R01^ORU_R01|m1|P|2.5"
PATIENT = "PID|1|9|77^^^H^SS~42^^^H^MR||Doe||19600615|F"
ORDER = "OBR|1|p-1|f-1|24320-4^Panel^LN|||20260101113000+0100"
HEART_RATE = "8867-4^Heart rate^LN"


def _parsed(*lines: str) -> Message:
    return parse_message("\r".join((HEADER, PATIENT, ORDER, *lines)))


def _verdict(kind: str, value: str, unit: str = "/min", code: str = HEART_RATE) -> Accepted | Quarantined:
    (patient,) = _parsed(f"OBX|1|{kind}|{code}||{value}|{unit}|||||F").patients
    return verdict(patient.results[0])


def _accepted(kind: str, value: str, unit: str, code: str) -> tuple[str, float, str]:
    found = _verdict(kind, value, unit, code)
    assert isinstance(found, Accepted), found
    return found.variable.name, found.value, found.censored


def test_a_message_says_who_when_and_what() -> None:
    message = _parsed(f"OBX|1|NM|{HEART_RATE}||80|/min|||||F")
    (patient,) = message.patients
    assert (message.control_id, message.event) == ("m1", "ORU^R01")
    assert message.sent_at == datetime(2026, 1, 1, 11, tzinfo=UTC)
    assert (patient.subject, patient.birth, patient.sex) == ("42", "19600615", "F")
    reading = patient.results[0].reading
    assert (reading.time, reading.known_at) == (datetime(2026, 1, 1, 10, 30, tzinfo=UTC), message.sent_at)


@pytest.mark.parametrize(
    ("kind", "value", "unit", "code", "expected"),
    [
        ("NM", "80", "{beat}/min", HEART_RATE, ("heart_rate", 80, "")),
        (
            "NM",
            "80",
            "264864^MDC_DIM_BEAT_PER_MIN^MDC",
            "147842^MDC_ECG_HEART_RATE^MDC",
            ("heart_rate", 80, ""),
        ),
        ("NM", "80", "/min", "HR^Pulse^L^8867-4^Heart rate^LN", ("heart_rate", 80, "")),
        ("NM", "80", "/min", "8867-4", ("heart_rate", 80, "")),
        ("SN", "^182", "mg/dl", "1554-5^GLUCOSE^POST 12H CFST:MCNC:PT:SER/PLAS:QN", ("glucose", 182, "")),
        ("SN", "<^0.06", "ng/mL", "10839-9^Troponin^LN", ("troponin_i", 0.06, "<")),
        ("SN", ">=^5", "mmol/L", "2524-7^Lactate^LN", ("lactate", 5, ">")),
        ("SN", "=^5", "mmol/L", "2524-7^Lactate^LN", ("lactate", 5, "")),
        ("ST", "<0.01", "ng/mL", "10839-9^Troponin^LN", ("troponin_i", 0.01, "<")),
        ("TX", "4.1", "mmol/L", "2823-3^Potassium^LN", ("potassium", 4.1, "")),
        ("NM", "8.2", "giga.l-1", "6690-2^Leukocytes^LN", ("wbc", 8.2, "")),
        ("NM", "105600", "{cells}/uL", "26464-8^Leukocytes^LN", ("wbc", 105.6, "")),
        ("NM", "5", "mbar", "151976^MDC_VENT_PRESS_AWAY_END_EXP_POS^MDC", ("total_peep", 5.0985810649, "")),
        ("NM", "37", "268192^MDC_DIM_DEGC^MDC", "150364^MDC_TEMP_BODY^MDC", ("temperature", 37, "")),
        (
            "NM",
            "37",
            "Cel^degree Celsius^UCUM^268192^MDC_DIM_DEGC^MDC",
            "8310-5^T^LN",
            ("temperature", 37, ""),
        ),
        ("NM", "40", "%", "3150-0^FiO2^LN", ("fio2", 0.4, "")),
        ("NM", "0.4", "%", "3150-0^FiO2^LN", ("fio2", 0.4, "")),
        ("NM", "40", "", "3150-0^FiO2^LN", ("fio2", 0.4, "")),
        ("NM", "7.35", "", "2744-1^pH^LN", ("ph", 7.35, "")),
    ],
)
def test_values_are_read_by_type_code_and_unit(
    kind: str, value: str, unit: str, code: str, expected: tuple[str, float, str]
) -> None:
    name, number, sign = _accepted(kind, value, unit, code)
    assert (name, sign) == (expected[0], expected[2])
    assert number == pytest.approx(expected[1])


@pytest.mark.parametrize(
    ("kind", "value", "unit", "code", "reason"),
    [
        ("SN", "^1^-^5", "/min", HEART_RATE, Reason.NOT_A_NUMBER),
        ("SN", "^1^:^128", "/min", HEART_RATE, Reason.NOT_A_NUMBER),
        ("NM", "60~120", "/min", HEART_RATE, Reason.NOT_A_NUMBER),
        ("CWE", "80^Eighty^L", "/min", HEART_RATE, Reason.NOT_A_NUMBER),
        ("CE", "80", "/min", HEART_RATE, Reason.NOT_A_NUMBER),
        ("DTM", "20260101", "/min", HEART_RATE, Reason.NOT_A_NUMBER),
        ("NM", '""', "/min", HEART_RATE, Reason.NO_VALUE),
        ("NM", "12.5", "g/mL", "718-7^Hemoglobin^LN", Reason.IMPLAUSIBLE),
        ("NM", "13.4", "g/l-1", "718-7^Hemoglobin^LN", Reason.UNACCEPTED_UNIT),
        ("NM", "18", "264928^MDC_DIM_RESP_PER_MIN^MDC", HEART_RATE, Reason.UNACCEPTED_UNIT),
        ("NM", "5.5", "", "2345-7^Glucose^LN", Reason.MISSING_UNIT),
        ("NM", "80", "/min", "HR^Heart rate^L", Reason.UNKNOWN_VARIABLE),
        ("NM", "80", "/min", "8867-4^Heart rate^99HOUSE", Reason.UNKNOWN_VARIABLE),
        ("ST", "MRSA", "", "600-7^Blood culture^LN", Reason.UNKNOWN_VARIABLE),
    ],
)
def test_what_is_no_such_number_has_its_reason(
    kind: str, value: str, unit: str, code: str, reason: Reason
) -> None:
    found = _verdict(kind, value, unit, code)
    assert isinstance(found, Quarantined)
    assert found.reason is reason


@pytest.mark.parametrize(
    ("obx", "obr", "expected"),
    [
        (("0900", ""), ("0800", ""), ("0900", "1200")),
        (("", ""), ("0800", ""), ("0800", "1200")),
        (("", ""), ("", "0830"), ("0830", "0830")),
        (("", "0910"), ("0900", "1000"), ("0900", "1000")),
        (("", "0910"), ("0900", ""), ("0900", "0910")),
        (("", "0800"), ("0900", "0850"), ("0900", "1200")),
        (("1300", ""), ("", ""), ("1300", "")),
    ],
)
def test_time_and_known_at_come_from_obx_14_and_19_obr_7_and_22_and_msh_7(
    obx: tuple[str, str], obr: tuple[str, str], expected: tuple[str, str]
) -> None:
    def stamp(clock: str) -> str:
        return f"20260101{clock}" if clock else ""  # without an offset: that of MSH-7

    order = f"OBR|1||f-1|24320-4|||{stamp(obr[0])}{'|' * 15}{stamp(obr[1])}"
    result = f"OBX|1|NM|{HEART_RATE}||80|/min|||||F|||{stamp(obx[0])}|||||{stamp(obx[1])}"
    reading = parse_message("\n".join((HEADER, PATIENT, order, result))).patients[0].results[0].reading
    zone = timezone(timedelta(hours=1))
    assert (reading.time, reading.known_at) == tuple(read_hl7_time(stamp(clock), zone) for clock in expected)


@pytest.mark.parametrize(
    "stamp", ["20260101", "2026", "202601011", "20261301080000+0000", "202601010860+0000", "x", ""]
)
def test_a_date_alone_or_nonsense_is_no_time(stamp: str) -> None:
    result = f"OBX|1|NM|{HEART_RATE}||80|/min|||||F|||{stamp}"
    message = parse_message("\r".join((HEADER, PATIENT, result)))
    found = verdict(message.patients[0].results[0])
    assert isinstance(found, Quarantined)
    assert found.reason is Reason.MALFORMED


def test_without_any_offset_a_time_is_none_unless_the_caller_says_a_zone() -> None:
    text = "\r".join((HEADER, PATIENT, ORDER, f"OBX|1|NM|{HEART_RATE}||80|/min|||||F")).replace("+0100", "")
    assert parse_message(text).patients[0].results[0].reading.time == "20260101113000"
    reading = parse_message(text, UTC).patients[0].results[0].reading
    assert reading.time == datetime(2026, 1, 1, 11, 30, tzinfo=UTC)


def test_a_metric_has_the_time_of_the_channel_that_contains_it() -> None:
    channel = "OBX|1||150020^MDC_PRESS_BLD_NONINV^MDC|1.0.1|||||||X|||20260101111500+0100"
    inside = "OBX|2|NM|150021^MDC_PRESS_BLD_NONINV_SYS^MDC|1.0.1.1|120|266016^MDC_DIM_MMHG^MDC|||||R"
    beside = inside.replace("1.0.1.1", "1.0.10.1")
    _, first, second = _parsed(channel, inside, beside).patients[0].results
    assert first.reading.time == datetime(2026, 1, 1, 10, 15, tzinfo=UTC)
    assert second.reading.time == datetime(2026, 1, 1, 10, 30, tzinfo=UTC)


def test_separators_and_escapes_are_those_of_the_message() -> None:
    text = "\r".join((HEADER, PATIENT, ORDER, rf"OBX|1|TX|{HEART_RATE}||8\T\0 \X41\ \E\ \F\ |/min|||||F"))
    for other in (text, text.translate(str.maketrans("|^~&", "#*!%")).replace("8%T", "8&T")):
        (patient,) = parse_message(other).patients
        found = verdict(patient.results[0])
        separators = "&|" if other is text else "%#"
        assert isinstance(found, Quarantined)
        assert found.value == rf"8{separators[0]}0 A \ {separators[1]}"


def test_a_header_may_end_with_its_separators_but_none_stands_for_two_things() -> None:
    line = rf"OBX|1|TX|{HEART_RATE}||8\T\0|/min|||||F"
    assert verdict(parse_message(f"MSH|^~\r{line}").patients[0].results[0]).value == "8&0"
    with pytest.raises(UnreadableSource, match="stands for two things"):
        parse_message(f"MSH|^^\\&|\r{line}")


def test_a_message_of_two_patients_keeps_them_apart() -> None:
    other = "PID|1||43^^^H^MR||Roe||19700615|M"
    line = f"OBX|1|NM|{HEART_RATE}||80|/min|||||F"
    first, second = parse_message(
        "\r".join((HEADER, PATIENT, ORDER, line, other, ORDER, line, line))
    ).patients
    assert [(one.subject, len(one.results)) for one in (first, second)] == [("42", 1), ("43", 2)]


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_framing_envelopes_and_line_ends_are_passed_over(end: str) -> None:
    body = end.join((HEADER, PATIENT, ""))
    blocks = (
        "\ufeff\x0bFHS|^~\\&|x",
        "BHS|^~\\&|x",
        f"\x0b{body}\x1c",
        f"\x0b{body}\x1c",
        "BTS|2",
        "FTS|1",
        "",
    )
    found = [raw for raw in raw_messages(BytesIO(end.join(blocks).encode())) if isinstance(raw, RawMessage)]
    assert [len(segments(decoded(raw.content))[0]) for raw in found] == [2, 2]
    assert [raw.line for raw in found] == [3, 6]


def test_text_that_is_no_utf8_is_read_as_the_message_says() -> None:
    content = (HEADER + "||||||8859/15\rNTE|1||5 \xb5g").encode("latin-1")
    assert decoded(content).endswith("5 µg")


@pytest.mark.parametrize("text", ["", "PID|1", "MSH", "MSH|", "MSHx", "MSH|^", "MSH||||"])
def test_what_is_no_message_is_refused(text: str) -> None:
    with pytest.raises(UnreadableSource, match="expected MSH and its separators"):
        parse_message(text)
