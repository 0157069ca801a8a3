"""Random operations, valid and spoilt, against the whole program over HTTP.

    FUZZ=20000 make soak ARGS=tests/aggregator/graph/test_fuzz.py

No answer is a server's fault, none takes longer than a statement may, and memory stays flat.
"""

import asyncio
import itertools
import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
import httpx
import psutil
import pytest

from aggregator.graph.limits import STATEMENT_TIMEOUT
from aggregator.store.embedded import EmbeddedPostgres
from tests.aggregator.graph import judging
from tests.aggregator.graph.operations import Question, Seen, Sent, Writer, everything, spoilt
from tests.conftest import _execute
from tests.e2e.conftest import Aggregator, serve

SHORT = 50  # operations of each sort in the suite
LONG = int(os.environ.get("FUZZ", "6000"))
WARM = 0.4  # of these until the caches are full
GROWTH = 96 << 20  # bytes that memory may grow by after that: what a few large answers leave
BROWSED = ("text/html", "text/plain")  # GraphiQL, and what a method is told that is not served

numbers = itertools.count()


@pytest.fixture
async def asked_dsn(postgres: EmbeddedPostgres, fleet_dsn: str) -> AsyncIterator[str]:
    """Yield the address of a copy of the small fleet."""
    del fleet_dsn  # is there now
    name = f"fuzz_{next(numbers)}"
    await _execute(postgres.dsn(), f"CREATE DATABASE {name} TEMPLATE fleet STRATEGY file_copy")
    yield postgres.dsn(name)
    await _execute(postgres.dsn(), f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def asked(asked_dsn: str, tmp_path: Path) -> AsyncIterator[Aggregator]:
    """Yield an aggregator over it."""
    # The events are of a fixed month and shall stay.
    async with serve(asked_dsn, tmp_path, events_retention=36_500.0) as running:
        yield running


class Fuzzer:
    """Asks, judges what is answered and counts it."""

    def __init__(self, client: httpx.AsyncClient, chance: Random) -> None:
        self._client = client
        self._chance = chance
        self._seen = Seen()
        self.told: Counter[str] = Counter()

    async def ask(self, question: Question) -> Any:
        """Ask what is valid. Returns the data; None where it is refused."""
        answer = await self._timed(Sent(b""), json=question.body())
        codes = judging.codes(answer)
        assert codes <= judging.REFUSALS, (question, answer)
        self.told.update(codes or {"data"})
        if codes:
            return None
        judging.conforms(question, answer["data"])
        self._seen.learn(answer["data"], self._chance)
        return answer["data"]

    async def valid(self) -> None:
        """Ask something, and where it is a page, for those after it."""
        question = Writer(self._chance, self._seen).query()
        data = await self.ask(question)
        while data is not None and question.cursor is not None and self._chance.random() < 0.8:
            variable, place = question.cursor
            page = (data.get(place) or {}).get("pageInfo") or {}
            if not page.get("endCursor"):
                return
            question.variables[variable] = page["endCursor"]
            data = await self.ask(question)
            assert data is not None, question
            self.told["page"] += 1

    async def spoilt(self) -> None:
        """Send something that need not make sense."""
        sent = spoilt(Writer(self._chance, self._seen).query(), self._chance)
        answer = await self._timed(sent)
        self.told.update(judging.codes(answer) or {"data"} if answer is not None else {"other"})

    async def _timed(self, sent: Sent, json: Any = None) -> Any:
        begun = time.monotonic()
        body: dict[str, Any] = {"json": json} if json else {"content": sent.body}
        headers = {} if json else sent.headers
        try:
            response = await self._client.request(
                sent.method, "/graphql", params=sent.query, headers=headers, **body
            )
        except httpx.TransportError:
            assert len(sent.body) > 1 << 20, sent.body[:1000]  # refused before it is read
            return None
        assert time.monotonic() - begun < STATEMENT_TIMEOUT, (sent, json)
        assert response.status_code < 500, (sent, json, response.text)
        kind = response.headers.get("content-type", "")
        if sent.method != "POST" and (
            response.status_code in {304, 405} or kind.startswith(BROWSED)
        ):
            return None
        assert kind == "application/json", (sent, response)
        return response.json()


def _client(aggregator: Aggregator) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=aggregator.url,
        headers={"authorization": f"Bearer {aggregator.token}"},
        timeout=60.0,
        trust_env=False,
    )


async def test_random_operations_are_answered_or_refused(asked: Aggregator) -> None:
    seed = int(os.environ.get("FUZZ_SEED", time.time_ns()))
    print(f"FUZZ_SEED={seed}")  # noqa: T201 - shown where the test fails
    async with _client(asked) as client:
        fuzzer = Fuzzer(client, Random(seed))
        for _ in range(SHORT):
            await fuzzer.valid()
            await fuzzer.spoilt()
    assert fuzzer.told["data"] > SHORT / 2
    assert not judging.OURS & set(fuzzer.told)


async def test_every_field_gives_what_its_type_promises(asked: Aggregator) -> None:
    async with _client(asked) as client:
        fuzzer = Fuzzer(client, Random(0))
        for question in everything():
            assert await fuzzer.ask(question) is not None, question.text


async def _longest(dsn: str, found: list[float]) -> None:
    """Watch how long statements run."""
    connection = await asyncpg.connect(dsn)
    try:
        while True:
            longest = await connection.fetchval(
                "SELECT max(extract(epoch FROM clock_timestamp() - query_start))::float"
                " FROM pg_stat_activity WHERE state = 'active' AND datname = current_database()"
                " AND application_name = 'fleetwatch query'"
            )
            found.append(longest or 0.0)
            await asyncio.sleep(0.2)
    finally:
        await connection.close()


@pytest.mark.soak
@pytest.mark.timeout(7200)
async def test_memory_stays_flat_however_much_is_asked(asked: Aggregator, asked_dsn: str) -> None:
    process, took, sizes = psutil.Process(), [0.0], []
    watching = asyncio.create_task(_longest(asked_dsn, took))
    async with _client(asked) as client:
        fuzzer = Fuzzer(client, Random(1))
        for number in range(LONG):
            await (fuzzer.spoilt() if number % 2 else fuzzer.valid())
            if number % 100 == 0:
                sizes.append(process.memory_info().rss)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    warm = int(len(sizes) * WARM)
    assert max(sizes[warm:]) - sizes[warm] < GROWTH, sizes
    assert max(took) < STATEMENT_TIMEOUT
