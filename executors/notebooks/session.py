"""One notebook from its start to its end: its container, and the connections into it and out of it."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
from anyio.to_thread import run_sync
from filelock import FileLock, Timeout

from executors import folder
from executors.base import Log
from executors.containers import fleet, launch
from executors.containers.engine import Engine
from executors.inside import relay
from executors.notebooks import container, layer
from executors.notebooks.container import Notebook, Room
from executors.together import together
from lineage import server
from lineage.artifacts import ArtifactKind
from lineage.client import Client
from lineage.errors import Conflict, ExecutionFailed, InvalidInput, NotFound
from lineage.settings import Settings

START_SECONDS = 120.0  # for JupyterLab to answer
STOP_SECONDS = 8  # for it to end its kernels
LOOK_SECONDS = 0.5
AWAY_SECONDS = 120.0
TAIL_LINES = 30

#: Hears what is there once it answers: url, token, container, image, folder.
Ready = Callable[[dict[str, Any]], None]


async def run(notebook: Notebook, port: int, *, settings: Settings, log: Log, ready: Ready) -> None:
    """Have a notebook until SIGINT, SIGTERM or SIGHUP; one that a killed process has left goes on.

    Raises:
        InvalidInput: it cannot be had as it was asked for.
        Conflict: this folder has one already, of the same environment.
        ExecutionFailed: Docker or the index does not answer, JupyterLab has ended.
    """
    container.check_reach(notebook, settings)
    _ = notebook.user  # is there one that can write to the folder?
    engine, room = Engine(), Room(settings, notebook.id)
    try:
        with listening(port) as bound, held(room):
            async with together() as tasks:
                tasks.start_soon(_until_told, tasks.cancel_scope)
                await _run(engine, notebook, room, bound, settings=settings, log=log, ready=ready)
                tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await engine.close()


async def _run(
    engine: Engine, notebook: Notebook, room: Room, bound: socket.socket, *, settings: Settings, log: Log, ready: Ready
) -> None:
    home = await run_sync(launch.home_id, settings.home)
    await sweep(engine, settings, home)  # and so hear, before anything is built, that Docker is not there
    built = await run_sync(_built, notebook.environment, settings, abandon_on_cancel=True)
    image = await layer.build(built, settings=settings, log=log, engine=engine)
    token = await run_sync(room.lay_out, notebook.user, settings.token)
    try:
        async with _relays(notebook, room, bound, settings):
            id = await _brought_up(engine, notebook, image, room, settings=settings, home=home)
            url = f"http://127.0.0.1:{bound.getsockname()[1]}"
            await _answering(engine, id, url, token)
            known = {
                "container": id,
                "image": image,
                "folder": str(notebook.folder),
                "environment": notebook.environment,
            }
            told = {"url": f"{url}/lab?token={token}", "token": token, **known}
            await run_sync(folder.write, room.note, told)
            ready(told)
            await _ended(engine, id)
    finally:
        with anyio.CancelScope(shield=True):
            room.note.unlink(missing_ok=True)
            await _remove(engine, notebook.name)


def _built(environment: str, settings: Settings) -> str:
    """The id of the environment's image, which a worker builds unless it is there."""
    with Client(settings=settings) as client:
        run = client.wait(client.build_environment(environment, executor="docker"), progress=True)
        return f"sha256:{run.made(ArtifactKind.IMAGE).digest}"


def listening(port: int) -> socket.socket:
    """A socket on this port of the loopback, 0 for any; raise InvalidInput where it is taken."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(("127.0.0.1", port))
    except OSError as error:
        bound.close()
        message = f"port {port} cannot be had: {error.strerror}; choose another by --port, 0 for any that is free"
        raise InvalidInput(message, field="port") from error
    return bound


@contextmanager
def held(room: Room) -> Iterator[None]:
    """Be the one process that has a notebook; raise Conflict while another one has it."""
    room.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = FileLock(room.lock, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        known = folder.read(room.note) or {}
        where = f" at {known['url']}" if "url" in known else ", which is just starting"
        raise Conflict(f"this folder has a notebook of this environment{where}") from None
    try:
        yield
    finally:
        lock.release()


@asynccontextmanager
async def _relays(notebook: Notebook, room: Room, bound: socket.socket, settings: Settings) -> AsyncIterator[None]:
    """Carry what the browser says to JupyterLab, and what the notebook says to the API."""
    into = partial(relay.join, connect=partial(relay.open_unix, str(room.lab)))
    out = partial(relay.join, connect=partial(_api, settings))
    unix = _unix(room.api)
    room.give(room.api, notebook.user)
    servers = [await asyncio.start_server(into, sock=bound), await asyncio.start_unix_server(out, sock=unix)]
    try:
        yield
    finally:
        for each in servers:
            each.close()  # without waiting for its connections: they end with the container


def _unix(path: Path) -> socket.socket:
    """A Unix socket at *path*, however long that is, in place of what was there."""
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    place = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        bound.bind(f"/proc/self/fd/{place}/{path.name}")
    finally:
        os.close(place)
    path.chmod(0o600)
    return bound


async def _api(settings: Settings) -> relay.Streams:
    """A connection to the API where it is now; another one after it was started anew."""
    url = settings.url or await run_sync(_running, settings)
    if not url or not container.is_here(url):
        raise ConnectionRefusedError(f"there is no API to relay to: {url}")
    parts = urlsplit(url)
    return await asyncio.open_connection(parts.hostname, parts.port or 80)


def _running(settings: Settings) -> str:
    return server.running(settings) or ""


async def _brought_up(
    engine: Engine, notebook: Notebook, image: str, room: Room, *, settings: Settings, home: str
) -> str:
    """The id of the container, running: that which is there, if it is the very same, or a new one."""
    plan = container.plan(notebook, image, settings)
    found = await _state(engine, notebook.name)
    if found and (not found["State"]["Running"] or found["Config"]["Labels"].get(container.LABEL_PLAN) != plan):
        await _remove(engine, notebook.name)
        found = None
    if found:
        return str(found["Id"])
    room.lab.unlink(missing_ok=True)
    labels = {launch.LABEL_HOME: home, container.LABEL: notebook.id, container.LABEL_PLAN: plan}
    create = partial(container.create, notebook=notebook, layer=image, room=room, settings=settings, labels=labels)
    id = await engine.ask(create)
    await engine.ask(lambda client: client.api.start(id))
    return id


async def _answering(engine: Engine, id: str, url: str, token: str) -> None:
    """Wait until JupyterLab answers; raise ExecutionFailed with its last words when it does not."""
    headers = {"Authorization": f"token {token}"}
    async with httpx.AsyncClient(trust_env=False, timeout=5, headers=headers) as http:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            with suppress(httpx.HTTPError):
                if (await http.get(f"{url}/api/status")).status_code == 200:
                    return
            if not await _is_running(engine, id):
                raise ExecutionFailed("JupyterLab has ended before it answered", reason="FAILED")
            await anyio.sleep(LOOK_SECONDS)
    raise ExecutionFailed(f"JupyterLab did not answer within {START_SECONDS:.0f} s", reason="UNAVAILABLE")


async def _ended(engine: Engine, id: str) -> None:
    """Wait until JupyterLab is shut down; raise ExecutionFailed when the container has ended otherwise."""
    while True:
        try:
            if not await _is_running(engine, id):
                return
        except ExecutionFailed as error:
            if error.reason != "UNAVAILABLE":
                raise
            await fleet.patient(engine, AWAY_SECONDS)
        await anyio.sleep(LOOK_SECONDS)


async def _is_running(engine: Engine, id: str) -> bool:
    """Whether the container runs, or has ended well; raise ExecutionFailed with its last words when it has not."""
    found = await _state(engine, id)
    if found is None:
        raise ExecutionFailed("somebody removed the container of the notebook", reason="LOST")
    state = found["State"]
    if state["Running"] or state["ExitCode"] == 0:
        return bool(state["Running"])
    text = await engine.ask(lambda client: client.api.logs(id, tail=TAIL_LINES))
    why = "ran out of memory" if state["OOMKilled"] else f"ended with exit code {state['ExitCode']}"
    raise ExecutionFailed(f"the notebook {why}", reason="FAILED", log_tail=text.decode(errors="replace"))


async def _state(engine: Engine, name: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = await engine.ask(lambda client: client.api.inspect_container(name))
    except NotFound:
        return None
    return found


async def _remove(engine: Engine, name: str) -> None:
    """End JupyterLab and its kernels, and remove the container."""
    with suppress(NotFound, Conflict):
        await engine.ask(lambda client: client.api.stop(name, timeout=STOP_SECONDS))
    await fleet.remove(engine, name)


async def sweep(engine: Engine, settings: Settings, home: str) -> None:
    """Remove the notebooks of this data directory that nobody has any more: their processes were killed."""
    filters = {"label": [f"{launch.LABEL_HOME}={home}", container.LABEL]}
    for each in await engine.ask(lambda client: client.api.containers(all=True, filters=filters)):
        with suppress(Conflict), held(Room(settings, each["Labels"][container.LABEL])):
            await fleet.remove(engine, each["Id"])


async def _until_told(scope: anyio.CancelScope) -> None:
    wanted = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # nohup has it ignored
        wanted.append(signal.SIGHUP)
    with anyio.open_signal_receiver(*wanted) as signals:
        async for _ in signals:
            scope.cancel()
            return
