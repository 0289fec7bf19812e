"""A detector in a folder: `model.json` (sizes, when a score means something, what it learnt from) and
`weights.safetensors`. Read as data only.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as save_tensors

from models.clinical.errors import InvalidInput, UnreadableSource
from models.folder import DESCRIPTION, write_folder
from models.mvpa.checkpoint import load_checkpoint
from models.mvpa.config import MVPAConfig
from models.mvpa.detector import Detector, DetectorConfig
from models.mvpa.network import MVPFormer

WEIGHTS = "weights.safetensors"


def save_detector(folder: Path, model: MVPFormer, config: DetectorConfig, training: dict[str, Any]) -> None:
    """Write a network and its detector's configuration; `training` says what it learnt from."""
    weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    described = {
        "name": Detector.name,
        "network": asdict(model.config),
        "detector": asdict(config),
        "training": training,
    }
    write_folder(folder, json.dumps(described, indent=2), {WEIGHTS: save_tensors(weights)})


def load_detector(folder: Path) -> Detector:
    """A fresh detector of a folder.

    Raises UnreadableSource where a file is missing or is not what it should be, and `load_checkpoint`'s
    UnfitCheckpoint where weights and sizes do not agree.
    """
    description, weights = folder / DESCRIPTION, folder / WEIGHTS
    try:
        described = json.loads(description.read_text(encoding="utf-8"))
        network = MVPAConfig(**described["network"])
        config = DetectorConfig(**described["detector"])
        state = load_file(weights)
    except InvalidInput:
        raise
    except (OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
        raise UnreadableSource(f"{folder}: expected {DESCRIPTION} and {WEIGHTS}, but {error}") from error
    return Detector(load_checkpoint(state, network), config)
