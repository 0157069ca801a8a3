"""What the agent weighs with 10,000 VulnerabilityReports of 50 kB, first list included.

Three processes: a fake API server that makes each report when it is asked for, and the agent's
watch, once against an empty server and once against a full one, sending to nobody. The peak is
VmHWM of a process that has imported what `fleetwatch-agent run` imports.

    python -m bench.agent_memory [--reports N] [--bytes N] [--pods] [--pages]
"""

import argparse
import asyncio
import contextlib
import functools
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

PEAK_MIB = 64  # the whole agent, at most
GROWTH_MIB = 15  # above the one that has nothing to watch, at most
REPORT_BYTES = 50_000
REPORTS = 10_000
VULNERABILITY_BYTES = 480  # of one entry of a report
IMAGES = 500  # so many different contents


def report(index: int, size: int) -> dict[str, Any]:
    """Make the report of one container; twenty share an image."""
    image = index % IMAGES
    digest = hashlib.sha256(str(image).encode()).hexdigest()
    vulnerabilities: list[dict[str, Any]] = [
        {
            "fixedVersion": f"1.{number}.7-4+deb12u2",
            "installedVersion": f"1.{number}.3-4+deb12u1",
            "lastModifiedDate": "2026-02-02T10:15:08Z",
            "links": [],
            "packagePURL": f"pkg:deb/debian/lib{number}@1.{number}.3-4%2Bdeb12u1?arch=amd64",
            "primaryLink": f"https://avd.aquasec.com/nvd/cve-2026-{image:04}{number:03}",
            "publishedDate": "2026-01-17T22:16:00Z",
            "resource": f"lib{number}",
            "score": number % 100 / 10,
            "severity": ("CRITICAL", "HIGH", "MEDIUM", "LOW", "UNKNOWN")[number % 5],
            "target": "",
            "title": f"lib{number}: a heap overflow in what parses the header of a section",
            "vulnerabilityID": f"CVE-2026-{image:04}{number:03}",
        }
        for number in range(size // VULNERABILITY_BYTES)
    ]
    name = f"replicaset-service-{index:05}-7d9c6b5f4d-main"
    return {
        "apiVersion": "aquasecurity.github.io/v1alpha1",
        "kind": "VulnerabilityReport",
        "metadata": {
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {
                "resource-spec-hash": digest[:10],
                "trivy-operator.container.name": "main",
                "trivy-operator.resource.kind": "ReplicaSet",
                "trivy-operator.resource.name": f"service-{index:05}-7d9c6b5f4d",
                "trivy-operator.resource.namespace": f"team-{index % 40}",
            },
            "name": name,
            "namespace": f"team-{index % 40}",
            "uid": f"00000000-0000-4000-8000-{index:012}",
        },
        "report": {
            "artifact": {
                "digest": f"sha256:{digest}",
                "repository": f"team/app-{image}",
                "tag": "1",
            },
            "os": {"family": "debian", "name": "12.5"},
            "registry": {"server": "registry.example.com"},
            "scanner": {"name": "Trivy", "vendor": "Aqua Security", "version": "0.68.1"},
            "summary": {"criticalCount": 1, "highCount": 1, "lowCount": 1, "mediumCount": 1},
            "updateTimestamp": "2026-01-01T00:00:00Z",
            "vulnerabilities": vulnerabilities,
        },
    }


def pod(index: int) -> dict[str, Any]:
    """Make the pod of a report's ReplicaSet."""
    digest = hashlib.sha256(str(index % IMAGES).encode()).hexdigest()
    image = f"registry.example.com/team/app-{index % IMAGES}"
    owner = {
        "apiVersion": "apps/v1",
        "controller": True,
        "kind": "ReplicaSet",
        "name": f"service-{index:05}-7d9c6b5f4d",
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "labels": {"app": f"service-{index:05}", "pod-template-hash": "7d9c6b5f4d"},
            "name": f"service-{index:05}-7d9c6b5f4d-abcde",
            "namespace": f"team-{index % 40}",
            "ownerReferences": [owner],
        },
        "spec": {"containers": [{"image": f"{image}:1", "name": "main"}]},
        "status": {
            "containerStatuses": [{"imageID": f"{image}@sha256:{digest}", "name": "main"}],
            "phase": "Running",
        },
    }


async def serve(*, reports: int, size: int, pods: bool, pages: bool) -> None:
    """Run the fake API server until standard input closes."""
    from tests.fakes.kubernetes import FakeKubernetes
    from tests.fakes.resources import VULNERABILITY_REPORTS
    from tests.fakes.storage import encode

    @functools.cache
    def results(image: int) -> bytes:
        return encode(report(image, size)["report"])

    def lazily(index: int) -> Any:
        def make(revision: int) -> Any:
            def body() -> bytes:
                obj = report(index, 0)
                obj["metadata"]["resourceVersion"] = str(revision)
                return encode(obj | {"report": msgspec.Raw(results(index % IMAGES))})

            return body

        return make

    async with FakeKubernetes() as fake:
        fake.serve(VULNERABILITY_REPORTS)
        fake.streams_lists = "refuse" if pages else "yes"
        for index in range(reports):
            metadata = report(index, 0)["metadata"]
            fake.put_raw(
                "aquasecurity.github.io/v1alpha1",
                "VulnerabilityReport",
                (metadata["namespace"], metadata["name"]),
                lazily(index),
            )
            if pods:
                fake.put(pod(index))
        print(fake.url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def watch(url: str, *, reports: int, pods: bool, home: Path | None) -> None:
    """Watch until everything is listed and print what it took; `home` is what it remembers in."""
    with contextlib.suppress(ImportError):  # what the whole program imports
        import agent.cli  # noqa: F401
    from agent import kubeconfig
    from agent.kubernetes import Api
    from agent.memory import Memory
    from agent.state import Change, State
    from agent.watcher import Watcher
    from protocol.messages import WORKLOADS, Key, KindState

    class Nowhere:
        async def changed(self, change: Change) -> None:
            pass

        async def deleted(self, kind: str, keys: tuple[Key, ...], observed_at: int) -> None:
            pass

        async def state_changed(self, kind: str) -> None:
            pass

    async def login() -> Any:
        configuration = kubeconfig.load("client.configuration").Configuration()
        configuration.host = url
        return configuration

    kind = "aquasecurity.github.io/VulnerabilityReport"
    state = State()
    memory = Memory(home) if home else None
    if memory is not None:
        await memory.open()
    received = _count_bytes()
    async with Api(login) as api:
        task = asyncio.create_task(Watcher(api, state, Nowhere(), memory=memory).run())
        started = time.monotonic()
        kinds = (state.kind(kind), state.kind(WORKLOADS))
        while any(one.state != KindState.SYNCED for one in kinds):
            await asyncio.sleep(0.1)
        seconds = time.monotonic() - started
        await asyncio.sleep(2)
        task.cancel()
        await asyncio.wait([task])
    if memory is not None:
        await memory.close()
    assert state.kind(kind).count == reports, state.kind(kind).count
    assert not pods or state.kind(WORKLOADS).count == reports
    took = {"seconds": round(seconds, 1), "cpu": time.process_time(), "bytes": sum(received)}
    print(json.dumps(_memory() | took))


def _count_bytes() -> list[int]:
    """Note the size of each chunk that comes from the API server from now on."""
    from agent import kubernetes

    sizes: list[int] = []
    original = kubernetes._chunks  # noqa: SLF001 - the one place that all answers go through

    async def counted(answer: Any, path: str) -> AsyncIterator[bytes]:
        async for chunk in original(answer, path):
            sizes.append(len(chunk))
            yield chunk

    kubernetes._chunks = counted  # noqa: SLF001
    return sizes


def _memory() -> dict[str, Any]:
    status = Path("/proc/self/status").read_text()
    found = dict(line.split(":", 1) for line in status.splitlines() if line.startswith("Vm"))
    return {
        "peak": int(found["VmHWM"].split()[0]) / 1024,
        "resident": int(found["VmRSS"].split()[0]) / 1024,
    }


def measure(
    *, reports: int, size: int, pods: bool, pages: bool, homes: Sequence[Path | None] = (None,)
) -> list[dict[str, Any]]:
    """Run a server and an agent after the other, each in a fresh process; return their figures.

    One with a home remembers there what it has read.
    """
    options = ["--reports", str(reports), "--bytes", str(size)]
    options += (["--pods"] if pods else []) + (["--pages"] if pages else [])
    command = [sys.executable, "-m", "bench.agent_memory", *options]
    with subprocess.Popen(
        [*command, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        figures = []
        for home in homes:
            run = [*command, "--agent", url, *(["--home", str(home)] if home else [])]
            answer = subprocess.run(run, stdout=subprocess.PIPE, text=True, check=True)
            figures.append(json.loads(answer.stdout))
        server.stdin.close()
    return figures


def main() -> int:
    """Measure with none and with all; returns 1 if a limit is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--reports", type=int, default=REPORTS)
    parser.add_argument("--bytes", type=int, default=REPORT_BYTES)
    parser.add_argument("--pods", action="store_true", help="with a running pod for each report")
    parser.add_argument("--pages", action="store_true", help="a server that does not stream lists")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--agent", help=argparse.SUPPRESS)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        asyncio.run(
            serve(reports=asked.reports, size=asked.bytes, pods=asked.pods, pages=asked.pages)
        )
        return 0
    if asked.agent:
        asyncio.run(watch(asked.agent, reports=asked.reports, pods=asked.pods, home=asked.home))
        return 0
    [empty] = measure(reports=0, size=asked.bytes, pods=asked.pods, pages=asked.pages)
    [full] = measure(reports=asked.reports, size=asked.bytes, pods=asked.pods, pages=asked.pages)
    growth = full["peak"] - empty["peak"]
    print(f"agent memory, {asked.reports} reports of {asked.bytes} bytes")
    print(f"  none: peak {empty['peak']:.1f} MiB, resident {empty['resident']:.1f} MiB")
    print(f"  all:  peak {full['peak']:.1f} MiB, resident {full['resident']:.1f} MiB")
    print(f"  growth of the peak {growth:.1f} MiB (limit {GROWTH_MIB}), limit of all {PEAK_MIB}")
    print(f"  listed in {full['seconds']} s, {full['cpu']:.1f} s of CPU")
    return int(full["peak"] > PEAK_MIB or growth > GROWTH_MIB)


if __name__ == "__main__":
    sys.exit(main())
