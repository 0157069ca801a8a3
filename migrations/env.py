"""Alembic's environment: one connection, handed over by `aggregator.store.migrations`."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
