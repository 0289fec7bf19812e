"""The quality report as one page that needs nothing from outside: no script, no font, no picture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from models.clinical.variables import Kind
from pipelines.ingest.quality.findings import grouped, percent

_KINDS = {Kind.VITAL: "Vital signs and ventilation", Kind.LAB: "Laboratory", Kind.ASSESSMENT: "Assessments"}

_LISTED_APART = ("unknown_variable", "outside_stay")
# where the value itself is what a reader must see
_OF_VALUES = ("implausible", "not_a_number", "unaccepted_unit", "missing_unit")

# what each reason means, for a reader who did not write the rule
MEANINGS = {
    "unknown_stay": "nobody admitted such a stay",
    "unknown_variable": "the code or name is not mapped to the catalogue",
    "unaccepted_unit": "the variable does not accept that unit, and none is guessed",
    "missing_unit": "there is no unit",
    "not_a_number": "text that is no number",
    "no_value": "an empty cell or a placeholder",
    "implausible": "outside what a body or an analyser can show",
    "in_future": "measured or known in the future",
    "before_admission": "measured before the stay began",
    "known_before_measured": "known before it was measured",
    "outside_stay": "a known patient, but no stay at that time",
    "duplicate": "says again what was read before",
    "withdrawn": "marked as an error, replaced at once, or never given",
    "malformed": "the row or a time in it cannot be read",
}


def page(report: Mapping[str, Any]) -> str:
    """The report as HTML, every text of a record escaped."""
    environment = Environment(
        loader=PackageLoader("pipelines.ingest.quality", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"grouped": grouped, "percent": percent, "number": number, "hours": hours}
    environment.globals |= {"shape": shape, "notes": notes}
    kinds = [
        (title, [one for one in report["variables"] if one["kind"] == kind]) for kind, title in _KINDS.items()
    ]
    return environment.get_template("page.html.j2").render(
        report=report,
        kinds=kinds,
        meanings=MEANINGS,
        parts=parts(report),
        listed_apart=_LISTED_APART,
        of_values=_OF_VALUES,
    )


def parts(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What all that was read became: counts that sum to it, each with the mark of its colour."""
    rows = report["rows"]
    reasons = {group["reason"]: group["count"] for group in report["quarantined"]}
    apart = {
        "u": (reasons.pop("unknown_variable", 0), "not mapped"),
        "s": (reasons.pop("outside_stay", 0), "outside stays"),
        "d": (reasons.pop("duplicate", 0), "duplicates"),
        "q": (sum(reasons.values()), "rejected"),
    }
    kept = {"o": (rows["observations"], "observations"), "t": (rows["interventions"], "interventions")}
    return [{"mark": mark, "count": count, "name": name} for mark, (count, name) in (kept | apart).items()]


def notes(one: Mapping[str, Any]) -> list[str]:
    """What else is worth saying of a variable, in few words."""
    said = [f"{sign} limit: {grouped(count)}" for sign, count in one["censored"].items() if count]
    said += [f"from {unit}: {grouped(count)}" for unit, count in one["converted"].items()]
    if one["lag_assumed"]:
        lag = hours(one["lag_assumed_hours"]) if one["lag_assumed_hours"] else "none"
        said.append(f"lag assumed, {lag}: {grouped(one['lag_assumed'])}")
    if one["superseded"]:
        said.append(f"corrected later: {grouped(one['superseded'])}")
    if one["duplicates"]:
        said.append(f"duplicates: {grouped(one['duplicates'])}")
    if outside := one["quarantined_by_reason"].get("outside_stay"):
        said.append(f"outside stays: {grouped(outside)}")
    return said


def number(value: float) -> str:
    """A value to four significant digits, without an exponent."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    decimals = max(3 - math.floor(math.log10(abs(value))), 0)
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else grouped(int(text))


def hours(value: float) -> str:
    """A duration given in hours, in the unit that suits it."""
    if value == 0:
        return "0"
    if value < 1:
        return f"{number(round(value * 60, 1))} min"
    return f"{number(round(value, 1))} h" if value < 72 else f"{number(round(value / 24, 1))} d"  # noqa: PLR2004


def shape(one: Mapping[str, Any]) -> Markup:
    """The distribution of a variable's values between its 1 % and 99 % quantiles, as a small drawing.

    Bars that hold a value of the adult reference range are drawn stronger.
    """
    counts, of = one["distribution"], one["value"]
    if of is None or not any(counts):
        return Markup("")
    width, height = 4, 26
    step = (of["p99"] - of["p01"]) / len(counts)
    low, high = one["normal"]
    bars = []
    for place, count in enumerate(counts):
        tall = round(height * count / max(counts), 1) if count else 0
        begins = of["p01"] + place * step
        inside = "in" if begins <= high and low <= begins + step else "out"
        corner = f'x="{place * width}" y="{height - tall:g}"'
        bars.append(f'<rect class="{inside}" {corner} width="{width - 1}" height="{tall:g}"/>')
    box = f'viewBox="0 0 {width * len(counts)} {height}" width="{width * len(counts)}" height="{height}"'
    return Markup(f'<svg {box} role="img" aria-label="distribution">{"".join(bars)}</svg>')  # noqa: S704  numbers only
