"""A fleet of agents in one process, each with a made-up cluster and a real session."""
