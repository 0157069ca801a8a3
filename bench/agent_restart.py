"""What a restart of the agent takes with 10,000 VulnerabilityReports of 50 kB, none of them changed.

A fake API server, and three agents one after the other: one that remembers nothing, one that
remembers what it reads, and that one once more. Each is a fresh process that sends to nobody.

    python -m bench.agent_restart [--reports N] [--bytes N] [--pods] [--pages]
"""

import argparse
import sys
import tempfile
from pathlib import Path

from bench.agent_memory import PEAK_MIB, REPORT_BYTES, REPORTS, measure

CPU_SHARE = 0.2  # of a full start's CPU seconds that a restart may take
BYTES_SHARE = 0.05  # likewise, of bytes


def main() -> int:
    """Measure; returns 1 if a limit is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--reports", type=int, default=REPORTS)
    parser.add_argument("--bytes", type=int, default=REPORT_BYTES)
    parser.add_argument("--pods", action="store_true", help="with a running pod for each report")
    parser.add_argument("--pages", action="store_true", help="a server that does not stream lists")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        before, first, again = measure(
            reports=asked.reports,
            size=asked.bytes,
            pods=asked.pods,
            pages=asked.pages,
            homes=(None, home, home),
        )
        disk = sum(path.stat().st_size for path in home.iterdir())
    print(f"a start of the agent, {asked.reports} reports of {asked.bytes} bytes")
    named = {"remembers nothing": before, "the first that remembers": first, "the next": again}
    for name, took in named.items():
        print(
            f"  {name}: {took['bytes'] / 1e6:.1f} MB read, {took['cpu']:.1f} s of CPU, "
            f"listed in {took['seconds']} s, peak {took['peak']:.1f} MiB"
        )
    print(f"  on disk: {disk / 1e6:.1f} MB")
    cheap = again["cpu"] <= before["cpu"] * CPU_SHARE
    small = again["bytes"] <= before["bytes"] * BYTES_SHARE
    flat = max(first["peak"], again["peak"]) <= PEAK_MIB
    return int(not (cheap and small and flat))


if __name__ == "__main__":
    sys.exit(main())
