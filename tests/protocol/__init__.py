"""tests protocol."""
