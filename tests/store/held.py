"""A graph that a test holds: its transactions wait until they may go on, or find that Neo4j is gone."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from lineage.errors import Unavailable
from lineage.store.graph import Graph, Transaction

T = TypeVar("T")


class Held(Graph):
    """The same graph; *reached* is set by the first transaction, each waits for *goes_on* and is counted."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph._driver, graph.database, timeout=graph.timeout)
        self.reached, self.goes_on = anyio.Event(), anyio.Event()
        self.is_gone = False
        self.writes = 0

    async def write(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """A transaction, once it may be; raise Unavailable when the server is gone by then."""
        self.writes += 1
        self.reached.set()
        await self.goes_on.wait()
        if self.is_gone:
            raise Unavailable("Neo4j does not answer")
        return await super().write(work)
