"""The embedded Neo4j, for real: processes are killed, files damaged, addresses wrong."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import anyio
import psutil
import pytest
from filelock import FileLock

from lineage.embedded import Embedded, jars
from lineage.errors import EmbeddedFailure, Unavailable
from lineage.settings import Settings
from lineage.store import Store
from lineage.store.graph import Graph
from tests.conftest import NOW

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A data directory with a space in its name, whose server is gone at the end whatever happened."""
    home = tmp_path / "data directory"
    yield home
    state = home / "neo4j" / "server.json"
    if state.exists():
        pid = json.loads(state.read_text())["pid"]
        if psutil.pid_exists(pid):
            os.kill(pid, signal.SIGKILL)


async def opened(server: Embedded) -> Graph:
    """A connection to *server*."""
    return await Graph.open(server.uri, server.user, server.password)


@pytest.fixture
def maven(neo4j_settings: Settings) -> Iterator[str]:
    """A Maven repository over HTTP with the jars of this machine's cache."""
    folder = jars.folder(neo4j_settings)

    class Handler(SimpleHTTPRequestHandler):
        def translate_path(self, path: str) -> str:
            return str(folder / path.rpartition("/")[2])

        def log_message(self, format: str, *args: object) -> None:
            """Tests are quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def java_pid(home: Path) -> int:
    """The pid of the server, alive or not."""
    return int(json.loads((home / "neo4j" / "server.json").read_text())["pid"])


def java(home: Path) -> psutil.Process:
    """The server's process."""
    return psutil.Process(java_pid(home))


async def test_a_server_keeps_its_data_through_every_death(home: Path) -> None:
    """What was committed is there after a kill -9 of java, on the same port, and after a clean stop."""
    server = Embedded(Settings(home=home))
    await server.start()
    graph = await opened(server)
    await Store(graph).migrate(now=NOW)
    uri = server.uri

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.watch)
        first = java(home)
        first.kill()
        with anyio.fail_after(60):
            while java_pid(home) == first.pid or not await _pings(graph):  # noqa: ASYNC110
                await anyio.sleep(0.2)
        tasks.cancel_scope.cancel()

    assert uri == server.uri
    assert [] == list(await Store(graph).migrate(now=NOW))
    await graph.close()
    await server.stop()
    assert not (home / "neo4j" / "server.json").exists()

    again = Embedded(Settings(home=home))
    await again.start()
    graph = await opened(again)
    assert [] == list(await Store(graph).migrate(now=NOW))
    await graph.close()
    await again.stop()


async def _pings(graph: Graph) -> bool:
    try:
        return await graph.one("ping") is not None
    except Unavailable:
        return False


async def test_a_second_process_joins_and_inherits(home: Path) -> None:
    """Two processes share one server; when its owner is killed, java lives on and the next owner is the other."""
    command = [sys.executable, "-m", "lineage.embedded", "run", "--home", str(home)]
    owner = await anyio.to_thread.run_sync(lambda: subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    assert owner.stdout is not None
    said = json.loads(await anyio.to_thread.run_sync(owner.stdout.readline))
    pid = java_pid(home)

    second = Embedded(Settings(home=home))
    await second.start()
    assert (said["uri"], said["password"], False) == (second.uri, second.password, second.owned)

    owner.kill()
    owner.wait()
    owner.stdout.close()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(second.watch)
        with anyio.fail_after(20):
            while not second.owned:  # noqa: ASYNC110
                await anyio.sleep(0.1)
        tasks.cancel_scope.cancel()
    graph = await opened(second)
    assert await _pings(graph)
    await graph.close()

    assert pid == java_pid(home)
    await second.stop()
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def test_the_password_is_for_its_user_alone(home: Path) -> None:
    """The password file has mode 0600, also when somebody had opened it up."""
    server = Embedded(Settings(home=home))
    server._prepare_home()
    path = home / "neo4j" / "password"
    path.chmod(0o644)
    password = server.password

    Embedded(Settings(home=home))._prepare_home()

    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert password == server.password
    assert len(password) >= 24


async def test_java_that_cannot_start_says_why(home: Path) -> None:
    """A heap that Java refuses is a clear error with its own words, and nothing is left running or locked."""
    server = Embedded(Settings(home=home, heap="1k"))

    with pytest.raises(EmbeddedFailure, match=r"(?s)ended while it started.*heap"):
        await server.start()
    assert not server.owned


async def test_a_port_that_is_taken_is_named(home: Path) -> None:
    """A configured port that is in use is an error that names it and the setting."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(EmbeddedFailure, match=f"port {port} is taken; set LINEAGE_BOLT_PORT"):
            await Embedded(Settings(home=home, bolt_port=port)).start()


async def test_a_download_that_fails_says_what_to_do(tmp_path: Path) -> None:
    """Without a repository that answers, the message names the settings that help, and nothing half is kept."""
    settings = Settings(home=tmp_path, cache=tmp_path / "cache", maven_url="http://127.0.0.1:9")

    with pytest.raises(EmbeddedFailure, match=r"LINEAGE_MAVEN_URL.*LINEAGE_NEO4J_URI"):
        await jars.install(settings)
    assert len(jars.locked()) == len(jars.missing(settings))


async def test_the_cache_is_free_for_others_once_installed(home: Path) -> None:
    """The lock of the cache is released with the install: another process need not wait for this one to end."""
    settings = Settings(home=home)
    await jars.install(settings)

    lock = FileLock(jars.folder(settings).with_suffix(".lock"))
    lock.acquire(timeout=5)
    lock.release()


async def test_a_damaged_jar_is_found_and_fetched_again(tmp_path: Path) -> None:
    """A jar of another size is missing; one of the right size with other bytes is found by verify."""
    settings = Settings(home=tmp_path, cache=tmp_path / "cache")
    target = jars.folder(settings)
    target.mkdir(parents=True)
    small = min(jars.locked(), key=lambda jar: jar.bytes)
    (target / small.filename).write_bytes(b"x" * small.bytes)

    assert small not in jars.missing(settings)
    assert [target / small.filename] == await jars.verify(settings)
    assert small in jars.missing(settings)


async def test_a_server_whose_owner_left_no_word_is_ended(home: Path) -> None:
    """When the owner dies before it has named its server, the next start ends that one and goes on with the data."""
    first = Embedded(Settings(home=home))
    await first.start()
    forgotten = java_pid(home)
    (home / "neo4j" / "server.json").unlink()
    first._lock.release()

    second = Embedded(Settings(home=home))
    await second.start()
    graph = await opened(second)

    assert await _pings(graph)
    assert java_pid(home) != forgotten
    assert first._child is not None
    assert first._child.wait(timeout=10) is not None  # it has ended
    await graph.close()
    await second.stop()


async def test_damaged_jars_are_fetched_again_after_a_failed_start(home: Path, tmp_path: Path, maven: str) -> None:
    """A start that fails over jars of the right size and wrong bytes fetches those, and those alone, again."""
    whole = jars.folder(Settings(home=home))
    await jars.install(Settings(home=home))
    settings = Settings(home=home, cache=tmp_path / "cache", maven_url=maven)
    target = jars.folder(settings)
    target.mkdir(parents=True)
    for jar in jars.locked():
        (target / jar.filename).symlink_to(whole / jar.filename)
    damaged = next(jar for jar in jars.locked() if jar.artifact == "neo4j")
    (target / damaged.filename).unlink()
    (target / damaged.filename).write_bytes(b"x" * damaged.bytes)

    server = Embedded(settings)
    await server.start()
    graph = await opened(server)

    assert await _pings(graph)
    assert [] == await jars.verify(settings)
    await graph.close()
    await server.stop()


async def test_a_disk_that_fills_up_is_said(home: Path) -> None:
    """When the configuration cannot be written, the error says so and what to do; nothing is left running or locked."""
    server = Embedded(Settings(home=home))
    server._prepare_home()
    (home / "neo4j" / "conf" / "neo4j.conf").symlink_to("/dev/full")

    with pytest.raises(EmbeddedFailure, match="its disk is full: free some space, or set LINEAGE_HOME"):
        await server.start()
    assert not server.owned
    assert not (home / "neo4j" / "server.json").exists()


async def test_a_full_disk_is_said_before_anything_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With too little space left, the error says how much is there, how much is needed, and what to set."""
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1_000_000})())

    with pytest.raises(EmbeddedFailure, match=r"has 0 MiB left and Neo4j needs .*LINEAGE_CACHE"):
        await jars.install(Settings(home=tmp_path, cache=tmp_path / "cache"))
