"""Pushing files through the real protocol into a real database, and asking for them."""

from datetime import datetime
from pathlib import Path

from tests.aggregator.store.recount import assert_counts_equal_a_recount
from tests.e2e.conftest import Aggregator

SAMPLES = Path(__file__).parents[1] / "sources" / "samples"


async def test_samples_arrive_and_are_counted(aggregator: Aggregator) -> None:
    outcome = await aggregator.push("dev", SAMPLES)

    assert outcome.sent > 0
    assert outcome.failed == ()
    assert await aggregator.pool.fetchval("SELECT count(*) FROM report") == outcome.sent
    assert await aggregator.pool.fetchval("SELECT count(*) FROM finding") > 0
    await assert_counts_equal_a_recount(aggregator.pool)


async def test_a_pushed_cluster_says_how_fresh_its_kinds_are(aggregator: Aggregator) -> None:
    await aggregator.push("dev", SAMPLES)

    answer = await aggregator.query(
        '{ cluster(name: "dev") { state lastSeenAt lastFullSyncAt clockSkewMs uid'
        " kinds { group kind state reports newestReportAt scanner } } }"
    )

    cluster = answer["cluster"]
    assert (cluster["state"], cluster["uid"]) == ("PUSHED", None)
    assert cluster["lastSeenAt"] is not None
    assert cluster["lastFullSyncAt"] is not None
    assert abs(cluster["clockSkewMs"]) < 60_000
    assert {kind["state"] for kind in cluster["kinds"]} == {"SYNCED"}
    held = await aggregator.pool.fetchval("SELECT count(*) FROM report")
    assert sum(kind["reports"] for kind in cluster["kinds"]) == held
    kinds = {f"{kind['group']}/{kind['kind']}": kind for kind in cluster["kinds"]}
    newest = await aggregator.pool.fetch(
        "SELECT api_group || '/' || kind AS kind, max(reported_at) AS at"
        " FROM report r JOIN report_kind k ON k.id = r.kind_id GROUP BY 1"
    )
    for row in newest:
        told = kinds[row["kind"]]["newestReportAt"]
        assert (told and datetime.fromisoformat(told)) == row["at"], row["kind"]
    assert kinds["aquasecurity.github.io/VulnerabilityReport"]["scanner"].startswith("Trivy ")


async def test_the_same_push_twice_changes_no_row(aggregator: Aggregator) -> None:
    await aggregator.push("dev", SAMPLES)
    before = await everything(aggregator)

    outcome = await aggregator.push("dev", SAMPLES)

    assert outcome.sent == 0
    assert await everything(aggregator) == before


async def everything(aggregator: Aggregator) -> dict[str, list[str]]:
    """Every row of every table, with its version, but for sessions and their credentials."""
    tables = await aggregator.pool.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'agent_session'"
    )
    return {
        name: sorted(
            row[0] for row in await aggregator.pool.fetch(f"SELECT t.xmin || t::text FROM {name} t")
        )
        for (name,) in tables
    }


async def test_what_is_no_longer_pushed_goes_unless_added(
    aggregator: Aggregator, tmp_path: Path
) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text(REPORT.format(name="first"))
    second.write_text(REPORT.format(name="second"))
    await aggregator.push("dev", first)

    await aggregator.push("dev", second, add=True)
    both = await aggregator.pool.fetch("SELECT name FROM report ORDER BY 1")
    await aggregator.push("dev", second)
    one = await aggregator.pool.fetch("SELECT name FROM report ORDER BY 1")

    assert [row[0] for row in both] == ["first", "second"]
    assert [row[0] for row in one] == ["second"]
    await assert_counts_equal_a_recount(aggregator.pool)


async def test_an_empty_list_of_a_kind_says_that_there_are_none(
    aggregator: Aggregator, tmp_path: Path
) -> None:
    one, none = tmp_path / "one.yaml", tmp_path / "none.yaml"
    one.write_text(REPORT.format(name="one"))
    none.write_text(
        "{apiVersion: aquasecurity.github.io/v1alpha1, kind: VulnerabilityReportList, items: []}"
    )
    await aggregator.push("dev", one)

    outcome = await aggregator.push("dev", none)

    assert (outcome.sent, outcome.unchanged) == (0, 0)
    assert await aggregator.pool.fetchval("SELECT count(*) FROM report") == 0


async def test_what_failed_and_what_came_twice_is_said(
    aggregator: Aggregator, tmp_path: Path
) -> None:
    good, again, bad = tmp_path / "a.yaml", tmp_path / "b.yaml", tmp_path / "c.yaml"
    good.write_text(REPORT.format(name="one"))
    again.write_text(REPORT.format(name="one"))
    bad.write_text(REPORT.format(name="two").replace("severity: CRITICAL", "severity: 7"))

    first = await aggregator.push("dev", tmp_path)
    second = await aggregator.push("dev", tmp_path)

    assert (first.sent, first.unchanged, len(first.failed)) == (1, 0, 1)
    assert (second.sent, second.unchanged, len(second.failed)) == (0, 1, 1)
    assert first.repeated == (f"VulnerabilityReport shop/one: again in {again}",)
    assert "severity: expected text, found number" in first.failures[0]
    assert await aggregator.pool.fetchval("SELECT count(*) FROM failed_report") == 1


REPORT = """
apiVersion: aquasecurity.github.io/v1alpha1
kind: VulnerabilityReport
metadata:
  name: {name}
  namespace: shop
  labels:
    trivy-operator.resource.kind: ReplicaSet
    trivy-operator.resource.name: {name}-5d4f
    trivy-operator.resource.namespace: shop
    trivy-operator.container.name: app
report:
  updateTimestamp: 2026-01-01T00:00:00Z
  registry: {{server: index.docker.io}}
  artifact: {{repository: library/{name}, tag: "1"}}
  scanner: {{name: Trivy, vendor: Aqua Security, version: 0.60.0}}
  summary: {{criticalCount: 1, highCount: 0, mediumCount: 0, lowCount: 0, unknownCount: 0}}
  vulnerabilities:
    - vulnerabilityID: CVE-2021-44228
      resource: org.apache.logging.log4j:log4j-core
      installedVersion: 2.14.0
      fixedVersion: 2.15.0
      severity: CRITICAL
      title: "log4j: remote code execution"
      primaryLink: https://avd.aquasec.com/nvd/cve-2021-44228
      links: []
"""
