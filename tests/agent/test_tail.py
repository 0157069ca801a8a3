"""What is delivered at once comes from memory, and is the same as on disk."""

from hypothesis import given
from hypothesis import strategies as st

from agent.event_table import Entry
from agent.tail import Tail


def entries(first: int, count: int, size: int = 10) -> list[Entry]:
    return [Entry("n", 5, 0, 0, b"%0*d" % (size, first + n)) for n in range(count)]


def test_it_hands_out_what_follows() -> None:
    tail = Tail(1_000)
    tail.add(5, entries(5, 4))

    batch = tail.read(6, end=9, events=2, size=1_000)

    assert batch is not None
    assert (batch.offsets, batch.bodies, batch.end) == ((6, 7), (b"0000000006", b"0000000007"), 8)
    assert tail.read(5, end=9, events=9, size=1_000) is None  # it went with the read before
    assert tail.read(9, end=9, events=9, size=1_000) is None


def test_an_event_larger_than_asked_for_comes_alone() -> None:
    tail = Tail(1_000)
    tail.add(0, entries(0, 3, size=100))

    batch = tail.read(0, end=9, events=9, size=50)

    assert batch is not None
    assert batch.offsets == (0,)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "skip", "read", "forget"]),
            st.integers(0, 5),
            st.integers(1, 40),
        )
    )
)
def test_it_never_says_anything_else_than_the_disk(steps: list[tuple[str, int, int]]) -> None:
    tail, held, next_ = Tail(100), dict[int, bytes](), 0
    for what, count, size in steps:
        if what == "skip":
            next_ += count
        elif what == "add":
            new = entries(next_, count, size)
            tail.add(next_, new)
            held |= {next_ + n: entry.body for n, entry in enumerate(new)}
            next_ += count
        elif what == "forget":
            tail.forget(next_ - count)
        elif (
            batch := tail.read(max(0, next_ - count), end=next_, events=3, size=size)
        ) is not None:
            assert batch.offsets[0] == max(0, next_ - count)
            assert [held[offset] for offset in batch.offsets] == list(batch.bodies)
            assert batch.end == batch.offsets[-1] + 1
        assert tail._bytes == sum(map(len, tail._bodies)) <= 100
