"""Scores and the models that made them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from db.queries.conflict import insert_new
from db.rows import ModelVersionRow, ScoreRow
from models.clinical.score import Score, ScoreSeries


def activate_model_version(
    session: Session,
    name: str,
    version: str,
    *,
    threshold: float,
    policy: Mapping[str, Any],
    at: datetime,
    condition: str = "sepsis",
) -> tuple[ModelVersionRow, bool]:
    """The row of the model that scores a condition from now on, and whether another (or none) did before."""
    before = active_model_version(session, condition)
    facts = {"condition": condition, "threshold": threshold, "policy": dict(policy), "activated_at": at}
    session.execute(insert_new(session, ModelVersionRow).values(name=name, version=version, **facts))
    chosen = select(ModelVersionRow).where(ModelVersionRow.name == name, ModelVersionRow.version == version)
    row = session.scalars(chosen).one()
    for column, value in facts.items():
        setattr(row, column, value)
    session.flush()
    return row, before is None or before.id != row.id


def active_model_version(session: Session, condition: str = "sepsis") -> ModelVersionRow | None:
    """The model version activated last for a condition; None before one has ever scored."""
    of_condition = select(ModelVersionRow).where(ModelVersionRow.condition == condition)
    newest = of_condition.order_by(ModelVersionRow.activated_at.desc(), ModelVersionRow.id.desc())
    return session.scalars(newest.limit(1)).first()


def model_version(session: Session, name: str, version: str) -> ModelVersionRow | None:
    """The row of a model's version; None where it never scored here."""
    chosen = select(ModelVersionRow).where(ModelVersionRow.name == name, ModelVersionRow.version == version)
    return session.scalars(chosen).first()


def latest_scores(
    session: Session,
    stay_id: int,
    model_version_id: int,
    *,
    as_of: datetime | None = None,
) -> Sequence[ScoreRow]:
    """The newest revision of each score in time order, as it stood at `as_of`."""
    revisions = _revisions(stay_id, model_version_id, as_of)
    rank = func.row_number().over(partition_by=ScoreRow.time, order_by=ScoreRow.revision.desc())
    ranked = revisions.with_only_columns(ScoreRow.id, rank.label("rank")).subquery()
    newest = select(ScoreRow).join(ranked, ranked.c.id == ScoreRow.id).where(ranked.c.rank == 1)
    return session.scalars(newest.order_by(ScoreRow.time)).all()


def shown_through(session: Session, stay_id: int) -> datetime | None:
    """The last hour for which any model ever gave a number."""
    shown = select(func.max(ScoreRow.time)).where(ScoreRow.stay_id == stay_id, ScoreRow.value.is_not(None))
    return session.scalar(shown)


def score_revisions(
    session: Session, stay_id: int, model_version_id: int, *, as_of: datetime | None = None
) -> Sequence[ScoreRow]:
    """Every revision of every score (that stood at `as_of`), by time and revision."""
    chosen = _revisions(stay_id, model_version_id, as_of)
    return session.scalars(chosen.order_by(ScoreRow.time, ScoreRow.revision)).all()


def store_scores(
    session: Session,
    stay_id: int,
    model_version_id: int,
    series: ScoreSeries,
    *,
    observation_watermark: int,
    created_at: datetime,
) -> list[ScoreRow]:
    """Store the scores that are new or differ from the newest revision, and return just those.

    `observation_watermark` is the id of the newest observation of the stay that the model was given.
    """
    held = {row.time: row for row in latest_scores(session, stay_id, model_version_id)}
    written = [
        ScoreRow(
            stay_id=stay_id,
            model_version_id=model_version_id,
            time=score.time,
            revision=held[score.time].revision + 1 if score.time in held else 1,
            value=score.value,
            low=score.low,
            high=score.high,
            status=score.status,
            reason=score.reason,
            observation_watermark=observation_watermark,
            created_at=created_at,
        )
        for score in series
        if score.time not in held or _differs(held[score.time], score)
    ]
    session.add_all(written)
    session.flush()
    return written


def score_of(row: ScoreRow) -> Score:
    """A stored score as a score."""
    return Score(row.time, row.value, row.status, row.reason, row.low, row.high)


def _revisions(stay_id: int, model_version_id: int, as_of: datetime | None) -> Select[ScoreRow]:
    chosen = select(ScoreRow).where(
        ScoreRow.stay_id == stay_id, ScoreRow.model_version_id == model_version_id
    )
    if as_of is not None:
        chosen = chosen.where(ScoreRow.created_at <= as_of)
    return chosen


def _differs(held: ScoreRow, score: Score) -> bool:
    return score_of(held) != score
