"""Annotation tables: SzCORE in and out, BIDS events in, and what becomes of rows that cannot be used."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.clinical.annotation import BACKGROUND, AnnotatedSpan, Annotation
from models.clinical.errors import InvalidInput, UnreadableSource
from models.clinical.quarantine import Reason
from pipelines.ingest.annotations import COLUMNS, read_annotations, write_annotations

STARTED = datetime(2000, 1, 1, tzinfo=UTC)
HEADER = "\t".join(COLUMNS)


def table(tmp_path: Path, *rows: str, header: str = HEADER) -> Path:
    path = tmp_path / "events.tsv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def test_a_szcore_row_with_all_its_cells(tmp_path: Path) -> None:
    path = table(tmp_path, "36.89\t200.32\tsz_foc_ia\t0.75\tA1, A2\t2000-01-01 00:00:00\t3600.00")
    (span,) = read_annotations(path).spans
    assert (span.started_at, span.seconds) == (STARTED, 3600.0)
    assert span.annotations == (Annotation(36.89, 200.32, "sz_foc_ia", 0.75, ("A1", "A2")),)
    assert span.annotations[0].is_seizure
    assert span.annotations[0].end_seconds == pytest.approx(237.21)


def test_what_is_not_stated_is_nothing(tmp_path: Path) -> None:
    (span,) = read_annotations(table(tmp_path, "1\t2\tsz\tn/a\tn/a\tn/a\tn/a")).spans
    assert span == AnnotatedSpan((Annotation(1.0, 2.0),))


def test_bids_events_name_their_type_trial_type_and_may_lack_a_duration(tmp_path: Path) -> None:
    path = table(
        tmp_path, "1.5\tn/a\tseizure\t7", "3\t2\trest\t8", header="\ufeffonset\tduration\ttrial_type\tvalue"
    )
    (span,) = read_annotations(path).spans
    assert [(one.duration_seconds, one.event_type, one.is_seizure) for one in span.annotations] == [
        (0.0, "seizure", True),
        (2.0, "rest", False),
    ]


BAD_ROWS = {
    "n/a\t2\tsz\tn/a\tn/a\tn/a\t60": (Reason.NO_VALUE, "onset", ">= 0 s"),
    "soon\t2\tsz\tn/a\tn/a\tn/a\t60": (Reason.NOT_A_NUMBER, "'soon'", "[0, 60] s"),
    "-1\t2\tsz\tn/a\tn/a\tn/a\t60": (Reason.IMPLAUSIBLE, "'-1'", "[0, 60] s"),
    "61\t2\tsz\tn/a\tn/a\tn/a\t60": (Reason.IMPLAUSIBLE, "'61'", "[0, 60] s"),
    "1\t-2\tsz\tn/a\tn/a\tn/a\t60": (Reason.IMPLAUSIBLE, "duration '-2'", ">= 0 s"),
    "1\tinf\tsz\tn/a\tn/a\tn/a\t60": (Reason.NOT_A_NUMBER, "duration 'inf'", ">= 0 s"),
    "1\t2\tsz\t1.5\tn/a\tn/a\t60": (Reason.IMPLAUSIBLE, "confidence '1.5'", "[0, 1]"),
    "1\t2\tsz\tn/a\tn/a\tyesterday\t60": (Reason.MALFORMED, "'yesterday'", "YYYY-MM-DD HH:MM:SS"),
    "1\t2\tsz\tn/a\tn/a\tn/a": (Reason.MALFORMED, "6 cells", "7 cells"),
    "1\t2\tsz\tn/a\tn/a\tn/a\t99": (Reason.MALFORMED, "99 s", "60 s"),
}


@pytest.mark.parametrize(("bad", "expected"), BAD_ROWS.items())
def test_a_bad_row_is_named_with_its_bound_and_the_others_are_kept(
    bad: str, expected: tuple[Reason, str, str], tmp_path: Path
) -> None:
    good = "1\t2\tsz\tn/a\tn/a\tn/a\t60"
    read = read_annotations(table(tmp_path, good, bad, good))
    reason, named, bound = expected
    (entry,) = read.set_aside
    assert (entry.row, entry.reason, entry.bound) == (2, reason, bound)
    assert named in entry.detail
    assert len(read.spans[0].annotations) == 2
    assert "row 2" in read.complaints()[0]


@pytest.mark.parametrize(
    ("content", "named"),
    [(b"", "onset, duration"), (b"time\tduration\n", "onset"), (b"\xff\xfe\x00", "UTF-8")],
)
def test_what_is_no_table_is_unreadable(content: bytes, named: str, tmp_path: Path) -> None:
    path = tmp_path / "events.tsv"
    path.write_bytes(content)
    with pytest.raises(UnreadableSource, match=named):
        read_annotations(path)
    with pytest.raises(UnreadableSource, match=r"absent\.tsv"):
        read_annotations(tmp_path / "absent.tsv")


def test_a_recording_that_is_calm_keeps_its_length(tmp_path: Path) -> None:
    path = tmp_path / "events.tsv"
    write_annotations(path, [AnnotatedSpan((Annotation(0.0, 3600.0, BACKGROUND),), STARTED, 3600.0)])
    (span,) = read_annotations(path).spans
    assert (span.seconds, span.seizures) == (3600.0, ())
    assert path.read_text(encoding="utf-8").splitlines()[1].startswith("0.0\t3600.0\tbckg\t")
    assert [file.name for file in tmp_path.iterdir()] == ["events.tsv"]


def test_a_recording_that_nobody_looked_at_is_not_written_as_calm(tmp_path: Path) -> None:
    looked_at = AnnotatedSpan((Annotation(1.0, 2.0),), STARTED, 3600.0)
    with pytest.raises(InvalidInput, match="recording 1 has no annotation"):
        write_annotations(tmp_path / "events.tsv", [looked_at, AnnotatedSpan((), None, 3600.0)])
    assert list(tmp_path.iterdir()) == []


SECONDS = st.floats(0, 1e6, allow_subnormal=False)
ANNOTATIONS = st.builds(
    Annotation,
    SECONDS,
    SECONDS,
    st.sampled_from(["sz", "sz_gen", "bckg"]),
    st.none() | st.floats(0, 1),
    st.lists(st.sampled_from(["A1", "A2", "B'3"]), unique=True).map(tuple),
)


@settings(max_examples=60)
@given(annotations=st.lists(ANNOTATIONS, min_size=1, max_size=5), seconds=st.none() | st.just(1e6))
def test_what_is_written_reads_back(
    annotations: list[Annotation], seconds: float | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("annotations") / "events.tsv"
    span = AnnotatedSpan(tuple(annotations), STARTED, seconds)
    write_annotations(path, [span])
    assert read_annotations(path).spans == (span,)


@pytest.mark.parametrize(("onset", "duration"), [(-1.0, 1.0), (float("nan"), 1.0), (0.0, float("inf"))])
def test_an_annotation_has_a_place_in_time(onset: float, duration: float) -> None:
    with pytest.raises(InvalidInput, match=">= 0 s"):
        Annotation(onset, duration)


def test_confidence_has_a_bound() -> None:
    with pytest.raises(InvalidInput, match=r"\[0, 1\]"):
        Annotation(0.0, 1.0, confidence=2.0)


@pytest.mark.data
def test_the_szcore_sample(data_folder: Path) -> None:
    read = read_annotations(data_folder / "ieeg" / "epilepsy2bids_samples" / "sample.tsv")
    (span,) = read.spans
    assert [one.onset_seconds for one in span.seizures] == [36.89, 304.56, 1023.45]
    assert [one.confidence for one in span.seizures] == [1.0, None, 0.0]
    assert (span.started_at, span.seconds, read.set_aside) == (STARTED, 3600.0, ())
