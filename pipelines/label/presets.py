"""How sepsis is told: one set of options, and those that published work used, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal, get_args

from models.clinical.errors import InvalidInput
from pipelines.label.sofa import SofaDefinition
from pipelines.label.suspicion import SuspicionRule

Baseline = Literal["cumulative_minimum", "window_start", "minimum_24h", "zero"]
Missing = Literal["zero", "unknown"]
Suspicions = Literal["any", "first"]
OnsetAt = Literal["sofa", "earlier"]


@dataclass(frozen=True)
class Sepsis3Options:
    """What `pipelines.label.sepsis3.label` needs to know; the defaults are Seymour 2016 read as Moor 2019.

    `before_hours`, `after_hours`: the window around a suspicion, both ends included. `rise`: points of SOFA
    above the baseline. `suspicions`: whether any suspicion may begin a sepsis, or only the first.
    `onset_at`: the onset is the hour of the rise (`sofa`), or the earlier of suspicion and rise. `missing`:
    what an hour is worth in which a component has no value, see `pipelines.label.sofa.HourlySofa.filled`.
    Raises InvalidInput for an unknown choice or a negative window.
    """

    suspicion_rule: SuspicionRule = "and"
    baseline: Baseline = "cumulative_minimum"
    missing: Missing = "zero"
    before_hours: float = 48.0
    after_hours: float = 24.0
    rise: float = 2.0
    suspicions: Suspicions = "any"
    onset_at: OnsetAt = "sofa"
    definition: SofaDefinition = "sofa"

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise InvalidInput(
                    f"{name} {getattr(self, name)!r} is unknown; expected one of {', '.join(choices)}",
                    value=getattr(self, name),
                    bound=", ".join(choices),
                )
        for name in ("before_hours", "after_hours"):
            if not getattr(self, name) >= 0:
                raise InvalidInput(
                    f"{name} {getattr(self, name)} is negative",
                    value=getattr(self, name),
                    bound=">= 0",
                    unit="h",
                )


_CHOICES: dict[str, tuple[str, ...]] = {
    "suspicion_rule": get_args(SuspicionRule),
    "baseline": get_args(Baseline),
    "missing": get_args(Missing),
    "suspicions": get_args(Suspicions),
    "onset_at": get_args(OnsetAt),
    "definition": get_args(SofaDefinition),
}

DEFAULT = Sepsis3Options()

# Reyna 2020: two points within 24 h, at most 24 h before and 12 h after the suspicion; antibiotics for 72 h
CINC2019 = Sepsis3Options(
    suspicion_rule="and_72h",
    baseline="minimum_24h",
    before_hours=24.0,
    after_hours=12.0,
    onset_at="earlier",
)

# Bennett 2023 (ricu): the defaults of its sep3 and susp_inf, which look at the first suspicion only
RICU = Sepsis3Options(suspicions="first")

# van de Water 2024 (YAIB): ricu, of antibiotics that were continued for 72 h
YAIB = Sepsis3Options(suspicion_rule="and_72h", suspicions="first")

PRESETS: Mapping[str, Sepsis3Options] = MappingProxyType(
    {"default": DEFAULT, "cinc2019": CINC2019, "ricu": RICU, "yaib": YAIB}
)


def preset(name: str, **changes: Any) -> Sepsis3Options:
    """The options of that name, with these fields changed where they are not None.

    Raises InvalidInput for an unknown name or choice.
    """
    if name not in PRESETS:
        raise InvalidInput(
            f"preset {name!r} is unknown; expected one of {', '.join(PRESETS)}",
            value=name,
            bound=", ".join(PRESETS),
        )
    return replace(
        PRESETS[name], **{field: choice for field, choice in changes.items() if choice is not None}
    )
