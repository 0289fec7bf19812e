"""Building the DTW ensemble: CinC 2019 stays in, a model folder out.

    out/model.json, index.json, index.safetensors   the model
    out/search.json                                  every configuration tried, and its figures

A configuration is chosen by AUPRC on half of the validation subjects, on hours that did not teach what a vote
is worth. The threshold is the one that gains most CinC 2019 utility on stays of that half.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from models.clinical.errors import InvalidInput, UnreadableSource
from models.clinical.stay import LabelledStay
from models.dtw_knn import DTWKNN, DTWConfig, Learnt
from models.dtw_learning import first_half, weighed
from models.dtw_metric import Descent
from models.dtw_recruiting import Memory, Recipe, remembered
from models.mgp.standardise import Standardisation
from models.training_stays import standardisation_of
from pipelines.ingest import cinc2019
from pipelines.ingest.source import IngestedStay
from pipelines.prediction_files import replacing
from pipelines.predictions import predict
from pipelines.split import SPLIT_RULE, Split, split_of
from pipelines.train import best_threshold

Say = Callable[[str], None]
Parts = dict[Split, list[LabelledStay]]


@dataclass(frozen=True)
class DTWSettings:
    """What a run is made of; `search` names fields of `config`, or of its voting as `voting.name`, and for
    each the values to try.
    """

    config: DTWConfig = field(default_factory=DTWConfig)
    recipe: Recipe = field(default_factory=Recipe)
    search: dict[str, list[Any]] = field(default_factory=dict)
    threshold_stays: int = 500

    def __post_init__(self) -> None:
        if self.threshold_stays < 1:
            raise InvalidInput(
                f"threshold_stays {self.threshold_stays}: at least 1",
                value=self.threshold_stays,
                bound=">= 1",
            )
        for name, values in self.search.items():
            if not isinstance(values, list):
                raise InvalidInput(f"search of {name}: a list of values, not {values}", value=values)

    def candidates(self) -> list[DTWConfig]:
        """Every combination of the values to try. Raises InvalidInput for a name that is no field."""
        values = product(*self.search.values())
        return [_changed(self.config, dict(zip(self.search, one, strict=True))) for one in values]


def read_settings(path: Path) -> DTWSettings:
    """Settings from a TOML file with the tables `config`, `recipe` and `search`, and `threshold_stays`.

    Raises InvalidInput if a name is unknown, UnreadableSource if the file is not TOML.
    """
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
        config, recipe = DTWConfig.from_json(fields.pop("config", {})), dict(fields.pop("recipe", {}))
        if "onset_hours" in recipe:
            recipe["onset_hours"] = tuple(recipe["onset_hours"])
        recipe["descent"] = Descent(**recipe.pop("descent", {}))
        return DTWSettings(config, Recipe(**recipe), **fields)
    except TypeError as error:
        raise InvalidInput(f"{path}: {error}", value=str(path), bound="the fields of DTWSettings") from error
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UnreadableSource(f"{path}: expected a TOML file, but {error}") from error


def train_dtw(
    sources: Sequence[Path], out: Path, settings: DTWSettings | None = None, say: Say = print
) -> DTWKNN:
    """Build the model from CinC 2019 zips or folders, all together, and save it to `out`.

    Raises UnreadableSource if a source cannot be read or holds no case.
    """
    named = " + ".join(source.stem for source in sources)
    return train_on(read(sources), named, out, settings or DTWSettings(), say)


def train_on(parts: Parts, source_name: str, out: Path, settings: DTWSettings, say: Say) -> DTWKNN:
    """The same of stays already read and split; `source_name` goes into the model's description."""
    standardisation = standardisation_of(parts["train"])
    config, learnt, tried = searched(parts, standardisation, settings, say)
    model = with_best_threshold(DTWKNN(config, learnt), parts["validation"], settings.threshold_stays)
    described = model.learnt.training | {"source": source_name, "split": SPLIT_RULE, "tried": len(tried)}
    model = DTWKNN(config, replace(model.learnt, training=described))
    model.save(out)
    with replacing(out / "search.json") as unfinished:
        unfinished.write_text(json.dumps(tried, indent=1) + "\n", encoding="utf-8")
    return model


def searched(
    parts: Parts, standardisation: Standardisation, settings: DTWSettings, say: Say
) -> tuple[DTWConfig, Learnt, list[dict[str, Any]]]:
    """The configuration of highest AUPRC, what it learnt, and every one tried. Of equal ones the first."""
    best: tuple[DTWConfig, Learnt] | None = None
    tried: list[dict[str, Any]] = []
    memories: dict[Hashable, Memory] = {}
    for config in settings.candidates():
        compared = config.hours, config.fading_hours, config.voting.alignment()
        if compared not in memories:
            memories[compared] = remembered(config, parts["train"], standardisation, settings.recipe)
        memory = memories[compared]
        learnt = weighed(config, memory, standardisation, parts["validation"], settings.recipe)
        figures = learnt.training["validation"]
        tried.append({"config": config.as_json(), "validation": figures})
        say(f"{len(tried)}: AUPRC {figures['auprc']:.4f}, AUROC {figures['auroc']:.4f}")
        if best is None or figures["auprc"] > best[1].training["validation"]["auprc"]:
            best = config, learnt
    if best is None:
        raise InvalidInput(
            "a search over no value of something", value=settings.search, bound="at least one each"
        )
    return *best, tried


def with_best_threshold(model: DTWKNN, validation: Sequence[LabelledStay], count: int) -> DTWKNN:
    """The model with the threshold of most utility on the first `count` stays of validation's second half."""
    rest = [one for one in validation if not first_half(one.stay.subject_id)][:count]
    found = [
        predict(model, IngestedStay(one.stay, len(one.stay.observations), hour=one.hour, label=one.label))
        for one in rest
    ]
    label = np.concatenate([one.label for one in rest])
    score = np.concatenate([one.probability for one in found])
    rows = np.array([len(one.label) for one in rest])
    threshold, utility = best_threshold(rows, label, score)
    figures = model.learnt.training["validation"] | {"utility": utility, "utility_stays": len(rest)}
    training = model.learnt.training | {"validation": figures}
    return DTWKNN(model.config, replace(model.learnt, threshold=threshold, training=training))


def read(sources: Sequence[Path]) -> Parts:
    """The labelled stays of the sources by their subject's part of the split."""
    parts: Parts = {"train": [], "validation": [], "test": []}
    for source in sources:
        for ingested in cinc2019.open_source(source).stays():
            if ingested.labelled is not None:
                parts[split_of(ingested.stay.subject_id)].append(ingested.labelled)
    for part in ("train", "validation"):
        if not any(one.label.any() for one in parts[part]):
            named = ", ".join(str(source) for source in sources)
            raise UnreadableSource(
                f"{named}: no positive hour among the {len(parts[part])} stays of part {part}"
            )
    return parts


def _changed(config: DTWConfig, values: dict[str, Any]) -> DTWConfig:
    own = {name: value for name, value in values.items() if not name.startswith("voting.")}
    voting = {name.removeprefix("voting."): value for name, value in values.items() if name not in own}
    try:
        return replace(config, **own, voting=replace(config.voting, **voting))
    except TypeError as error:
        raise InvalidInput(f"search: {error}", value=str(values), bound="fields of DTWConfig") from error
