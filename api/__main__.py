"""`python -m api`: serve the API over the graph that the settings name, or the embedded one."""

import argparse
import asyncio
import dataclasses
import gc
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import structlog
import uvicorn
import uvloop
from starlette.applications import Starlette

from api.app import clock, create_app
from api.security import BODY_LIMIT, check_listening
from api.socket import bound as protocol_socket
from api.socket import create_protocol_app
from api.telemetry import Metrics
from lineage import logs, server
from lineage.embedded import connected, running
from lineage.errors import InvalidInput, LineageError
from lineage.settings import Settings
from lineage.store import Store
from lineage.store.graph import Graph
from lineage.store.writer import Room

GRACE = 5  # seconds that open requests have when the server is asked to stop
log = structlog.get_logger()


def listening(settings: Settings) -> socket.socket:
    """A socket bound to the address of *settings*; raise InvalidInput when it cannot be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # asyncio turns Nagle's delay off only where a socket names its protocol: 40 ms a request on an open connection.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((settings.host, settings.port))
    except OSError as error:
        bound.close()
        where = f"port {settings.port} of {settings.host}"
        message = f"cannot listen on {where}: {error.strerror}; choose another with LINEAGE_PORT or --port"
        raise InvalidInput(message, field="port") from error
    return bound


def address(settings: Settings, bound: socket.socket) -> str:
    """The address that clients on this machine reach *bound* by."""
    host = settings.host if settings.host not in {"0.0.0.0", "::"} else "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{bound.getsockname()[1]}"


class Server(uvicorn.Server):
    """Uvicorn that stops on a signal and leaves the rest to us: its own would end the process before the graph is."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGTERM and SIGINT."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


class SideServer(uvicorn.Server):
    """Uvicorn beside another one, which hears the signals for both."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Hear none."""
        yield


@asynccontextmanager
async def attached(settings: Settings) -> AsyncIterator[Graph]:
    """The graph that the settings name, or the embedded one, which is started again should it die."""
    if settings.neo4j_uri:
        async with connected(settings) as graph:
            yield graph
        return
    async with running(settings) as embedded:
        own: dict[str, Any] = {
            "neo4j_uri": embedded.uri,
            "neo4j_user": embedded.user,
            "neo4j_password": embedded.password,
        }
        watch = asyncio.create_task(embedded.watch())
        try:
            async with connected(dataclasses.replace(settings, **own)) as graph:
                yield graph
        finally:
            watch.cancel()
            await asyncio.wait([watch])


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; the address stands in the data directory for as long."""
    check_listening(settings)
    with listening(settings) as bound:
        async with attached(settings) as graph:
            store = Store(graph, room=Room(items=settings.queue_items, bytes=settings.queue_bytes))
            await store.migrate(now=clock())
            metrics = Metrics()
            web = Server(_config(create_app(settings, store, metrics=metrics)))
            side = SideServer(_config(create_protocol_app(settings, store, metrics)))
            await _run(settings, web, bound, side)


def _config(app: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        ws_max_size=BODY_LIMIT,
        timeout_graceful_shutdown=GRACE,
        server_header=False,
        lifespan="on",
    )


async def _run(settings: Settings, web: Server, bound: socket.socket, side: SideServer) -> None:
    with protocol_socket(settings) as (unix, path):
        task, beside = await _started(web, bound), await _started(side, unix)
        url = address(settings, bound)
        server.record(settings, url, socket=path)
        log.info("api.started", url=url, socket=str(path))
        gc.collect()
        gc.freeze()  # else each large request makes the collector look through all that was imported
        try:
            await task
        finally:
            server.forget(settings)
            side.should_exit = True
            await asyncio.wait([beside])
            log.info("api.stopped", url=url)


async def _started(web: uvicorn.Server, bound: socket.socket) -> asyncio.Task[None]:
    task = asyncio.create_task(web.serve(sockets=[bound]))
    while not web.started and not task.done():  # noqa: ASYNC110  # uvicorn tells it in no other way
        await asyncio.sleep(0.01)
    return task


def main() -> int:
    """Read the arguments, serve, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m api", description=__doc__)
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    args = parser.parse_args()
    logs.configure()
    try:
        given = {name: value for name, value in vars(args).items() if value is not None}
        uvloop.run(serve(dataclasses.replace(Settings.from_environ(), **given)))
    except LineageError as error:
        print(f"lineage: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
