"""What crosses the network between agents and the aggregator."""
