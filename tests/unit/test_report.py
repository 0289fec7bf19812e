"""The report: words for figures, cards as HTML, drift as its formula says, and nothing escapes."""

import math

import numpy as np
import pytest

from pipelines.report.drift import stability
from pipelines.report.markup import html_of
from pipelines.report.summary import at_chance
from pipelines.report.words import between, every, number, one_in, percent, plural


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
