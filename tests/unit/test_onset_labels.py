"""Labels from onsets: positive from six hours before the onset on, and a bad table is refused by name."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from models.clinical.errors import UnreadableSource
from pipelines.evaluate.run import evaluate
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


def test_an_evaluation_takes_them(source: Source, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("stay,onset_hour\na,10\nb,\nc,\n", encoding="utf-8")
    one = SourceSettings("table", Path(source.name), labels=labels)
    settings = EvaluationSettings(
        (one,), ("qsofa",), bootstrap=Bootstrap(draws=10), shuffles=1, engine="single"
    )
    counts = evaluate(settings, tmp_path / "out").cohorts[0].counts
    assert (counts.stays, counts.septic_stays, counts.positive_hours) == (3, 1, 9)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stay,onset\na,1\n", "missing column onset_hour"),
        ("stay,onset_hour\na,1\na,2\n", "stay a stands twice"),
        ("stay,onset_hour\na,soon\n", "stay a has onset_hour 'soon'"),
        ("stay,onset_hour\na,1\nb,-3\n", "row 2: stay b has its onset 3 h before admission"),
        ("stay,onset_hour\n", "no row"),
    ],
)
def test_a_table_that_says_no_onsets_is_refused(source: Source, tmp_path: Path, text: str, said: str) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text(text, encoding="utf-8")
    with pytest.raises(UnreadableSource, match=said):
        labelled_by(source, labels)
