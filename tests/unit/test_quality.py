"""The quality report: its figures are those of the rows, its sums hold, and its page needs nothing else."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from markupsafe import escape

from models.clinical.errors import UnreadableSource
from models.clinical.quarantine import Reason
from pipelines.ingest.ingestion import ingest
from pipelines.ingest.quality.counted import BINS, distributions, quantiles
from pipelines.ingest.quality.findings import percent
from pipelines.ingest.quality.page import MEANINGS, hours, notes, number, page, shape
from pipelines.ingest.quality.report import quality, write_quality
from pipelines.ingest.sources import open_named

DOCUMENT = (Path(__file__).parents[2] / "docs" / "ingest.md").read_text(encoding="utf-8")


def of_table(tmp_path: Path, lines: str, stays: str = "") -> Any:
    """The report of a long table."""
    (tmp_path / "ward.csv").write_text(lines, encoding="utf-8")
    if stays:
        (tmp_path / "ward.stays.csv").write_text(stays, encoding="utf-8")
    ingest(open_named("table", tmp_path / "ward.csv"), "table", out=tmp_path / "out", memory_mb=128)
    return json.loads((tmp_path / "out" / "quality.json").read_text(encoding="utf-8"))


def example_of_the_page() -> str:
    """The long table that docs/ingest.md shows."""
    found = re.search(r"((?: {4}[^\n]*,[^\n]*\n){7})", DOCUMENT.partition("## The quality report")[2])
    assert found
    return "".join(line.strip() + "\n" for line in found[1].splitlines())


def of(report: Any, name: str) -> Any:
    return next(one for one in report["variables"] if one["variable"] == name)


def test_the_documented_example_is_reported_as_documented(tmp_path: Path) -> None:
    report = of_table(tmp_path, example_of_the_page())
    assert report["rows"] == {"read": 6, "kept": 4, "observations": 4, "interventions": 0, "quarantined": 2}
    heart, lactate = of(report, "heart_rate"), of(report, "lactate")
    assert (heart["kept"], heart["quarantined_by_reason"], heart["value"]["median"]) == (
        2,
        {"implausible": 1},
        80.0,
    )
    assert (heart["gap_hours"]["median"], heart["gap_hours"]["count"]) == (1.0, 1)
    assert (lactate["converted"], lactate["censored"]) == ({"mg/dL": 1}, {"<": 1, ">": 0})
    assert (lactate["value"]["minimum"], lactate["value"]["maximum"]) == (0.3, 2.0)
    assert (lactate["lag_hours"]["count"], lactate["lag_hours"]["median"]) == (1, 1.5)
    assert (lactate["lag_assumed"], lactate["lag_assumed_hours"]) == (1, 0.05)
    assert [one["name"] for one in report["unmapped"]["most"]] == ["pulse"]
    assert report["findings"][0] == "No respiratory rate at all: is its code mapped?"


def test_an_example_names_value_bound_and_unit(tmp_path: Path) -> None:
    report = of_table(tmp_path, example_of_the_page())
    (group,) = [group for group in report["quarantined"] if group["reason"] == "implausible"]
    (named,) = group["names"]
    assert named["examples"] == [
        {
            "detail": "heart_rate '900' 1/min is outside [10, 300] 1/min",
            "value": "900",
            "bound": "[10, 300]",
            "unit": "1/min",
            "count": 1,
        }
    ]


def test_stays_are_described_and_what_is_not_known_is_said(tmp_path: Path) -> None:
    rows = "".join(f"{stay},2026-01-01T0{h}:00:00Z,heart_rate,80,1/min\n" for stay in "abc" for h in range(4))
    facts = "stay,subject,age_years,sex,care_unit\na,p,60,female,4B\nb,p,62,male,4B\nc,q,400,,\n"
    report = of_table(tmp_path, "stay,time,variable,value,unit\n" + rows, facts)
    stays = report["stays"]
    assert (stays["stays"], stays["subjects"], stays["without_observations"]) == (3, 2, 0)
    assert (stays["age_years"]["count"], stays["age_years"]["median"]) == (2, 60.0)
    assert stays["sex"] == {"female": 1, "male": 1, "not known": 1}
    assert stays["care_unit"] == {"4B": 2, "not known": 1}
    assert [(one["name"], one["count"]) for one in report["facts_quarantined"]] == [("age_years", 1)]
    assert "The age is not known in 1 of 3 stays." in report["findings"]
    assert report["rows"]["quarantined"] == 0  # a fact is none of the values read


def test_duplicates_and_shares_of_stays(tmp_path: Path) -> None:
    lines = "stay,time,variable,value,unit\n"
    lines += "a,2026-01-01T08:00:00Z,heart_rate,80,1/min\n" * 3 + "b,2026-01-01T08:00:00Z,ph,7.4,pH\n"
    heart = of(of_table(tmp_path, lines), "heart_rate")
    assert (heart["read"], heart["kept"], heart["duplicates"]) == (3, 1, 2)
    assert (heart["stays"], heart["stays_without"], heart["stays_share"]) == (1, 1, 0.5)
    assert (heart["rejected"], heart["gap_hours"]) == (0, None)


def test_an_empty_source_has_a_report(tmp_path: Path) -> None:
    report = of_table(tmp_path, "stay,time,variable,value,unit\n")
    assert (report["rows"]["read"], report["stays"]["stays"], report["variables"]) == (0, 0, [])
    assert "Nothing was quarantined" in (tmp_path / "out" / "quality.html").read_text(encoding="utf-8")


def test_a_report_whose_sums_differ_is_refused(tmp_path: Path) -> None:
    of_table(tmp_path, example_of_the_page())
    record = json.loads((tmp_path / "out" / "ingest.json").read_text(encoding="utf-8"))
    record["counts"]["cells_read"] += 1
    with pytest.raises(UnreadableSource, match="7 values were read, but the files hold 4 observations"):
        write_quality(tmp_path / "out", record, 128)


def test_quantiles_are_exact_nearest_ranks() -> None:
    values = np.round(np.random.default_rng(1).lognormal(size=3001), 2)
    connection = duckdb.connect()
    connection.execute("CREATE TABLE counts (name VARCHAR, x DOUBLE, n BIGINT)")
    connection.executemany("INSERT INTO counts VALUES ('a', ?, 1)", [[float(value)] for value in values])
    connection.execute("INSERT INTO counts VALUES ('a', 99, 2), ('a', 99, -2), ('b', 1, 1)")
    found = quantiles(connection, "counts")
    exact = np.quantile(values, [0, 0.01, 0.5, 0.9, 0.99, 1], method="inverted_cdf")
    of_a = found["a"]
    assert [of_a.minimum, of_a.p01, of_a.median, of_a.p90, of_a.p99, of_a.maximum] == exact.tolist()
    assert (of_a.count, found["b"].count, found["b"].maximum) == (3001, 1, 1.0)
    within = values[(values >= of_a.p01) & (values <= of_a.p99)]
    expected = np.histogram(within, BINS, (of_a.p01, of_a.p99))[0]
    np.testing.assert_allclose(distributions(connection, "counts", found)["a"], expected, atol=2)  # borders


class References(HTMLParser):
    """What a page would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [tag] if tag in {"script", "link", "img", "iframe", "object"} else []
        self.found += [name for name, _ in attrs if name in {"src", "href"} or name.startswith("on")]


def test_the_page_loads_nothing_and_runs_nothing_that_a_record_says(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>"
    lines = f'stay,time,variable,value,unit\na,2026-01-01T08:00:00Z,"{hostile}",80,1/min\n'
    lines += f'a,2026-01-01T08:00:00Z,heart_rate,"{hostile}",1/min\n'
    of_table(tmp_path, lines, f'stay,care_unit\na,"{hostile}"\n')
    text = (tmp_path / "out" / "quality.html").read_text(encoding="utf-8")
    references = References()
    references.feed(text)
    assert references.found == []
    assert text.count("&lt;script&gt;") >= 3
    assert "url(" not in text
    assert "@import" not in text


def test_the_page_says_what_the_json_says(tmp_path: Path) -> None:
    report = of_table(tmp_path, example_of_the_page())
    text = (tmp_path / "out" / "quality.html").read_text(encoding="utf-8")
    assert text == page(report)
    for told in (
        *map(escape, report["findings"]),
        "heart_rate",
        "lactate",
        "pulse",
        "from mg/dL: 1",
        "&lt; limit: 1",
    ):
        assert told in text
    assert "every value accounted for" in text


def test_a_bar_that_holds_a_normal_value_stands_out() -> None:
    """Also where the range is one value: 4 for the eyes lies at the edge of a bar."""
    eyes = {"distribution": [3] + [0] * 22 + [9], "value": {"p01": 1.0, "p99": 4.0}, "normal": [4, 4]}
    assert re.findall(r'class="(\w+)"', shape(eyes)) == ["out"] * 23 + ["in"]


def test_the_notes_tell_what_lay_outside_stays_from_what_was_wrong(tmp_path: Path) -> None:
    one = of(of_table(tmp_path, example_of_the_page()), "lactate")
    one["quarantined_by_reason"] = {"outside_stay": 1934, "implausible": 2}
    assert "outside stays: 1\u202f934" in notes(one)


def test_the_measures_do_not_depend_on_the_memory(tmp_path: Path) -> None:
    of_table(tmp_path, example_of_the_page())
    record = json.loads((tmp_path / "out" / "ingest.json").read_text(encoding="utf-8"))
    assert quality(tmp_path / "out", record, 64) == quality(tmp_path / "out", record, 1024)


def test_every_reason_has_a_meaning() -> None:
    assert set(MEANINGS) == set(Reason)


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.01234, "0.01234"), (7.4, "7.4"), (1234.5, "1 234"), (-29, "-29")]
)
def test_numbers_are_read_at_a_glance(value: float, text: str) -> None:
    assert number(value).replace("\u202f", " ") == text


@pytest.mark.parametrize(("value", "text"), [(0.25, "15 min"), (23.04, "23 h"), (456, "19 d"), (0, "0")])
def test_durations_have_the_unit_that_suits_them(value: float, text: str) -> None:
    assert hours(value) == text


@pytest.mark.parametrize(("share", "text"), [(0, "0 %"), (1e-6, "< 0.1 %"), (0.031, "3.1 %"), (0.57, "57 %")])
def test_what_is_not_nothing_never_reads_as_nothing(share: float, text: str) -> None:
    assert percent(share) == text
