"""Labels from onsets: positive from six hours before the onset on, and a bad table is refused by name."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from models.clinical.errors import UnreadableSource
from pipelines.evaluate.record import Evaluation
from pipelines.evaluate.run import evaluate
from pipelines.evaluate.scored import read_evidence
from pipelines.evaluate.settings import EvaluationSettings, SourceSettings
from pipelines.ingest.long_table import open_source
from pipelines.ingest.source import Source
from pipelines.metrics.bootstrap import Bootstrap
from pipelines.onset_labels import labelled_by

START = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """Stays a to d, twelve hours each; e has nothing fit to be kept."""
    rows = [
        f"{stay},{(START + timedelta(hours=hour)).isoformat()},respiratory_rate,{12 + 2 * hour},1/min\n"
        for stay in "abcd"
        for hour in range(13)
    ]
    rows.append(f"e,{START.isoformat()},respiratory_rate,none,1/min\n")
    path = tmp_path / "ward.csv"
    path.write_text("stay,time,variable,value,unit\n" + "".join(rows), encoding="utf-8")
    return open_source(path)


def test_hours_are_positive_from_six_before_the_onset(source: Source, tmp_path: Path) -> None:
    labels = tmp_path / "labels.parquet"
    columns = {"stay": list("abce"), "onset_hour": pa.array([8.0, None, 3.0, 1.0]), "delta": [2, 0, 3, 2]}
    pq.write_table(pa.table(columns), labels)
    found = {one.stay.stay_id: one.label for one in labelled_by(source, labels).stays()}
    assert list(found) == ["a", "b", "c"]  # d is in no cohort
    labelled = {stay: [] if label is None else label.tolist() for stay, label in found.items()}
    assert labelled == {"a": [0] + [1] * 11, "b": [0] * 12, "c": [1] * 12}


def evaluated(folder: Path, text: str, *names: str, first: int | None = None) -> Evaluation:
    """The tables `names` of `folder`, evaluated with one table of onsets."""
    labels = folder / "labels.csv"
    labels.write_text("stay,onset_hour\n" + text, encoding="utf-8")
    sources = tuple(SourceSettings("table", folder / name, labels=labels, first=first) for name in names)
    settings = EvaluationSettings(
        sources, ("qsofa",), bootstrap=Bootstrap(draws=10), shuffles=1, engine="single"
    )
    return evaluate(settings, folder / "out")


def test_an_evaluation_takes_them(source: Source, tmp_path: Path) -> None:
    found = evaluated(tmp_path, "a,10\nb,\nc,\ne,\nz,\n", Path(source.name).name)
    counts, (read,) = found.cohorts[0].counts, found.sources
    assert (counts.stays, counts.septic_stays, counts.positive_hours) == (3, 1, 9)
    assert (read.stays_read, read.unlabelled, read.evaluated) == (5, 2, 3)  # d has no label, e no value


def test_rows_that_belong_to_no_stay_are_among_what_was_set_aside(source: Source, tmp_path: Path) -> None:
    rows = "stay,start,end,kind,rate,unit,agent\nz,2026-03-01T01:00:00Z,,culture,,,blood\n"
    (tmp_path / "ward.interventions.csv").write_text(rows, encoding="utf-8")
    (read,) = evaluated(tmp_path, "a,10\nb,\nc,\n", Path(source.name).name).sources
    assert read.ingest["quarantined"] == {"unknown_stay": 1}
    assert read.ingest["cells_read"] == read.ingest["cells_kept"] + 1 == 3 * 13 + 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,10\nb,\ny,\nz,5\n", r"labels\.csv: row 4: stay z has an onset, but is not in .*ward\.csv"),
        ("z,5\na,10\ny,7\n", r"row 1: stay z .* \(2 onsets are of such stays\)"),
        ("z,\n", r"ward\.csv \(held-out, labelled by .*labels\.csv\): no readable stay"),
    ],
)
def test_an_onset_of_nobody_is_refused(source: Source, tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UnreadableSource, match=said):
        evaluated(tmp_path, text, Path(source.name).name)


def test_words_for_nothing_are_no_onset(source: Source, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("stay,onset_hour\na, 8\nb, \nc,NA\nd,NULL\n", encoding="utf-8")
    told = {one.stay.stay_id: one.onset_hour for one in labelled_by(source, labels).stays()}
    assert told == {"a": 8.0, "b": None, "c": None, "d": None}


def test_an_onset_just_after_the_last_hour_counts(source: Source, tmp_path: Path) -> None:
    counts = evaluated(tmp_path, "a,18\nb,\n", Path(source.name).name).cohorts[0].counts
    assert (counts.septic_stays, counts.positive_hours) == (1, 1)


def test_an_onset_long_after_the_last_hour_is_named(source: Source, tmp_path: Path) -> None:
    found = evaluated(tmp_path, "a,18.5\nb,5\n", Path(source.name).name)
    assert (found.cohorts[0].counts.stays, found.cohorts[0].counts.septic_stays) == (2, 1)
    assert "labels.csv: row 1: stay a has its onset at 18.5 h" in found.unreadable[0]
    assert "6 h after its last hour, 12" in found.unreadable[0]


@pytest.fixture
def warned(source: Source, tmp_path: Path) -> Path:
    """The same stays in shock all along: qSOFA alarms in all of them at 5 h, when they breathe 22 times."""
    path = Path(source.name)
    header, *rows = path.read_text(encoding="utf-8").splitlines(keepends=True)
    shock = [
        ",".join([*row.split(",")[:2], "systolic_pressure", "90", "mmHg\n"]) for row in rows if row[0] != "e"
    ]
    path.write_text(header + "".join(sorted(rows + shock)), encoding="utf-8")
    return tmp_path


def test_an_onset_is_the_hour_that_is_told_and_not_one_rounded(warned: Path) -> None:
    found = evaluated(warned, "a,5.5\nb,2.25\nc,\nd,8\n", "ward.csv").cohorts[0].models[0]
    figures = found.warnings[0].figures
    assert (figures.outside.events, figures.outside.events_detected, figures.late) == (3, 2, 1)
    assert figures.outside.lead_time_hours_quartiles == pytest.approx((1.125, 2.375))  # of 0.5 h and 3 h
    assert figures.outside.precision == pytest.approx(2 / 3)  # c has no event, b's came too late to warn
    onsets = read_evidence(warned / "out", ["qsofa"]).onsets
    assert onsets.hour.tolist() == [5, 2, 0, 8]
    assert not onsets.untold.any()


@pytest.mark.parametrize("moment", [5.0, 4.75])
def test_an_alarm_at_the_onset_or_after_it_foretells_nothing(warned: Path, moment: float) -> None:
    figures = evaluated(warned, f"a,{moment}\nb,\n", "ward.csv").cohorts[0].models[0].warnings[0].figures
    assert (figures.outside.true_alarms, figures.outside.events_detected, figures.late) == (0, 0, 1)


def test_a_corrected_onset_is_noticed_by_a_run_that_goes_on(warned: Path) -> None:
    leads = [
        evaluated(warned, f"a,{onset}\nb,\n", "ward.csv").cohorts[0].models[0].warnings[0].figures.outside
        for onset in (5.5, 5.25)  # the hours before either are labelled alike
    ]
    assert [one.lead_time_hours for one in leads] == [0.5, 0.25]


def test_one_table_may_be_of_several_sources(source: Source, tmp_path: Path) -> None:
    text = Path(source.name).read_text(encoding="utf-8")
    (tmp_path / "other.csv").write_text(text.replace("\na,", "\nz,"), encoding="utf-8")
    (tmp_path / "ward.csv").write_text(text[: text.index("\nb,") + 1], encoding="utf-8")
    counts = evaluated(tmp_path, "a,10\nz,5\nb,\n", "ward.csv", "other.csv").cohorts[0].counts
    assert (counts.stays, counts.septic_stays) == (3, 2)


def test_an_onset_of_a_stay_that_could_not_be_read_is_named_with_it(source: Source, tmp_path: Path) -> None:
    with Path(source.name).open("a", encoding="utf-8") as table:
        table.write("z,yesterday,respiratory_rate,12,1/min\n")
    found = evaluated(tmp_path, "a,10\nb,\nz,5\n", "ward.csv")
    assert found.cohorts[0].counts.septic_stays == 1
    assert "stay z: none of its 1 rows has a time" in found.unreadable[0]
    assert "labels.csv: row 3: stay z has an onset, but is not in" in found.unreadable[1]


def test_the_first_stays_alone_refuse_nothing(source: Source, tmp_path: Path) -> None:
    found = evaluated(tmp_path, "a,10\nb,\nz,5\n", Path(source.name).name, first=2)
    assert found.cohorts[0].counts.stays == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stay,onset\na,1\n", "missing column onset_hour"),
        ("stay,onset_hour\na,1\na,2\n", "row 2: stay a stands twice"),
        ("stay,onset_hour\na,soon\n", "stay a has onset_hour 'soon'"),
        ("stay,onset_hour\na,1\nb,-3\n", "row 2: stay b has its onset 3 h before admission"),
        ("stay,onset_hour\n", "no row"),
        ("stay,onset_hour\na,1\nb,2,3\n", "row 2 has 3 cells"),
    ],
)
def test_a_table_that_says_no_onsets_is_refused(source: Source, tmp_path: Path, text: str, said: str) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text(text, encoding="utf-8")
    with pytest.raises(UnreadableSource, match=said):
        labelled_by(source, labels)
