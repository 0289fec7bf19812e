"""Model names, and how to get a model from a name or a folder."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

from models.base import EarlyWarningModel
from models.clinical.errors import UnknownModel

# name -> (module, class); imported only when asked for, so that rules never pay for torch
_CLASSES = {
    "dtw": ("models.dtw_knn", "DTWKNN"),
    "ensemble": ("models.ensemble", "Ensemble"),
    "hourly-trees": ("models.hourly_trees", "HourlyTrees"),
    "mgp-tcn": ("models.mgp_tcn", "MGPTCN"),
    "news2": ("models.rules", "NEWS2"),
    "qsofa": ("models.rules", "QSOFA"),
    "sirs": ("models.rules", "SIRS"),
}

DEFAULT = "ensemble"
RULES = ("news2", "qsofa", "sirs")  # their scores are points, which claim no probability
SHIPPED = Path(__file__).parent / "shipped"


def names() -> tuple[str, ...]:
    """Every registered model name."""
    return tuple(_CLASSES)


def model_class(name: str) -> type[EarlyWarningModel]:
    """The class registered under `name`. Raises UnknownModel."""
    if name not in _CLASSES:
        raise UnknownModel(f"no model {name!r}; registered: default, {', '.join(_CLASSES)}")
    module, attribute = _CLASSES[name]
    found: type[EarlyWarningModel] = getattr(import_module(module), attribute)
    return found


def shipped(name: str) -> Path:
    """Where the weights of a registered model are: its own folder, or the ensemble it is a member of."""
    own = SHIPPED / name
    return own if own.is_dir() else SHIPPED / DEFAULT / name


def load(name_or_folder: str | Path) -> EarlyWarningModel:
    """A ready model: `default`, a registered name (with its shipped weights), or a folder `save` wrote.

    Raises UnknownModel if there is neither such a name nor such a folder.
    """
    name = DEFAULT if name_or_folder == "default" else str(name_or_folder)
    if name in _CLASSES:
        return model_class(name).load(shipped(name))
    description = Path(name_or_folder) / "model.json"
    if not description.is_file():
        raise UnknownModel(f"{name_or_folder}: no registered model and no folder with a model.json")
    kind = json.loads(description.read_text(encoding="utf-8"))["model"]
    return model_class(kind).load(description.parent)
