"""tests aggregator graph."""
