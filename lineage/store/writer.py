"""The writer: what arrives while one transaction commits goes into the next one, and each caller hears of its own."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import anyio

from lineage.errors import InvalidInput, LineageError, NotFound, Unavailable, VersionTaken
from lineage.store.graph import Graph
from lineage.store.recording import Entry, write

MOST = 2_000  # nodes and edges of several calls that share a transaction; a larger call has its own


@dataclass(kw_only=True, eq=False)
class Batch:
    """Calls that share a transaction: which there are, whether it was tried, and what spoke against some of them."""

    entries: list[Entry] = field(default_factory=list)
    is_over: bool = False
    refusals: dict[int, Exception] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many nodes and edges it has."""
        return sum(entry.size for entry in self.entries)


class Writer:
    """Records entries in one transaction at a time, so that a stream of single events is not one disk wait each.

    An entry that is refused spoils no other of its transaction. The entry of a caller that goes away may or may not be
    recorded, and may be sent again. Nothing is acknowledged before it is committed.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._open: Batch | None = None
        self._turn = anyio.Lock()

    async def record(self, entry: Entry) -> None:
        """Record *entry*, and return when it is committed; raise VersionTaken or NotFound when it is refused."""
        if self._open is None or self._open.size + entry.size > MOST:
            self._open = Batch()
        batch, place = self._open, len(self._open.entries)
        batch.entries.append(entry)
        async with self._turn:  # the first of a batch to have its turn commits for all of it
            if not batch.is_over:
                self._open = None if self._open is batch else self._open
                try:
                    await self._commit(batch)
                except Unavailable as error:  # nobody's fault: each caller hears of it, and none tries for another
                    batch.refusals = dict.fromkeys(range(len(batch.entries)), error)
                batch.is_over = True
        if place in batch.refusals:
            raise batch.refusals[place]

    async def _commit(self, batch: Batch) -> None:
        together, alone = list(enumerate(batch.entries)), []
        while len(together) > 1:
            try:
                await self._write([entry for _, entry in together])
            except VersionTaken as error:
                guilty = [each for each in together if any(node.id in error.taken for node in each[1].artifacts)]
                alone += guilty
                together = [each for each in together if each not in guilty]
            except (NotFound, InvalidInput, ValueError):
                break  # it does not say whose fault it is
            else:
                together = []
        for place, entry in together + alone:
            try:
                await self._write([entry])
            except Unavailable:
                raise
            except (LineageError, ValueError) as error:
                batch.refusals[place] = error

    async def _write(self, entries: Sequence[Entry]) -> None:
        await self._graph.write(lambda tx: write(tx, entries))
