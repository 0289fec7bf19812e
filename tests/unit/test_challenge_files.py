"""Reading the challenge's files: every defect is named by file and row, and nothing is guessed."""

import zipfile
from pathlib import Path

import pytest

from models.clinical.errors import InvalidInput, UnreadableSource
from pipelines.metrics.challenge_files import evaluate_folders

LABELS = {"a.psv": "HR|SepsisLabel\n80|0\nNaN|0\n90|1\n", "b.psv": "HR|SepsisLabel\n70|0\n71|0\n"}
PREDICTIONS = {
    "a.psv": "PredictedProbability|PredictedLabel\n0.1|0\n0.6|1\n0.9|1\n",
    "b.psv": "PredictedProbability|PredictedLabel\n0.2|0\n0.3|0\n",
}


def folder(place: Path, files: dict[str, str]) -> Path:
    place.mkdir()
    for name, content in files.items():
        (place / name).write_text(content)
    return place


def test_the_figures_of_two_stays(tmp_path: Path) -> None:
    metrics = evaluate_folders(folder(tmp_path / "true", LABELS), folder(tmp_path / "given", PREDICTIONS))
    assert (metrics.auroc, metrics.auprc) == (1.0, 1.0)
    assert metrics.accuracy == 0.8
    assert metrics.f_measure == pytest.approx(2 / 3)
    # onset at row 8: rewards 4/6, 5/6, 1; the first is missed, and predicting nothing costs nothing yet
    assert metrics.utility == pytest.approx((5 / 6 + 1) / (4 / 6 + 5 / 6 + 1))


def test_a_zip_reads_like_a_folder(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "true.zip", "w") as archive:
        for name, content in LABELS.items():
            archive.writestr(f"training/{name}", content)
        archive.writestr("training/._a.psv", "what an archiver adds")
    given = folder(tmp_path / "given", PREDICTIONS)
    zipped = evaluate_folders(tmp_path / "true.zip", given)
    assert zipped == evaluate_folders(folder(tmp_path / "true", LABELS), given)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("PredictedProbability|PredictedLabel\n0.1|0\n1.5|1\n0.9|1\n", r"a.psv row 2: .*'1.5'"),
        ("PredictedProbability|PredictedLabel\n0.1|0\nNaN|1\n0.9|1\n", r"a.psv row 2: .*'NaN'"),
        ("PredictedProbability|PredictedLabel\n0.1|0\n0.5|1\n0.9|2\n", r"a.psv row 3: .*'2'"),
        ("PredictedProbability|PredictedLabel\n<0.1|0\n0.5|1\n0.9|1\n", r"a.psv row 1: .*'<0.1'"),
    ],
)
def test_a_value_out_of_bound_names_file_and_row(tmp_path: Path, content: str, message: str) -> None:
    true = folder(tmp_path / "true", LABELS)
    given = folder(tmp_path / "given", PREDICTIONS | {"a.psv": content})
    with pytest.raises(InvalidInput, match=message):
        evaluate_folders(true, given)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("PredictedProbability|PredictedLabel\n0.1|0\n0.5|1\n", "a.psv has 2 rows, its labels have 3"),
        ("PredictedProbability|PredictedLabel\n0.1|0\n0.5\n0.9|1\n", "a.psv row 2: 1 cells, expected 2"),
        ("PredictedProbability\n0.1\n", "a.psv: no column PredictedLabel"),
        ("PredictedProbability|PredictedLabel\n", "a.psv: no row"),
        ("", "a.psv: no column"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, content: str, message: str) -> None:
    true = folder(tmp_path / "true", LABELS)
    given = folder(tmp_path / "given", PREDICTIONS | {"a.psv": content})
    with pytest.raises(UnreadableSource, match=message):
        evaluate_folders(true, given)


@pytest.mark.parametrize("side", ["true", "given"])
def test_a_file_without_partner_is_named(tmp_path: Path, side: str) -> None:
    true, given = folder(tmp_path / "true", LABELS), folder(tmp_path / "given", PREDICTIONS)
    (tmp_path / side / "b.psv").unlink()
    with pytest.raises(UnreadableSource, match=f"{side}: lacks b.psv"):
        evaluate_folders(true, given)


def test_places_that_cannot_be_read(tmp_path: Path) -> None:
    given = folder(tmp_path / "given", PREDICTIONS)
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04 cut short")
    for place in (tmp_path / "nowhere", tmp_path / "cut.zip", folder(tmp_path / "empty", {})):
        with pytest.raises(UnreadableSource, match=place.name):
            evaluate_folders(place, given)


def test_one_stay_twice_is_refused(tmp_path: Path) -> None:
    true = folder(tmp_path / "true", LABELS)
    folder(true / "again", LABELS)
    with pytest.raises(UnreadableSource, match=r"\.psv occurs twice"):
        evaluate_folders(true, folder(tmp_path / "given", PREDICTIONS))


def test_labels_without_a_positive_stay_are_refused(tmp_path: Path) -> None:
    well = {name: content.replace("90|1", "90|0") for name, content in LABELS.items()}
    given = folder(tmp_path / "given", PREDICTIONS)
    with pytest.raises(InvalidInput, match=r"true: no positive subject among 2 stays: SepsisLabel is 0"):
        evaluate_folders(folder(tmp_path / "true", well), given)
