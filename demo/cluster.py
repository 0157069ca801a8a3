"""A cluster that lives: an API server with workloads, and the agent that watches it."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx

from agent.receiver_settings import ReceiverSettings
from agent.run import run as run_agent
from agent.settings import Settings
from demo import falco
from demo.images import NEWLY_KNOWN, SOFTWARE
from demo.objects import Deployment, namespace, node
from tests.apart import free_port
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.resources import report_kinds

TEAMS = {"shop": "storefront", "data": "insights", "ci": "platform"}
CLUSTERS = {
    "prod-eu": (
        ("checkout", "shop"),
        ("catalog", "shop"),
        ("gateway", "shop"),
        ("reports", "data"),
        ("cache", "shop"),
    ),
    "prod-us": (("checkout", "shop"), ("catalog", "shop"), ("gateway", "shop"), ("worker", "data")),
    "staging": (
        ("checkout", "shop"),
        ("catalog", "shop"),
        ("build-runner", "ci"),
        ("cache", "shop"),
    ),
}
LABELS = {
    "prod-eu": {"env": "prod", "region": "eu"},
    "prod-us": {"env": "prod", "region": "us"},
    "staging": {"env": "staging", "region": "eu"},
}
CHANGE_EVERY = 5.0  # seconds between two changes of a cluster
ALERT_EVERY = 2.0  # seconds between two of its Falco's events
FIRST_ALERTS = 5  # that each cluster begins with
SECRET = "the-demo-keeps-none"  # noqa: S105 - of a receiver on the loopback address


class Cluster:
    """One of the demo's clusters."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.kubernetes = FakeKubernetes()
        self._random = random.Random(name)  # noqa: S311 - a demo that repeats itself
        self._port = free_port()  # that its agent takes events on
        self._deployments = [Deployment(app, where, SOFTWARE[app]) for app, where in CLUSTERS[name]]

    def fill(self) -> None:
        """Install the report kinds and everything that runs."""
        for resource in report_kinds():
            self.kubernetes.serve(resource)
        for where in sorted({one.namespace for one in self._deployments}):
            self.kubernetes.put(namespace(where, TEAMS[where]))
        for number in (1, 2):
            self.kubernetes.put(node(f"{self.name}-{number}"))
        for deployment in self._deployments:
            for made in (*deployment.running(), *deployment.reports()):
                self.kubernetes.put(made)

    @property
    def receiver(self) -> ReceiverSettings:
        """Where its agent takes events."""
        return ReceiverSettings(address=("127.0.0.1", self._port), secret=SECRET)

    async def live(self) -> None:
        """Change something now and then, and let Falco see something, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._change())
            group.create_task(self._watch())

    async def alert(self, client: httpx.AsyncClient) -> None:
        """Send an event as Falco does, about a pod that runs."""
        deployment = self._random.choice(self._deployments)
        event = falco.alert(
            self._random,
            namespace=deployment.namespace,
            pod=self._random.choice(deployment.pods()),
            container=deployment.name,
            image=deployment.image,
            node=f"{self.name}-{self._random.randint(1, 2)}",
            at=datetime.now(UTC),
        )
        answer = await client.post(f"http://127.0.0.1:{self._port}/falco/{SECRET}", json=event)
        answer.raise_for_status()

    async def _change(self) -> None:
        while True:
            await asyncio.sleep(CHANGE_EVERY * self._random.uniform(0.5, 1.5))
            self._random.choice((self._rescan, self._roll_out))()

    async def _watch(self) -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            while True:
                await asyncio.sleep(ALERT_EVERY * self._random.uniform(0.5, 1.5))
                await self.alert(client)

    def _rescan(self) -> None:
        """Find something new, or find it fixed."""
        deployment = self._random.choice(self._deployments)
        known = deployment.software.vulnerabilities
        found = (
            tuple(one for one in known if one is not NEWLY_KNOWN)
            if NEWLY_KNOWN in known
            else (*known, NEWLY_KNOWN)
        )
        deployment.software = replace(deployment.software, vulnerabilities=found)
        for report in deployment.reports():
            self.kubernetes.put(report)

    def _roll_out(self) -> None:
        """Replace ReplicaSet and pods; reports of the old ones go with them."""
        deployment = self._random.choice(self._deployments)
        before = [*deployment.running(), *deployment.reports()]
        deployment.revision += 1
        for made in (*deployment.running(), *deployment.reports()):
            self.kubernetes.put(made)
        for gone in before:
            if gone["kind"] != "Deployment":
                group = gone["apiVersion"].rpartition("/")[0]
                metadata = gone["metadata"]
                self.kubernetes.delete(
                    gone["kind"], metadata["namespace"], metadata["name"], group=group
                )


@asynccontextmanager
async def watched(cluster: Cluster, url: str, token: str, folder: Path) -> AsyncIterator[None]:
    """Run a cluster's API server and its agent, as `fleetwatch-agent run` does."""
    async with cluster.kubernetes:
        cluster.fill()
        kubeconfig = cluster.kubernetes.write_kubeconfig(folder / "kubeconfig")
        settings = Settings(
            url=url,
            token=token,
            kubeconfig=kubeconfig,
            home=folder / "agent",
            receiver=cluster.receiver,
        )
        agent = asyncio.create_task(run_agent(settings))
        try:
            yield
        finally:
            agent.cancel()
            await asyncio.gather(agent, return_exceptions=True)
