"""The flags of `prodrome evaluate` as the settings they are short for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from models.clinical.errors import InvalidInput
from pipelines.engines import Engine
from pipelines.evaluate.settings import (
    EvaluationSettings,
    Part,
    SourceSettings,
    read_settings,
    running_on,
)


def settings_of(
    config: Path | None,
    source: str | None,
    path: Path | None,
    *,
    models: Sequence[str] | None,
    labels: Path | None,
    part: str,
    engine: str | None,
    workers: int | None,
) -> EvaluationSettings:
    """The settings of a file, or those that one source and its flags are short for.

    `engine` and `workers` go with either. Raises InvalidInput where both ways are mixed, or neither is whole.
    """
    given = [one for one in (source, path, models, labels) if one]
    if config is not None and given:
        raise InvalidInput("give --config, or SOURCE, PATH and flags, not both", value=str(config))
    if config is None and not (source and path and models):
        raise InvalidInput("needs --config FILE, or SOURCE, PATH and at least one --model", value=source)
    if config is not None:
        settings = read_settings(config)
    else:
        assert source is not None
        assert path is not None
        one = SourceSettings(source, path, part=cast(Part, part), labels=labels)
        settings = EvaluationSettings((one,), tuple(models or ()))
    return running_on(settings, cast(Engine | None, engine), workers)
