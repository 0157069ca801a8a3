from typing import Any

import msgspec
import pytest

from agent import trim
from agent.inventory import Inventory, canonical
from protocol.messages import Image, KindState, Object
from tests.fakes import objects
from tests.fakes.objects import DIGEST, IMAGE_ID, owner, pod, replica_set, workload

NGINX = Image("docker.io", "library/nginx", "1.25", DIGEST, trusted=True)


def name_of(obj: dict[str, Any]) -> Object:
    group = obj["apiVersion"].rpartition("/")[0]
    metadata = obj["metadata"]
    return Object(group, obj["kind"], metadata.get("namespace", ""), metadata["name"])


def put(inventory: Inventory, *added: dict[str, Any]) -> None:
    for obj in added:
        raw = msgspec.json.encode(obj)
        match obj["kind"]:
            case "Pod":
                inventory.put_pod(name_of(obj), trim.pod(raw))
            case "Node":
                inventory.put_node(name_of(obj), trim.node(raw))
            case _:
                inventory.put_controller(name_of(obj), trim.controller(raw))


def deployment(name: str = "nginx") -> Object:
    return Object("apps", "Deployment", "default", name)


def listed() -> Inventory:
    inventory = Inventory()
    for kind in ("Pod", "ReplicaSet"):
        inventory.settle(kind, KindState.SYNCED, "")
    return inventory


async def test_chains_end_at_what_nothing_controls() -> None:
    inventory = listed()
    put(
        inventory,
        workload("Deployment", "nginx"),
        replica_set("nginx-1"),
        pod("nginx-1-a", owners=owner("ReplicaSet", "nginx-1")),
        workload("CronJob", "nightly", api_version="batch/v1"),
        workload(
            "Job",
            "nightly-1",
            api_version="batch/v1",
            owners=owner("CronJob", "nightly", api_version="batch/v1"),
        ),
        pod("nightly-1-a", owners=owner("Job", "nightly-1", api_version="batch/v1")),
        replica_set("canary-1", owners=owner("Rollout", "canary", api_version="argoproj.io/v1")),
        pod("canary-1-a", owners=owner("ReplicaSet", "canary-1")),
        pod("bare"),
        pod("mirror", owners=owner("Node", "node-1", api_version="v1")),
    )

    def end(kind: str, name: str, group: str = "") -> Object:
        found, resolved = inventory.resolve(Object(group, kind, "default", name))
        assert resolved
        return found

    assert end("Pod", "nginx-1-a") == end("ReplicaSet", "nginx-1", "apps") == deployment()
    assert end("Pod", "nightly-1-a") == Object("batch", "CronJob", "default", "nightly")
    assert end("Pod", "canary-1-a") == Object("argoproj.io", "Rollout", "default", "canary")
    assert end("Rollout", "canary", "argoproj.io").name == "canary"
    assert end("Pod", "bare") == Object("", "Pod", "default", "bare")
    assert end("Pod", "mirror") == Object("", "Pod", "default", "mirror")


async def test_what_is_not_there_is_not_resolved() -> None:
    subject = Object("apps", "ReplicaSet", "default", "gone")
    assert listed().resolve(subject) == (subject, False)


async def test_a_circle_of_owners_ends() -> None:
    inventory = listed()
    put(
        inventory,
        replica_set("a", owners=owner("ReplicaSet", "b")),
        replica_set("b", owners=owner("ReplicaSet", "a")),
        pod("p", owners=owner("ReplicaSet", "a")),
    )
    assert inventory.resolve(Object("", "Pod", "default", "p"))[1]
    assert inventory.running(Object("apps", "ReplicaSet", "default", "a"), "nginx")


async def test_a_workload_counts_its_running_pods_by_image() -> None:
    inventory = listed()
    old, init = "sha256:" + "1" * 64, pod("nginx-1-d", owners=owner("ReplicaSet", "nginx-1"))
    init["spec"]["initContainers"] = [{"name": "init", "image": "busybox"}]
    init["spec"]["ephemeralContainers"] = [{"name": "debug", "image": "busybox:1"}]
    init["status"]["initContainerStatuses"] = [{"name": "init", "imageID": f"busybox@{DIGEST}"}]
    put(
        inventory,
        workload("Deployment", "nginx", labels={"b": "2", "a": "1"}),
        replica_set("nginx-1"),
        replica_set("nginx-2", revision=2),
        pod("nginx-1-a", owners=owner("ReplicaSet", "nginx-1"), image_id=f"nginx@{old}"),
        pod("nginx-2-a", owners=owner("ReplicaSet", "nginx-2")),
        pod("nginx-2-b", owners=owner("ReplicaSet", "nginx-2")),
        pod("nginx-2-c", owners=owner("ReplicaSet", "nginx-2"), phase="Succeeded"),
        init,
    )
    body = inventory.workload(deployment())
    assert body is not None
    assert (body.pods, body.service_account) == (4, "web")
    assert list(body.labels) == ["a", "b"]
    assert [
        (one.name, one.image.digest, one.image.trusted, one.pods) for one in body.containers
    ] == [
        ("debug", "", False, 1),
        ("init", DIGEST, True, 1),
        ("nginx", old, True, 1),
        ("nginx", DIGEST, True, 3),
    ]
    assert b"hunter2" not in msgspec.msgpack.encode(body)


async def test_a_controller_that_is_not_watched_is_known_by_what_it_owns() -> None:
    inventory = listed()
    rollout = owner("Rollout", "canary", api_version="argoproj.io/v1")
    put(inventory, replica_set("canary-1", owners=rollout), replica_set("canary-2", owners=rollout))
    name = Object("argoproj.io", "Rollout", "default", "canary")
    body = inventory.workload(name)
    assert body is not None
    assert body.labels == {"app": "nginx"}
    inventory.forget(Object("apps", "ReplicaSet", "default", "canary-1"))
    assert inventory.workload(name)
    inventory.forget(Object("apps", "ReplicaSet", "default", "canary-2"))
    assert inventory.workload(name) is None


async def test_what_ended_speaks_where_nothing_runs() -> None:
    inventory = listed()
    put(inventory, pod("job-1", phase="Succeeded"))
    assert inventory.running(Object("", "Pod", "default", "job-1"), "nginx") == {NGINX: 1}
    body = inventory.workload(Object("", "Pod", "default", "job-1"))
    assert body is not None
    assert (body.pods, body.containers) == (0, ())


async def test_a_replica_set_runs_nothing_only_where_pods_are_known() -> None:
    inventory = Inventory()
    put(inventory, replica_set("nginx-1"), replica_set("nginx-2", revision=2))
    first, second = (Object("apps", "ReplicaSet", "default", f"nginx-{n}") for n in (1, 2))
    assert not inventory.runs_nothing(first)
    inventory.take_touched()
    inventory.settle("Pod", KindState.SYNCED, "")
    assert inventory.runs_nothing(first)
    assert {first, second} <= inventory.take_touched()
    put(inventory, pod("a", owners=owner("ReplicaSet", "nginx-1")))
    assert not inventory.runs_nothing(first)
    assert list(inventory.newer_siblings(first)) == [second]
    assert list(inventory.newer_siblings(second)) == []
    assert not inventory.runs_nothing(Object("apps", "ReplicaSet", "default", "unknown"))


async def test_a_rollback_makes_the_older_one_newer() -> None:
    inventory = listed()
    put(inventory, replica_set("nginx-1", revision=3), replica_set("nginx-2", revision=2))
    second = Object("apps", "ReplicaSet", "default", "nginx-2")
    assert [one.name for one in inventory.newer_siblings(second)] == ["nginx-1"]


async def test_a_pod_touches_its_chain_and_the_replica_sets_beside_it() -> None:
    inventory = listed()
    put(inventory, replica_set("nginx-1"), replica_set("nginx-2", revision=2))
    inventory.take_touched()
    put(inventory, pod("a", owners=owner("ReplicaSet", "nginx-1")))
    assert {one.name for one in inventory.take_touched()} == {"a", "nginx-1", "nginx-2", "nginx"}
    put(inventory, pod("a", owners=owner("ReplicaSet", "nginx-1")))
    assert not inventory.take_touched()
    assert not inventory.woken.is_set()


@pytest.mark.parametrize("state", [KindState.SYNCED, KindState.FORBIDDEN, KindState.ABSENT])
async def test_settled_when_pods_and_replica_sets_are(state: KindState) -> None:
    inventory = Inventory()
    inventory.settle("Pod", state, "")
    inventory.settle("ReplicaSet", KindState.ERROR, "500")
    assert not inventory.settled.is_set()
    inventory.settle("ReplicaSet", state, "")
    assert inventory.settled.is_set()


async def test_nodes_are_trimmed() -> None:
    inventory = listed()
    put(inventory, objects.node("node-1"))
    body = inventory.nodes[Object("", "Node", "", "node-1")]
    assert body.kubelet_version == "v1.36.0"
    assert body.labels == {"zone": "a"}


def test_a_group_that_was_left_out() -> None:
    bare = Object("", "ReplicaSet", "default", "x")
    assert canonical(bare).group == "apps"
    assert canonical(Object("", "Pod", "default", "x")).group == ""
    assert canonical(Object("", "Service", "default", "x")).group == ""


def test_an_image_id_alone_is_not_trusted() -> None:
    trimmed = trim.pod(msgspec.json.encode(pod("p", image_id=f"docker://{IMAGE_ID}")))
    assert [image.trusted for _, image in trimmed.images] == [False]
    assert trimmed.labels == (("app", "nginx"),)
