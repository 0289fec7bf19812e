"""The folder of a training run: only the same run goes on from the checkpoints in it.

out/run.json     what the run is made of, before its first step
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models.clinical.errors import InvalidInput
from pipelines.prediction_files import replacing

RUN = "run.json"


def begin(out: Path, made_of: Mapping[str, Any], checkpoints: Sequence[str], *, resume: bool = True) -> None:
    """Make the folder and say there what the run is made of; without `resume` whatever another has left.

    Raises InvalidInput where another run is there, or `checkpoints` of one that did not say: who trained in
    that one may be held out in this.
    """
    out.mkdir(parents=True, exist_ok=True)
    file, described = out / RUN, json.loads(json.dumps(made_of))
    different: list[str] = []
    if resume and file.exists():
        before = json.loads(file.read_text(encoding="utf-8"))
        different = sorted(name for name in described if before.get(name) != described[name])
    elif resume:
        different = [f"{name}, of unknown settings" for name in checkpoints if (out / name).exists()]
    if different:
        raise InvalidInput(
            f"{out} holds another run: {', '.join(different)}; take another folder, or begin afresh"
        )
    with replacing(file) as unfinished:
        unfinished.write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
