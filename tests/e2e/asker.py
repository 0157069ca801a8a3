"""Who asks the fleet's numbers all the time, and knows what an answer may be."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import httpx

PATIENCE = 30.0  # seconds for an answer, of whatever kind, on a busy machine
PAUSE = 0.05  # seconds between questions
SEVERITIES = "severities { critical high medium low info unknown total }"
NUMBERS = f"{{ fleet {{ clusters {SEVERITIES} }} clusters {{ nodes {{ name {SEVERITIES} }} }} }}"
WORST = """
{ findings(first: 20, orderBy: {field: SEVERITY, direction: DESC})
  { nodes { id severity occurrences rule { key } cluster { name } } } }
"""


class Asker:
    """Asks one replica after the other; `answers` counts data, "UNAVAILABLE" and "no connection".

    Numbers that one statement answers are of one moment: those of the clusters add up to the
    fleet's, whatever is under way.
    """

    def __init__(self, urls: Callable[[], Sequence[str]], token: str, clusters: int) -> None:
        self.answers: Counter[str] = Counter()
        self.latest: dict[str, int] = {}  # findings by cluster
        self._urls = urls
        self._token = token
        self._clusters = clusters

    async def run(self) -> None:
        """Ask for ever; raises AssertionError for an answer that may not be."""
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
            while True:
                for url in self._urls():
                    await self._ask(client, url, NUMBERS, self._check_numbers)
                    await self._ask(client, url, WORST, self._check_worst)
                await asyncio.sleep(PAUSE)

    async def _ask(
        self, client: httpx.AsyncClient, url: str, query: str, check: Callable[[Any], None]
    ) -> None:
        headers = {"Authorization": f"Bearer {self._token}"}
        try:
            answer = await client.post(f"{url}/graphql", json={"query": query}, headers=headers)
        except httpx.TimeoutException as error:
            raise AssertionError(f"no answer within {PATIENCE:.0f} s from {url}") from error
        except httpx.TransportError:
            self.answers["no connection"] += 1
            return
        body = answer.json()
        if "errors" in body:
            codes = {error["extensions"]["code"] for error in body["errors"]}
            assert (answer.status_code, codes) == (503, {"UNAVAILABLE"}), answer.text
            self.answers["UNAVAILABLE"] += 1
            return
        assert answer.status_code == 200, answer.text
        check(body["data"])
        self.answers["data"] += 1

    def _check_numbers(self, data: dict[str, Any]) -> None:
        clusters = data["clusters"]["nodes"]
        assert len(clusters) == data["fleet"]["clusters"] == self._clusters
        for name, count in data["fleet"]["severities"].items():
            assert count == sum(cluster["severities"][name] for cluster in clusters), name
        self.latest = {cluster["name"]: cluster["severities"]["total"] for cluster in clusters}

    def _check_worst(self, data: dict[str, Any]) -> None:
        for finding in data["findings"]["nodes"]:
            assert finding["rule"]["key"]
            assert finding["cluster"]["name"] in self.latest
            assert finding["occurrences"] > 0
