"""A picture of the signal beside the newest segments of a live recording.

Going back, the pictures are forgotten; they are of minutes.

Revision: 0005, after 0004
"""

import sqlalchemy as sa
from alembic import op

from db.columns import Identifier

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "segment_traces",
        sa.Column("segment_id", Identifier, nullable=False),
        sa.Column("traces", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["segment_id"], ["segment_scores.id"], name=op.f("fk_segment_traces_segment_id")
        ),
        sa.PrimaryKeyConstraint("segment_id", name=op.f("pk_segment_traces")),
    )


def downgrade() -> None:
    op.drop_table("segment_traces")
