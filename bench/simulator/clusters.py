"""A made-up cluster that lives: apps come, go, roll out and scale, and scanners write about them.

Pure. A step changes the cluster and what its agent knows (`Ledger`), and returns the entries to
send. Clusters share apps, images and contents; equal steps of equal clusters give equal entries.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct

from agent.state import Place
from bench.simulator.check_reports import Benchmarks, Configuration, Policies, Roles
from bench.simulator.contents import Contents
from bench.simulator.image_reports import Bills, Secrets, Vulnerabilities
from bench.simulator.images import TEAMS, App, Images
from bench.simulator.ledger import Event, Ledger
from bench.simulator.objects import Benchmark, Report, Revision, Role
from protocol import messages as m

START = 1_767_225_600_000  # 2026-01-01, ms since 1970
SECOND = 1_000  # ms
DAY = 86_400 * SECOND
ENVIRONMENTS = ("prod", "staging", "dev")
NAMESPACES = 12  # at most
REPORTS_A_NAMESPACE = 20  # at least
REPORTS_A_ROLE = 25
TEMPLATES = 31  # of roles
BENCHMARKS = (("k8s-nsa-1.0", 27), ("k8s-pss-baseline-0.1", 11), ("k8s-cis-1.23", 116))
EVERYWHERE = 8  # apps that every cluster runs
POLICED = 0.7  # of the clusters have Kyverno
TRIES = 50  # to find an app that fits, before a cluster is full
OF_CONTAINERS = (Vulnerabilities.kind, Secrets.kind, Bills.kind)


class Workload(Struct, eq=False):
    """What runs: a revision in so many pods. `old` is what a rollout has not let go of yet."""

    revision: Revision
    pods: int
    old: Revision | None = None


class Cluster:
    """One cluster. Everything follows from its number, the fleet's images, and the steps taken."""

    def __init__(
        self, number: int, images: Images, contents: Contents, *, reports: int, at: int = START
    ) -> None:
        """`reports` are there at the start; `at` is the cluster's clock, ms since 1970."""
        self.number = number
        self.at = at
        self.environment = ENVIRONMENTS[number % len(ENVIRONMENTS)]
        self.name = f"sim-{self.environment}-{number:04}"
        self.uid = images.chance.uuid("cluster", number)
        self.ledger = Ledger(contents, self._describe)
        self.workloads: dict[Place, Workload] = {}
        self._images = images
        self._chance = images.chance
        self._has_policies = self._chance.fraction("policed", number) < POLICED
        self._draws = itertools.count()
        self._scans = itertools.count()
        self._order: list[Place] = []  # of the workloads, to choose from
        self._namespaces: list[str] = []
        self._nodes: list[str] = []
        self._expired: list[Report] = []  # that wait for the scanner
        self._fill(reports)

    # Steps: each returns what to send, in order

    def step(self) -> list[Event]:
        """Take one step of those that clusters take all the time."""
        chosen = self._chance.pick(_OFTEN, *self._draw())
        return chosen(self)

    def deploy(self) -> list[Event]:
        """Start an app in a namespace where it does not run yet."""
        app = self._images.app(self._chance.rank(self._images.apps, *self._draw()))
        namespace = self._chance.pick(self._namespaces, *self._draw())
        if (namespace, app.name) in self.workloads:
            return []
        return [*self._start(app, namespace)]

    def roll_out(self) -> list[Event]:
        """Replace the images of a workload by their next releases.

        What was written about the old ones is superseded until `finish`.
        """
        place = self._choose()
        return [*self._roll_out(self.workloads[place])] if place else []

    def finish(self) -> list[Event]:
        """Let go of what rollouts have left."""
        left = [one for one in self.workloads.values() if one.old is not None]
        return [event for workload in left for event in self._let_go(workload)]

    def scale(self) -> list[Event]:
        """Start or end a pod of a workload."""
        place = self._choose()
        if place is None:
            return []
        workload = self.workloads[place]
        more = workload.pods < 2 or self._chance.fraction(*self._draw()) < 0.5
        workload.pods += 1 if more else -1
        events = [self._put_workload(workload)]
        if more and self._has_policies:
            return [*events, self._scan(Policies.kind, workload.revision, workload.pods - 1)]
        return [*events, *self.ledger.drop(Policies.kind, workload.revision, workload.pods)]

    def remove(self) -> list[Event]:
        """Take a workload away, with all that was written about it."""
        place = self._choose()
        if place is None:
            return []
        workload = self.workloads[place]
        events = [*self._let_go(workload)]
        for kind, part in self._written(workload):
            events += self.ledger.drop(kind, workload.revision, part)
        del self.workloads[place]
        self._order.remove(place)
        sub = f"apps/{workload.revision.app.kind}"
        return [*events, self.ledger.put_inventory(m.WORKLOADS, place, sub)]

    def expire(self, *, ttl: int = DAY, limit: int | None = None) -> list[Event]:
        """Let the scanner delete up to `limit` reports older than `ttl` ms, oldest first."""
        due = [
            report
            for kind in (*OF_CONTAINERS, Configuration.kind)
            for report in self.ledger.reports[kind].values()
            if report.at <= self.at - ttl and report.about not in self.ledger.overtaken
        ]
        events: list[Event] = []
        for report in sorted(due, key=lambda report: report.at)[:limit]:
            self._expired.append(report)
            events += self.ledger.drop(report.kind, report.about, report.part)
        return events

    def rescan(self) -> list[Event]:
        """Let the scanner write expired reports again, with what its database knows now."""
        due, self._expired = self._expired, []
        return [
            self._scan(report.kind, report.about, report.part)
            for report in due
            if isinstance(report.about, Revision) and self._runs(report.about)
        ]

    def take_database(self) -> list[Event]:
        """Scan the images again of which the scanner's database says something else now."""
        known, version = self._images.known, self._images.version
        events: list[Event] = []
        for report in list(self.ledger.reports[Vulnerabilities.kind].values()):
            assert isinstance(report.about, Revision)
            image = report.about.images[report.part]
            if known(image, report.version) != known(image, version):
                events.append(self._scan(report.kind, report.about, report.part))
        return events

    def check_benchmarks(self) -> list[Event]:
        """Check the cluster against its benchmarks again."""
        return [
            self._scan(Benchmarks.kind, Benchmark(name, controls, self.number), 0)
            for name, controls in BENCHMARKS
        ]

    def pass_time(self, milliseconds: int) -> None:
        """Move the cluster's clock."""
        self.at += milliseconds

    # What a step is made of

    def _fill(self, reports: int) -> None:
        chance, number = self._chance, self.number
        spaces = max(2, min(NAMESPACES, reports // REPORTS_A_NAMESPACE))
        first = chance.below(len(TEAMS), "teams", number)
        self._namespaces = [TEAMS[(first + n) % len(TEAMS)] for n in range(spaces)]
        self._nodes = [f"node-{number}-{n}" for n in range(3 + chance.below(6, "nodes", number))]
        for kind, names in ((m.NAMESPACES, self._namespaces), (m.NODES, self._nodes)):
            for name in names:
                self.ledger.put_inventory(kind, ("", name))
        if reports >= REPORTS_A_NAMESPACE:
            self.check_benchmarks()
        for _ in range(reports // REPORTS_A_ROLE):
            self._add_role()
        end, failures = self.at, 0
        drawn = (chance.rank(self._images.apps, *self._draw()) for _ in itertools.count())
        for rank in itertools.chain(range(EVERYWHERE), drawn):
            if failures >= TRIES or len(self.ledger) >= reports:
                break
            left = DAY * (reports - len(self.ledger)) // reports
            self.at = end - left // SECOND * SECOND  # the scanner takes a day for all of them
            failures = 0 if self._fit(self._images.app(rank), reports) else failures + 1
        self.at = end
        while len(self.ledger) < reports:
            self._add_role()

    def _fit(self, app: App, reports: int) -> bool:
        """Start an app, if its reports have room."""
        namespace = self._chance.pick(self._namespaces, *self._draw())
        room = reports - len(self.ledger)
        if (namespace, app.name) in self.workloads or self._count(app) > room:
            return False
        for _ in self._start(app, namespace):
            pass
        return True

    def _count(self, app: App) -> int:
        policed = 1 + app.replicas if self._has_policies else 0
        return len(app.containers) * len(OF_CONTAINERS) + 1 + policed

    def _add_role(self) -> None:
        number = len(self.ledger.reports[Roles.kind])
        namespace = self._namespaces[number % len(self._namespaces)]
        template = 1 + self._chance.rank(TEMPLATES, "role", self.number, number)
        role = Role(namespace, f"role-{template}-{number}", template)
        self.ledger.put(self._report(Roles.kind, role, 0))

    def _start(self, app: App, namespace: str) -> Iterator[Event]:
        releases = [
            max(0, app.newest - self._chance.rank(6, *self._draw())) for _ in app.containers
        ]
        revision = self._revision(app, namespace, 1, releases)
        workload = Workload(revision, app.replicas)
        self.workloads[namespace, app.name] = workload
        self._order.append((namespace, app.name))
        yield self._put_workload(workload)
        for kind, part in self._written(workload):
            yield self._scan(kind, revision, part)

    def _roll_out(self, workload: Workload) -> Iterator[Event]:
        yield from self._let_go(workload)
        before = workload.revision
        parts = [*self._written(workload)]
        releases = [image.release + 1 for image in before.images]
        after = self._revision(before.app, before.namespace, before.number + 1, releases)
        workload.revision = after
        yield self._put_workload(workload)
        for kind, part in parts:
            if kind == Policies.kind and part >= 0:
                yield from self.ledger.drop(kind, before, part)
            yield self._scan(kind, after, part)
        if before.owner == after.owner:  # the reports are in place of the old ones
            return
        workload.old = before
        self.ledger.overtaken.add(before)
        for kind, part in parts:
            place = self.ledger.shapes[kind].place(before, part)
            report = self.ledger.reports[kind].get(place)
            if kind != Policies.kind and report is not None:
                yield self.ledger.put(report)

    def _let_go(self, workload: Workload) -> Iterator[Event]:
        if workload.old is not None:
            for kind, part in self._written(workload):
                if kind != Policies.kind:
                    yield from self.ledger.drop(kind, workload.old, part)
            self.ledger.overtaken.discard(workload.old)
            workload.old = None

    def _written(self, workload: Workload) -> Iterator[tuple[str, int]]:
        """Yield kind and part of every report of a workload."""
        for kind in OF_CONTAINERS:
            for part in range(len(workload.revision.images)):
                yield kind, part
        yield Configuration.kind, 0
        if self._has_policies:
            for part in range(-1, workload.pods):
                yield Policies.kind, part

    def _revision(self, app: App, namespace: str, number: int, releases: Iterable[int]) -> Revision:
        images = tuple(
            self._images.image(repository, release)
            for (_, repository), release in zip(app.containers, releases, strict=True)
        )
        owner = (app.kind, app.name)
        if app.kind == "Deployment":
            template = (self.environment, app.number, [image.release for image in images])
            owner = ("ReplicaSet", f"{app.name}-{self._chance.hex(10, 'template', *template)}")
        return Revision(app, namespace, app.name, number, images, owner)

    def _runs(self, revision: Revision) -> bool:
        workload = self.workloads.get((revision.namespace, revision.name))
        return workload is not None and workload.revision is revision

    def _scan(self, kind: str, about: Revision | Role | Benchmark, part: int) -> Event:
        return self.ledger.put(self._report(kind, about, part))

    def _report(self, kind: str, about: Revision | Role | Benchmark, part: int) -> Report:
        scan = next(self._scans)
        uid = self._chance.uuid("report", self.number, scan)
        return Report(kind, about, part, self.at, uid, self._images.version)

    def _put_workload(self, workload: Workload) -> Event:
        revision = workload.revision
        place = (revision.namespace, revision.name)
        return self.ledger.put_inventory(m.WORKLOADS, place, f"apps/{revision.app.kind}")

    def _describe(self, kind: str, place: Place) -> m.Body | None:
        """Say what stands at a place of the inventory."""
        if kind == m.NAMESPACES and place[1] in self._namespaces:
            return m.Namespace({"team": place[1], "env": self.environment})
        if kind == m.NODES and place[1] in self._nodes:
            labels = {"kubernetes.io/arch": "amd64", "topology.kubernetes.io/zone": place[1][-1]}
            return m.Node(labels, "v1.33.2", "Debian GNU/Linux 12", "amd64", "containerd://2.0.5")
        workload = self.workloads.get(place) if kind == m.WORKLOADS else None
        if workload is None:
            return None
        revision = workload.revision
        running = sorted(zip(revision.app.containers, revision.images, strict=True))
        containers = tuple(
            m.Container(name, image.named(trusted=True), workload.pods)
            for (name, _), image in running
        )
        labels = {"app.kubernetes.io/name": revision.app.name, "team": revision.app.team}
        return m.Workload(labels, revision.app.name, workload.pods, containers)

    def _choose(self) -> Place | None:
        return self._chance.pick(self._order, *self._draw()) if self._order else None

    def _draw(self) -> tuple[str, int, int]:
        return ("step", self.number, next(self._draws))


def _expire_and_rescan(cluster: Cluster) -> list[Event]:
    return [*cluster.expire(ttl=0, limit=5), *cluster.rescan()]


# By how often they come.
_OFTEN: tuple[Callable[[Cluster], list[Event]], ...] = (
    *(Cluster.roll_out, Cluster.finish) * 3,
    *(Cluster.scale,) * 3,
    *(_expire_and_rescan,) * 2,
    Cluster.deploy,
    Cluster.remove,
    Cluster.check_benchmarks,
)
