"""tests aggregator access."""
