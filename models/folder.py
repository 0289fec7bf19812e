"""A saved model is a folder: `model.json` says what it is and what it learnt, beside it lie its weights.

A model's version is a hash of both, so that equal versions give equal scores.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.clinical.errors import UnknownModel

DESCRIPTION = "model.json"


def version_of(description: str, weights: bytes) -> str:
    """Twelve hexadecimal digits of a model's description and weights."""
    return hashlib.sha256(description.encode() + weights).hexdigest()[:12]


def write_folder(folder: Path, description: str, weights: Mapping[str, bytes]) -> None:
    """Write each file of `weights` by its name, and `model.json`, to `folder`, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in weights.items():
        (folder / name).write_bytes(content)
    (folder / DESCRIPTION).write_text(f"{description}\n", encoding="utf-8")  # last: where it is, all is


def read_description(folder: Path, *weights: str) -> dict[str, Any]:
    """The fields of `model.json`. Raises UnknownModel if it or a file of `weights` is missing."""
    names = (DESCRIPTION, *weights)
    if not all((folder / name).is_file() for name in names):
        raise UnknownModel(f"{folder}: expected {' and '.join(names)}")
    fields: dict[str, Any] = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    return fields


def check_saved_for(folder: Path, fields: Mapping[str, Any], **ours: Any) -> None:
    """Raise UnknownModel where a field is not what it is in this version: the variables, say."""
    for name, value in ours.items():
        if fields.get(name) != value:
            raise UnknownModel(f"{folder}: saved for other {name} than this version reads")
