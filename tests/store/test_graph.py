"""The connection to Neo4j: what passes is tried again, what does not is told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import anyio
import pytest
from anyio.abc import ByteStream, SocketAttribute

from lineage.errors import TookTooLong
from lineage.settings import Settings
from lineage.store.graph import Graph
from lineage.store.queries import collect, parse

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]


class Relay:
    """Stands between the driver and Neo4j, and can cut every connection."""

    def __init__(self, uri: str) -> None:
        found = urlsplit(uri)
        self._host, self._port = found.hostname or "", found.port or 7687
        self._open: list[ByteStream] = []
        self.made = 0

    async def serve(self, client: ByteStream) -> None:
        """Carry bytes both ways until one side ends."""
        async with client, await anyio.connect_tcp(self._host, self._port) as server:
            self._open += [client, server]
            self.made += 1
            async with anyio.create_task_group() as group:
                for source, target in ((client, server), (server, client)):
                    group.start_soon(self._carry, source, target)

    async def cut(self) -> None:
        """Close all that is open."""
        while self._open:
            await self._open.pop().aclose()

    @staticmethod
    async def _carry(source: ByteStream, target: ByteStream) -> None:
        with suppress(anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
            async for data in source:
                await target.send(data)
        await target.aclose()


@asynccontextmanager
async def relayed(settings: Settings) -> AsyncIterator[tuple[Relay, Graph]]:
    """A graph behind a relay."""
    relay = Relay(settings.neo4j_uri)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, relay.serve)
        graph = await Graph.open(f"bolt://127.0.0.1:{port}", settings.neo4j_user, settings.neo4j_password)
        try:
            yield relay, graph
        finally:
            await graph.close()
            group.cancel_scope.cancel()


async def test_a_read_whose_connection_died_is_asked_again(neo4j_settings: Settings) -> None:
    """Nobody hears of a connection that was cut while it lay idle: the question goes over another one."""
    async with relayed(neo4j_settings) as (relay, graph):
        assert [{"answer": 1}] == await graph.many("ping")
        before = relay.made
        await relay.cut()

        assert [{"answer": 1}] == await graph.many("ping")
        assert relay.made > before


# Neo4j looks only every two seconds for what has had its time: this one takes minutes on any machine.
ENDLESS = """
// name: endless() one read
// How many pairs there are of a hundred thousand.
UNWIND range(1, 100000) AS a
UNWIND range(1, 100000) AS b
RETURN count(a + b) AS pairs
"""


async def test_a_read_that_takes_too_long_is_stopped(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question has its time, and is not asked again when it is over."""
    monkeypatch.setattr("lineage.store.graph.load", lambda: collect(parse(ENDLESS)))

    with anyio.fail_after(10), pytest.raises(TookTooLong):
        await graph.many("endless", timeout=0.05)
