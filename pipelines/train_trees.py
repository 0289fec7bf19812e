"""Growing the hourly trees: CinC 2019 stays in, a model folder out.

The threshold is the one that gains most CinC 2019 utility on the validation subjects.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from models.clinical.errors import InvalidInput, UnreadableSource
from models.hourly_trees import HourlyTrees, HourlyTreesConfig
from models.hourly_trees_learning import labelled_hours, learn
from pipelines.split import SPLIT_RULE
from pipelines.train import best_threshold
from pipelines.train_dtw import Parts, read


def read_config(path: Path) -> HourlyTreesConfig:
    """The table `config` of a TOML file. Raises InvalidInput if a name is unknown, UnreadableSource if the
    file is not TOML.
    """
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
        return HourlyTreesConfig.from_json(fields.get("config", {}))
    except TypeError as error:
        raise InvalidInput(
            f"{path}: {error}", value=str(path), bound="the fields of HourlyTreesConfig"
        ) from error
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UnreadableSource(f"{path}: expected a TOML file, but {error}") from error


def train_trees(sources: Sequence[Path], out: Path, config: HourlyTreesConfig | None = None) -> HourlyTrees:
    """Grow trees on CinC 2019 zips or folders, all together, and save the model to `out`.

    Raises UnreadableSource if a source cannot be read or a part has no positive hour.
    """
    named = " + ".join(source.stem for source in sources)
    return train_on(read(sources), named, out, config or HourlyTreesConfig())


def train_on(parts: Parts, source_name: str, out: Path, config: HourlyTreesConfig) -> HourlyTrees:
    """The same of stays already read and split; `source_name` goes into the model's description."""
    learnt = learn(config, parts["train"], parts["validation"])
    rows, label = labelled_hours(parts["validation"], learnt.standardisation)
    score = learnt.calibration(learnt.trees.logit(rows))
    hours = np.array([len(one.label) for one in parts["validation"]])
    threshold, utility = best_threshold(hours, label, score)
    figures = learnt.training["validation"] | {"utility": utility}
    training = {
        "source": source_name,
        "split": SPLIT_RULE,
        "stays": {part: len(stays) for part, stays in parts.items()},
        "validation": figures,
    }
    model = HourlyTrees(config, replace(learnt, threshold=threshold, training=training))
    model.save(out)
    return model
