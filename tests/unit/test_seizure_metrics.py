"""Seizure figures: kappa, latency, pooling over recordings, and the command that prints them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.metrics import cohen_kappa_score  # type: ignore[import-untyped]

from models.clinical.errors import InvalidInput, UnreadableSource
from pipelines.ingest.annotations import COLUMNS
from pipelines.metrics.seizure_files import score_files
from pipelines.metrics.seizures import (
    DetectionFigures,
    ScoredRecording,
    SeizureMetrics,
    cohens_kappa,
    detection_latencies,
    score_seizures,
)

UNDEFINED = DetectionFigures(None, None, None, None)


def test_one_seizure_found_one_missed_one_invented() -> None:
    found = score_seizures([ScoredRecording(7200.0, [(600, 660), (3600, 3660)], [(610, 640), (6000, 6010)])])
    assert found.event == DetectionFigures(0.5, 0.5, 0.5, 12.0)
    assert found.sample == DetectionFigures(30 / 120, 30 / 40, 60 / 160, 10 * 12.0)
    assert found.latency_s == 10.0


def test_recordings_are_pooled_by_their_counts() -> None:
    first = ScoredRecording(3600.0, [(600, 660)], [(600, 660)])
    second = ScoredRecording(3600.0, [(600, 660)], [(2000, 2010)])
    assert score_seizures([first, second]).event == DetectionFigures(0.5, 0.5, 0.5, 12.0)


def test_an_epoch_is_positive_where_an_event_covers_any_part_of_it() -> None:
    recording = ScoredRecording(23.0, [(4.9, 5.1), (10.0, 15.0)], [(0.0, 5.0), (22.0, 22.5)])
    kappa = cohens_kappa([recording])
    assert kappa == pytest.approx(cohen_kappa_score([1, 1, 1, 0, 0], [1, 0, 0, 0, 1]))


@pytest.mark.parametrize("events", [[], [(0.0, 60.0)]])
def test_kappa_is_undefined_where_both_always_say_the_same(events: list[tuple[float, float]]) -> None:
    assert cohens_kappa([ScoredRecording(60.0, events, events)]) is None


def test_nothing_recorded_has_no_figure() -> None:
    assert score_seizures([ScoredRecording(0.0, [], [])]) == SeizureMetrics(UNDEFINED, UNDEFINED, None, None)
    assert score_seizures([]) == SeizureMetrics(UNDEFINED, UNDEFINED, None, None)


def test_latency_is_negative_where_the_detection_came_first() -> None:
    assert detection_latencies(ScoredRecording(3600.0, [(600, 660)], [(580, 590), (610, 620)])) == [-20.0]


def test_latency_of_what_was_not_detected_is_none() -> None:
    assert detection_latencies(ScoredRecording(3600.0, [(600, 660)], [(720, 730), (640, 640)])) == []


def test_latency_is_the_median_over_detected_seizures() -> None:
    onsets = [600.0, 1200.0, 1800.0]
    recording = ScoredRecording(
        3600.0,
        [(onset, onset + 60) for onset in onsets],
        [(onset + late, onset + late + 5) for onset, late in zip(onsets, [3.0, 30.0, 8.0], strict=True)],
    )
    assert score_seizures([recording]).latency_s == 8.0


@pytest.mark.parametrize("event", [(-1.0, 2.0), (3.0, 2.0), (float("nan"), 2.0), (0.0, float("inf"))])
def test_an_event_outside_time_is_refused(event: tuple[float, float]) -> None:
    with pytest.raises(InvalidInput, match="0 <= onset <= end"):
        ScoredRecording(10.0, [event], [])


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_a_recording_has_a_length(seconds: float) -> None:
    with pytest.raises(InvalidInput, match=">= 0 s"):
        ScoredRecording(seconds, [], [])


def write(path: Path, *rows: tuple[object, ...]) -> Path:
    lines = ["\t".join(COLUMNS), *("\t".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


MONDAY, TUESDAY = "2024-01-01 08:00:00", "2024-01-02 08:00:00"


def test_recordings_of_two_tables_are_paired_by_their_start(tmp_path: Path) -> None:
    reference = write(
        tmp_path / "ref.tsv",
        (600, 60, "sz", "n/a", "n/a", MONDAY, 3600),
        (0, 7200, "bckg", "n/a", "n/a", TUESDAY, 7200),
    )
    hypothesis = write(tmp_path / "hyp.tsv", (600, 60, "sz", 0.9, "n/a", TUESDAY, 7200))
    metrics = score_files(reference, hypothesis).metrics
    assert metrics.event == DetectionFigures(0.0, 0.0, 0.0, 8.0)


def test_two_single_recordings_are_a_pair_where_one_does_not_say_when_it_began(tmp_path: Path) -> None:
    reference = write(tmp_path / "ref.tsv", (600, 60, "sz", "n/a", "n/a", MONDAY, 3600))
    hypothesis = write(tmp_path / "hyp.tsv", (600, 60, "sz", "n/a", "n/a", "n/a", "n/a"))
    assert score_files(reference, hypothesis).metrics.event == DetectionFigures(1.0, 1.0, 1.0, 0.0)


def test_two_single_recordings_of_different_times_are_refused(tmp_path: Path) -> None:
    reference = write(tmp_path / "ref.tsv", (600, 60, "sz", "n/a", "n/a", MONDAY, 3600))
    hypothesis = write(tmp_path / "hyp.tsv", (600, 60, "sz", "n/a", "n/a", TUESDAY, 3600))
    with pytest.raises(InvalidInput, match=r"hyp\.tsv: .* of 2024-01-02 .*ref\.tsv: .* of 2024-01-01 "):
        score_files(reference, hypothesis)
    # other programs keep the fraction of a second
    write(tmp_path / "hyp.tsv", (600, 60, "sz", "n/a", "n/a", f"{MONDAY}.9", 3600))
    assert score_files(reference, hypothesis).metrics.event.sensitivity == 1.0


def test_a_recording_without_a_time_is_called_so(tmp_path: Path) -> None:
    both = [(600, 60, "sz", "n/a", "n/a", start, 3600) for start in (MONDAY, TUESDAY)]
    reference = write(tmp_path / "ref.tsv", *both)
    hypothesis = write(tmp_path / "hyp.tsv", (600, 60, "sz", "n/a", "n/a", "n/a", 3600))
    with pytest.raises(InvalidInput, match=r"hyp\.tsv: a recording without a dateTime is not in"):
        score_files(reference, hypothesis)
    one = write(tmp_path / "one.tsv", (600, 60, "sz", "n/a", "n/a", MONDAY, 7200))
    with pytest.raises(InvalidInput, match=r"without a dateTime has 3600\.0 s, the reference 7200\.0 s"):
        score_files(one, hypothesis)


def test_without_a_length_what_needs_it_is_none(tmp_path: Path) -> None:
    reference = write(tmp_path / "ref.tsv", (600, 60, "sz", "n/a", "n/a", "n/a", "n/a"))
    metrics = score_files(reference, write(tmp_path / "hyp.tsv")).metrics
    assert (metrics.event.sensitivity, metrics.event.fp_per_24h, metrics.kappa_5s) == (0.0, None, None)


def test_two_lengths_of_one_recording_are_refused(tmp_path: Path) -> None:
    reference = write(tmp_path / "ref.tsv", (600, 60, "sz", "n/a", "n/a", MONDAY, 3600))
    hypothesis = write(tmp_path / "hyp.tsv", (600, 60, "sz", "n/a", "n/a", MONDAY, 7200))
    with pytest.raises(InvalidInput, match=r"7200\.0 s, the reference 3600\.0 s"):
        score_files(reference, hypothesis)


def test_lengths_within_a_second_are_one_length(tmp_path: Path) -> None:
    reference = write(tmp_path / "ref.tsv", (600, 60, "sz", "n/a", "n/a", MONDAY, 3600.49))
    hypothesis = write(tmp_path / "hyp.tsv", (600, 60, "sz", "n/a", "n/a", MONDAY, 3600.51))
    assert score_files(reference, hypothesis).metrics.event.f1 == 1.0
    write(tmp_path / "hyp.tsv", (600, 60, "sz", "n/a", "n/a", MONDAY, 3601.49))
    with pytest.raises(InvalidInput, match=r"3601\.49 s, the reference 3600\.49 s"):
        score_files(reference, hypothesis)


@pytest.mark.parametrize("side", [0, 1])
def test_a_table_that_says_nowhere_what_a_seizure_is_is_refused(side: int, tmp_path: Path) -> None:
    files = [write(tmp_path / name, (600, 60, "sz", "n/a", "n/a", MONDAY, 3600)) for name in ("a", "b")]
    files[side].write_text("onset\tduration\trecordingDuration\n600\t60\t3600\n", encoding="utf-8")
    with pytest.raises(UnreadableSource, match=rf"{files[side]}: no column eventType.*expected onset"):
        score_files(*files)


def test_a_recording_only_the_hypothesis_knows_is_refused(tmp_path: Path) -> None:
    both = [(600, 60, "sz", "n/a", "n/a", start, 3600) for start in (MONDAY, TUESDAY)]
    with pytest.raises(InvalidInput, match="2024-01-02"):
        score_files(write(tmp_path / "ref.tsv", both[0]), write(tmp_path / "hyp.tsv", *both))


def prodrome(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "prodrome", *arguments], capture_output=True, text=True, check=False
    )


def test_the_command_prints_json_with_null_where_undefined(tmp_path: Path) -> None:
    reference = write(tmp_path / "ref.tsv", (0, 3600, "bckg", "n/a", "n/a", MONDAY, 3600))
    hypothesis = write(tmp_path / "hyp.tsv", (600, 60, "sz", "n/a", "n/a", MONDAY, 3600))
    done = prodrome("metrics", "seizures", str(reference), str(hypothesis), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "event": {"sensitivity": None, "precision": 0.0, "f1": 0.0, "fp_per_24h": 24.0},
        "sample": {"sensitivity": None, "precision": 0.0, "f1": 0.0, "fp_per_24h": 60 * 24.0},
        "kappa_5s": 0.0,
        "latency_s": None,
    }


def test_the_command_names_a_bad_row_and_scores_the_others(tmp_path: Path) -> None:
    row = (600, 60, "sz", "n/a", "n/a", MONDAY, 3600)
    reference = write(tmp_path / "ref.tsv", row)
    hypothesis = write(tmp_path / "hyp.tsv", row, (-5, 60, "sz", "n/a", "n/a", MONDAY, 3600))
    done = prodrome("metrics", "seizures", str(reference), str(hypothesis))
    assert done.returncode == 1
    assert "hyp.tsv row 2: onset '-5' is not in >= 0 s" in done.stderr
    assert "event f1             1.0000" in done.stdout
    assert "latency_s            0.0000" in done.stdout


def test_a_detection_after_the_end_is_false_as_timescoring_has_it_and_is_told(tmp_path: Path) -> None:
    row = (600, 60, "sz", "n/a", "n/a", MONDAY, 3600)
    reference = write(tmp_path / "ref.tsv", row)
    hypothesis = write(tmp_path / "hyp.tsv", row, (9999, 60, "sz", "n/a", "n/a", MONDAY, 3600))
    done = prodrome("metrics", "seizures", str(reference), str(hypothesis), "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["event"] == {
        "sensitivity": 1.0,
        "precision": 0.5,
        "f1": 2 / 3,
        "fp_per_24h": 24.0,
    }
    assert "hyp.tsv: a seizure at 9999 s of a recording of 3600 s: counted as timescoring" in done.stderr
