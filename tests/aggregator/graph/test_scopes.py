"""A caller with a scope sees nothing else, by whatever path it asks."""

from typing import Any

from tests.aggregator.graph.conftest import Graph, viewer

SHOP = viewer((1,), ("shop",))


async def ids(graph: Graph) -> dict[str, list[str]]:
    """Return the ids of everything that an unlimited caller sees."""
    data = await graph.ask(
        "{ clusters { nodes { id name } } rules { nodes { id key } } images { nodes { id name } }"
        " subjects { nodes { id } } reports { nodes { id } } findings { nodes { id } } }"
    )
    return {name: [node["id"] for node in page["nodes"]] for name, page in data.items()}


async def node(graph: Graph, id_: str, principal: Any = None) -> Any:
    query = "query ($id: ID!) { node(id: $id) { __typename id } }"
    given = {"principal": principal} if principal else {}
    return (await graph.ask(query, {"id": id_}, **given))["node"]


async def test_node_finds_everything_by_its_id_and_only_in_scope(graph: Graph) -> None:
    every = await ids(graph)
    mine = {
        name: [node["id"] for node in page["nodes"]]
        for name, page in (
            await graph.ask(
                "{ clusters { nodes { id } } rules { nodes { id } } images { nodes { id } }"
                " subjects { nodes { id } } reports { nodes { id } } findings { nodes { id } } }",
                principal=SHOP,
            )
        ).items()
    }
    for name, all_of_them in every.items():
        assert len(set(all_of_them)) == len(all_of_them)
        assert set(mine[name]) < set(all_of_them)
        for id_ in all_of_them:
            assert (await node(graph, id_))["id"] == id_
            seen = await node(graph, id_, SHOP)
            assert (seen is not None) == (id_ in mine[name]), (name, id_)


async def test_nothing_is_seen_without_clusters_or_namespaces(graph: Graph) -> None:
    query = (
        "{ fleet { clusters reports images workloads severities { total } }"
        " clusters { totalCount } findings { totalCount nodes { id } } rules { totalCount }"
        " images { totalCount } packages { totalCount } subjects { totalCount }"
        " reports { totalCount } failedReports { totalCount }"
        " findingGroups(by: [SEVERITY]) { totalCount }"
        ' rule(key: "CVE-2024-0001") { key } cluster(name: "prod-eu") { name } }'
    )
    data = await graph.ask(query, principal=viewer(()))
    assert data.pop("fleet") == {
        "clusters": 0, "reports": 0, "images": 0, "workloads": 0, "severities": {"total": 0}
    }  # fmt: skip
    assert data.pop("rule") is None
    assert data.pop("cluster") is None
    assert all(page["totalCount"] == 0 for page in data.values())
    data = await graph.ask(query, principal=viewer(None, ()))
    assert data["clusters"]["totalCount"] == 4
    assert data["findings"] == {"totalCount": 0, "nodes": []}
    assert data["rule"] is None


async def test_shared_things_do_not_lead_out_of_the_scope(graph: Graph) -> None:
    data = await graph.ask(
        """{
          rule(key: "CVE-2024-0001") { findingCount clusterCount fixedVersions
            clusters { totalCount nodes { name } } images { nodes { name } }
            findings { totalCount nodes { cluster { name } } } }
          images(filter: {name: {contains: "nginx"}}) { totalCount }
          packages { nodes { name imageCount clusterCount images { nodes { name } } } }
        }""",
        principal=SHOP,
    )
    assert data["rule"]["findingCount"] == 1
    assert data["rule"]["clusterCount"] == 1
    assert data["rule"]["fixedVersions"] == ["3.0.3"]
    assert data["rule"]["clusters"] == {"totalCount": 1, "nodes": [{"name": "prod-eu"}]}
    assert data["rule"]["images"] == {"nodes": [{"name": "ghcr.io/acme/api:v2"}]}
    assert data["rule"]["findings"]["totalCount"] == 1
    assert data["images"]["totalCount"] == 0
    assert [package["name"] for package in data["packages"]["nodes"]] == ["left-pad", "openssl"]
    assert all(package["imageCount"] == 1 for package in data["packages"]["nodes"])


async def test_a_cluster_tells_a_namespaced_caller_only_of_its_namespaces(graph: Graph) -> None:
    data = await graph.ask(
        '{ cluster(name: "prod-eu") { failedReports severities { total }'
        " kinds { kind reports newestReportAt } subjects { totalCount } } }",
        principal=SHOP,
    )
    cluster = data["cluster"]
    assert cluster["failedReports"] == 0
    assert cluster["severities"]["total"] == 3
    kinds = {kind["kind"]: kind for kind in cluster["kinds"]}
    assert kinds["PolicyReport"]["reports"] == 0
    assert kinds["ConfigAuditReport"]["newestReportAt"] is None  # there is one in web
    assert kinds["VulnerabilityReport"]["newestReportAt"] == "2026-01-01T08:00:00+00:00"
    assert cluster["subjects"]["totalCount"] == 1


async def test_a_namespace_lies_in_itself(graph: Graph) -> None:
    query = '{ subjects(filter: {kind: {eq: "Namespace"}}) { totalCount } }'
    assert (await graph.ask(query, principal=viewer(None, ("web",))))["subjects"]["totalCount"] == 1
    assert (await graph.ask(query, principal=SHOP))["subjects"]["totalCount"] == 0
