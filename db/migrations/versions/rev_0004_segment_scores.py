"""Scores of a live recording, a segment each; a model version says of which condition it speaks.

Going back, the segments and the detectors' versions with their alerts are forgotten.

Revision: 0004, after 0003
"""

import sqlalchemy as sa
from alembic import op

from db.columns import Float64, Identifier, UtcDateTime

revision = "0004"
down_revision = "0003"

_DETECTORS = "SELECT id FROM model_versions WHERE condition <> 'sepsis'"
_ALERTS = f"SELECT id FROM alerts WHERE model_version_id IN ({_DETECTORS})"  # noqa: S608 no input in it


def upgrade() -> None:
    condition = sa.Column("condition", sa.Text(), nullable=False, server_default="sepsis")
    op.add_column("model_versions", condition)
    words = ("present", "indeterminate", "absent")
    status = sa.Enum(
        *words, name=op.f("ck_segment_scores_status"), native_enum=False, create_constraint=True, length=32
    )
    op.create_table(
        "segment_scores",
        sa.Column("id", Identifier, nullable=False),
        sa.Column("stay_id", Identifier, nullable=False),
        sa.Column("model_version_id", Identifier, nullable=False),
        sa.Column("time", UtcDateTime(), nullable=False),
        sa.Column("value", Float64(), nullable=True),
        sa.Column("status", status, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("channels", sa.JSON(), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "(status = 'present') = (value IS NOT NULL)", name=op.f("ck_segment_scores_present")
        ),
        sa.CheckConstraint("status = 'present' OR reason <> ''", name=op.f("ck_segment_scores_reason")),
        sa.CheckConstraint("value BETWEEN 0 AND 1", name=op.f("ck_segment_scores_value")),
        sa.ForeignKeyConstraint(
            ["model_version_id"], ["model_versions.id"], name=op.f("fk_segment_scores_model_version_id")
        ),
        sa.ForeignKeyConstraint(["stay_id"], ["stays.id"], name=op.f("fk_segment_scores_stay_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segment_scores")),
        sa.UniqueConstraint(
            "stay_id",
            "model_version_id",
            "time",
            name=op.f("uq_segment_scores_stay_id_model_version_id_time"),
        ),
    )
    op.create_index(op.f("ix_segment_scores_model_version_id"), "segment_scores", ["model_version_id"])


def downgrade() -> None:
    op.drop_table("segment_scores")
    op.execute(f"DELETE FROM alert_events WHERE alert_id IN ({_ALERTS})")  # noqa: S608 no input in it
    op.execute(f"DELETE FROM alerts WHERE model_version_id IN ({_DETECTORS})")  # noqa: S608
    op.execute("DELETE FROM model_versions WHERE condition <> 'sepsis'")
    op.drop_column("model_versions", "condition")
