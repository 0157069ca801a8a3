"""Fleets without a network: the same of the same seed, shared as real ones, every change told."""

import os
import statistics
import subprocess
import sys
from collections import Counter

import pytest
import zstandard

from bench.simulator.clusters import DAY, Cluster
from bench.simulator.contents import Contents
from bench.simulator.image_reports import Vulnerabilities
from bench.simulator.ledger import Event
from bench.simulator.world import World
from protocol import messages as m
from protocol.content import name
from sources.registry import contents

Entries = dict[tuple[str, m.Key], int]


def entries(cluster: Cluster) -> Entries:
    kinds = cluster.ledger.state.kinds
    return {(kind, key): mark for kind in kinds for key, mark in kinds[kind].entries()}


def live(seed: int) -> World:
    """Make a fleet and let much happen to it."""
    world = World(4, seed=seed, reports=120)
    for _ in range(60):
        world.churn()
    for steps in (
        world.update_database(images=30),
        world.everywhere(lambda cluster: cluster.expire(ttl=3_600_000)),
        world.everywhere(Cluster.rescan),
        world.withdraw(),
    ):
        list(steps)
    return world


def roots(world: World) -> str:
    """Tell how a fleet stands, with its contents: entries cover the names of those."""
    return repr(
        [
            sorted((name, kind.count, kind.root) for name, kind in one.ledger.state.kinds.items())
            for one in world.clusters
        ]
    )


def show(seed: int) -> None:
    """Tell another process how a fleet stands."""
    sys.stdout.write(roots(live(seed)))


def test_equal_seeds_live_equal_lives_in_any_process() -> None:
    script = f"from {__name__} import show; show(5)"
    environment = {**os.environ, "PYTHONHASHSEED": "17"}
    printed = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )

    assert printed.stdout == roots(live(5))
    assert roots(live(6)) != roots(live(5))


@pytest.mark.parametrize("reports", [7, 40, 333])
def test_a_cluster_begins_with_as_many_reports_as_asked_for(reports: int) -> None:
    world = World(3, reports=reports)

    assert [len(cluster.ledger) for cluster in world.clusters] == [reports] * 3


def test_a_scanner_takes_a_day_for_all_images_of_a_cluster() -> None:
    (cluster,) = World(1, reports=400).clusters
    scanned = len(cluster.ledger.reports[Vulnerabilities.kind])
    assert cluster.expire() == []

    cluster.pass_time(DAY // 2)
    expired = [key for kind, key, _ in cluster.expire() if kind == Vulnerabilities.kind]

    assert 0.3 * scanned < len(expired) < 0.7 * scanned
    cluster.rescan()
    assert len(cluster.ledger.reports[Vulnerabilities.kind]) == scanned
    assert cluster.expire() == []


def test_events_tell_all_that_changes() -> None:
    world = World(3, seed=2, reports=100)
    known = [entries(cluster) for cluster in world.clusters]

    def follow(number: int, events: list[Event]) -> None:
        cluster = world.clusters[number]
        now = entries(cluster)
        for kind, key, stands in events:
            if stands and (change := cluster.ledger.change(kind, key)) is not None:
                assert change.item.fingerprint == now[kind, key]
                known[number][kind, key] = change.item.fingerprint
            elif not stands:
                known[number].pop((kind, key), None)
        assert known[number] == now

    for _ in range(120):
        follow(*world.churn())
    for told in world.update_database(images=25):
        follow(*told)
    for told in world.everywhere(lambda cluster: cluster.expire(ttl=0)):
        follow(*told)
    for told in world.everywhere(Cluster.rescan):
        follow(*told)


def test_images_are_shared_as_in_real_fleets() -> None:
    world = World(12, reports=300)
    clusters: Counter[object] = Counter()
    for cluster in world.clusters:
        shape = cluster.ledger.shapes[Vulnerabilities.kind]
        reports = cluster.ledger.reports[Vulnerabilities.kind].values()
        clusters.update({shape.content(report)[1] for report in reports})

    once = sum(count == 1 for count in clusters.values())
    assert max(clusters.values()) > 4
    assert 0.3 < once / len(clusters) < 0.9
    assert len(world.contents) < 0.6 * world.reports


def test_sizes_are_those_of_real_reports() -> None:
    world = World(6, reports=400)
    sizes: list[int] = []
    weights: list[float] = []
    for cluster in world.clusters:
        ledger = cluster.ledger
        for place, report in ledger.reports[Vulnerabilities.kind].items():
            change = ledger.change(Vulnerabilities.kind, m.Key(*place))
            assert change is not None
            assert isinstance(change.content, m.Content)
            found = len(ledger.shapes[report.kind].write(report)["report"]["vulnerabilities"])
            sizes.append(change.content.size)
            weights.append(change.content.size / max(found, 1))

    assert 5_000 < statistics.median(sizes) < 50_000
    assert max(sizes) > 100_000
    assert 320 < statistics.median(weights) < 560


def test_contents_are_readable_and_named_by_what_they_are() -> None:
    world = World(3, seed=2, reports=250)
    said: Counter[str] = Counter()
    for cluster in world.clusters:
        for report in cluster.ledger.each():
            shape = cluster.ledger.shapes[report.kind]
            key = m.Key(*shape.place(report.about, report.part))
            change = cluster.ledger.change(report.kind, key)
            assert change is not None
            assert isinstance(change.content, m.Content)
            body = zstandard.decompress(change.content.body)
            assert change.content.name == name(change.content.kind, change.content.format, body)
            read = contents()[change.content.kind].read(body)
            said[report.kind] += len(read.findings) + len(read.packages)

    assert said.keys() == world.clusters[0].ledger.shapes.keys()
    assert min(said.values()) > 0


def test_a_vulnerability_that_is_withdrawn_leaves_contents_as_they_were() -> None:
    world = World(3, reports=150)

    def named() -> list[bytes]:
        return [one.ledger.content(r) for one in world.clusters for r in one.ledger.each()]

    before = named()
    changed = sum(len(events) for _, events in world.update_database(images=15))
    after = named()
    withdrawn = sum(len(events) for _, events in world.withdraw())

    assert changed == sum(old != new for old, new in zip(before, after, strict=True)) > 0
    assert withdrawn == changed
    assert named() == before


def test_bodies_are_bounded_and_made_again() -> None:
    world = World(2, reports=100)
    small = Contents(world.images, body_bytes=20_000)
    for cluster in world.clusters:
        for report in cluster.ledger.each():
            content = small.packed(report)
            assert content.name == cluster.ledger.content(report)
            assert small.packed_bytes <= max(20_000, len(content.body))

    assert small.made > len(small)
