"""Both sessions against each other: whatever the network does, both sides end equal."""

import hashlib
from collections import Counter, deque
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agent import session as agent
from agent.state import Change, Payload, State
from aggregator.ingest import effects as e
from aggregator.ingest import session as aggregator
from aggregator.store.contents import NewContent
from aggregator.store.ingest import Write, Written
from protocol import messages as m
from protocol.fingerprint import bucket, fingerprint

KINDS = ("example.io/One", "example.io/Two")
NAMES = ("a", "b", "c", "d", "e", "f")
VERSIONS = st.integers(1, 4)


def content_name(version: int) -> bytes:
    return hashlib.sha256(f"test/1\n{version}".encode()).digest()


def make_item(kind: str, key: m.Key, version: int) -> m.Item:
    body = m.Report(
        content=content_name(version),
        source="test",
        subject=m.Object("", "Pod", key.namespace, key.name),
        resolved=True,
        superseded=False,
        container="",
        image=None,
        scanner="",
        scanner_version="",
        reported_at=None,
        uid="",
        labels={},
    )
    return m.Item(key, fingerprint(kind, key, body), 1, body)


class Cluster:
    """A cluster's objects and the agent's state of them, as feeders would keep it."""

    def __init__(self) -> None:
        self.state = State()
        self.objects: dict[tuple[str, str], dict[str, int]] = {}
        for kind in KINDS:
            self.state.kind(kind)

    def change(self, kind: str, key: m.Key, version: int) -> Change:
        body = str(version).encode()
        return Change(
            kind, make_item(kind, key, version), Payload(content_name(version), "test", 1, body)
        )

    def put(
        self, kind: str, name: str, versions: dict[str, int]
    ) -> tuple[list[Change], list[m.Key]]:
        self.objects[kind, name] = versions
        entries = tuple(
            (sub, make_item(kind, m.Key("ns", name, sub), version).fingerprint)
            for sub, version in versions.items()
        )
        changed, gone = self.state.kind(kind).put(("ns", name), entries)
        changes = [self.change(kind, m.Key("ns", name, sub), versions[sub]) for sub in changed]
        return changes, [m.Key("ns", name, sub) for sub in gone]


class Centre:
    """The aggregator's database, in memory."""

    def __init__(self) -> None:
        self.entries: dict[str, dict[m.Key, int]] = {kind: {} for kind in KINDS}
        self.contents: set[bytes] = set()
        self.number = 0

    def held(self) -> tuple[m.Held, ...]:
        return tuple(
            m.Held(kind, len(entries), self.root(kind)) for kind, entries in self.entries.items()
        )

    def root(self, kind: str) -> int:
        root = 0
        for value in self.entries[kind].values():
            root ^= value
        return root

    def write(self, write: Write) -> Written:
        if write.session != self.number:
            return Written(stale=True)
        self.contents.update(content.name for content in write.contents)
        missing = []
        for state in write.states:
            if state.state is m.KindState.ABSENT:
                self.entries[state.kind].clear()
        for (kind, key), item in write.upserts.items():
            if isinstance(item.body, m.Report) and item.body.content not in self.contents:
                missing.append((kind, key))
            else:
                self.entries[kind][key] = item.fingerprint
        for kind, key in write.deletes:
            self.entries[kind].pop(key, None)
        return Written(missing=tuple(missing))

    def answer(self, effect: e.Effect) -> Any:
        match effect:
            case e.AskKnown():
                return self.contents & set(effect.names)
            case e.AskRoots():
                return {
                    held.kind: (held.entries, held.root)
                    for held in self.held()
                    if held.kind in effect.kinds
                }
            case e.AskBuckets():
                prints = [0] * m.BUCKETS
                for key, value in self.entries[effect.kind].items():
                    prints[bucket(key)] ^= value
                return prints
            case e.AskEntries():
                return {
                    key: value
                    for key, value in self.entries[effect.kind].items()
                    if bucket(key) in effect.buckets
                }
        raise AssertionError(effect)


def new_content(content: m.Content) -> NewContent:
    return NewContent(
        name=content.name,
        kind=content.kind,
        format=content.format,
        reader=1,
        body=content.body,
        size=content.size,
        os=None,
        category=None,
        keyset=b"",
        open_keys=(),
        keys=(),
        rules=(),
        packages=(),
        counts={},
        findings=((),),
    )


class Sessions(RuleBasedStateMachine):
    """A cluster that changes, a network that cuts, and a database that forgets contents."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = Cluster()
        self.centre = Centre()
        self.strikes: agent.Strikes = Counter()
        self.ours: agent.Session | None = None
        self.theirs: aggregator.Session | None = None
        self.up: deque[bytes] = deque()
        self.down: deque[bytes] = deque()
        self.unlistable: dict[str, dict[m.Key, int]] = {}

    @initialize()
    def begin(self) -> None:
        self.connect()

    # ------------------------------------------------------------- the network

    def connect(self) -> None:
        self.centre.number += 1
        self.up.clear()
        self.down.clear()
        hello = m.Hello(versions=(1,), agent_version="0", instance="i", mode=m.Mode.AGENT, clock=0)
        self.ours = agent.Session(self.cluster.state, hello, self.strikes)
        self.theirs = aggregator.Session(cluster_id=1, number=self.centre.number)
        welcome = m.Welcome(
            version=1,
            session=self.centre.number,
            heartbeat=15,
            limits=m.Limits(frame_bytes=10_000, content_bytes=1_000, items=3),
            credits=m.Credits(context=600, contents=300),
            clock=0,
            held=tuple(held for held in self.centre.held() if held.entries),
        )
        self.perform_ours(self.ours.receive(m.encode(welcome)))

    @rule()
    def cut(self) -> None:
        """Frames under way are lost; what is pending may or may not be written."""
        self.ours = self.theirs = None

    @rule()
    def reconnect(self) -> None:
        self.connect()

    @rule(frames=st.integers(1, 5))
    def deliver_up(self, frames: int) -> None:
        for _ in range(frames):
            if self.theirs is not None and self.up:
                self.perform_theirs(self.up.popleft())

    @rule(frames=st.integers(1, 5))
    def deliver_down(self, frames: int) -> None:
        for _ in range(frames):
            if self.ours is not None and self.down:
                self.perform_ours(self.ours.receive(self.down.popleft()))

    @rule(limit=st.integers(1, 5))
    def commit(self, limit: int) -> None:
        if self.theirs is not None:
            self.write(self.theirs, limit)

    def write(self, session: aggregator.Session, limit: int) -> None:
        """Read what is to be read, and write a part."""
        for content in session.pending.take_unread(limit):
            session.read(content.name, new_content(content))
        if session.ready:
            write = session.take(limit, limit)
            self.send_down(session.committed(write, self.centre.write(write)))

    @rule()
    def forget_contents(self) -> None:
        """Contents that nothing refers to may go at any time."""
        self.centre.contents.clear()

    # ------------------------------------------------------------- the cluster

    @rule(
        kind=st.sampled_from(KINDS),
        name=st.sampled_from(NAMES),
        versions=st.dictionaries(st.sampled_from(["", "x", "y"]), VERSIONS, max_size=3),
    )
    def put(self, kind: str, name: str, versions: dict[str, int]) -> None:
        if kind in self.unlistable or self.cluster.state.kind(kind).state is m.KindState.ABSENT:
            return
        changes, gone = self.cluster.put(kind, name, versions)
        if self.ours is not None:
            for change in changes:
                self.ours.changed(change)
            if gone:
                self.ours.deleted(kind, tuple(gone), 1)
            self.perform_ours(self.ours.flush())

    @rule(kind=st.sampled_from(KINDS), state=st.sampled_from(list(m.KindState)))
    def state_changes(self, kind: str, state: m.KindState) -> None:
        known = self.cluster.state.kind(kind)
        known.state = state
        if state is m.KindState.ABSENT:
            for name in NAMES:
                self.cluster.put(kind, name, {})
        if state in (m.KindState.SYNCED, m.KindState.ABSENT):
            self.unlistable.pop(kind, None)
        if self.ours is not None:
            self.ours.state_changed(kind)
            self.perform_ours(self.ours.flush())

    @rule(kind=st.sampled_from(KINDS))
    def restart_without_right(self, kind: str) -> None:
        """A new agent that may not list a kind knows nothing of it; nothing may be lost."""
        self.settle()
        self.cut()
        self.cluster.state.kind(kind).clear()
        for name in NAMES:
            self.cluster.objects.pop((kind, name), None)
        self.cluster.state.kind(kind).state = m.KindState.FORBIDDEN
        self.unlistable[kind] = dict(self.centre.entries[kind])
        self.connect()

    # ------------------------------------------------------------- shells

    def perform_ours(self, effects: list[agent.Effect]) -> None:
        for effect in effects:
            if isinstance(effect, agent.Send):
                self.up.append(effect.frame)
            elif isinstance(effect, agent.Resend) and self.ours is not None:
                for key in self.wanted(effect):
                    version = self.cluster.objects.get((effect.kind, key.name), {}).get(key.sub)
                    if version is not None:
                        change = self.cluster.change(effect.kind, key, version)
                        self.ours.changed(change)
                self.perform_ours(self.ours.flush())

    def wanted(self, effect: agent.Resend) -> list[m.Key]:
        if effect.keys is not None:
            return list(effect.keys)
        return [key for key, _ in self.cluster.state.kind(effect.kind).entries()]

    def perform_theirs(self, raw: bytes) -> None:
        session = self.theirs
        assert session is not None
        steps = session.receive(raw)
        answer: Any = None
        while True:
            try:
                effect = steps.send(answer)
            except StopIteration:
                return
            answer = None
            if isinstance(effect, e.Settle):
                while session.pending:
                    self.write(session, 3)
            elif isinstance(effect, e.Send | e.Close):
                self.send_down([effect])
            elif not isinstance(effect, e.Alive):
                answer = self.centre.answer(effect)

    def send_down(self, effects: list[e.Effect]) -> None:
        for effect in effects:
            assert not isinstance(effect, e.Close), effect
            assert isinstance(effect, e.Send)
            self.down.append(m.encode(effect.frame))

    def settle(self) -> None:
        """Let everything arrive."""
        if self.ours is None:
            self.connect()
        for _ in range(10_000):
            self.deliver_up(5)
            self.deliver_down(5)
            self.commit(5)
            assert self.ours is not None
            assert self.theirs is not None
            if not self.up and not self.down and not self.theirs.pending:
                break
        else:
            raise AssertionError("the two never come to rest")
        assert self.ours.idle

    # ------------------------------------------------------------- what must hold

    @invariant()
    def nothing_is_lost_of_what_cannot_be_listed(self) -> None:
        for kind, entries in self.unlistable.items():
            assert self.centre.entries[kind] == entries

    def teardown(self) -> None:
        self.settle()
        for kind in KINDS:
            known = self.cluster.state.kind(kind)
            if known.state in (m.KindState.SYNCED, m.KindState.ABSENT):
                assert self.centre.entries[kind] == dict(known.entries())


TestSessions = Sessions.TestCase
TestSessions.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)


class LongSessions(Sessions):
    """The same, for `make soak`."""


TestLongSessions = pytest.mark.soak(pytest.mark.timeout(3600)(LongSessions.TestCase))
TestLongSessions.settings = settings(
    max_examples=5_000,
    stateful_step_count=100,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
