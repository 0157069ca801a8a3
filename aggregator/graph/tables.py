"""The tables that answers are made of, each with what limits it to the caller's scope.

A table that carries the cluster (and the namespace of the subject) names those columns. Rules,
images and packages are shared between clusters: one is visible only if something in scope uses it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from aggregator.graph.statement import Row, Statement, where


@dataclass(frozen=True, slots=True)
class Table:
    """A FROM item. `stems` are the letters that templates name its tables by."""

    stems: tuple[str, ...]
    source: str
    cluster: str | None = None
    namespace: str | None = None
    visible: Callable[[Statement, Row], list[str]] | None = None

    def row(self, statement: Statement, up: Row | None = None) -> Row:
        """Return fresh aliases, below the row `up`."""
        return statement.row(*self.stems).below(up)

    def scope(self, statement: Statement, row: Row) -> list[str]:
        """Return the conditions that keep rows within the caller's scope."""
        return statement.scope(
            row.fill(self.cluster) if self.cluster else None,
            row.fill(self.namespace) if self.namespace else None,
        )

    def listed(self, statement: Statement, row: Row) -> list[str]:
        """Return the conditions for rows that no row in scope has led to."""
        return self.visible(statement, row) if self.visible else self.scope(statement, row)


USAGE = Table(("u",), "usage {u}", "{u.cluster_id}", "{u.namespace}")
IMAGE_USAGE = Table(("iu",), "image_usage {iu}", "{iu.cluster_id}", "{iu.namespace}")


def _rule_in_use(statement: Statement, row: Row) -> list[str]:
    # A scalar sub-select, so that it runs a row and stops at the first hit.
    inner = statement.row("f", "u")
    conditions = [
        inner.fill("{f.rule_id} = ") + row.fill("{r.id}"),
        *USAGE.scope(statement, inner),
    ]
    source = inner.fill("finding {f} JOIN usage {u} ON {u.content_id} = {f.content_id}")
    return [f"(SELECT true FROM {source}{where(conditions)} LIMIT 1)"]


def _image_in_use(statement: Statement, row: Row) -> list[str]:
    inner = statement.row("iu")
    conditions = [
        inner.fill("{iu.image_id} = ") + row.fill("{i.id}"),
        *IMAGE_USAGE.scope(statement, inner),
    ]
    return [f"(SELECT true FROM {inner.fill(IMAGE_USAGE.source)}{where(conditions)} LIMIT 1)"]


def _package_in_use(statement: Statement, row: Row) -> list[str]:
    inner = statement.row("cp", "u")
    conditions = [
        inner.fill("{cp.package_id} = ") + row.fill("{pk.id}"),
        *USAGE.scope(statement, inner),
    ]
    source = inner.fill("content_package {cp} JOIN usage {u} ON {u.content_id} = {cp.content_id}")
    return [f"(SELECT true FROM {source}{where(conditions)} LIMIT 1)"]


CLUSTER = Table(
    ("c", "ses"),
    "cluster {c} LEFT JOIN agent_session {ses} ON {ses.cluster_id} = {c.id}",
    "{c.id}",
)
KIND = Table(("k",), "sync_root {k}", "{k.cluster_id}")
# A Namespace lies in itself, here as in placement.namespace.
SUBJECT_NAMESPACE = (
    "CASE WHEN {s.kind} = 'Namespace' AND {s.api_group} = '' THEN {s.name} ELSE {s.namespace} END"
)


def _subject_present(statement: Statement, row: Row) -> list[str]:
    return [row.fill("{s.present}"), *SUBJECT.scope(statement, row)]


SUBJECT = Table(
    ("s",), "subject {s}", "{s.cluster_id}", SUBJECT_NAMESPACE, visible=_subject_present
)
RULE = Table(("r",), "rule {r}", visible=_rule_in_use)
IMAGE = Table(("i",), "image {i}", visible=_image_in_use)
PACKAGE = Table(("pk",), "package {pk}", visible=_package_in_use)
REPORT = Table(
    ("rp", "p"),
    "report {rp} JOIN placement {p} ON {p.id} = {rp.placement_id}",
    "{rp.cluster_id}",
    "{p.namespace}",
)
REPORT_GROUP = "(SELECT o.api_group FROM report_kind o WHERE o.id = {rp.kind_id})"
REPORT_KIND = "(SELECT o.kind FROM report_kind o WHERE o.id = {rp.kind_id})"
FAILED_REPORT = Table(("fr",), "failed_report {fr}", "{fr.cluster_id}", "{fr.namespace}")
PLACE = Table(
    ("pc", "p"),
    "placement_content {pc} JOIN placement {p} ON {p.id} = {pc.placement_id}",
    "{pc.cluster_id}",
    "{p.namespace}",
)
# By way of what is used in which namespaces of which clusters, as most places are in others.
NAMED_PLACE = Table(
    ("u", "pc", "p"),
    "usage {u} JOIN placement_content {pc} ON {pc.content_id} = {u.content_id}"
    " AND {pc.cluster_id} = {u.cluster_id}"
    " JOIN placement {p} ON {p.id} = {pc.placement_id} AND {p.namespace} = {u.namespace}",
    "{pc.cluster_id}",
    "{p.namespace}",
)
_PLACE_ALONE = Table(("pc",), "placement_content {pc}", "{pc.cluster_id}")


def places(statement: Statement) -> Table:
    """Return what holds contents at placements, without the placements where no scope needs them."""
    return PLACE if statement.scoped_namespaces else _PLACE_ALONE


FINDING = Table(
    ("f", "pc", "p"),
    "finding {f} JOIN placement_content {pc} ON {pc.content_id} = {f.content_id}"
    " JOIN placement {p} ON {p.id} = {pc.placement_id}",
    "{pc.cluster_id}",
    "{p.namespace}",
)
TRANSITION = Table(("tr",), "transition {tr}", "{tr.cluster_id}")
RUNTIME_EVENT = Table(("e",), "runtime_event {e}", "{e.cluster_id}", "{e.namespace}")
EVENT_HOUR = Table(("e",), "runtime_event_hour {e}", "{e.cluster_id}", "{e.namespace}")
FLEET_HOUR = Table(("e",), "runtime_event_fleet_hour {e}")  # of all clusters: for whom sees all

FLEET_DAY = Table(("e",), "runtime_event_fleet_day {e}")  # likewise
# A gap concerns no namespace, so it is outside of a scope of namespaces.
EVENT_GAP = Table(("g",), "event_gap {g}", "{g.cluster_id}", "NULL::text")
SEVERITY_COUNT = Table(("sc",), "severity_count {sc}", "{sc.cluster_id}", "{sc.namespace}")
# The same without namespaces, so that a scope of namespaces sees nothing of it.
CLUSTER_COUNT = Table(("sc",), "cluster_severity_count {sc}", "{sc.cluster_id}", "NULL::text")


def severity_counts(statement: Statement, *, namespaces: bool) -> Table:
    """Return the smaller table of counts that knows what is asked; `namespaces`: of some of them."""
    return SEVERITY_COUNT if namespaces or statement.scoped_namespaces else CLUSTER_COUNT
