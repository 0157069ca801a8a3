"""What the roots of kinds gain and lose in a transaction."""

from collections.abc import Iterable

import asyncpg


class Roots:
    """Moves by (cluster, kind): entries more or fewer, and the XOR, signed."""

    def __init__(self) -> None:
        self.moves: dict[tuple[int, str], tuple[int, int]] = {}

    def move(self, cluster_id: int, kind: str, entries: int, fingerprints: int) -> None:
        """Note that a kind has gained or lost entries with this XOR of fingerprints."""
        count, root = self.moves.get((cluster_id, kind), (0, 0))
        self.moves[cluster_id, kind] = (count + entries, root ^ fingerprints)

    def move_rows(self, rows: Iterable[asyncpg.Record], sign: int) -> set[int]:
        """Note what a statement on reports did. Returns the placements that it touched."""
        touched: set[int] = set()
        for row in rows:
            self.move(row["cluster_id"], row["kind"], sign * row["entries"], row["root"])
            touched.update(row["placements"])
        return touched
