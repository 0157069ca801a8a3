"""Reports as Kubernetes objects, written as Trivy Operator and Kyverno write them.

Each shape of report knows four things: where its object lies, which content it has, what the agent
says about it (its context), and how to write the object out. Contexts are made by the thousand, so
they are made directly; a test holds them against what the agent reads from the written objects.
"""

from abc import ABC, abstractmethod
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from agent.state import Place
from bench.simulator.chance import Chance
from bench.simulator.images import App, Image
from protocol import messages as m

GROUP = "aquasecurity.github.io"
TRIVY = ("Trivy", "0.65.0")
MANAGED_BY = "app.kubernetes.io/managed-by"
POD_LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # that Kubernetes ends names with
CLUSTER = m.Object("", "Cluster", "", "cluster")


class Revision(Struct, frozen=True, eq=False, gc=False):
    """A workload between two rollouts. What scanners name is `owner`, a Deployment's ReplicaSet."""

    app: App
    namespace: str
    name: str
    number: int  # of its rollouts
    images: tuple[Image, ...]  # one for each of the app's containers
    owner: tuple[str, str]  # kind and name

    @property
    def workload(self) -> m.Object:
        """The workload."""
        return m.Object("apps", self.app.kind, self.namespace, self.name)

    def pod(self, number: int) -> str:
        """Return the name of a pod."""
        kind, name = self.owner
        if kind == "StatefulSet":
            return f"{name}-{number}"
        mixed = self.number * 31 + number * 7919  # two pods never get the same letters of this
        letters = (POD_LETTERS[mixed // 27**place % 27] for place in range(5))
        return f"{name}-{''.join(letters)}"


class Role(Struct, frozen=True, eq=False):
    """A Role, made after one of a few templates."""

    namespace: str
    name: str
    template: int


class Benchmark(Struct, frozen=True, eq=False):
    """A benchmark that a cluster is checked against."""

    name: str
    controls: int
    cluster: int


class Report(Struct, frozen=True, eq=False, gc=False):
    """A report as it stands in a cluster: what it is about, and which scan it comes from."""

    kind: str
    about: Revision | Role | Benchmark
    part: int  # container or pod of a revision
    at: int  # when it was scanned, ms since 1970
    uid: str
    version: int  # of the scanner's database


class Shape(ABC):
    """One kind of report."""

    kind: str  # "group/Kind"

    def __init__(self, chance: Chance) -> None:
        self.chance = chance

    @abstractmethod
    def place(self, about: Any, part: int) -> Place:
        """Return namespace and name of an object."""

    def sub(self, about: Any, part: int) -> str:  # noqa: ARG002 - for those that have one
        """Return the sub-key of its one entry."""
        return ""

    @abstractmethod
    def content(self, report: Report) -> tuple[object, ...]:
        """Name what the content depends on: equal names have equal contents."""

    @abstractmethod
    def context(self, report: Report, content: bytes, *, superseded: bool) -> m.Report:
        """Say what an agent says about it."""

    @abstractmethod
    def write(self, report: Report) -> dict[str, Any]:
        """Write the whole object."""


def labels_of(owner: tuple[str, str], namespace: str, container: str = "") -> dict[str, str]:
    """Label a report as Trivy Operator does."""
    labels = {
        MANAGED_BY: "trivy-operator",
        "trivy-operator.resource.kind": owner[0],
        "trivy-operator.resource.name": owner[1],
        "trivy-operator.resource.namespace": namespace,
    }
    if container:
        labels["trivy-operator.container.name"] = container
    return labels


def written(report: Report, place: Place, labels: dict[str, str], /, **rest: Any) -> dict[str, Any]:
    """Put an object together."""
    group, _, kind = report.kind.rpartition("/")
    version = "v1alpha2" if group == "wgpolicyk8s.io" else "v1alpha1"
    return {
        "apiVersion": f"{group}/{version}",
        "kind": kind,
        "metadata": {"namespace": place[0], "name": place[1], "uid": report.uid, "labels": labels},
        **rest,
    }


def time_of(milliseconds: int) -> str:
    """Write a time as Kubernetes does."""
    return datetime.fromtimestamp(milliseconds // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def scanner() -> dict[str, str]:
    """Name the scanner."""
    return {"name": TRIVY[0], "vendor": "Aqua Security", "version": TRIVY[1]}
