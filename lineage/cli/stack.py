"""Everything at once: Neo4j, the API and workers, started together, kept alive and stopped together."""

import json
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import anyio
import httpx
from anyio.abc import TaskGroup
from rich.console import Console

from lineage import embedded, server
from lineage.cli.processes import Child
from lineage.errors import Conflict, LineageError, Unavailable
from lineage.settings import Settings

START_SECONDS = 90.0
POLL_SECONDS = 0.1

#: Hears in a few words what is done now.
Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Stack:
    """What runs: the API's address, Neo4j's, and the processes."""

    url: str
    neo4j: str
    children: tuple[Child, ...]


@asynccontextmanager
async def running(settings: Settings, *, workers: int = 1, tell: Tell = lambda words: None) -> AsyncIterator[Stack]:
    """Start what is needed and stop it at the end; raise Unavailable with the reason when something does not start."""
    if (url := server.running(settings)) is not None:
        raise Conflict(f"{settings.home} is served already, at {url}; stop that, or set LINEAGE_HOME to another folder")
    async with AsyncExitStack() as stack:
        neo4j, owned = settings.neo4j_uri, None
        if not neo4j:
            tell("Neo4j")
            owned = await stack.enter_async_context(embedded.running(settings, _fetching(tell)))
            neo4j = owned.uri
        tasks = await stack.enter_async_context(_tasks())
        if owned is not None:
            tasks.start_soon(owned.watch)
        children = [Child("api", "api", settings)]
        children += [Child(f"worker-{n}" if n else "worker", "executors", settings) for n in range(workers)]
        stack.push_async_callback(_stop, children)
        for child in children:
            child.start()
        tell("API")
        url = await _answering(settings, children)
        for child in children:
            tasks.start_soon(child.keep)
        yield Stack(url=url, neo4j=neo4j, children=tuple(children))


@asynccontextmanager
async def _tasks() -> AsyncIterator[TaskGroup]:
    """Tasks that end with the block; the error of one, or of the block, comes out as it is."""
    try:
        async with anyio.create_task_group() as tasks:
            yield tasks
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise _first(group) from group


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    errors = [_first(each) if isinstance(each, BaseExceptionGroup) else each for each in group.exceptions]
    return next((each for each in errors if isinstance(each, LineageError)), errors[0])


def _fetching(tell: Tell) -> Callable[[int, int, str], None]:
    def progress(done: int, total: int, what: str) -> None:
        tell(f"{what}: fetching it, this once, {100 * done // max(total, 1)} %")

    return progress


async def _answering(settings: Settings, children: list[Child]) -> str:
    """The address of the API, once it answers."""
    async with httpx.AsyncClient(trust_env=False, timeout=2) as http:
        with anyio.move_on_after(START_SECONDS):
            while True:
                for child in children:
                    child.check()
                url = server.running(settings)
                if url and await _is_healthy(http, url):
                    return url
                await anyio.sleep(POLL_SECONDS)
    raise Unavailable(f"the API did not answer within {START_SECONDS:.0f} s; see {children[0].log_file}")


async def _is_healthy(http: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(f"{url}/health")).status_code == 200
    except httpx.HTTPError:
        return False


async def _stop(children: list[Child]) -> None:
    with anyio.CancelScope(shield=True):
        async with anyio.create_task_group() as tasks:
            for child in children:
                tasks.start_soon(child.stop)


def keep(settings: Settings, *, workers: int, as_json: bool) -> None:
    """Run everything until SIGINT or SIGTERM, having printed where it is."""
    anyio.run(_keep, settings, workers, as_json)


async def _keep(settings: Settings, workers: int, as_json: bool) -> None:
    console = Console(stderr=True)
    status = console.status("starting")
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        status.start()
        async with _tasks() as tasks:
            tasks.start_soon(_until_told, settings, workers, as_json, status.update, status.stop)
            async for _ in signals:
                status.stop()
                console.print("stopping")
                tasks.cancel_scope.cancel()
                break


async def _until_told(settings: Settings, workers: int, as_json: bool, tell: Tell, ready: Callable[[], None]) -> None:
    try:
        async with running(settings, workers=workers, tell=lambda words: tell(f"starting {words}")) as stack:
            ready()
            print(_greeting(settings, stack, as_json), flush=True)
            await anyio.sleep_forever()
    finally:
        ready()


def _greeting(settings: Settings, stack: Stack, as_json: bool) -> str:
    if as_json:
        pids = {child.name: child.pid for child in stack.children}
        return json.dumps({"url": stack.url, "neo4j": stack.neo4j, "home": str(settings.home), "pids": pids})
    lines = [
        f"API      {stack.url}/graphql",
        f"Neo4j    {stack.neo4j}",
        f"data     {settings.home}",
        f"logs     {settings.home / 'logs'}",
        "Ctrl-C stops everything; `lineage demo` in another window shows what it can do.",
    ]
    return "\n".join(lines)
