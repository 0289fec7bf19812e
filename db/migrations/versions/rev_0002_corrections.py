"""Corrections and withdrawals: an observation has an end, a name, a status and a censored side.

Going back, what the first release could not say goes to its quarantine: what no longer stands, results beyond
a detection limit, and what two names say alike.

Revision: 0002, after 0001
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from db.columns import Float64, Identifier, UtcDateTime

revision = "0002"
down_revision = "0001"

_BEFORE = "uq_observations_stay_id_variable_time_value"
_CHECKS = {
    "ck_observations_known_until": "known_until >= known_at",
    "ck_observations_censored": "censored IN ('', '<', '>')",
    "ck_observations_status": "status IN ('preliminary', 'final', 'amended', 'corrected')",
}
_TO_QUARANTINE = """
    INSERT INTO quarantine (received_at, stay_external_id, reason, detail, input, bound, unit)
    SELECT observations.received_at, stays.external_id, :reason, :detail,
           observations.variable || ' ' || observations.censored || CAST(observations.value AS TEXT)
           || ' of ' || CAST(observations.time AS TEXT) || ', known '
           || CAST(observations.known_at AS TEXT) || ' to '
           || coalesce(CAST(observations.known_until AS TEXT), 'now') || ' ' || observations.identifier,
           '', ''
    FROM observations JOIN stays ON stays.id = observations.stay_id WHERE {}
"""
_SAID_TWICE = """
    observations.id NOT IN (SELECT min(id) FROM observations GROUP BY stay_id, variable, time, value)
"""


def upgrade() -> None:
    with op.batch_alter_table("observations", copy_from=_first_release()) as table:
        table.drop_constraint(op.f(_BEFORE), type_="unique")
        table.add_column(sa.Column("known_until", UtcDateTime(), nullable=True))
        for name, value in (("censored", ""), ("identifier", ""), ("status", "final")):
            table.add_column(sa.Column(name, sa.Text(), nullable=False, server_default=value))
        for name, condition in _CHECKS.items():
            table.create_check_constraint(op.f(name), condition)
    _new_indexes()
    for column in ("withdrawals", "scored_withdrawals"):
        op.add_column("stays", sa.Column(column, sa.Integer(), nullable=False, server_default="0"))
    _index_unscored("(last_observation_id > scored_observation_id OR withdrawals > scored_withdrawals")


def downgrade() -> None:
    _set_aside("known_until IS NOT NULL", "withdrawn", "was corrected or withdrawn")
    _set_aside("censored <> ''", "censored", "lies beyond a detection limit")
    _set_aside(_SAID_TWICE, "duplicate", "was said under another name too")
    _index_unscored("(last_observation_id > scored_observation_id")
    for column in ("scored_withdrawals", "withdrawals"):
        op.drop_column("stays", column)
    op.drop_index("uq_observations_standing", "observations")
    op.drop_index("ix_observations_named", "observations")
    with op.batch_alter_table("observations", copy_from=_second_release()) as table:
        for name in _CHECKS:
            table.drop_constraint(op.f(name), type_="check")
        for name in ("known_until", "censored", "identifier", "status"):
            table.drop_column(name)
        table.create_unique_constraint(op.f(_BEFORE), ["stay_id", "variable", "time", "value"])


def _set_aside(condition: str, reason: str, detail: str) -> None:
    op.execute(sa.text(_TO_QUARANTINE.format(condition)).bindparams(reason=reason, detail=detail))
    op.execute(sa.delete(_first_release()).where(sa.text(condition)))


def _new_indexes() -> None:
    op.create_index(
        "uq_observations_standing",
        "observations",
        ["stay_id", "variable", "time", "value", "censored", "identifier"],
        unique=True,
        **_where("known_until IS NULL"),
    )
    op.create_index(
        "ix_observations_named", "observations", ["stay_id", "identifier"], **_where("identifier <> ''")
    )


def _index_unscored(condition: str) -> None:
    op.drop_index("ix_stays_unscored", "stays")
    late = " OR last_known_at > coalesce(scored_through, admitted_at))"
    op.create_index("ix_stays_unscored", "stays", ["id"], **_where(condition + late))


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def _first_release() -> sa.Table:
    """SQLite changes a table by copying it, and tells too little of itself to be asked."""
    return _observations(
        sa.UniqueConstraint("stay_id", "variable", "time", "value", name=op.f(_BEFORE)),
    )


def _second_release() -> sa.Table:
    return _observations(
        sa.Column("known_until", UtcDateTime(), nullable=True),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("censored", "identifier", "status")),
        *(sa.CheckConstraint(condition, name=op.f(name)) for name, condition in _CHECKS.items()),
    )


def _observations(*more: Any) -> sa.Table:
    table = sa.Table(
        "observations",
        sa.MetaData(),
        sa.Column("id", Identifier, nullable=False),
        sa.Column("stay_id", Identifier, nullable=False),
        sa.Column("time", UtcDateTime(), nullable=False),
        sa.Column("known_at", UtcDateTime(), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("variable", sa.Text(), nullable=False),
        sa.Column("value", Float64(), nullable=False),
        *more,
        sa.CheckConstraint("known_at >= time", name=op.f("ck_observations_known_at")),
        sa.CheckConstraint("value BETWEEN -1e308 AND 1e308", name=op.f("ck_observations_finite")),
        sa.ForeignKeyConstraint(["stay_id"], ["stays.id"], name=op.f("fk_observations_stay_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_observations")),
        sqlite_autoincrement=True,
    )
    sa.Index(op.f("ix_observations_stay_id_known_at"), table.c.stay_id, table.c.known_at)
    return table
