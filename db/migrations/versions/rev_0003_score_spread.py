"""A score carries its spread. Going back, it is forgotten: the scores stay.

Revision: 0003, after 0002
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from db.columns import Float64, Identifier, UtcDateTime

revision = "0003"
down_revision = "0002"

_CHECKS = {
    "ck_scores_spread_whole": "(low IS NULL) = (high IS NULL)",
    "ck_scores_spread_of_value": "low IS NULL OR value IS NOT NULL",
    "ck_scores_spread": "low >= 0 AND low <= high AND high <= 1",
}


def upgrade() -> None:
    with op.batch_alter_table("scores", copy_from=_scores()) as table:
        for name in ("low", "high"):
            table.add_column(sa.Column(name, Float64(), nullable=True))
        for name, condition in _CHECKS.items():
            table.create_check_constraint(op.f(name), condition)


def downgrade() -> None:
    scores = _scores(
        *(sa.Column(name, Float64(), nullable=True) for name in ("low", "high")),
        *(sa.CheckConstraint(condition, name=op.f(name)) for name, condition in _CHECKS.items()),
    )
    with op.batch_alter_table("scores", copy_from=scores) as table:
        for name in _CHECKS:
            table.drop_constraint(op.f(name), type_="check")
        for name in ("low", "high"):
            table.drop_column(name)


def _scores(*more: Any) -> sa.Table:
    """SQLite changes a table by copying it, and tells too little of itself to be asked."""
    words = ("present", "indeterminate", "absent")
    status = sa.Enum(
        *words, name=op.f("ck_scores_status"), native_enum=False, create_constraint=True, length=32
    )
    version = ("model_version_id", "model_versions.id")
    table = sa.Table(
        "scores",
        sa.MetaData(),
        sa.Column("id", Identifier, nullable=False),
        sa.Column("stay_id", Identifier, nullable=False),
        sa.Column("model_version_id", Identifier, nullable=False),
        sa.Column("time", UtcDateTime(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("value", Float64(), nullable=True),
        sa.Column("status", status, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("observation_watermark", Identifier, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        *more,
        sa.CheckConstraint("(status = 'present') = (value IS NOT NULL)", name=op.f("ck_scores_present")),
        sa.CheckConstraint("status = 'present' OR reason <> ''", name=op.f("ck_scores_reason")),
        sa.CheckConstraint("revision >= 1", name=op.f("ck_scores_revision")),
        sa.CheckConstraint("value BETWEEN 0 AND 1", name=op.f("ck_scores_value")),
        sa.ForeignKeyConstraint([version[0]], [version[1]], name=op.f("fk_scores_model_version_id")),
        sa.ForeignKeyConstraint(["stay_id"], ["stays.id"], name=op.f("fk_scores_stay_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scores")),
        sa.UniqueConstraint(
            "stay_id",
            "model_version_id",
            "time",
            "revision",
            name=op.f("uq_scores_stay_id_model_version_id_time_revision"),
        ),
    )
    sa.Index(op.f("ix_scores_model_version_id"), table.c.model_version_id)
    return table
