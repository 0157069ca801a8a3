"""`make bench`: every benchmark, one after the other, with its floor or limit.

make bench ARGS="graphql_findings"      # one of them
"""

import subprocess
import sys

BENCHMARKS = {
    "graphql_findings": "findings(first: 100) against the same answer by hand",
    "finding_queries": "questions about 100 million findings (fills for six minutes)",
    "storage": "bytes a finding, by table and index, against a row a finding",
    "operations": "ten operations against the same by hand, PostGraphile 5 and Strawberry's executor",
    "sync": "the first sync of 200 clusters with 1,000 reports against the floor of its rows",
    "reconnect": "agents that come back unchanged, an aggregator that is killed, a CVE found everywhere",
    "events": "Falco's events from POST to row against COPY and a row a request; how soon they show",
    "event_queries": "questions about 10 million runtime events (fills for a quarter of an hour)",
    "agent_memory": "the agent's peak with 10,000 reports of 50 kB",
    "agent_restart": "what a restart of the agent reads and takes with as many",
}


def main() -> int:
    """Run the benchmarks named, or all. Returns 1 if one breaks its limit."""
    chosen = sys.argv[1:] or list(BENCHMARKS)
    unknown = [name for name in chosen if name not in BENCHMARKS]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
        return 2
    failed = 0
    for name in chosen:
        print(f"== {name}: {BENCHMARKS[name]}", flush=True)
        failed |= subprocess.run([sys.executable, "-m", f"bench.{name}"], check=False).returncode
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
