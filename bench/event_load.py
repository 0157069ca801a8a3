"""Sends Falco's events as Falco does: one JSON object a POST, over kept connections.

python -m bench.event_load URL EVENTS CONNECTIONS RATE OUTPUT TOGETHER

RATE is in events a second, 0 as fast as they are taken. Writes JSON to OUTPUT: seconds, CPU seconds of
this process, and when each numbered event was answered 200.
"""

import asyncio
import itertools
import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

PADDING = (
    "evt_type=execve user=root user_uid=0 user_loginuid=-1 process=bash proc_exepath=/usr/bin/bash "
)


def body(number: int) -> bytes:
    """Return an event of about 1 kB, with the fields of the rule that is shipped."""
    pod = f"web-{number % 50}-7854ff8877-{number % 500}"
    fields = {
        "n": number,
        "container.id": "c1f3a8646e7f",
        "container.image.repository": "docker.io/library/nginx",
        "container.image.tag": "1.25",
        "container.name": "nginx",
        "evt.time": time.time_ns(),
        "evt.type": "execve",
        "k8s.ns.name": f"ns-{number % 20}",
        "k8s.pod.name": pod,
        "proc.cmdline": "bash -c 'id; uname -a'",
        "proc.exepath": "/usr/bin/bash",
        "proc.name": "bash",
        "proc.pname": "containerd-shim",
        "proc.tty": 34816,
        "user.loginuid": -1,
        "user.name": "root",
        "user.uid": 0,
    }
    event = {
        "hostname": f"node-{number % 10}",
        "output": f"10:00:00.1: Notice A shell was spawned in a container | {PADDING}pod={pod}",
        "output_fields": fields,
        "priority": "Notice",
        "rule": "Terminal shell in container",
        "source": "syscall",
        "tags": ["T1059", "container", "maturity_stable", "mitre_execution", "shell"],
        "time": time.strftime("%Y-%m-%dT%H:%M:%S.123456789Z", time.gmtime()),
    }
    return json.dumps(event).encode()


def request(host: str, path: str, number: int, together: int = 1) -> bytes:
    """Return a whole HTTP request."""
    content = body(number)
    if together > 1:
        content = b"[" + b",".join(body(number * together + n) for n in range(together)) + b"]"
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


async def send(
    url: str,
    requests: "itertools.chain[tuple[int, bytes]]",
    answered: dict[int, float],
    pace: "Pace",
) -> None:
    """Send over one connection until there is nothing more."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    for number, raw in requests:
        await pace.wait()
        writer.write(raw)
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head[:15]:
            raise SystemExit(f"not answered 200: {head!r}")
        answered[number] = time.time()
    writer.close()


class Pace:
    """Lets so many through a second."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._next = time.monotonic()

    async def wait(self) -> None:
        """Wait for the next turn."""
        if self._rate:
            self._next += 1 / self._rate
            await asyncio.sleep(max(0.0, self._next - time.monotonic()))


async def main(
    url: str, events: int, connections: int, rate: float, together: int
) -> dict[str, object]:
    """Send them all."""
    parts = urlsplit(url)
    numbers = range(events // together)
    made: Iterator[tuple[int, bytes]]
    if rate:
        made = ((n, request(parts.netloc, parts.path, n)) for n in numbers)
    else:
        made = iter([(n, request(parts.netloc, parts.path, n, together)) for n in numbers])
    answered: dict[int, float] = {}
    pace = Pace(rate)
    shared = itertools.chain(made)
    before = resource.getrusage(resource.RUSAGE_SELF)
    started = time.time()
    await asyncio.gather(*(send(url, shared, answered, pace) for _ in range(connections)))
    after = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "started": started,
        "seconds": time.time() - started,
        "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "answered": answered,
    }


if __name__ == "__main__":
    result = asyncio.run(
        main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[6]))
    )
    Path(sys.argv[5]).write_text(json.dumps(result))
