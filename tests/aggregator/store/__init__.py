"""tests aggregator store."""
