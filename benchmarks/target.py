"""A whole stack to measure on, and the ways into it: the bare driver, our store in process, HTTP."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
import orjson

from benchmarks.harness import whole_stack
from benchmarks.raw import Raw
from lineage.store import Store
from lineage.store.graph import Graph

SECONDS = 300
HEADERS = {"content-type": "application/json"}


@dataclass
class Target:
    """An own server; *api* is the process id of its API.

    The client is aiohttp's, which takes the least of the processors that it shares with what is measured.
    """

    raw: Raw
    store: Store
    http: aiohttp.ClientSession
    api: int

    async def post(self, query: str, **variables: Any) -> Any:
        """What the API answers."""
        content = orjson.dumps({"query": query, "variables": variables})
        async with self.http.post("/graphql", data=content, headers=HEADERS) as reply:
            answer = orjson.loads(await reply.read())
        assert "errors" not in answer, answer
        return answer["data"]


async def opened(stack: AsyncExitStack) -> Target:
    """A server of its own with an empty graph."""
    served = await stack.enter_async_context(whole_stack(heap="2g", query_timeout=120.0))
    at = served.settings
    graph, raw = await Graph.open(at.neo4j_uri, at.neo4j_user, at.neo4j_password, timeout=120), Raw(at)
    stack.push_async_callback(graph.close)
    stack.push_async_callback(raw.close)
    store = Store(graph)
    await store.migrate(now=datetime.now(UTC))
    http = aiohttp.ClientSession(served.url, timeout=aiohttp.ClientTimeout(SECONDS))
    return Target(raw, store, await stack.enter_async_context(http), served.api)
