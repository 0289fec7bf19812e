"""Everything of the first release.

Revision: 0001, after nothing
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from db.columns import Float64, Identifier, UtcDateTime

revision = "0001"
down_revision = None

_TABLES = (
    "subjects",
    "stays",
    "observations",
    "quarantine",
    "model_versions",
    "scores",
    "alerts",
    "alert_events",
    "outbox",
    "audit",
    "worker_heartbeats",
)


def upgrade() -> None:
    _people()
    _observations()
    _scores()
    _alerts()
    _feed()


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table)


def _word(constraint: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=op.f(constraint), native_enum=False, create_constraint=True, length=32)


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def _people() -> None:
    op.create_table(
        "subjects",
        sa.Column("id", Identifier, nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subjects")),
        sa.UniqueConstraint("external_id", name=op.f("uq_subjects_external_id")),
    )
    op.create_table(
        "stays",
        sa.Column("id", Identifier, nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("subject_id", Identifier, nullable=False),
        sa.Column("admitted_at", UtcDateTime(), nullable=False),
        sa.Column("discharged_at", UtcDateTime(), nullable=True),
        sa.Column("hospital_admitted_at", UtcDateTime(), nullable=True),
        sa.Column("bed", sa.Text(), nullable=True),
        sa.Column("care_unit", sa.Text(), nullable=True),
        sa.Column("age_years", Float64(), nullable=True),
        sa.Column("sex", sa.Text(), nullable=True),
        sa.Column("synthetic", sa.Boolean(), nullable=False),
        sa.Column("last_known_at", UtcDateTime(), nullable=True),
        sa.Column("last_observation_id", Identifier, nullable=False),
        sa.Column("scored_observation_id", Identifier, nullable=False),
        sa.Column("scored_through", UtcDateTime(), nullable=True),
        sa.Column("tile", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("claimed_by", sa.Text(), nullable=True),
        sa.Column("claimed_until", UtcDateTime(), nullable=True),
        sa.CheckConstraint("sex IN ('female', 'male')", name=op.f("ck_stays_sex")),
        sa.CheckConstraint("(claimed_by IS NULL) = (claimed_until IS NULL)", name=op.f("ck_stays_claim")),
        sa.CheckConstraint("age_years BETWEEN 0 AND 150", name=op.f("ck_stays_age_years")),
        sa.CheckConstraint("discharged_at >= admitted_at", name=op.f("ck_stays_discharge")),
        sa.CheckConstraint("scored_observation_id <= last_observation_id", name=op.f("ck_stays_watermark")),
        sa.ForeignKeyConstraint(["subject_id"], ["subjects.id"], name=op.f("fk_stays_subject_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stays")),
        sa.UniqueConstraint("external_id", name=op.f("uq_stays_external_id")),
    )
    op.create_index(
        "ix_stays_unscored",
        "stays",
        ["id"],
        **_where(
            "(last_observation_id > scored_observation_id"
            " OR last_known_at > coalesce(scored_through, admitted_at))"
        ),
    )
    op.create_index(op.f("ix_stays_discharged_at"), "stays", ["discharged_at"])
    op.create_index(op.f("ix_stays_last_known_at"), "stays", ["last_known_at"])
    op.create_index(op.f("ix_stays_subject_id"), "stays", ["subject_id"])


def _observations() -> None:
    op.create_table(
        "observations",
        sa.Column("id", Identifier, nullable=False),
        sa.Column("stay_id", Identifier, nullable=False),
        sa.Column("time", UtcDateTime(), nullable=False),
        sa.Column("known_at", UtcDateTime(), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("variable", sa.Text(), nullable=False),
        sa.Column("value", Float64(), nullable=False),
        sa.CheckConstraint("known_at >= time", name=op.f("ck_observations_known_at")),
        sa.CheckConstraint("value BETWEEN -1e308 AND 1e308", name=op.f("ck_observations_finite")),
        sa.ForeignKeyConstraint(["stay_id"], ["stays.id"], name=op.f("fk_observations_stay_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_observations")),
        sa.UniqueConstraint(
            "stay_id", "variable", "time", "value", name=op.f("uq_observations_stay_id_variable_time_value")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_observations_stay_id_known_at"), "observations", ["stay_id", "known_at"])
    op.create_table(
        "quarantine",
        sa.Column("id", Identifier, nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("stay_external_id", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("input", sa.Text(), nullable=False),
        sa.Column("bound", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine")),
    )
    op.create_index(op.f("ix_quarantine_received_at"), "quarantine", ["received_at"])
    op.create_index(op.f("ix_quarantine_stay_external_id"), "quarantine", ["stay_external_id"])


def _scores() -> None:
    op.create_table(
        "model_versions",
        sa.Column("id", Identifier, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("threshold", Float64(), nullable=False),
        sa.Column("policy", sa.JSON(), nullable=False),
        sa.Column("activated_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("threshold BETWEEN 0 AND 1", name=op.f("ck_model_versions_threshold")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_versions")),
        sa.UniqueConstraint("name", "version", name=op.f("uq_model_versions_name_version")),
    )
    op.create_table(
        "scores",
        sa.Column("id", Identifier, nullable=False),
        sa.Column("stay_id", Identifier, nullable=False),
        sa.Column("model_version_id", Identifier, nullable=False),
        sa.Column("time", UtcDateTime(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("value", Float64(), nullable=True),
        sa.Column("status", _word("ck_scores_status", "present", "indeterminate", "absent"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("observation_watermark", Identifier, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("(status = 'present') = (value IS NOT NULL)", name=op.f("ck_scores_present")),
        sa.CheckConstraint("status = 'present' OR reason <> ''", name=op.f("ck_scores_reason")),
        sa.CheckConstraint("revision >= 1", name=op.f("ck_scores_revision")),
        sa.CheckConstraint("value BETWEEN 0 AND 1", name=op.f("ck_scores_value")),
        sa.ForeignKeyConstraint(
            ["model_version_id"], ["model_versions.id"], name=op.f("fk_scores_model_version_id")
        ),
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
    op.create_index(op.f("ix_scores_model_version_id"), "scores", ["model_version_id"])


def _alerts() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", Identifier, nullable=False),
        sa.Column("stay_id", Identifier, nullable=False),
        sa.Column("model_version_id", Identifier, nullable=False),
        sa.Column("condition_name", sa.Text(), nullable=False),
        sa.Column("condition", _word("ck_alerts_condition", "active", "latched", "inactive"), nullable=False),
        sa.Column("priority", _word("ck_alerts_priority", "high", "medium", "low"), nullable=False),
        sa.Column("raised_at", UtcDateTime(), nullable=False),
        sa.Column("fired_at", UtcDateTime(), nullable=False),
        sa.Column("value", Float64(), nullable=False),
        sa.Column("acknowledged_by", sa.Text(), nullable=True),
        sa.Column("acknowledged_at", UtcDateTime(), nullable=True),
        sa.Column("acknowledgement_expires_at", UtcDateTime(), nullable=True),
        sa.Column(
            "evaluation",
            _word("ck_alerts_evaluation", "pending", "confirmed", "refuted", "unsure"),
            nullable=False,
        ),
        sa.Column(
            "suppression", _word("ck_alerts_suppression", "none", "shelved", "out_of_service"), nullable=False
        ),
        sa.Column("shelved_until", UtcDateTime(), nullable=True),
        sa.Column("shelved_reason", sa.Text(), nullable=True),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint(
            "(closed_at IS NOT NULL) = (condition = 'inactive')", name=op.f("ck_alerts_closed")
        ),
        sa.CheckConstraint(
            "(suppression = 'shelved') = (shelved_until IS NOT NULL)"
            " AND (shelved_until IS NULL) = (shelved_reason IS NULL)",
            name=op.f("ck_alerts_shelf"),
        ),
        sa.CheckConstraint(
            "(acknowledged_by IS NULL) = (acknowledged_at IS NULL)"
            " AND (acknowledged_at IS NULL) = (acknowledgement_expires_at IS NULL)",
            name=op.f("ck_alerts_acknowledgement"),
        ),
        sa.CheckConstraint("fired_at >= raised_at", name=op.f("ck_alerts_fired_at")),
        sa.CheckConstraint("value BETWEEN 0 AND 1", name=op.f("ck_alerts_value")),
        sa.ForeignKeyConstraint(
            ["model_version_id"], ["model_versions.id"], name=op.f("fk_alerts_model_version_id")
        ),
        sa.ForeignKeyConstraint(["stay_id"], ["stays.id"], name=op.f("fk_alerts_stay_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
    )
    op.create_index(op.f("ix_alerts_model_version_id"), "alerts", ["model_version_id"])
    op.create_index(op.f("ix_alerts_stay_id"), "alerts", ["stay_id"])
    op.create_index(
        "uq_alerts_open", "alerts", ["stay_id", "condition_name"], unique=True, **_where("closed_at IS NULL")
    )
    op.create_table(
        "alert_events",
        sa.Column("id", Identifier, nullable=False),
        sa.Column("alert_id", Identifier, nullable=False),
        sa.Column(
            "kind",
            _word(
                "ck_alert_events_kind",
                "raised",
                "refired",
                "released",
                "acknowledged",
                "acknowledgement_expired",
                "evaluated",
                "shelved",
                "unshelved",
                "noted",
                "closed",
            ),
            nullable=False,
        ),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name=op.f("fk_alert_events_alert_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_events")),
    )
    op.create_index(op.f("ix_alert_events_alert_id"), "alert_events", ["alert_id"])


def _feed() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", Identifier, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_outbox_created_at"), "outbox", ["created_at"])
    op.create_table(
        "audit",
        sa.Column("id", Identifier, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_at"), "audit", ["at"])
    op.create_table(
        "worker_heartbeats",
        sa.Column("worker_id", sa.Text(), nullable=False),
        sa.Column("beat_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("worker_id", name=op.f("pk_worker_heartbeats")),
    )
