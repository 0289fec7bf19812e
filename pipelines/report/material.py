"""What a report is made of: the record of an evaluation, its hours, and the stays it kept."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from models import registry
from models.clinical.alarm import AlarmPolicy
from models.clinical.errors import UnreadableSource
from pipelines.evaluate.record import FORMAT, RECORD
from pipelines.evaluate.scored import Evidence, read_evidence
from pipelines.evaluate.settings import PolicySettings
from pipelines.evaluate.worst import TRAJECTORIES


@dataclass(frozen=True)
class Material:
    """An evaluation folder, read; `record` is its `evaluation.json`."""

    folder: Path
    record: dict[str, Any]

    @property
    def figures(self) -> Path:
        """Where the figures go."""
        return self.folder / "figures"

    @property
    def whole(self) -> dict[str, Any]:
        """The figures over all stays."""
        found: dict[str, Any] = self.record["cohorts"][0]
        return found

    @property
    def models(self) -> list[str]:
        """Every model by name, in the order of the settings."""
        return [one["model"] for one in self.whole["models"]]

    @property
    def first(self) -> dict[str, Any]:
        """The figures of the first model, the one the report is about."""
        found: dict[str, Any] = self.whole["models"][0]
        return found

    @property
    def settings(self) -> dict[str, Any]:
        """What the run was asked for."""
        found: dict[str, Any] = self.record["settings"]
        return found

    @property
    def policy(self) -> AlarmPolicy:
        """The first policy, at the first model's threshold."""
        told = PolicySettings(**self.settings["policies"][0])
        return told.policy(float(self.first["threshold"]))

    @cached_property
    def evidence(self) -> Evidence:
        """The hours of all stays. Raises UnreadableSource where they are not those of the record."""
        found = read_evidence(self.folder, self.models)
        if len(found.rows) != self.whole["counts"]["stays"]:
            raise UnreadableSource(
                f"{self.folder}: {len(found.rows)} stays in the part files, but {RECORD} speaks of "
                f"{self.whole['counts']['stays']}; run the evaluation again"
            )
        return found

    @cached_property
    def trajectories(self) -> list[dict[str, Any]]:
        """The worst misses and false alarms with what was observed."""
        path = self.folder / TRAJECTORIES
        try:
            found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UnreadableSource(f"{path}: expected the stays of an evaluation, but {error}") from error
        return found

    def card(self) -> str:
        """The card that says the first model's version in its title, with it or shipped; else nothing."""
        for folder in (Path(self.settings["models"][0]), registry.shipped(self.first["model"])):
            path = folder / "CARD.md"
            text = path.read_text(encoding="utf-8") if path.is_file() else ""
            if f"`{self.first['version']}`" in text.partition("\n")[0]:
                return text
        return ""


def read_material(folder: Path) -> Material:
    """The evaluation in `folder`. Raises UnreadableSource if there is none, or one of another format."""
    path = folder / RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnreadableSource(f"{path}: expected the record of an evaluation, but {error}") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise UnreadableSource(f"{path}: expected an evaluation of format {FORMAT}; run it again")
    return Material(folder, record)
