"""What holds for every source and anything that looks like its objects."""

import copy
import json
import random
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sources import registry
from sources.report import Part, UnreadableError
from tests.sources import samples

SAMPLES = samples.every_sample()
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**30, -(10**400), 2**63, float("nan"), float("inf"), -0.0, 1e308]),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(
        ["", "\0", "a\0b", "\\u0000", "\\\\u0000\0", "\ud800", "2028-13-45", "https://["]
    ),
    st.just({}),
    st.just([]),
    st.lists(st.one_of(st.none(), st.text(max_size=3), st.integers()), max_size=3),
    st.dictionaries(
        st.one_of(st.text(max_size=3), st.integers(), st.just("\ud800"), st.just("name")),
        st.one_of(st.none(), st.text(max_size=3), st.floats()),
        max_size=3,
    ),
    st.binary(max_size=2),
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of decoded JSON."""
    found: list[tuple[Any, Any]] = []
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        found.append((value, key))
        if isinstance(item, (dict, list)):
            found.extend(places(item))
    return found


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A sample with up to three of its parts replaced, removed or put twice."""
    name = draw(st.sampled_from(sorted(SAMPLES)))
    obj = copy.deepcopy(SAMPLES[name])
    for _ in range(draw(st.integers(1, 3))):
        if not (spots := places(obj)):
            break
        container, key = spots[draw(st.integers(0, len(spots) - 1))]
        how = draw(st.sampled_from(["replace", "replace", "replace", "remove", "twice", "add"]))
        if how == "replace":
            container[key] = draw(JUNK)
        elif how == "remove":
            del container[key]
        elif how == "twice" and isinstance(container, list):
            container.append(copy.deepcopy(container[key]))
        elif isinstance(container, dict):
            container[draw(st.one_of(st.text(max_size=3), st.integers()))] = draw(JUNK)
    return name, obj


def source_of(name: str) -> Any:
    _, source = registry.kinds()[samples.group_of(SAMPLES[name]), SAMPLES[name]["kind"]]
    return source


def assert_storable(value: Any) -> None:
    """No text of a context or a reading is one that Postgres refuses."""
    text = json.dumps(msgspec.to_builtins(value), ensure_ascii=False, allow_nan=False)
    text.encode()
    assert "\\u0000" not in text.replace("\\\\", "")


@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(damaged())
def test_split_raises_nothing_but_unreadable_and_read_nothing_at_all(
    given_object: tuple[str, dict[str, Any]],
) -> None:
    name, obj = given_object
    try:
        parts: list[Part] = source_of(name).split(obj)
    except UnreadableError as error:
        assert_storable(str(error))
        return
    assert len({part.sub_key for part in parts}) == len(parts)
    for part in parts:
        assert_storable({**msgspec.to_builtins(part), "content": ""})
        assert part.subject.kind or part.subject.name
        reading = samples.read(part)
        assert_storable(reading)
        assert all(finding.rule for finding in reading.findings)
        assert {finding.rule for finding in reading.findings} <= {
            rule.key for rule in reading.rules
        }


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(registry.contents())), st.binary(max_size=60))
def test_read_of_any_bytes_raises_nothing_but_unreadable(kind: str, content: bytes) -> None:
    try:
        registry.contents()[kind].read(content)
    except UnreadableError as error:
        assert_storable(str(error))


RESULT_LISTS = {"vulnerabilities", "checks", "podChecks", "secrets", "components", "results"}
RESULT_LISTS |= {"controlCheck", "controls"}


def shuffled(value: Any, chance: random.Random) -> Any:
    """The same object as another API server could write it, its results in another order."""
    if isinstance(value, dict):
        items = [(key, shuffled(item, chance)) for key, item in value.items()]
        chance.shuffle(items)
        return {
            key: chance.sample(item, len(item))
            if key in RESULT_LISTS and isinstance(item, list)
            else item
            for key, item in items
        }
    if isinstance(value, list):
        return [shuffled(item, chance) for item in value]
    return float(value) if type(value) is int and chance.random() < 0.5 else value


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(SAMPLES)), st.randoms(use_true_random=False))
def test_order_and_spelling_never_change_a_content(name: str, chance: random.Random) -> None:
    expected = {part.sub_key: part.content for part in samples.split(SAMPLES[name])}
    other = shuffled(SAMPLES[name], chance)
    found = {part.sub_key: part.content for part in source_of(name).split(other)}
    assert found == expected


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_split_leaves_the_object_alone(name: str) -> None:
    obj = copy.deepcopy(SAMPLES[name])
    samples.split(obj)
    assert obj == SAMPLES[name]


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_contents_hold_nothing_of_where_and_when(name: str) -> None:
    """Another cluster, namespace, time and uid make the same contents."""
    obj = copy.deepcopy(SAMPLES[name])
    obj["metadata"] |= {"uid": "other", "resourceVersion": "1", "creationTimestamp": None}
    obj["metadata"]["annotations"] = {}
    for container, key in places(obj):
        if key in {"updateTimestamp", "timestamp", "uid"}:
            container[key] = None
    expected = sorted(part.content for part in samples.split(SAMPLES[name]))
    assert sorted(part.content for part in samples.split(obj)) == expected


def test_nesting_without_end_is_unreadable() -> None:
    obj = copy.deepcopy(SAMPLES["vulnerability_report/shop-web.yaml"])
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    obj["report"]["vulnerabilities"][0]["cvss"] = nested
    with pytest.raises(UnreadableError, match="nested too deeply"):
        samples.split(obj)
    while nested:  # taken apart by hand: freeing it in one go would recurse as deeply
        nested = nested.pop()
