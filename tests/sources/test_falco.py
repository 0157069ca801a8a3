"""What is read from Falco's JSON, and that nothing of it is lost."""

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.falco import alert as demo_alert
from sources import falco
from sources.falco import DEEPEST, PRIORITIES, Alert, Internal, read
from sources.falco_time import instant
from sources.report import ImageRef, Ref, UnreadableError

FIELDS = {
    "container.id": "8ae26c6f57d6",
    "container.image.repository": "docker.io/weaveworksdemos/user",
    "container.image.tag": "0.4.7",
    "container.name": "user",
    "evt.arg.flags": None,
    "evt.time": 1707398903902664502,
    "k8s.ns.name": "sock-shop",
    "k8s.pod.name": "user-5c8d59bcd4-vbrht",
    "proc.tty": 0,
    "load": 0.1,
}
EVENT = {
    "uuid": "82868906-b4fb-4315-a3a5-8058adb06559",
    "output": "13:28:23.902664502: Notice Unexpected UDP Traffic Seen",
    "priority": "Notice",
    "rule": "Unexpected UDP Traffic",
    "time": "2024-02-08T13:28:23.902664502Z",
    "source": "syscall",
    "hostname": "falco-7pvrx",
    "tags": ["TA0011", "network"],
    "output_fields": FIELDS,
}
TIME = 1707398903902664502


def one(body: Any) -> Alert:
    (event,) = read(body if isinstance(body, bytes) else json.dumps(body).encode())
    assert isinstance(event, Alert)
    return event


def of_fields(**fields: Any) -> Alert:
    named = {name.replace("__", "."): value for name, value in fields.items()}
    return one({"rule": "r", "output_fields": named})


def test_an_event_is_read_whole() -> None:
    event = one(EVENT)

    assert json.loads(event.fields) == {**FIELDS, "uuid": EVENT["uuid"]}
    assert event == Alert(
        time_ns=TIME,
        rule="Unexpected UDP Traffic",
        priority=5,
        source="syscall",
        output="13:28:23.902664502: Notice Unexpected UDP Traffic Seen",
        hostname="falco-7pvrx",
        tags=("TA0011", "network"),
        namespace="sock-shop",
        pod="user-5c8d59bcd4-vbrht",
        container="user",
        subject=None,
        image=ImageRef("docker.io", "weaveworksdemos/user", "0.4.7"),
        fields=event.fields,
    )


@pytest.mark.parametrize(
    "body",
    [
        json.dumps([EVENT, EVENT]).encode(),
        b"\n".join([json.dumps(EVENT).encode()] * 2),
        b"\r\n\r\n".join([json.dumps(EVENT).encode()] * 2) + b"\r\n",
        b"\xef\xbb\xbf" + b" ".join([json.dumps(EVENT, indent=1).encode()] * 2),
    ],
)
def test_a_body_may_hold_several_events(body: bytes) -> None:
    assert read(body) == [one(EVENT)] * 2


def test_an_empty_array_holds_none() -> None:
    assert read(b"[]") == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "the body is empty"),
        (b" \n", "the body is empty"),
        (b"17:48:58: Notice A shell was spawned", "not JSON at character 2"),
        (b'{"rule":"r"}\n{"rule":', "after 1 whole items"),
        (b'{"rule":"r","x":NaN}', "NaN is not JSON"),
        (b'{"rule":"r","x":-Infinity}', "-Infinity is not JSON"),
        (b'[{"rule":"r"},5]', "event 2: a JSON object was expected, not a number"),
        (b"null", "event 1: a JSON object was expected, not null"),
        (b'{"rule":"r"}[{"rule":"r"}]', "event 2: a JSON object was expected, not an array"),
        (b'{"priority":"Notice"}', "event 1: it has no rule"),
        (b'{"rule":""}', "event 1: it has no rule"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"rule":"r","a":' + b"[" * 100 + b"]" * 100 + b"}", "deeper than"),
        (b'{"rule":"r","output":' + b"[" * 100 + b"]" * 100 + b"}", "deeper than"),
        (b'{"rule":"\xff","a":' + b"[" * 500 + b"]" * 500 + b"}", "nested too deeply"),
    ],
)
def test_what_is_no_event_is_refused_with_a_reason(body: bytes, reason: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        read(body)

    assert reason in str(caught.value)


def test_numbers_survive_whole() -> None:
    text = (
        '{"big":1707398903902664502,"huge":123456789012345678901234567890,"float":0.1,'
        '"small":-9223372036854775809,"tiny":5e-324}'
    )

    assert json.loads(one(f'{{"rule":"r","output_fields":{text}}}'.encode()).fields) == json.loads(
        text
    )


def test_numbers_that_no_one_can_hold_stay_as_text() -> None:
    digits = "1" * 5_000
    event = one(f'{{"rule":"r","output_fields":{{"a":1e999,"b":{digits}}}}}'.encode())

    assert json.loads(event.fields) == {"a": "1e999", "b": digits}


def test_text_that_postgres_cannot_hold_is_replaced() -> None:
    event = one(
        b'{"rule":"a\\u0000b","output":"\xff","output_fields":{"k\\ud800":["\\udfff","\\\\u0000"],'
        b'"p":"\\ud83d\\ude00"}}'
    )

    assert event.rule == "a\ufffdb"
    assert event.output == "\ufffd"
    assert json.loads(event.fields) == {"k\ufffd": ["\ufffd", "\\u0000"], "p": "\U0001f600"}


def test_the_last_of_equal_keys_wins() -> None:
    assert one(b'{"rule":"a","rule":"b"}').rule == "b"


@pytest.mark.parametrize("time", ["2024-02-08T13:28:23.9026645021Z", "09:20:49", 37, 1707398903.5])
def test_a_time_that_is_not_read_whole_is_kept(time: Any) -> None:
    assert json.loads(one({"rule": "r", "time": time}).fields) == {"event.time": time}


@pytest.mark.parametrize("name", ["evt.time", "evt.time.iso8601", "jevt.time", "evt.rawtime"])
@pytest.mark.parametrize("value", [TIME, "2024-02-08T13:28:23.902664502Z"])
def test_the_time_of_the_fields_stands_in(name: str, value: Any) -> None:
    absurd = "0001-01-01T00:00:00Z"
    event = one({"rule": "r", "time": absurd, "output_fields": {name: value}})

    assert event.time_ns == TIME
    assert json.loads(event.fields) == {name: value, "event.time": absurd}


@pytest.mark.parametrize(
    ("given_", "priority", "whole"),
    [
        *((name, number, True) for number, name in enumerate(PRIORITIES)),
        *((name.capitalize(), number, True) for number, name in enumerate(PRIORITIES)),
        *((number, number, False) for number in range(8)),
        ("INFO", 6, False),
        ("warn", 4, False),
        ("err", 3, False),
        ("crit", 2, False),
        ("emerg", 0, False),
        ("4", 4, False),
        (4.0, 4, False),
        (8, 5, False),
        ("grave", 5, False),
        ({}, 5, False),
        (None, 5, True),
    ],
)
def test_priorities_are_read_in_every_spelling(given_: Any, priority: int, whole: bool) -> None:
    event = one({"rule": "r", "priority": given_})

    assert event.priority == priority
    assert json.loads(event.fields) == ({} if whole else {"event.priority": given_})


def test_what_a_column_cannot_hold_is_kept() -> None:
    event = one(
        {
            "rule": 5,
            "source": ["a"],
            "hostname": True,
            "output": {"a": 1},
            "tags": "a, b,",
            "output_fields": [1],
            "message": "m",
        }
    )

    assert (event.rule, event.source, event.hostname) == ("5", '["a"]', "true")
    assert event.output == '{"a":1}'
    assert event.tags == ("a", "b")
    assert json.loads(event.fields) == {
        "message": "m",
        "event.rule": 5,
        "event.source": ["a"],
        "event.hostname": True,
        "event.output": {"a": 1},
        "event.tags": "a, b,",
        "event.output_fields": [1],
    }


def test_names_that_are_taken_make_way() -> None:
    event = one({"rule": "r", "uuid": 1, "output_fields": {"uuid": 2, "event.uuid": 3}})

    assert json.loads(event.fields) == {"uuid": 2, "event.uuid": 3, "event.event.uuid": 1}


def test_what_is_absent_has_a_default() -> None:
    event = one({"rule": "r", "tags": None, "output_fields": None})

    assert (event.source, event.output, event.hostname, event.tags) == ("syscall", "", "", ())
    assert event.fields == "{}"
    assert one({"rule": "r", "source": "syscalls"}).source == "syscalls"


@pytest.mark.parametrize(
    ("event", "dropped", "alerts"),
    [
        (
            {"rule": "Falco internal: syscall event drop", "output_fields": {"n_drops": "815508"}},
            815508,
            None,
        ),
        (
            {
                "rule": "Falco internal: metrics snapshot",
                "source": "internal",
                "output_fields": {"scap.n_drops": 7, "falco.outputs_queue_num_drops": 3, "x": None},
            },
            7,
            3,
        ),
        ({"rule": "something new", "source": "internal"}, None, None),
    ],
)
def test_what_falco_says_of_itself_is_no_alert(
    event: dict[str, Any], dropped: int | None, alerts: int | None
) -> None:
    (internal,) = read(json.dumps({**event, "hostname": "h", "priority": "Debug"}).encode())

    assert isinstance(internal, Internal)
    assert (internal.rule, internal.hostname, internal.priority) == (event["rule"], "h", 7)
    assert (internal.system_calls_dropped, internal.alerts_dropped) == (dropped, alerts)
    assert None not in internal.fields.values()


def test_the_test_rule_of_falcosidekick_is_an_alert() -> None:
    assert one({"rule": "Test rule", "source": "internal"}).source == "internal"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
KEYS = st.text(max_size=5) | st.sampled_from([*EVENT, *FIELDS, "event.uuid", "message"])


def clean(value: Any) -> Any:
    """What Postgres can hold of a value."""
    text = json.dumps(value).replace("\\\\", "\\\\ ").replace("\\u0000", "\\ufffd")
    return json.loads(text.replace("\\\\ ", "\\\\"))


def assert_whole(given_: dict[str, Any], event: Alert | Internal) -> None:
    """Find every field of an event again."""
    if isinstance(event, Internal):
        return
    fields = json.loads(event.fields)
    inner = given_.get("output_fields")
    columns = {
        "rule": event.rule,
        "source": event.source,
        "output": event.output,
        "hostname": event.hostname,
        "tags": list(event.tags),
        "output_fields": inner,
    }
    for key, value in inner.items() if isinstance(inner, dict) else ():
        assert fields[key] == value
    for key, value in given_.items():
        held = [columns.get(key)] + [v for k, v in fields.items() if k.endswith(key)]
        if key == "time" and instant(value)[1]:
            held.append(value)
        if key == "priority" and isinstance(value, str):
            held += [value] * (PRIORITIES[event.priority] == value.strip().lower())
        if key in (*columns, "time", "priority") and value in (None, ""):
            continue
        assert value in held, key


@given(
    st.fixed_dictionaries({"rule": st.text(min_size=1)}),
    st.dictionaries(KEYS, JSON, max_size=6),
    st.dictionaries(KEYS, JSON, max_size=6) | JSON,
)
def test_nothing_of_an_event_is_lost(
    rule: dict[str, Any], extra: dict[str, Any], fields: Any
) -> None:
    given_ = clean({**extra, **rule, "output_fields": fields})

    (event,) = read(json.dumps({**extra, **rule, "output_fields": fields}).encode())

    assert_whole(given_, event)
    event_fields = event.fields if isinstance(event, Alert) else "{}"
    assert "\\u0000" not in event_fields.replace("\\\\", "")


@given(
    st.binary()
    | st.binary().map(lambda tail: b'{"rule":"r","time":' + tail + b"}")
    | st.text().map(lambda text: f'{{"rule":"{text}"}}'.encode(errors="replace"))
    | JSON.map(lambda value: json.dumps(value).encode())
)
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        for event in read(body):
            assert event.time_ns is None or 0 < event.time_ns < 2**63
            if isinstance(event, Alert):
                event.fields.encode()
    except UnreadableError:
        pass


USUAL = st.fixed_dictionaries(
    {
        "rule": st.text() | st.sampled_from(["Falco internal: x", "Test rule"]),
        "output": st.text(),
        "priority": st.sampled_from(["Notice", "debug", "CRITICAL", " error", "grave", ""]),
        "time": st.sampled_from(
            ["2024-02-08T13:28:23.902664502Z", "2024-02-08T13:28:23.9026645021Z", "", "0001-01-01"]
        ),
        "output_fields": st.dictionaries(KEYS, JSON, max_size=6),
    },
    optional={
        "source": st.sampled_from(["syscall", "internal", "", "k8s_audit"]),
        "hostname": st.text(),
        "tags": st.lists(st.text(), max_size=3),
        "uuid": st.text(),
    },
)


@given(st.lists(USUAL, max_size=3), st.booleans())
def test_the_usual_way_to_read_finds_what_the_long_way_finds(
    events: list[dict[str, Any]], alone: bool
) -> None:
    body = json.dumps(events[0] if alone and events else events).encode()

    def outcome() -> Any:
        try:
            return [
                msgspec.structs.replace(event, fields="") if isinstance(event, Alert) else event
                for event in read(body)
            ], [json.loads(event.fields) for event in read(body) if isinstance(event, Alert)]
        except UnreadableError as error:
            return str(error)

    usual = outcome()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(falco, "_read_usual", lambda _: None)
        assert outcome() == usual


def test_the_usual_way_is_taken_for_what_falco_writes() -> None:
    for body in (EVENT, [EVENT, EVENT]):
        assert falco._read_usual(json.dumps(body).encode()) is not None


def test_depth_is_bounded_where_it_can_still_be_read() -> None:
    deep = json.loads("[" * DEEPEST + "]" * DEEPEST)

    assert json.loads(one({"rule": "r", "a": deep}).fields) == {"a": deep}


def test_an_audited_object_is_the_subject() -> None:
    event = of_fields(
        ka__target__resource="deployments", ka__target__namespace="shop", ka__target__name="web"
    )

    assert event.namespace == "shop"
    assert event.subject == Ref("apps", "Deployment", "shop", "web")


def test_events_of_the_demo_are_about_their_pods() -> None:
    rng = random.Random(1)
    rules = set()
    for _ in range(200):
        made = demo_alert(
            rng,
            namespace="shop",
            pod="checkout-1-x",
            container="checkout",
            image="registry.acme.example/shop/checkout:1.2",
            node="prod-eu-1",
            at=datetime(2026, 11, 2, 8, 30, 0, 123456, tzinfo=UTC),
        )
        event = one(made)
        rules.add(event.rule)
        assert (event.namespace, event.pod) == ("shop", "checkout-1-x")
        assert event.time_ns == json.loads(event.fields)["evt.time"]
        if event.source == "syscall":
            assert event.container == "checkout"
            assert event.image == ImageRef("registry.acme.example", "shop/checkout", "1.2")
        assert_whole(made, event)
    assert len(rules) == 7


def test_real_events_are_read_whole(shared: Path) -> None:
    paths = sorted((shared / "fixtures/samples").glob("falco*/*"))
    assert len(paths) > 30
    for path in paths:
        lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
        for line, event in zip(lines, read(path.read_bytes()), strict=True):
            assert event.time_ns is not None
            assert isinstance(event, Internal) is ("Falco internal" in line)
            assert_whole(json.loads(line), event)
