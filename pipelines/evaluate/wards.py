"""A ward of past stays from what a command wrote: a table of predictions, its folder, or an evaluation's."""

from __future__ import annotations

from pathlib import Path

from models.clinical.errors import InvalidInput, UnreadableSource
from pipelines.evaluate.parts import PartFolder
from pipelines.evaluate.scored import Evidence, read_evidence
from pipelines.metrics.burden import Ward
from pipelines.metrics.ward_files import WardRead, read_ward, units
from pipelines.prediction_files import TABLE_NAME


def ward_of(place: Path, onsets: Path | None = None, model: str | None = None) -> WardRead:
    """The ward of a table or folder; `model` says whose scores where an evaluation holds several.

    Raises UnreadableSource for what is neither, and InvalidInput for a model that is not there, for several
    without `model`, and for `onsets` beside an evaluation, whose labels tell them.
    """
    run = _evaluation(place)
    if run is None:
        if model is not None:
            raise InvalidInput(f"{place}: one model's predictions; --model is for an evaluation", value=model)
        table = place / TABLE_NAME if place.is_dir() else place
        return read_ward(table, onsets)
    if onsets is not None:
        raise InvalidInput(f"{run}: an evaluation tells its onsets; leave --onsets out", value=str(onsets))
    return _ward_of_run(run, _one_model(run, model))


def _evaluation(place: Path) -> Path | None:
    """The folder of the evaluation that `place` is, or whose scores it holds; None if it is of none."""
    if not place.is_dir() or (place / TABLE_NAME).is_file():
        return None
    for scores, run in ((place / "scores", place), (place, place.parent)):
        if any(scores.glob("part-*.parquet")):
            return run
    raise UnreadableSource(
        f"{place}: expected a table of predictions, or a folder that prodrome score or evaluate wrote"
    )


def _one_model(run: Path, wanted: str | None) -> str:
    _, first = next(PartFolder(run).tables("scores", ["model"]))
    models = first.column("model").unique().to_pylist()
    if wanted in models or (wanted is None and len(models) == 1):
        return str(wanted or models[0])
    lacking = "choose one by --model" if wanted is None else f"there is no {wanted}"
    raise InvalidInput(f"{run}: scores of {', '.join(models)}; {lacking}", value=wanted, bound="one of them")


def _ward_of_run(run: Path, model: str) -> WardRead:
    evidence: Evidence = read_evidence(run, [model])
    told = ~evidence.septic | evidence.stays["onset_told"].to_numpy(dtype=bool)
    kept = evidence.of(told)
    ward, facts = kept.ward(model), kept.stays.fillna({"care_unit": ""})
    unit = units((facts[name].tolist() for name in ("care_unit", "site")), len(facts))
    subject = tuple(facts["subject_id"].tolist())  # by which subjects are split, whatever their site
    return WardRead(Ward(ward.watched, ward.events, subject, unit, dated=False), int((~told).sum()))
