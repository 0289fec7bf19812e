"""What an evaluation is made of, read from a TOML file.

Everything here but `engine` and `workers` decides the figures; those two only how fast they come.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, get_args

from models.clinical.alarm import AlarmPolicy
from models.clinical.errors import InvalidInput, UnreadableSource
from pipelines.engines import ENGINES, Engine
from pipelines.evaluate.typed import bounded, made, made_all
from pipelines.metrics.bootstrap import Bootstrap

Part = Literal["held-out", "validation", "train", "all"]
PARTS: tuple[Part, ...] = get_args(Part)
_LONGEST = 8760.0  # hours, a year: no alarm is about more
_HOURS = f"from 0 to {_LONGEST:g} h"


@dataclass(frozen=True)
class SourceSettings:
    """One source: its `name` and `path`, the `site` it is of, and which `part` of its subjects takes part.

    `labels` is a table of onsets for a source without labels. `first` takes that many stays and no more, for
    trying things out. Raises InvalidInput for a part that is none.
    """

    name: str
    path: Path
    site: str = ""
    part: Part = "held-out"
    labels: Path | None = None
    first: int | None = None

    def __post_init__(self) -> None:
        if self.part not in PARTS:
            raise InvalidInput(f"part {self.part!r} is none of {', '.join(PARTS)}", value=self.part)
        bounded("first", self.first, self.first is None or self.first >= 1, ">= 1 stay")

    @property
    def called(self) -> str:
        """The site's name; that of the file or folder where it has none."""
        return self.site or self.path.stem


@dataclass(frozen=True)
class PolicySettings:
    """An alarm policy by name; without a `threshold` it takes each model's own."""

    name: str = "own threshold"
    threshold: float | None = None
    release: float | None = None
    k: int = 1
    n: int = 1
    refractory_hours: float = 6.0
    on_delay_hours: float = 0.0
    off_delay_hours: float = 0.0

    def __post_init__(self) -> None:
        for name in ("refractory_hours", "on_delay_hours", "off_delay_hours"):
            hours = getattr(self, name)
            bounded(name, hours, 0 <= hours <= _LONGEST, _HOURS)
        self.policy(0.5 if self.release is None else self.release)

    def policy(self, own: float) -> AlarmPolicy:
        """The policy of a model whose own threshold is `own`. Raises InvalidInput where they disagree."""
        threshold = own if self.threshold is None else self.threshold
        return AlarmPolicy(
            threshold,
            self.release,
            self.k,
            self.n,
            refractory=timedelta(hours=self.refractory_hours),
            on_delay=timedelta(hours=self.on_delay_hours),
            off_delay=timedelta(hours=self.off_delay_hours),
        )


@dataclass(frozen=True)
class SubgroupSettings:
    """Who is compared: `by` facts of a stay, and the columns of `table` (stay and more), such as ethnicity.

    `age_edges` are where the next age band begins, years; a group of fewer than `fewest_stays` has no figure.
    """

    by: tuple[str, ...] = ("age_band", "sex", "care_unit")
    age_edges: tuple[float, ...] = (45.0, 65.0, 80.0)
    table: Path | None = None
    fewest_stays: int = 20

    def __post_init__(self) -> None:
        known = ("age_band", "sex", "care_unit", "site")
        for name in self.by:
            if name not in known:
                raise InvalidInput(f"subgroups by {name!r}", value=name, bound=f"one of {', '.join(known)}")
        edges = list(self.age_edges)
        good = bool(edges) and edges[0] > 0 and edges == sorted(set(edges))
        bounded("age_edges", edges, good, "at least one, in years, increasing from above 0")
        bounded("fewest_stays", self.fewest_stays, self.fewest_stays >= 1, ">= 1 stay")


@dataclass(frozen=True)
class EvaluationSettings:
    """The whole run. Sites named in `trained_at` are where the models learnt; every other is external.

    An alarm is true if an event begins within `window_hours` after it. Figures before onset reach from 0 to
    `horizon_hours`. Models and rules are compared at `alarms_per_bed_day`; `misses` and `false_alarms` say
    how many of the worst are kept with their observations. Raises InvalidInput.
    """

    sources: tuple[SourceSettings, ...]
    models: tuple[str, ...]
    policies: tuple[PolicySettings, ...] = (PolicySettings(),)
    trained_at: tuple[str, ...] = ()
    bootstrap: Bootstrap = field(default_factory=Bootstrap)
    subgroups: SubgroupSettings = field(default_factory=SubgroupSettings)
    window_hours: float = 12.0
    horizon_hours: int = 12
    alarms_per_bed_day: float = 0.5
    misses: int = 4
    false_alarms: int = 4
    shuffles: int = 8
    engine: Engine = "processes"
    workers: int = 2

    def __post_init__(self) -> None:
        _require(bool(self.sources), "an evaluation needs at least one source", self.sources)
        _require(
            bool(self.models) and len(set(self.models)) == len(self.models),
            "an evaluation needs at least one model, each once",
            self.models,
        )
        for what, names in (
            ("site", [source.called for source in self.sources]),
            ("policy", [policy.name for policy in self.policies]),
        ):
            _require(len(set(names)) == len(names) > 0, f"every {what} needs a name of its own", names)
        _require(
            self.engine in ENGINES, f"engine {self.engine!r} is none of {', '.join(ENGINES)}", self.engine
        )
        window, horizon, budget = self.window_hours, self.horizon_hours, self.alarms_per_bed_day
        bounded("window_hours", window, 0 < window <= _LONGEST, f"above 0, at most {_LONGEST:g} h")
        bounded("horizon_hours", horizon, 0 <= horizon <= 48, "from 0 to 48 h")  # noqa: PLR2004
        bounded("alarms_per_bed_day", budget, budget > 0, "> 0 alarms a bed and day")
        for name, least in (("misses", 0), ("false_alarms", 0), ("shuffles", 0), ("workers", 1)):
            number = getattr(self, name)
            bounded(name, number, number >= least, f">= {least}")
        _require(
            isinstance(self.trained_at, tuple) and all(isinstance(site, str) for site in self.trained_at),
            'trained_at must be a list of names, such as ["A"]',
            self.trained_at,
        )

    def as_json(self) -> dict[str, Any]:
        """Everything that decides the figures, as JSON."""
        decides = {name: value for name, value in asdict(self).items() if name not in {"engine", "workers"}}
        plain: dict[str, Any] = json.loads(json.dumps(decides, default=str))
        return plain

    @property
    def hash(self) -> str:
        """Twelve digits that equal settings share."""
        return digest(self.as_json())


def digest(value: object) -> str:
    """Twelve digits of a hash of JSON; dictionaries in any order."""
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def read_settings(path: Path) -> EvaluationSettings:
    """Settings from a TOML file: what it leaves out keeps its default, paths are from the working directory.

    Raises InvalidInput for a name that is unknown or a value out of bounds, UnreadableSource if the file is
    not TOML.
    """
    try:
        held = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UnreadableSource(f"{path}: expected a TOML file, but {error}") from error
    try:
        return _settings(held)
    except (InvalidInput, TypeError) as error:
        raise InvalidInput(f"{path}: {error}", value=str(path)) from error


def _settings(held: dict[str, Any]) -> EvaluationSettings:
    tables: dict[str, Any] = {
        "sources": made_all(SourceSettings, held.pop("sources", []), "sources"),
        "bootstrap": made(Bootstrap, held.pop("bootstrap", {}), "bootstrap"),
        "subgroups": made(SubgroupSettings, held.pop("subgroups", {}), "subgroups"),
        "models": (),
    }
    if "policies" in held:
        tables["policies"] = made_all(PolicySettings, held.pop("policies"), "policies")
    return made(EvaluationSettings, tables | held, "the file")


def running_on(
    settings: EvaluationSettings, engine: Engine | None, workers: int | None
) -> EvaluationSettings:
    """The same evaluation on another engine or number of workers; None leaves either as it is."""
    return replace(settings, engine=engine or settings.engine, workers=workers or settings.workers)


def _require(good: bool, sentence: str, value: object) -> None:
    if not good:
        raise InvalidInput(sentence, value=value)
