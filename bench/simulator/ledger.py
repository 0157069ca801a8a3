"""What a cluster's agent knows: its real state, and the reports that stand behind it.

A report is held as a few references and its entry as a fingerprint; what is sent of an entry is
made when it is asked for. Events say which entries to send, in order.
"""

from collections.abc import Callable, Iterator
from typing import Any

from agent.entries import now
from agent.state import Change, Place, State
from bench.simulator.check_reports import Policies
from bench.simulator.contents import Contents
from bench.simulator.objects import Report, Revision
from protocol import messages as m
from protocol.fingerprint import fingerprint

Event = tuple[str, m.Key, bool]  # kind and key of an entry, and whether it stands there now
Describe = Callable[[str, Place], m.Body | None]

INVENTORY = (m.WORKLOADS, m.NAMESPACES, m.NODES)


class Ledger:
    """One cluster's reports, and the fingerprints of all its entries."""

    def __init__(self, contents: Contents, describe: Describe) -> None:
        """`describe` says what stands at a place of the inventory."""
        self.state = State()
        self.overtaken: set[Revision] = set()  # with a newer one that has reports already
        self.reports: dict[str, dict[Place, Report]] = {}
        self._contents = contents
        self._describe = describe
        self.shapes = contents.shapes
        for kind in (*INVENTORY, *self.shapes):
            self.state.kind(kind).state = m.KindState.SYNCED
        for kind in self.shapes:
            self.reports[kind] = {}

    def __len__(self) -> int:
        return sum(map(len, self.reports.values()))

    def each(self) -> Iterator[Report]:
        """Yield every report."""
        for reports in self.reports.values():
            yield from reports.values()

    def superseded(self, report: Report) -> bool:
        """Whether a rollout has overtaken what a report is about."""
        return report.about in self.overtaken and report.kind != Policies.kind

    def content(self, report: Report) -> bytes:
        """Name what a report points at."""
        return self._contents.name(report)

    def context(self, report: Report) -> m.Report:
        """Say what the agent says about a report."""
        superseded = self.superseded(report)
        shape = self.shapes[report.kind]
        return shape.context(report, self.content(report), superseded=superseded)

    def change(self, kind: str, key: m.Key, *, at: int | None = None) -> Change | None:
        """Make what is sent of an entry, seen at `at`, or now; None where nothing stands."""
        place = (key.namespace, key.name)
        content: m.Content | None = None
        body: m.Body | None
        if kind in self.shapes:
            report = self.reports[kind].get(place)
            if report is None:
                return None
            body = self.context(report)
            content = self._contents.packed(report)
        else:
            body = self._describe(kind, place)
        if body is None:
            return None
        item = m.Item(key, fingerprint(kind, key, body), now() if at is None else at, body)
        return Change(kind, item, content)

    def put(self, report: Report) -> Event:
        """Write a report, or write again how it stands now."""
        shape = self.shapes[report.kind]
        place = shape.place(report.about, report.part)
        sub = shape.sub(report.about, report.part)
        self.reports[report.kind][place] = report
        context = self.context(report)
        self._freshen(report.kind, context)
        return self._mark(report.kind, place, sub, context)

    def drop(self, kind: str, about: Any, part: int) -> Iterator[Event]:
        """Take a report away, if it is there."""
        shape = self.shapes[kind]
        place = shape.place(about, part)
        if self.reports[kind].pop(place, None) is not None:
            yield self._unmark(kind, place, shape.sub(about, part))

    def put_inventory(self, kind: str, place: Place, sub: str = "") -> Event:
        """Take note of how a workload, namespace or node stands; it may be gone."""
        body = self._describe(kind, place)
        if body is None:
            return self._unmark(kind, place, sub)
        return self._mark(kind, place, sub, body)

    def _mark(self, kind: str, place: Place, sub: str, body: m.Body) -> Event:
        key = m.Key(*place, sub)
        self.state.kind(kind).put(place, ((sub, fingerprint(kind, key, body)),))
        return (kind, key, True)

    def _freshen(self, name: str, report: m.Report) -> None:
        """Keep when the newest report of the kind was made, and by what."""
        kind = self.state.kind(name)
        kind.newest_report_at = max(kind.newest_report_at or 0, report.reported_at or 0) or None
        kind.scanner = f"{report.scanner} {report.scanner_version}".strip()

    def _unmark(self, kind: str, place: Place, sub: str) -> Event:
        self.state.kind(kind).put(place, ())
        return (kind, m.Key(*place, sub), False)
