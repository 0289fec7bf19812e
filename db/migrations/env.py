"""Run migrations inside the transaction of the connection that `db.schema.migration_config` was given."""

from alembic import context

from db.rows import Row

context.configure(connection=context.config.attributes["connection"], target_metadata=Row.metadata)
context.run_migrations()
