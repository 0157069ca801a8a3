"""The same ten questions in the schema that PostGraphile makes of `postgraphile/views.sql`.

Its answers name some things otherwise (a connection where we have a field, a package's columns beside
the finding's, 64-bit integers as text); `answered` brings them into our shape to be compared.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from bench.finding_queries import DEEP_PAGE, Question
from bench.operations_client import Request

FOLDER = "postgraphile"
ORDER = "orderBy: [SEVERITY_DESC, ENTRY_DESC, CLUSTER_ID_ASC, PLACEMENT_ID_ASC]"
NODE = (
    "id: key severity status score message namespace container occurrences state rule { key }"
    " cluster { name } subject { kind name } package installedVersion fixedVersion"
)
NODES = f"{{ nodes {{ {NODE} }} }}"
CHUNK = 1000  # findings asked for at once on the way to the deep page
PAGE_50 = 50


def _findings(arguments: str, nodes: str = NODES) -> str:
    return f"findings: allFindings({arguments}, {ORDER}) {nodes}"


QUERIES = {
    "page by severity": (
        "query ($first: Int) { "
        + _findings("first: $first", f"{{ nodes {{ {NODE} observedAt }} }}")
        + " }"
    ),
    "CVE lookup": (
        "query ($key: String!) { allRules(condition: {key: $key}, orderBy: [CATEGORY_ASC], first: 1) {"
        f" nodes {{ key severity title score findings(first: 50, {ORDER}) {NODES} }} }} }}"
    ),
    "groups by cluster and severity": (
        "{ findingGroups: allFindingGroups(first: 100, orderBy: [FINDINGS_DESC, CLUSTER_ID_DESC,"
        " SEVERITY_DESC]) { nodes { cluster { name } severity findings occurrences clusters } } }"
    ),
    "subject with findings": (
        'query ($cluster: String!) { cluster: clusterByName(name: $cluster) { subjects(condition: {name: "app-7"},'
        " first: 1) { nodes { kind name namespace labels severities { critical high medium low }"
        f" findings(first: 50, {ORDER}) {NODES} }} }} }} }}"
    ),
    "image with clusters": (
        "query ($name: String!) { images: allImages(condition: {repository: $name}, first: 4,"
        " orderBy: [NAME_ASC]) { nodes { name severities { critical high }"
        " clusters(first: 50) { nodes { name } } } } }"
    ),
    "deep page": "query ($after: Cursor) { " + _findings("first: 50, after: $after") + " }",
    "filter without a match": (
        "{ " + _findings('first: 50, condition: {package: "none", severity: CRITICAL}') + " }"
    ),
    "scoped user": (
        "query ($clusters: [Int!]) { "
        + _findings("first: 50, filter: {clusterId: {in: $clusters}}")
        + " }"
    ),
    "nested three levels": (
        "query ($name: String!) { cluster: clusterByName(name: $name) { name subjects(first: 10,"
        " orderBy: [NAME_ASC, NUMBER_ASC]) { nodes { name"
        f" findings(first: 5, {ORDER}) {{ nodes {{ severity rule {{ key title }} }} }} }} }} }} }}"
    ),
    "small single object": (
        "query ($name: String!) { cluster: clusterByName(name: $name) { name state labels lastSeenAt } }"
    ),
}
FOLLOWED = (
    "query ($after: Cursor) { "
    + _findings(f"first: {CHUNK}, after: $after", "{ pageInfo { endCursor } }")
    + " }"
)


def request(query: str, variables: dict[str, Any]) -> Request:
    """Return a question to PostGraphile."""
    return Request("graphql", json.dumps({"query": query, "variables": variables}).encode())


async def cursor(ask: Callable[[Request], Awaitable[bytes]]) -> str:
    """Return PostGraphile's cursor at the end of the page before the deep one."""
    after = None
    for _ in range((DEEP_PAGE - 1) * PAGE_50 // CHUNK + 1):
        answer = json.loads(await ask(request(FOLLOWED, {"after": after})))
        after = answer["data"]["findings"]["pageInfo"]["endCursor"]
    return str(after)


def requests(name: str, question: Question, after: str) -> list[Request]:
    """Return an operation's questions."""
    more: dict[str, Any] = {}
    if name == "deep page":
        more["after"] = after
    elif name == "scoped user":
        more["clusters"] = question.principal.scope.clusters
    return [request(QUERIES[name], {**each, **more}) for each in question.variables]


def answered(name: str, body: bytes) -> Any:
    """Return an answer in our shape."""
    answer = json.loads(body)
    if "errors" in answer:
        raise RuntimeError(f"{name}: {answer['errors']}")
    data = _shaped(answer["data"])
    if name == "CVE lookup":
        nodes = data.pop("allRules")["nodes"]
        data["rule"] = nodes[0] if nodes else None
    elif name == "subject with findings":
        data = {"subjects": data["cluster"]["subjects"]}
    return {"data": data}


def _shaped(value: Any) -> Any:
    if isinstance(value, list):
        return [_shaped(one) for one in value]
    if not isinstance(value, dict):
        return value
    shaped = {
        key: int(one) if key in COUNTS and isinstance(one, str) else _shaped(one)
        for key, one in value.items()
    }
    if "installedVersion" in shaped:
        versions = {key: shaped.pop(key) for key in ("installedVersion", "fixedVersion")}
        name = shaped["package"]
        shaped["package"] = name and {"name": name, **versions}
    return shaped


# "findings" is a count in a group and a connection elsewhere.
COUNTS = {"critical", "high", "medium", "low", "occurrences", "clusters", "findings"}
