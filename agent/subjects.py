"""Which reports are about which subject: what has to be read again when the inventory changes.

Reports are not held, so a change of owner, running image or state means reading the objects again.
This index finds them, and remembers of each what its context was computed from (`context`), so
that of a thousand pod changes only those that change a report cause a read. It also decides what
is superseded.
"""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from agent.inventory import Inventory
from agent.state import Place
from protocol.messages import Object

# Two groups of one API: in a migration both may report one subject and source. At equal times the
# successor is live.
POLICY_GROUPS = ("wgpolicyk8s.io", "openreports.io")


class Held(Struct, gc=False):
    """One report at rest. `subject` is as the report names it."""

    kind: str
    place: Place
    sub: str
    subject: Object
    source: str
    container: str
    reported_at: int
    context: int = 0  # hash of what the inventory said when it was last sent


class Subjects:
    """Reports at rest by subject and by object."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._by_subject: dict[Object, tuple[Held, ...]] = {}
        self._by_object: dict[str, dict[Place, tuple[Held, ...]]] = {}

    def put(self, kind: str, place: Place, reports: tuple[Held, ...]) -> set[Object]:
        """Replace an object's reports. Returns the subjects whose other reports may change."""
        objects = self._by_object.setdefault(kind, {})
        before = objects.pop(place, ())
        if reports:
            objects[place] = reports
        gone = {_identity(held): held for held in before}
        come = {_identity(held): held for held in reports}
        for held in before:
            rest = tuple(one for one in self._by_subject.get(held.subject, ()) if one is not held)
            if rest:
                self._by_subject[held.subject] = rest
            else:
                self._by_subject.pop(held.subject, None)
        for held in reports:
            self._by_subject[held.subject] = (*self._by_subject.get(held.subject, ()), held)
        concerned: set[Object] = set()
        for identity in gone.keys() ^ come.keys():
            concerned |= self._concerned(come.get(identity) or gone[identity])
        for identity in gone.keys() & come.keys():
            if gone[identity].reported_at != come[identity].reported_at and _is_policy(kind):
                concerned |= self._concerned(come[identity])
        return concerned

    def places(self, kind: str) -> Iterable[Place]:
        """Return the objects of a kind that have reports."""
        return self._by_object.get(kind, ())

    def forget(self, kind: str) -> set[Object]:
        """Forget a kind. Returns the subjects whose other reports may change."""
        concerned: set[Object] = set()
        for place in list(self._by_object.get(kind, ())):
            concerned |= self.put(kind, place, ())
        return concerned

    def superseded(self, held: Held) -> bool:
        """Whether another report says the same better.

        A ReplicaSet that runs nothing gives way to a newer one with a report of the same kind; of
        two groups that report one subject and source, the one with the newest report is live.
        """
        inventory = self._inventory
        if (
            held.subject.kind == "ReplicaSet"
            and inventory.runs_nothing(held.subject)
            and any(self._reports(held.kind, one) for one in inventory.newer_siblings(held.subject))
        ):
            return True
        if not _is_policy(held.kind):
            return False
        newest = max(
            (one.reported_at, POLICY_GROUPS.index(_group(one.kind)))
            for one in (held, *self._by_subject.get(held.subject, ()))
            if one.source == held.source and _is_policy(one.kind)
        )
        return POLICY_GROUPS[newest[1]] != _group(held.kind)

    def contextualise(self, held: Held) -> int:
        """Hash all that the inventory says about a report."""
        running = (
            frozenset(self._inventory.running(held.subject, held.container).items())
            if held.container
            else None
        )
        return hash((self._inventory.resolve(held.subject), running, self.superseded(held)))

    def changed(self, subjects: Iterable[Object]) -> Iterator[tuple[str, Place]]:
        """Yield kind and place of the objects whose context is no longer what was sent."""
        seen: set[tuple[str, Place]] = set()
        for subject in subjects:
            for held in self._by_subject.get(subject, ()):
                at = (held.kind, held.place)
                if at not in seen and held.context != self.contextualise(held):
                    seen.add(at)
                    yield at

    def _reports(self, kind: str, subject: Object) -> bool:
        return any(held.kind == kind for held in self._by_subject.get(subject, ()))

    def _concerned(self, held: Held) -> set[Object]:
        """Return the subjects that look at this report to know whether they are superseded."""
        if held.subject.kind == "ReplicaSet":
            return {held.subject, *self._inventory.siblings(held.subject)}
        return {held.subject} if _is_policy(held.kind) else set()


def _identity(held: Held) -> tuple[Object, str, str]:
    return (held.subject, held.source, held.sub)


def _group(kind: str) -> str:
    return kind.partition("/")[0]


def _is_policy(kind: str) -> bool:
    return _group(kind) in POLICY_GROUPS
