"""The report: words for figures, cards as HTML, drift as its formula says, and nothing escapes."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import registry
from pipelines.evaluate.run import evaluate
from pipelines.evaluate.settings import EvaluationSettings, SourceSettings
from pipelines.metrics.bootstrap import Bootstrap
from pipelines.report.burden import one_two_five
from pipelines.report.document import write_report
from pipelines.report.drift import stability
from pipelines.report.markup import html_of
from pipelines.report.material import Material
from pipelines.report.summary import at_chance, key_figures, sentences
from pipelines.report.trajectories import banded
from pipelines.report.words import between, every, number, one_in, percent, plural
from tests.conftest import MakeRecords


def test_no_figure_is_a_dash_and_no_zero_is_negative() -> None:
    assert (number(None), percent(None), one_in(None), one_in(0.0)) == ("\N{EN DASH}",) * 4
    assert (number(-0.001, 2), number(-1234.5, 1)) == ("0.00", "\N{MINUS SIGN}1,234.5")


@pytest.mark.parametrize(
    ("per_day", "said"),
    [(0.0, "never"), (0.25, "every 4.0 days"), (0.5, "every 2.0 days"), (1.0, "every 24 hours")],
)
def test_a_rate_is_the_time_between(per_day: float, said: str) -> None:
    assert every(per_day) == said


def test_intervals_are_bracketed_or_left_out() -> None:
    assert between({"low": 0.1234, "high": 0.5}, 2) == "(0.12 to 0.50)"
    assert between({"low": 0.1234, "high": 0.5}, 0, share=True) == "(12 to 50\N{NO-BREAK SPACE}%)"
    assert between({"low": None, "high": None}) == between(None) == ""


def test_counts_and_shares_are_in_words() -> None:
    assert (plural(1, "stay"), plural(1200, "stay")) == ("1 stay", "1,200 stays")
    assert (one_in(0.1), one_in(0.08)) == ("1 in 10.0".removesuffix(".0"), "1 in 12.5")


def test_a_card_becomes_html_and_its_text_stays_text() -> None:
    card = "# Name `1`\n\nIt is\n**not** a *device* <script>.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    card += "\n- one\n  more\n- two\n"
    assert str(html_of(card)).split("\n") == [
        "<h3>Name <code>1</code></h3>",
        "<p>It is <b>not</b> a <i>device</i> &lt;script&gt;.</p>",
        "<table class=card><tr><td>a</td><td>b</td></tr><tr><td>1</td><td>2</td></tr></table>",
        "<ul><li>one more</li><li>two</li></ul>",
    ]


def test_equal_distributions_do_not_drift() -> None:
    values = np.random.default_rng(1).normal(size=4000)
    assert stability(values, values) == 0.0
    assert stability(values, np.random.default_rng(2).normal(size=4000)) < 0.02


def test_drift_is_the_formula_on_tenths_of_the_first_site() -> None:
    first = np.repeat(np.arange(10.0), 10)
    other = np.concatenate([np.repeat(np.arange(5.0), 18), np.repeat(np.arange(5.0, 10.0), 2)])
    expected = 5 * (0.10 - 0.18) * math.log(0.10 / 0.18) + 5 * (0.10 - 0.02) * math.log(0.10 / 0.02)
    assert stability(first, other) == pytest.approx(expected)


def test_a_bin_that_one_site_never_fills_counts_much_and_not_infinitely() -> None:
    first = np.repeat(np.arange(10.0), 10)
    assert 5 < stability(first, np.full(100, 9.0)) < 20


def test_shuffled_labels_are_at_chance_unless_they_rank_above_it() -> None:
    assert at_chance([0.47, 0.44, 0.52, 0.41])
    assert at_chance([0.62, 0.41, 0.55, 0.60])
    assert not at_chance([0.78, 0.81, 0.79, 0.80])
    assert not at_chance([0.60])


def material(folder: Path, *, alarms: int, late: int = 0, true: int = 0, **more: Any) -> Material:
    """An evaluation of 20 events and 40 bed-days, as its record tells it."""
    every_alarm, none = alarms + late, {"low": None, "high": None}
    share = {"low": 0.0, "high": 0.5}
    outside = {
        "alarms": alarms,
        "true_alarms": true,
        "events": 20,
        "events_detected": true,
        "recall": true / 20,
        "precision": true / alarms if alarms else None,
        "workup_to_detection": alarms / true if true else None,
        "lead_time_hours": 4.0 if true else None,
        "lead_time_hours_quartiles": [3.0, 5.0] if true else None,
    }
    warning = {
        "threshold": 0.5,
        "figures": {"alarms_per_bed_day": every_alarm / 40, "late": late, "outside": outside},
        "intervals": {"recall": share, "precision": share, "alarms_per_bed_day": {"low": 0.25, "high": 0.35}},
    }
    ranking = {
        "metrics": {"auroc": 0.8, "auprc": 0.3},
        "intervals": {"auroc": none, "auprc": none},
    }
    model = {
        "model": "ensemble",
        "version": "abc",
        "ranking": ranking,
        "warnings": [warning],
        "at_budget": None,
    }
    counts = {"stays": 60, "subjects": 50, "septic_stays": 20, "hours": 960, "prevalence": 0.1}
    record: dict[str, Any] = {
        "cohorts": [{"counts": counts, "models": [model | more]}],
        "sources": [{"site": "A"}],
        "subgroups": {"ensemble": []},
        "leakage": {"floor": {"metrics": {"auroc": 0.5}}, "shuffled_auroc": []},
        "settings": {"window_hours": 12.0, "models": [str(folder)]},
    }
    return Material(folder, record)


def said(of: Material) -> tuple[str, list[str]]:
    """What the summary says of the alarms, and its key figures of them."""
    return sentences(of)[1], [f"{one.value} {one.name}, {one.aside}" for one in key_figures(of)[1:4]]


def test_the_interval_of_a_rate_is_in_its_own_unit(tmp_path: Path) -> None:
    sentence, (_, rate, lead) = said(material(tmp_path, alarms=12, true=3))
    assert rate == "0.30 alarms a bed and day, (0.25 to 0.35); one every 3.3 days"
    assert lead == "4.0 h median lead time of detected events, quartiles 3.0 to 5.0 h"
    assert "12 alarms, one every 3.3 days in each bed" in sentence
    assert sentence.endswith("4.0 alarms would have been looked into for one that came true.")


def test_what_has_no_interval_begins_with_no_semicolon(tmp_path: Path) -> None:
    assert key_figures(material(tmp_path, alarms=12))[-1].aside == "chance 0.100"


def test_a_model_that_cannot_keep_to_the_budget_is_named(tmp_path: Path) -> None:
    held = material(tmp_path, alarms=12)
    kept = {"warnings": {"figures": {"outside": {"recall": 0.5}}}}
    models = held.record["cohorts"][0]["models"]
    models += [{"model": name, "at_budget": kept} for name in ("news2", "sirs")]
    held.record["settings"]["alarms_per_bed_day"] = 0.5
    assert sentences(held)[2] == (
        "At no more than 0.5 alarms a bed and day, events foretold: "
        "NEWS2 50\N{NO-BREAK SPACE}%, SIRS 50\N{NO-BREAK SPACE}%. Any alarm of Ensemble would exceed it."
    )


def test_a_model_below_the_floor_is_told_as_that(tmp_path: Path) -> None:
    held = material(tmp_path, alarms=12)
    assert sentences(held)[-1].endswith("reaches an AUROC of 0.500, where Ensemble has 0.800.")
    held.record["leakage"]["floor"]["metrics"]["auroc"] = 0.81
    assert sentences(held)[-1].endswith("What staff chose to measure tells as much here.")


def test_a_policy_that_never_fires_is_told_as_that(tmp_path: Path) -> None:
    sentence, (true, rate, lead) = said(material(tmp_path, alarms=0))
    assert sentence.endswith("would have had no alarm at all, and no warning of 20 events.")
    assert true == "\N{EN DASH} alarms followed by an event within 12 h, no alarm outside an event"
    assert rate == "0.00 alarms a bed and day, no alarm at all"
    assert lead == "\N{EN DASH} median lead time of detected events, no event was detected"


def test_alarms_of_which_none_comes_true_are_told_as_that(tmp_path: Path) -> None:
    sentence, (true, _, _) = said(material(tmp_path, alarms=10))
    assert sentence.endswith("20 missed; no alarm came true.")
    assert true.startswith("None of the alarms was followed by an event within 12 h, PPV 0.0")
    assert said(material(tmp_path, alarms=0, late=4))[0].endswith("missed; every alarm came after the onset.")


def test_a_report_of_few_stays_says_what_it_does_not_draw(tmp_path: Path, made_records: MakeRecords) -> None:
    source = SourceSettings("cinc2019", made_records(tmp_path / "records", 4), "Zürich", part="all")
    settings = EvaluationSettings((source,), ("news2",), bootstrap=Bootstrap(draws=5), engine="single")
    evaluate(settings, tmp_path / "out")
    text = write_report(tmp_path / "out").read_text(encoding="utf-8")
    assert "Not drawn: fewer than 20 alarms at every threshold. The first policy" in text
    assert "&#34;site&#34;: &#34;Zürich&#34;" in text


def test_a_logarithmic_axis_tells_whole_numbers_that_have_room() -> None:
    told = [one_two_five(at, None) for at in (0.002, 0.01, 0.03, 0.5, 1.0, 2.0, 7.0, 20.0)]
    assert told == ["0.002", "0.01", "", "0.5", "1", "2", "", "20"]


def test_a_card_is_of_the_version_that_was_evaluated_or_not_shown(tmp_path: Path) -> None:
    assert material(tmp_path, alarms=1).card() == ""
    title = (registry.SHIPPED / "ensemble" / "CARD.md").read_text(encoding="utf-8").partition("\n")[0]
    shipped = title.split("`")[1]
    assert material(tmp_path, alarms=1, version=shipped).card().startswith(title)
    (tmp_path / "CARD.md").write_text("# Ensemble, version `abc`\n\nOurs.\n", encoding="utf-8")
    assert "Ours." in material(tmp_path, alarms=1).card()
    assert material(tmp_path, alarms=1, version="other").card() == ""


@pytest.mark.parametrize("band", [None, {"hour": [1], "mean": [1.0], "low": [0.0], "high": [2.0]}])
def test_a_band_is_explained_where_one_is_drawn(tmp_path: Path, band: object) -> None:
    (tmp_path / "trajectories.json").write_text(json.dumps([{"variables": [{"band": band}]}]))
    assert banded(material(tmp_path, alarms=1)) == (band is not None)
