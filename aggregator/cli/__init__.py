"""`fleetwatch`: the command of operators and users."""

from aggregator.cli.program import main

__all__ = ["main"]
