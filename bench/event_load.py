"""Sends Falco's events as Falco does: one JSON object a POST, over kept connections.

python -m bench.event_load URL EVENTS CONNECTIONS RATE OUTPUT TOGETHER

RATE is in events a second, 0 as fast as they are taken. Writes JSON to OUTPUT: seconds, CPU seconds of
this process, and when each numbered event was answered 200. Requests are made before the clock starts
where there is no rate, so that little of the machine goes to the sender.
"""

import asyncio
import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import uvloop

PODS = 500  # that events are about, ten a workload
HIDDEN_EVERY = 50  # events of which one quotes a password
RULES = (
    ("Terminal shell in container", "Notice"),
    ("Read sensitive file untrusted", "Warning"),
    ("Contact K8S API Server From Container", "Notice"),
    ("Drop and execute new binary in container", "Critical"),
    ("Redirect STDOUT/STDIN to Network Connection in Container", "Notice"),
    ("Packet socket created in container", "Notice"),
    ("Clear Log Activities", "Warning"),
    ("Search Private Keys or Passwords", "Warning"),
)
PADDING = (
    "evt_type=execve user=root user_uid=0 user_loginuid=-1 process=bash proc_exepath=/usr/bin/bash "
)


def place(number: int) -> tuple[str, str, str]:
    """Return namespace, workload and pod that an event is about."""
    pod = number % PODS
    return f"ns-{pod % 20}", f"web-{pod % 50}", f"web-{pod % 50}-7854ff8877-{pod}"


def body(number: int) -> bytes:
    """Return an event of about 1 kB, with the fields of the rules that are shipped."""
    namespace, _, pod = place(number)
    rule, priority = RULES[number % len(RULES)]
    hidden = number % HIDDEN_EVERY == 0
    command = f"mysql --password=hunter{number} -h db" if hidden else "bash -c 'id; uname -a'"
    fields = {
        "n": number,
        "container.id": "c1f3a8646e7f",
        "container.image.repository": "docker.io/library/nginx",
        "container.image.tag": "1.25",
        "container.name": "app",
        "evt.time": time.time_ns(),
        "evt.type": "execve",
        "k8s.ns.name": namespace,
        "k8s.pod.name": pod,
        "proc.cmdline": command,
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
        "output": f"10:00:00.1: {priority} {rule} | {PADDING}command={command} k8s_pod_name={pod}",
        "output_fields": fields,
        "priority": priority,
        "rule": rule,
        "source": "syscall",
        "tags": ["T1059", "container", "maturity_stable", "mitre_execution", "shell"],
        "time": time.strftime("%Y-%m-%dT%H:%M:%S.123456789Z", time.gmtime()),
    }
    return json.dumps(event).encode()


def request(host: str, path: str, number: int, together: int = 1) -> bytes:
    """Return a whole HTTP request."""
    if together == 1:
        content = body(number)
    else:
        content = b"[" + b",".join(body(number * together + n) for n in range(together)) + b"]"
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


class Sender(asyncio.Protocol):
    """One connection, one request at a time, until there is nothing more."""

    def __init__(self, requests: Iterator[tuple[int, bytes]], pace: "Pace") -> None:
        self._requests = requests
        self._pace = pace
        self._number = 0
        self._transport: asyncio.Transport
        self.answered: dict[int, float] = {}
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        """Take an answer."""
        if not data.startswith(b"HTTP/1.1 200") or not data.endswith(b"\r\n\r\n"):
            self.done.set_exception(SystemExit(f"event {self._number} was answered {data!r}"))
            return
        self.answered[self._number] = time.time()
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        """Tell of an end that came too early."""
        if not self.done.done():
            self.done.set_exception(SystemExit(f"the connection was lost: {error}"))

    def _next(self) -> None:
        following = next(self._requests, None)
        if following is None:
            self.done.set_result(None)
            self._transport.close()
            return
        self._number, content = following
        wait = self._pace.wait()
        if wait > 0:
            asyncio.get_running_loop().call_later(wait, self._transport.write, content)
        else:
            self._transport.write(content)


class Pace:
    """Lets so many through a second; 0 is without end."""

    def __init__(self, rate: float) -> None:
        self._between = 1 / rate if rate else 0.0
        self._due = asyncio.get_running_loop().time()

    def wait(self) -> float:
        """Return the seconds until the next request is due."""
        if not self._between:
            return 0.0
        loop = asyncio.get_running_loop()
        self._due = max(self._due + self._between, loop.time() - 0.5)
        return self._due - loop.time()


async def main(
    url: str, events: int, connections: int, rate: float, together: int
) -> dict[str, Any]:
    """Send them all."""
    parts = urlsplit(url)
    made: Iterator[tuple[int, bytes]] = (
        (number, request(parts.netloc, parts.path, number, together))
        for number in range(events // together)
    )
    if not rate:
        made = iter(list(made))
    pace = Pace(rate)
    loop = asyncio.get_running_loop()
    senders = [Sender(made, pace) for _ in range(connections)]
    before = resource.getrusage(resource.RUSAGE_SELF)
    started = time.time()
    each = iter(senders)
    for _ in senders:
        await loop.create_connection(lambda: next(each), parts.hostname or "", parts.port or 0)
    await asyncio.gather(*(sender.done for sender in senders))
    answered = {number: at for sender in senders for number, at in sender.answered.items()}
    after = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "started": started,
        "seconds": time.time() - started,
        "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "answered": answered,
    }


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(
            main(
                sys.argv[1],
                int(sys.argv[2]),
                int(sys.argv[3]),
                float(sys.argv[4]),
                int(sys.argv[6]),
            )
        )
    Path(sys.argv[5]).write_text(json.dumps(result))
