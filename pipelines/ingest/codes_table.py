"""The mapping of a source's codes to the catalogue: data, one CSV a source in `codes/`, reviewed by eye.

Columns: `table` (of the source), `code`, `label` (the source's own words), `target` (a catalogue variable or
an InterventionKind), `unit` (assumed), `rule` (see Rule), `agent` (ingredient or specimen of an
intervention), `note` (why, where it is not obvious).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources

from models.clinical.errors import UnacceptedUnit
from models.clinical.interventions import InterventionKind
from models.clinical.units import accepted_unit
from models.clinical.variables import CATALOGUE, variable

_KINDS = frozenset(InterventionKind)


class Rule(StrEnum):
    """How the unit of a row is found."""

    FIXED = "fixed"  # the mapping's unit, whatever the row says
    REPORTED = "reported"  # the row's unit; the mapping's where the row has none
    SHARE = "share"  # a fraction up to 1, percent above
    TEMPERATURE = "temperature"  # the row's unit if it is one; else Fahrenheit above 50, Celsius below
    HELD = "held"  # an intervention charted as a moment: it lasts until the next row of its kind and agent


@dataclass(frozen=True)
class Code:
    """One row of a mapping: what `code` of `table` means."""

    table: str
    code: str
    label: str
    target: str
    unit: str = ""
    rule: Rule = Rule.REPORTED
    agent: str = ""
    note: str = ""

    @property
    def intervention(self) -> InterventionKind | None:
        """The kind of intervention it means; None for a variable."""
        return InterventionKind(self.target) if self.target in _KINDS else None


def read_codes(name: str) -> tuple[Code, ...]:
    """The mapping `codes/<name>.csv`. Raises ValueError naming the row that is not consistent."""
    text = resources.files("pipelines.ingest").joinpath("codes", f"{name}.csv").read_text(encoding="utf-8")
    found = tuple(_code(name, line, row) for line, row in enumerate(csv.DictReader(text.splitlines()), 2))
    seen: set[tuple[str, str]] = set()
    for row in found:
        if (row.table, row.code) in seen:
            raise ValueError(f"codes/{name}.csv: {row.table} {row.code} stands twice")
        seen.add((row.table, row.code))
    return found


def _code(name: str, line: int, row: dict[str, str]) -> Code:
    where = f"codes/{name}.csv line {line}"
    target, unit = row["target"], row["unit"]
    if target not in CATALOGUE and target not in _KINDS:
        raise ValueError(f"{where}: {target!r} is neither a variable nor an intervention")
    if row["rule"] and row["rule"] not in frozenset(Rule):
        raise ValueError(f"{where}: {row['rule']!r} is no rule")
    rule = Rule(row["rule"] or Rule.REPORTED)
    if target in CATALOGUE:
        _check_unit(where, target, unit, rule)
    return Code(row["table"], row["code"], row["label"], target, unit, rule, row["agent"], row["note"])


def _check_unit(where: str, target: str, unit: str, rule: Rule) -> None:
    if rule is Rule.HELD:
        raise ValueError(f"{where}: {target} is no intervention, nothing of it is held")
    if unit:
        try:
            accepted_unit(variable(target), unit)
        except UnacceptedUnit as error:
            raise ValueError(f"{where}: {error}") from error
    elif rule in (Rule.FIXED, Rule.REPORTED):
        raise ValueError(f"{where}: {target} needs the unit that is assumed")
