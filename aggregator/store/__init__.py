"""The only way to Postgres."""
