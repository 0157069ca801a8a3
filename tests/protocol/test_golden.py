"""What is released stays readable: frames and content names, byte for byte.

`UPDATE_GOLDEN=1 pytest tests/protocol` writes the vectors of new frames. A vector that changes is a
protocol that changed: old agents would no longer be understood.
"""

import json
import os
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

import protocol
from protocol import messages as m
from protocol.content import name
from protocol.fingerprint import bucket, fingerprint

GOLDEN = Path(protocol.__file__).parent / "golden"
KEY = m.Key("shop", "replicaset-web-1-app")
IMAGE = m.Image("docker.io", "library/web", "1", "sha256:" + "ab" * 32, trusted=True)
REPORT = m.Report(
    content=bytes(range(32)),
    source="trivy-operator",
    subject=m.Object("apps", "Deployment", "shop", "web"),
    resolved=True,
    superseded=False,
    container="app",
    image=IMAGE,
    scanner="Trivy",
    scanner_version="0.60.0",
    reported_at=1_767_225_600_000,
    uid="uid",
    labels={"team": "shop"},
)
BODIES: dict[str, m.Body] = {
    "report": REPORT,
    "workload": m.Workload({"team": "shop"}, "default", 2, (m.Container("app", IMAGE, 2),)),
    "namespace": m.Namespace({"team": "shop"}),
    "node": m.Node({}, "v1.33.0", "Debian 12", "amd64", "containerd://2"),
    "failure": m.Failure("report: missing", 120),
}
EVENT = m.Event(
    time=1_767_225_600_123_456_789,
    received_at=1_767_225_600_200,
    rule="Terminal shell in container",
    priority=m.Priority.NOTICE,
    source="syscall",
    output="A shell was spawned",
    hostname="node-1",
    tags=("container", "shell"),
    namespace="shop",
    pod="web-1",
    container="app",
    subject=m.Object("apps", "Deployment", "shop", "web"),
    image=IMAGE,
    fields='{"evt.time":1767225600123456789}',
)
PACKED = m.encode((EVENT,))  # compressed on the wire, by whatever release of zstd
OPEN_GAP = m.GapRecord("open", "RECEIVER_DOWN", None, None, None)
FRAMES: dict[str, m.FromAgent | m.FromAggregator] = {
    "hello": m.Hello(
        versions=(1,),
        formats={"vulnerabilities": 1},
        agent_version="0.1.0",
        instance="instance",
        mode=m.Mode.AGENT,
        clock=1,
        cluster_uid="uid",
        kubernetes_version="v1.33.0",
        capabilities=("x",),
        spool=m.Spool("epoch", 1, 2),
    ),
    "welcome": m.Welcome(
        version=1,
        session=7,
        heartbeat=15.0,
        limits=m.Limits(frame_bytes=1, content_bytes=2, items=3),
        credits=m.Credits(context=1, contents=2, events=3),
        clock=1,
        held=(m.Held("g/K", 1, 2**64 - 1),),
        resume=4,
    ),
    "summary": m.Summary(seq=1, kinds=(m.KindSummary("g/K", m.KindState.SYNCED, 1, 2, "m"),)),
    "compare": m.Compare(kinds=("g/K",)),
    "buckets": m.Buckets(kind="g/K", fingerprints=(0, 2**64 - 1)),
    "descend": m.Descend(kind="g/K", buckets=(0, 255)),
    "entries": m.Entries(seq=1, kind="g/K", buckets=(0,), entries=((KEY, 5),), last=True),
    "missing": m.Missing(kind="g/K", keys=(KEY,), everything=False),
    "offer": m.Offer(names=(bytes(32),)),
    "want": m.Want(names=(bytes(32),)),
    "contents": m.Contents(seq=1, contents=(m.Content(bytes(32), "vulnerabilities", 1, 2, b"z"),)),
    **{
        f"upsert {body_name}": m.Upsert(seq=1, kind="g/K", items=(m.Item(KEY, 5, 6, body),))
        for body_name, body in BODIES.items()
    },
    "delete": m.Delete(seq=1, kind="g/K", keys=(KEY,), observed_at=6),
    "reject": m.Reject(items=(m.Refused("g/K", KEY, "why"),)),
    "ack": m.Ack(seq=1, credits=m.Credits(context=1, contents=2)),
    "events": m.Events(epoch="epoch", offsets=(3, 5), size=len(PACKED), body=PACKED),
    "gaps": m.Gaps(
        epoch="epoch", gaps=(m.GapRecord("key", "OVERFLOW", 1, 2, 3, {"DEBUG": 3}), OPEN_GAP)
    ),
    "stored": m.Stored(
        epoch="epoch", next=6, gaps=(("key", 3), ("open", None)), credits=m.Credits(events=7)
    ),
    "heartbeat": m.Heartbeat(clock=1, kinds=(m.KindNews("g/K", 2, "Trivy"),), spool_events=3),
    "goodbye": m.Goodbye(reason=m.Reason.FENCED, message="why", retry_after=1.5, seq=9),
}


def vectors(file: str, made: dict[str, Any]) -> dict[str, Any]:
    path = GOLDEN / file
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(json.dumps(made, indent=1) + "\n")
    stored: dict[str, Any] = json.loads(path.read_text())
    return stored


def test_frames_are_encoded_as_released() -> None:
    made = {frame_name: m.encode(frame).hex() for frame_name, frame in FRAMES.items()}

    assert vectors("frames.json", made) == made


@pytest.mark.parametrize("frame_name", FRAMES)
def test_released_frames_are_understood(frame_name: str) -> None:
    raw = bytes.fromhex(json.loads((GOLDEN / "frames.json").read_text())[frame_name])
    frame = FRAMES[frame_name]
    decode = m.decode_from_agent if isinstance(frame, m.FromAgent) else m.decode_from_aggregator

    assert decode(raw) == frame


def test_every_frame_has_a_vector() -> None:
    kinds = {*get_args(m.FromAgent), *get_args(m.FromAggregator)}

    assert {type(frame) for frame in FRAMES.values()} == kinds


def test_packed_events_are_understood() -> None:
    assert m.decode_events(PACKED) == (EVENT,)


def test_fields_of_newer_versions_are_ignored() -> None:
    for frame in FRAMES.values():
        decode: Any = (
            m.decode_from_agent if isinstance(frame, m.FromAgent) else m.decode_from_aggregator
        )
        newer = msgspec.msgpack.decode(m.encode(frame)) | {"added": [1]}
        assert decode(msgspec.msgpack.encode(newer)) == frame


def test_fingerprints_and_buckets_are_as_released() -> None:
    made = {
        body_name: [fingerprint("g/K", KEY, body), bucket(KEY)]
        for body_name, body in BODIES.items()
    }

    assert vectors("fingerprints.json", made) == made


def test_contents_are_named_as_released() -> None:
    inputs = [("vulnerabilities", 1, '{"vulnerabilities":[]}'), ("k", 2, '{"a":"é"}'), ("k", 1, "")]
    made = {
        f"{kind}/{format_version} {text}": name(kind, format_version, text.encode()).hex()
        for kind, format_version, text in inputs
    }

    assert vectors("contents.json", made) == made


def test_labels_in_any_order_make_one_fingerprint() -> None:
    one, other = m.Namespace({"a": "1", "b": "2"}), m.Namespace({"b": "2", "a": "1"})

    assert fingerprint("k", KEY, one) == fingerprint("k", KEY, other)


def test_equal_bodies_of_two_keys_do_not_cancel_out() -> None:
    body = m.Namespace({})

    assert fingerprint("k", m.Key("", "a"), body) ^ fingerprint("k", m.Key("", "b"), body)
