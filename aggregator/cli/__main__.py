"""`python -m aggregator.cli`."""

from aggregator.cli.program import main

main(prog_name="fleetwatch")
