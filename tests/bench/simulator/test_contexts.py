"""What the simulator sends is what the real agent would send of the objects it writes."""

import json

from agent.entries import Writer
from agent.inventory import Inventory
from agent.reports import Reports, Watched
from agent.resource import Resource
from agent.state import State
from agent.trim import Controller, Pod
from agent.workloads import WATCHED, Workloads
from bench.simulator.clusters import Cluster
from bench.simulator.objects import Revision
from bench.simulator.world import World
from protocol import messages as m
from sources import registry
from tests.agent.conftest import Outlet


def run(cluster: Cluster, inventory: Inventory) -> None:
    """Let everything run that a cluster says it does, as the agent's watches would bring it."""
    for place, workload in cluster.workloads.items():
        now = workload.revision
        name = m.Object("apps", now.app.kind, *place)
        labels = (("app.kubernetes.io/name", now.app.name), ("team", now.app.team))
        inventory.put_controller(name, Controller(None, now.app.name, labels, (0, "")))
        for revision in filter(None, (now, workload.old)):
            if revision.owner[0] == "ReplicaSet":
                owner = m.Object("apps", "ReplicaSet", place[0], revision.owner[1])
                age = (revision.number, "")
                inventory.put_controller(owner, Controller(name, "", (), age))
        for number in range(workload.pods):
            pod = m.Object("", "Pod", place[0], now.pod(number))
            owner = m.Object("apps", now.owner[0], place[0], now.owner[1])
            inventory.put_pod(pod, Pod(owner, True, now.app.name, (), running(now)))
    for kind in (m.NAMESPACES, m.NODES):
        for place in cluster.ledger.state.kind(kind).objects:
            change = cluster.ledger.change(kind, m.Key(*place))
            assert change is not None
            if isinstance(change.item.body, m.Namespace):
                inventory.put_namespace(m.Object("", "Namespace", *place), change.item.body.labels)
            elif isinstance(change.item.body, m.Node):
                inventory.put_node(m.Object("", "Node", *place), change.item.body)
    for watched in WATCHED:
        inventory.settle(watched.kind, m.KindState.SYNCED, "")


def running(revision: Revision) -> tuple[tuple[str, m.Image], ...]:
    images = zip(revision.app.containers, revision.images, strict=True)
    return tuple(sorted((name, image.named(trusted=True)) for (name, _), image in images))


async def watch(cluster: Cluster) -> State:
    """Return what the real agent knows of a cluster that holds these objects."""
    state, inventory = State(), Inventory()
    writer = Writer(state, Outlet(state))
    run(cluster, inventory)
    reports = Reports(inventory, writer)

    async def put(kind: str, place: tuple[str, str]) -> None:
        shape = cluster.ledger.shapes[kind]
        group, _, name = kind.partition("/")
        served, source = registry.kinds()[group, name]
        resource = Resource(group, served.versions[0], served.plural)
        written = json.dumps(shape.write(cluster.ledger.reports[kind][place])).encode()
        await reports.put(Watched(kind, served, source, resource), place, written)

    async def again(touched: set[m.Object]) -> None:
        for kind, place in list(reports.subjects.changed(touched)):
            await put(kind, place)

    for kind, known in cluster.ledger.reports.items():
        for place in known:
            await put(kind, place)
    while inventory.touched:
        await Workloads(inventory, writer).flush(again)
    return state


async def test_the_real_agent_knows_the_same_of_the_same_cluster() -> None:
    world = World(4, seed=3, reports=150)
    world.images.add_vulnerability(images=20)
    for cluster in world.clusters:
        cluster.take_database()
        for _ in range(12):
            cluster.step()
        cluster.roll_out()
        simulated = cluster.ledger.state
        assert any(map(cluster.ledger.superseded, cluster.ledger.each()))

        watched = await watch(cluster)

        assert watched.kinds.keys() <= simulated.kinds.keys()
        for name, kind in simulated.kinds.items():
            assert watched.kind(name).objects == kind.objects, name
            assert watched.kind(name).root == kind.root
            assert watched.kind(name).newest_report_at == kind.newest_report_at
            assert watched.kind(name).scanner == kind.scanner
