"""tests aggregator."""
