"""tests sources."""
