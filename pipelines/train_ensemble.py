"""Weighing an ensemble: trained members and CinC 2019 stays in, a model folder out.

The threshold is the one that gains most CinC 2019 utility on the validation subjects, each half of whom is
scored by weights that the other half taught.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from models import registry
from models.base import EarlyWarningModel
from models.clinical.errors import InvalidInput
from models.clinical.stay import LabelledStay
from models.ensemble import Ensemble, Floats
from models.ensemble_learning import crossed, heard, weighed
from pipelines.predictions import carried
from pipelines.split import SPLIT_RULE
from pipelines.train import best_threshold
from pipelines.train_dtw import read

COVERAGE = 0.98  # of stays in which the members never disagree too much for a score

Progress = Callable[[int], None]  # called with the number of stays just heard


def train_ensemble(
    sources: Sequence[Path],
    members: Sequence[str | Path],
    out: Path,
    *,
    coverage: float = COVERAGE,
    progress: Progress = lambda stays: None,  # noqa: ARG005
) -> Ensemble:
    """Weigh `members` (registered names or folders, an MGP-TCN first) on the validation subjects of CinC 2019
    zips or folders, and save the ensemble to `out`.

    Raises UnknownModel, UnreadableSource if a source cannot be read, InvalidInput if a member was trained by
    another split, so that it may have seen validation subjects.
    """
    named = " + ".join(source.stem for source in sources)
    loaded = [registry.load(member) for member in members]
    validation = read(sources)["validation"]
    return weigh_on(loaded, validation, named, out, coverage=coverage, progress=progress)


def weigh_on(
    members: Sequence[EarlyWarningModel],
    validation: Sequence[LabelledStay],
    source_name: str,
    out: Path,
    *,
    coverage: float,
    progress: Progress,
) -> Ensemble:
    """The same of members and stays already read; `source_name` goes into the model's description."""
    for member in members:
        _check_split(member)
    x: list[Floats] = []
    for one in validation:
        x.append(heard(members, one))
        progress(1)
    learnt = weighed(members, validation, x, coverage)
    score = [
        carried(np.where(np.isnan(own[:, 0]), np.nan, learnt.calibration(logit)), learnt.calibration.prior)
        for logit, own in zip(crossed(validation, x), x, strict=True)
    ]
    label = np.concatenate([one.label for one in validation])
    hours = np.array([len(one.label) for one in validation])
    threshold, utility = best_threshold(hours, label, np.concatenate(score))
    training = {
        "source": source_name,
        "split": SPLIT_RULE,
        "members": {member.name: member.version for member in members},
        "stays": len(validation),
        **learnt.training,
        "validation": learnt.training["validation"] | {"utility": utility},
    }
    model = Ensemble(members, replace(learnt, threshold=threshold, training=training))
    model.save(out)
    return model


def _check_split(member: EarlyWarningModel) -> None:
    """Raises InvalidInput for a learnt member whose training did not keep these validation subjects apart."""
    if member.name in registry.RULES:
        return
    split = member.training.get("split")
    if split != SPLIT_RULE:
        raise InvalidInput(
            f"member {member.name} was trained by the split {split!r}: it may have seen validation subjects",
            value=split,
            bound=SPLIT_RULE,
        )
