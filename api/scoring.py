"""`/deployments/{name}/…`: requests for predictions, forwarded to a healthy replica of the version that is live.

A prediction changes nothing, so one whose replica went away in the midst of it is asked of another.
"""

import itertools
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp
import anyio
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from api.context import Services
from api.raw import Raw
from api.telemetry import Metrics
from lineage import sockets
from lineage.endpoints import SOCKET, Endpoint, endpoint_id
from lineage.errors import InvalidInput, NotFound, Unavailable

ROUTE_SECONDS = 1.0  # that a route is used before the graph is asked again; replicas drain for longer
SCORE_SECONDS = 60.0
CONNECT_SECONDS = 2.0
PATIENCE_SECONDS = 10.0  # for a request that met a replica which went away, to find another
RETRY_SECONDS = 0.1
CONNECTIONS = 100  # to one replica
#: Paths of a replica, by the method that they are asked by.
PATHS: Mapping[str, str] = {"invocations": "POST", "ping": "GET", "health": "GET", "version": "GET"}
PASSED = ("Content-Type", "Retry-After")
CODES = {400: "BAD_REQUEST", 503: "TEMPORARILY_UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}
TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SCORE_SECONDS)


@dataclass(kw_only=True)
class Target:
    """An endpoint as the graph had it last."""

    endpoint: Endpoint
    read_at: float
    turns: "itertools.count[int]" = field(default_factory=itertools.count)

    def next(self) -> str | None:
        """The socket whose turn it is, or None where nothing healthy is live."""
        known = self.endpoint.sockets
        return known[next(self.turns) % len(known)] if known else None


class Line:
    """Connections to one replica; what it may put in the place of its socket leads nowhere else."""

    def __init__(self, socket: str) -> None:
        """Raise OSError where there is no such socket."""
        self._place = sockets.held(socket.removesuffix(SOCKET), SOCKET)
        self.session = aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(path=sockets.reached(self._place), limit=CONNECTIONS),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=TIMEOUT,
        )

    async def close(self) -> None:
        """Close them all."""
        await self.session.close()
        os.close(self._place)


class Scoring:
    """Forwards requests over the replicas' sockets."""

    def __init__(self, services: Services, metrics: Metrics) -> None:
        self.services, self.metrics = services, metrics
        self._raw = Raw(services.store)
        self._targets: dict[str, Target] = {}
        self._lines: dict[str, Line] = {}

    def routes(self) -> list[BaseRoute]:
        """The routes, to be mounted at the root."""
        return [
            Route(f"/deployments/{{name}}/{path}", self.forward, methods=[method]) for path, method in PATHS.items()
        ]

    async def forward(self, request: Request) -> Response:
        """Answer with what a replica answers; 404 for a name that nothing was deployed under, 503 while none serves."""
        name, namespace = request.path_params["name"], request.query_params.get("namespace", "default")
        path = request.url.path.rpartition("/")[2]
        body = await request.body()
        content_type = request.headers.get("content-type", "")
        began, id = time.perf_counter(), endpoint_id(namespace, name)
        try:
            if path == "invocations" and request.query_params.get("raw", "").lower() in {"true", "1"}:
                body = await self._computed(id, name, body)
            answer = await self._answer(id, name, request.method, path, body, content_type)
        except InvalidInput as error:
            answer = _failed(400, str(error))
        if path == "invocations":
            self.metrics.scored.labels(namespace, name, answer.status_code).inc()
            self.metrics.scoring_seconds.labels(namespace, name).observe(time.perf_counter() - began)
        return answer

    async def _answer(self, id: str, name: str, method: str, path: str, body: bytes, content_type: str) -> Response:
        until = time.monotonic() + PATIENCE_SECONDS
        is_fresh = False
        while True:
            target = await self._target(id, name, fresh=is_fresh)
            socket = target.next()
            if socket is None:
                return _failed(503, f"nothing serves {name!r} at present: {target.endpoint.state.value}")
            try:
                answer = await self._ask(socket, method, path, body, content_type)
            except aiohttp.SocketTimeoutError:
                return _failed(504, f"the model took longer than {SCORE_SECONDS:.0f} s")
            except (aiohttp.ClientError, OSError):
                if time.monotonic() > until:
                    return _failed(503, f"no replica of {name!r} answers")
                is_fresh = True
            else:
                # One that is busy has as many connections as it takes.
                if answer.status_code != 503 or time.monotonic() > until:
                    return answer
            await anyio.sleep(RETRY_SECONDS)

    async def _ask(self, socket: str, method: str, path: str, body: bytes, content_type: str) -> Response:
        headers = {"Content-Type": content_type or "none"}
        session = self._line(socket).session
        asking = session.request(method, f"http://replica/{path}", data=body, headers=headers, allow_redirects=False)
        async with asking as found:
            passed = {name: found.headers[name] for name in PASSED if name in found.headers}
            return Response(await found.read(), found.status, passed)

    async def _computed(self, id: str, name: str, body: bytes) -> bytes:
        """The features of raw rows, by the SQL that the live version's model was trained with."""
        target = await self._target(id, name, fresh=False)
        return await self._raw.body(str(target.endpoint.live or target.endpoint.wanted), body)

    async def _target(self, id: str, name: str, *, fresh: bool) -> Target:
        """Where the endpoint *id* is served; while the graph is away, where it was served last."""
        known = self._targets.get(id)
        if known is not None and not fresh and time.monotonic() - known.read_at < ROUTE_SECONDS:
            return known
        try:
            endpoint = await self.services.store.endpoints.get(id)
        except Unavailable:
            if known is None:
                raise
            known.read_at = time.monotonic()
            return known
        if endpoint is None or (endpoint.live is None and endpoint.wanted is None):
            self._targets.pop(id, None)
            raise NotFound(f"nothing is deployed as {name!r}")
        turns = known.turns if known else itertools.count()
        self._targets[id] = Target(endpoint=endpoint, read_at=time.monotonic(), turns=turns)
        await self._tidy()
        return self._targets[id]

    def _line(self, socket: str) -> Line:
        if socket not in self._lines:
            self._lines[socket] = Line(socket)
        return self._lines[socket]

    async def _tidy(self) -> None:
        """Close the connections to replicas that no endpoint has any more."""
        known = {each.socket for target in self._targets.values() for each in target.endpoint.replicas}
        for socket in [each for each in self._lines if each not in known]:
            await self._lines.pop(socket).close()

    async def close(self) -> None:
        """Close all connections."""
        while self._lines:
            await self._lines.popitem()[1].close()


def _failed(status: int, message: str) -> Response:
    """An error in the shape that MLflow's clients read."""
    body = {"error_code": CODES[status], "message": message}
    headers = {"Retry-After": "2"} if status == 503 else {}
    return Response(orjson.dumps(body), status, headers, media_type="application/json")
