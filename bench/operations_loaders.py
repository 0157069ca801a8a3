"""How the Strawberry peer reads: a statement a list, a data loader for each kind of nested object."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import asyncpg
from strawberry.dataloader import DataLoader

from aggregator.access.principal import Scope
from aggregator.store.pool import Pool
from bench.operations_statements import CLUSTER, IDENTITY, OPEN, ORDER, STATE, walk

Record = asyncpg.Record
Load = Callable[[list[Any]], Coroutine[Any, Any, list[Any]]]

# A real's shortest text is what JSON shows of it; Python would show the eight bytes it widens to.
COLUMNS = f"""{IDENTITY}, x.severity::text, x.status::text, x.score::text::float8, x.message,
    nullif(x.namespace, ''), nullif(x.container, ''), x.live + x.absent, {STATE}, x.observed_at,
    x.rule_id, x.cluster_id, x.subject_id, x.package, x.installed_version, x.fixed_version"""
FINDINGS = f"SELECT {COLUMNS} FROM ({{}}) x ORDER BY x.{ORDER.format('x', 'x')}"
AFTER_ENTRY = " AND (f.severity, f.id) <= ({}::text::severity, {}::bigint)"
AFTER_PLACE = """ AND (pc.cluster_id, pc.placement_id) > (
    CASE WHEN f.id = {0} THEN {1}::int ELSE -1 END, CASE WHEN f.id = {0} THEN {2}::bigint ELSE -1 END)"""
SEEN = """ AND f.severity = ANY(ARRAY(SELECT DISTINCT n.severity FROM cluster_severity_count n
    WHERE n.cluster_id = ANY({0}::int[]) AND n.status IN ('FAIL', 'WARN', 'ERROR')))"""
RULE = """SELECT id, key, title, severity::text, score::text::float8 FROM rule r
WHERE r.key = $1 AND (SELECT true FROM finding f JOIN usage u ON u.content_id = f.content_id
    WHERE f.rule_id = r.id LIMIT 1) ORDER BY r.category LIMIT 1"""
RULES = """SELECT id, key, title, severity::text, score::text::float8 FROM rule
WHERE id = ANY($1::int[])"""
CLUSTERS = CLUSTER.replace("SELECT c.name", "SELECT c.id, c.name")
CLUSTERS_BY_ID = CLUSTERS.replace("c.name = $1", "c.id = ANY($1::int[])")
SUBJECT = "SELECT s.id, s.kind, s.name, nullif(s.namespace, ''), s.labels::text FROM subject s"
SUBJECTS_BY_ID = f"{SUBJECT} WHERE s.id = ANY($1::bigint[])"
SUBJECTS = f"""{SUBJECT} WHERE s.present AND s.name = $1
AND s.cluster_id = (SELECT id FROM cluster WHERE name = $2) ORDER BY s.name, s.id LIMIT $3"""
SUBJECTS_OF = f"""SELECT o.id, s.* FROM unnest($1::int[]) o (id) CROSS JOIN LATERAL (
    {SUBJECT} WHERE s.present AND s.cluster_id = o.id ORDER BY s.name, s.id LIMIT $2) s"""
FINDINGS_OF = f"""SELECT x.subject_id, {COLUMNS} FROM unnest($1::bigint[]) o (id) CROSS JOIN LATERAL (
    SELECT f.*, p.subject_id, p.namespace, p.container, p.contents, pc.cluster_id, pc.placement_id,
        pc.live, pc.absent, pc.observed_at
    FROM placement p JOIN placement_content pc ON pc.placement_id = p.id
    JOIN finding f ON f.content_id = pc.content_id
    WHERE p.subject_id = o.id AND pc.live + pc.absent > 0 AND {OPEN}
    ORDER BY f.{ORDER.format("f", "pc")} LIMIT $2) x
ORDER BY x.subject_id, x.{ORDER.format("x", "x")}"""
SEVERITIES_OF_SUBJECTS = """SELECT p.subject_id, t.severity::text, sum(t.findings)::bigint
FROM placement p JOIN placement_content pc ON pc.placement_id = p.id
JOIN content_count t ON t.content_id = pc.content_id
WHERE p.subject_id = ANY($1::bigint[]) AND pc.live + pc.absent > 0 AND t.status IN ('FAIL', 'WARN', 'ERROR')
GROUP BY 1, 2"""
SEVERITIES_OF_IMAGES = """SELECT pc.image_id, t.severity::text, sum(t.findings * pc.places)::bigint
FROM (SELECT image_id, content_id, count(*) AS places FROM placement_content
    WHERE image_id = ANY($1::bigint[]) AND live + absent > 0 GROUP BY 1, 2) pc
JOIN content_count t ON t.content_id = pc.content_id
WHERE t.status IN ('FAIL', 'WARN', 'ERROR') GROUP BY 1, 2"""
IMAGES = """SELECT i.id, i.name FROM image i
WHERE i.repository = $1 AND (SELECT true FROM image_usage u WHERE u.image_id = i.id LIMIT 1)
ORDER BY i.name, i.id LIMIT $2"""
CLUSTERS_OF = f"""SELECT o.id, c.* FROM unnest($1::bigint[]) o (id) CROSS JOIN LATERAL (
    {
    CLUSTERS.replace(
        "c.name = $1",
        "c.id = ANY(ARRAY(SELECT DISTINCT cluster_id FROM image_usage WHERE image_id = o.id))",
    )
} ORDER BY c.name LIMIT $2) c"""
GROUPS = """SELECT cluster_id, severity::text, sum(findings)::bigint, sum(occurrences)::bigint
FROM cluster_severity_count WHERE status IN ('FAIL', 'WARN', 'ERROR') AND findings > 0
GROUP BY 1, severity ORDER BY 3 DESC, 1 DESC, severity::text DESC LIMIT $1"""


class Loaders:
    """What one request reads through."""

    def __init__(self, pool: Pool, scope: Scope) -> None:
        self.pool = pool
        self._scope = scope
        self._limited: dict[tuple[str, int], DataLoader[Any, Any]] = {}
        self.rules = DataLoader(self._by_id(RULES))
        self.clusters = DataLoader(self._by_id(CLUSTERS_BY_ID))
        self.subjects = DataLoader(self._by_id(SUBJECTS_BY_ID))
        self.severities_of_subject = DataLoader(self._gathered(SEVERITIES_OF_SUBJECTS))
        self.severities_of_image = DataLoader(self._gathered(SEVERITIES_OF_IMAGES))

    def limited(self, sql: str, limit: int) -> DataLoader[Any, Any]:
        """Return the loader of children that are asked for with this limit."""
        loader = self._limited.get((sql, limit))
        if loader is None:
            loader = self._limited[sql, limit] = DataLoader(self._gathered(sql, limit))
        return loader

    async def findings(
        self,
        limit: int,
        *,
        rule: int | None = None,
        package: str | None = None,
        severities: Sequence[str] | None = None,
        after: tuple[str, int, int, int] | None = None,
    ) -> list[Record]:
        """Return a page of findings."""
        values: list[Any] = []

        def bind(value: Any) -> str:
            values.append(value)
            return f"${len(values)}"

        entry = place = ""
        if self._scope.clusters is not None:
            clusters = bind(list(self._scope.clusters))
            entry += SEEN.format(clusters)
            place += f" AND pc.cluster_id = ANY({clusters}::int[])"
        if rule is not None:
            entry += f" AND f.rule_id = {bind(rule)}"
        if package is not None:
            entry += f" AND f.package = {bind(package)}"
        if severities is not None:
            entry += f" AND f.severity = ANY({bind(list(severities))}::text[]::severity[])"
        if after:
            severity, *numbers = after
            number = [bind(each) for each in numbers]
            entry += AFTER_ENTRY.format(bind(severity), number[0])
            place += AFTER_PLACE.format(*number)
        return await self.pool.fetch(FINDINGS.format(walk(limit, entry, place)), *values)

    def _by_id(self, sql: str) -> Load:
        async def load(keys: list[Any]) -> list[Any]:
            found = {row[0]: row for row in await self.pool.fetch(sql, keys)}
            return [found.get(key) for key in keys]

        return load

    def _gathered(self, sql: str, *values: Any) -> Load:
        async def load(keys: list[Any]) -> list[Any]:
            found: dict[Any, list[Any]] = {key: [] for key in keys}
            for key, *row in await self.pool.fetch(sql, keys, *values):
                found[key].append(row)
            return [found[key] for key in keys]

        return load
