"""tests aggregator ingest."""
