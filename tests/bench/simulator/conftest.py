"""The simulator's fleets against a whole aggregator."""

from tests.e2e.conftest import aggregator

__all__ = ["aggregator"]
