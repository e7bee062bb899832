"""The writer: what arrives while one transaction commits goes into the next one, and each caller hears of its own."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import anyio

from lineage.errors import InvalidInput, LimitExceeded, LineageError, NotFound, TookTooLong, Unavailable, VersionTaken
from lineage.store.graph import RETRY_SECONDS, Graph
from lineage.store.recording import Entry, write

MOST = 2_000  # nodes and edges of several calls that share a transaction; a larger call has its own


@dataclass(frozen=True, kw_only=True)
class Room:
    """How much may wait: nodes and edges, and the bytes of what is said of them."""

    items: int = 100_000
    bytes: int = 64 * 2**20


@dataclass(kw_only=True, eq=False)
class Batch:
    """Calls that share a transaction: which there are, whether it was tried, and what spoke against some of them."""

    entries: list[Entry] = field(default_factory=list)
    size: int = 0
    bytes: int = 0
    callers: int = 0
    is_over: bool = False
    refusals: dict[int, Exception] = field(default_factory=dict)

    def refuse(self, error: Exception) -> None:
        """Tell all of its callers of *error*."""
        self.refusals, self.is_over = dict.fromkeys(range(len(self.entries)), error), True


class Writer:
    """Records entries in one transaction at a time, so that a stream of single events is not one disk wait each.

    An entry that is refused spoils no other of its transaction. The entry of a caller that goes away may or may not be
    recorded, and may be sent again. Nothing is acknowledged before it is committed. What waits is bounded: beyond it
    an entry is refused at once, and when Neo4j does not answer, all that wait hear of it together.
    """

    def __init__(self, graph: Graph, room: Room) -> None:
        self.room = room
        #: Seconds for a transaction that does not end; the server stops one sooner, unless it hangs itself.
        self.patience = 2 * graph.timeout + RETRY_SECONDS
        self._graph = graph
        self._open: Batch | None = None
        self._waiting: dict[Batch, None] = {}
        self._turn = anyio.Lock()

    async def record(self, entry: Entry) -> None:
        """Record *entry*, and return when it is committed.

        Raises:
            VersionTaken, NotFound: it is refused.
            Unavailable: too much waits already, or Neo4j does not answer; it can be sent again.
        """
        batch, place = self._join(entry)
        try:
            async with self._turn:  # the first of a batch to have its turn commits for all of it
                if not batch.is_over:
                    await self._commit(batch)
        finally:
            batch.callers -= 1
            if batch.is_over or not batch.callers:
                self._forget(batch)
        if place in batch.refusals:
            raise batch.refusals[place]

    def _join(self, entry: Entry) -> tuple[Batch, int]:
        """The batch that *entry* goes into, and its place there."""
        more = entry.bytes
        self._make_sure_of_room(entry.size, more)
        if self._open is None or self._open.size + entry.size > MOST:
            self._open = Batch()
            self._waiting[self._open] = None
        batch = self._open
        batch.entries.append(entry)
        batch.size, batch.bytes, batch.callers = batch.size + entry.size, batch.bytes + more, batch.callers + 1
        return batch, len(batch.entries) - 1

    def _make_sure_of_room(self, size: int, more: int) -> None:
        items = sum(each.size for each in self._waiting)
        if not items:
            return  # a call that is larger than all that may wait is recorded when nothing else waits
        taken = sum(each.bytes for each in self._waiting)
        if items + size > self.room.items or taken + more > self.room.bytes:
            waits = f"{items} nodes and edges, {taken / 2**20:.1f} MiB, wait to be recorded"
            raise Unavailable(f"{waits}, and LINEAGE_QUEUE_ITEMS and LINEAGE_QUEUE_BYTES allow no more; try again")

    def _forget(self, batch: Batch) -> None:
        self._waiting.pop(batch, None)
        self._open = None if self._open is batch else self._open

    async def _commit(self, batch: Batch) -> None:
        self._open = None if self._open is batch else self._open
        try:
            await self._write_all(batch)
        except Unavailable as error:  # nobody's fault: no one tries for another, nor for those who came meanwhile
            for each in [*self._waiting]:
                each.refuse(error)
                self._forget(each)
        batch.is_over = True

    async def _write_all(self, batch: Batch) -> None:
        together, alone = list(enumerate(batch.entries)), []
        while len(together) > 1:
            try:
                await self._write([entry for _, entry in together])
            except VersionTaken as error:
                guilty = [each for each in together if any(node.id in error.taken for node in each[1].artifacts)]
                alone += guilty
                together = [each for each in together if each not in guilty]
            except TookTooLong as error:
                raise Unavailable(f"Neo4j is slow: {error}; try again") from error
            except (NotFound, InvalidInput, LimitExceeded, ValueError):
                break  # it does not say whose fault it is, or is too much for Neo4j's memory together alone
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
        with anyio.move_on_after(self.patience) as scope:
            await self._graph.write(lambda tx: write(tx, entries))
        if scope.cancelled_caught:
            raise Unavailable(f"Neo4j has not answered for {self.patience:.0f} s; try again")
