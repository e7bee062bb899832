"""Real Neo4j without Docker and without a Java of one's own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lineage.embedded.jars import Progress
from lineage.embedded.server import Embedded
from lineage.settings import Settings
from lineage.store.graph import Graph

__all__ = ["Embedded", "Progress", "connected", "running"]


@asynccontextmanager
async def running(settings: Settings, progress: Progress | None = None) -> AsyncIterator[Embedded]:
    """The server of the data directory, stopped at the end if this process started it."""
    server = Embedded(settings)
    await server.start(progress)
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def connected(settings: Settings, progress: Progress | None = None) -> AsyncIterator[Graph]:
    """A graph: that of the server which the settings name, or else of the embedded one, started if need be."""
    if settings.neo4j_uri:
        graph = await Graph.open(
            settings.neo4j_uri,
            settings.neo4j_user,
            settings.neo4j_password,
            database=settings.neo4j_database,
            timeout=settings.query_timeout,
        )
        try:
            yield graph
        finally:
            await graph.close()
        return
    async with running(settings, progress) as server:
        graph = await Graph.open(server.uri, server.user, server.password, timeout=settings.query_timeout)
        try:
            yield graph
        finally:
            await graph.close()
