"""The server as an ASGI application: GraphQL, the run protocol, health, numbers, pages."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import anyio
import orjson
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from api.context import Services
from api.endpoint import Endpoint
from api.errors import Errors
from api.protocol import Protocol
from api.schema import schema
from api.scoring import Scoring
from api.security import Guard, check_listening
from api.telemetry import CONTENT_TYPE, Metrics, Telemetry
from lineage.errors import LineageError
from lineage.files import Files
from lineage.settings import Settings
from lineage.store import Store
from lineage.store.census import Census
from lineage.tuning.studies import Studies

STATIC = Path(__file__).parent / "static"
HEALTH_SECONDS = 5.0


def clock() -> datetime:
    """The time now, in UTC."""
    return datetime.now(UTC)


def create_app(
    settings: Settings, store: Store, *, now: Callable[[], datetime] = clock, metrics: Metrics | None = None
) -> Starlette:
    """The application over *store*; raise InvalidInput when *settings* would open it to others without a token."""
    check_listening(settings)
    services = Services(
        store=store, files=Files(settings.artifacts_url), studies=Studies(store.graph), settings=settings, now=now
    )
    metrics = metrics or Metrics()

    async def health(_: Request) -> Response:
        return await _health(store)

    async def numbers(_: Request) -> Response:
        return Response(metrics.text(await _census(store)), media_type=CONTENT_TYPE)

    async def home(_: Request) -> Response:
        return RedirectResponse("/graphql")

    endpoint, scoring = Endpoint(schema, services), Scoring(services, metrics)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await scoring.close()

    routes = [
        Route("/", home),
        Route("/graphql", endpoint, methods=["GET", "POST"]),
        WebSocketRoute("/graphql", endpoint),
        Route("/health", health),
        Route("/metrics", numbers),
        *Protocol(services).routes(),
        *scoring.routes(),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    middleware = [Middleware(Telemetry, metrics=metrics), Middleware(Errors), Middleware(Guard, settings=settings)]
    return Starlette(routes=routes, middleware=middleware, lifespan=lifespan)


async def _health(store: Store) -> Response:
    try:
        with anyio.fail_after(HEALTH_SECONDS):
            await store.graph.one("ping")
            status, body = 200, {"status": "ok", "neo4j": await store.graph.version()}
    except TimeoutError:
        status, body = 503, {"status": "unavailable", "error": f"Neo4j did not answer in {HEALTH_SECONDS:.0f} s"}
    except LineageError as error:
        status, body = 503, {"status": "unavailable", "error": str(error)}
    return Response(orjson.dumps(body), status, media_type="application/json")


async def _census(store: Store) -> Census | None:
    with anyio.move_on_after(HEALTH_SECONDS), suppress(LineageError):
        return await Census.take(store.graph)
    return None
