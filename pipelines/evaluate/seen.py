"""Whether a model has seen a subject: it may not be evaluated on whom it learnt from.

A saved model says in `model.json` from which files of CinC 2019 it learnt, and that subjects were split by
`SPLIT_RULE`. Where a file's name does not tell the set, it may have seen any subject who is not held out.
Which set a stay is of must be told twice, by the name of its file or folder and by its own number, since
either may be another's: a copy under another name, a folder of both. Where they disagree it counts as any.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from models.base import EarlyWarningModel
from models.clinical.errors import InvalidInput
from models.clinical.stay import Stay
from pipelines.evaluate.settings import EvaluationSettings, Part, SourceSettings
from pipelines.split import held_out, split_of

TRAINED_ON = "cinc2019"  # the source that shipped models and `prodrome train` learn from
_NUMBERED = {"training_setA": re.compile(r"p0\d{5}"), "training_setB": re.compile(r"p1\d{5}")}  # its stays
_SETS = frozenset(_NUMBERED)


@dataclass(frozen=True)
class Seen:
    """What one model was trained on: `source` in its own words, and the CinC 2019 `sets` that it may hold."""

    model: str
    sets: frozenset[str]
    source: str

    @classmethod
    def by(cls, model: EarlyWarningModel) -> Seen:
        """What `model` says of itself: a rule was trained on nothing, a learnt model on every set unless each
        of its files names its own.
        """
        training: Mapping[str, Any] = getattr(model, "training", {})
        if not training.keys() & {"source", "split"}:
            return cls(model.name, frozenset(), "")
        source = str(training.get("source") or "")
        named = cls(model.name, _SETS, source)
        return replace(named, sets=named.files) if named.tells_sets else named

    @property
    def files(self) -> frozenset[str]:
        """The files that `source` names."""
        return frozenset(Path(file).stem for file in self.source.split(" + ") if file)

    @property
    def tells_sets(self) -> bool:
        """Whether the files are of CinC 2019, each named by its set."""
        return bool(self.files) and self.files <= _SETS

    def require_unseen(self, source: Path, stay: Stay) -> None:
        """Raises InvalidInput, naming source and subject, if training or validation has seen the stay.

        A stay of which path and number do not say one set counts as one that was trained on.
        """
        told = _set_of(source, stay)
        there = told is None or told in self.sets
        if self.sets and there and stay.source == TRAINED_ON and not held_out(stay.subject_id):
            part = f"{split_of(stay.subject_id)} of {self.source or 'files that it does not name'}"
            doubt = (
                "" if told else "call the source by its set, if it holds training_setA or training_setB, or "
            )
            raise InvalidInput(
                f"{source}: subject {stay.subject_id} of stay {stay.stay_id} is one that {self.model} "
                f"learnt from or may have learnt from ({part}); {doubt}evaluate part held-out",
                value=stay.subject_id,
                bound="subjects that no model has seen",
            )


def require_trained_at(settings: EvaluationSettings, seen: Sequence[Seen]) -> None:
    """Raises InvalidInput where `trained_at` names no site, or says otherwise than the models do.

    It may also name a file that a model learnt from and nobody evaluates. A path that names no set, and
    models that do not tell theirs, contradict nothing.
    """
    sites = {source.called: source for source in settings.sources}
    files = frozenset(chain.from_iterable(one.files for one in seen))
    for name in settings.trained_at:
        if name not in sites and name not in files:
            known = f"sites are {', '.join(sites)}" + (f"; files {', '.join(sorted(files))}" if files else "")
            raise InvalidInput(
                f"trained_at names {name!r}, no site and no file of training: {known}", value=name
            )
    for site, source in sites.items() if settings.trained_at else ():
        _require_agreed(site, source, site in settings.trained_at, [one for one in seen if one.sets])


def _require_agreed(site: str, source: SourceSettings, trained: bool, learnt: Sequence[Seen]) -> None:
    """Whether the models were `trained` at `site`, as `trained_at` says, against what they `learnt` from."""
    held = source.path.stem if source.name == TRAINED_ON and source.path.stem in _SETS else None
    by = [one.model for one in learnt if held in one.files]
    if by and not trained:
        raise InvalidInput(
            f"trained_at leaves out site {site}, but it is {held}, which {', '.join(by)} learnt from",
            value=str(source.path),
        )
    elsewhere = held is not None or source.name != TRAINED_ON
    if trained and elsewhere and not by and learnt and all(one.tells_sets for one in learnt):
        told = "; ".join(f"{one.model} learnt from {one.source}" for one in learnt)
        raise InvalidInput(f"trained_at names site {site} ({source.path}), but {told}", value=site)


def _set_of(source: Path, stay: Stay) -> str | None:
    """The set of CinC 2019 that a stay is of, where the path names it and the stay has a number of it."""
    number = _NUMBERED.get(source.stem)
    return source.stem if number is not None and number.fullmatch(stay.stay_id) else None


def holds(part: Part) -> Callable[[Stay], bool]:
    """Which stays a part holds; only the subjects of CinC 2019 are split, nobody else trained anything."""
    if part == "all":
        return lambda _: True
    wanted = "test" if part == "held-out" else part
    return lambda stay: split_of(stay.subject_id) == wanted if stay.source == TRAINED_ON else wanted == "test"
