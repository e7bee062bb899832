"""A real server over the real graph, and a client that asks it over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import uvicorn

from api.__main__ import listening
from api.app import create_app
from lineage.settings import Settings
from lineage.store import Store


class Client:
    """Asks the server at *url* over HTTP."""

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self.url, self.http = url, http

    async def send(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """The whole answer to a document."""
        answer = await self.http.post("/graphql", json={"query": query, "variables": variables or {}})
        found: dict[str, Any] = answer.json()
        return found

    async def ask(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """The data of an answer that has no errors."""
        answer = await self.send(query, variables)
        assert "errors" not in answer, answer["errors"]
        data: dict[str, Any] = answer["data"]
        return data

    async def refused(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """The extensions of the first error of an answer, with its message."""
        answer = await self.send(query, variables)
        error = answer["errors"][0]
        return {"message": error["message"], **error["extensions"]}


@asynccontextmanager
async def serving(settings: Settings, store: Store) -> AsyncIterator[Client]:
    """A server on a free port of this machine, and a client that shows its token."""
    with listening(Settings(**{**vars(settings), "port": 0})) as bound:
        config = uvicorn.Config(create_app(settings, store), log_config=None, lifespan="off", access_log=False)
        web = uvicorn.Server(config)
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        headers = {"Authorization": f"Bearer {settings.token}"} if settings.token else {}
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(web._serve, [bound])
            while not web.started:  # noqa: ASYNC110  # uvicorn tells it in no other way
                await anyio.sleep(0.01)
            async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as http:
                yield Client(url, http)
            web.should_exit = True
