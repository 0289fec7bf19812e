"""Figures as people read them: rounded, with their interval, and as sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NOTHING = "\N{EN DASH}"
PERCENT = "\N{NO-BREAK SPACE}%"
MODEL_NAMES = {
    "ensemble": "Ensemble",
    "mgp-tcn": "MGP\N{NON-BREAKING HYPHEN}TCN",
    "dtw": "DTW",
    "news2": "NEWS2",
    "qsofa": "qSOFA",
    "sirs": "SIRS",
}


def model_name(name: str) -> str:
    """What people call a model."""
    return MODEL_NAMES.get(name, name)


def number(value: float | None, decimals: int = 2) -> str:
    """A number, or a dash where there is none."""
    if value is None:
        return NOTHING
    rounded = round(value, decimals) + 0.0  # no negative zero
    return f"{rounded:,.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def percent(value: float | None, decimals: int = 0) -> str:
    """A share as a percentage."""
    return NOTHING if value is None else f"{100 * value:.{decimals}f}{PERCENT}"


def count(value: int) -> str:
    """A whole number with its thousands apart."""
    return f"{value:,}"


def between(interval: Mapping[str, Any] | None, decimals: int = 2, *, share: bool = False) -> str:
    """An interval in brackets; nothing where there is none."""
    if interval is None or interval["low"] is None:
        return ""
    low, high = interval["low"], interval["high"]
    if share:
        return f"({100 * low:.{decimals}f} to {100 * high:.{decimals}f}{PERCENT})"
    return f"({number(low, decimals)} to {number(high, decimals)})"


def one_in(share: float | None) -> str:
    """A precision as what staff meet: one true alarm in so many."""
    return NOTHING if not share else f"1 in {1 / share:.1f}".removesuffix(".0")


def every(per_day: float | None) -> str:
    """A rate per bed and day as the time between."""
    if not per_day:
        return "never"
    days = 1 / per_day
    return f"every {days:.1f} days" if days >= 2 else f"every {24 * days:.0f} hours"  # noqa: PLR2004


def plural(number_of: int, what: str) -> str:
    """1 stay, 2 stays."""
    return f"{count(number_of)} {what}" + ("" if number_of == 1 else "s")
