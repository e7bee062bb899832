"""Neo4j's jars: a lock of coordinates and digests, fetched once, side by side, each verified before it counts."""

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Self

import anyio
import httpx
from filelock import FileLock, Timeout
from jgo.constants import MAVEN_CENTRAL_URL

from lineage.errors import EmbeddedFailure
from lineage.settings import Settings

Progress = Callable[[int, int, str], None]

SIDE_BY_SIDE = 16
ATTEMPTS = 4
LOCK_POLL_SECONDS = 0.1
SPARE_BYTES = 100 * 1024 * 1024  # what must be left on the disk beside the download


@dataclass(frozen=True, kw_only=True)
class Jar:
    """One jar by its Maven coordinates, with the sha256 and the size in bytes that it must have."""

    group: str
    artifact: str
    version: str
    classifier: str
    sha256: str
    bytes: int

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read one line of the lock: coordinates, digest, size."""
        coordinates, sha256, size = line.split()
        group, artifact, version, *classifier = coordinates.split(":")
        return cls(
            group=group,
            artifact=artifact,
            version=version,
            classifier=classifier[0] if classifier else "",
            sha256=sha256,
            bytes=int(size),
        )

    @property
    def filename(self) -> str:
        """The name of the jar's file."""
        return "-".join(part for part in (self.artifact, self.version, self.classifier) if part) + ".jar"

    @property
    def path(self) -> str:
        """Where a Maven repository keeps it."""
        return f"{self.group.replace('.', '/')}/{self.artifact}/{self.version}/{self.filename}"


def locked() -> list[Jar]:
    """The jars that the project ships the digests of."""
    text = (files("lineage.embedded") / "jars.lock").read_text("utf-8")
    return [Jar.parse(line) for line in text.splitlines() if line and not line.startswith("#")]


def version() -> str:
    """The version of Neo4j in the lock."""
    return next(jar.version for jar in locked() if (jar.group, jar.artifact) == ("org.neo4j", "neo4j"))


def megabytes() -> int:
    """How much there is to fetch, in units of 1,000,000 bytes."""
    return sum(jar.bytes for jar in locked()) // 1_000_000


def folder(settings: Settings) -> Path:
    """Where the jars of this version are kept."""
    return settings.cache / "neo4j" / version()


def missing(settings: Settings) -> list[Jar]:
    """The jars that are not there yet, or whose size shows that they are damaged."""
    target = folder(settings)
    return [jar for jar in locked() if _size(target / jar.filename) != jar.bytes]


async def install(settings: Settings, progress: Progress | None = None) -> list[Path]:
    """Fetch what is missing and return all jars; raise EmbeddedFailure saying what to do when that fails.

    Args:
        progress: called with the bytes so far, the bytes in total, and a word about them.
    """
    target = folder(settings)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EmbeddedFailure(f"cannot write to {target}: {error.strerror}; set LINEAGE_CACHE elsewhere") from error
    lock = FileLock(target.with_suffix(".lock"))
    await _acquire(lock)
    try:
        wanted = missing(settings)
        if wanted:
            _check_space(target, sum(jar.bytes for jar in wanted))
            await _fetch_all(settings, wanted, target, progress or (lambda done, total, word: None))
    finally:
        lock.release()
    return [target / jar.filename for jar in locked()]


async def verify(settings: Settings) -> list[Path]:
    """The jars whose bytes are not what the lock says; each is taken away, so that `install` fetches it again."""
    target = folder(settings)
    bad = []
    for jar in locked():
        path = target / jar.filename
        if path.exists() and await anyio.to_thread.run_sync(_sha256, path) != jar.sha256:
            path.unlink()
            bad.append(path)
    if bad:
        for cache in target.glob("*.aot"):  # Java would not use it any more: it knows the jars by their times
            cache.unlink(missing_ok=True)
    return bad


async def _acquire(lock: FileLock) -> None:
    """Wait for *lock* on this thread: it belongs to the thread that took it, and no other could release it."""
    while True:
        try:
            lock.acquire(timeout=0)
            return
        except Timeout:
            await anyio.sleep(LOCK_POLL_SECONDS)


async def _fetch_all(settings: Settings, wanted: Sequence[Jar], target: Path, progress: Progress) -> None:
    base = (settings.maven_url or MAVEN_CENTRAL_URL).rstrip("/")
    total, done = sum(jar.bytes for jar in wanted), 0
    limiter = anyio.CapacityLimiter(SIDE_BY_SIDE)
    failures: list[EmbeddedFailure] = []

    async with httpx.AsyncClient(timeout=60, follow_redirects=True) as client, anyio.create_task_group() as tasks:

        async def fetch(jar: Jar) -> None:
            nonlocal done
            async with limiter:
                try:
                    await _fetch(client, f"{base}/{jar.path}", jar, target / jar.filename)
                except EmbeddedFailure as error:
                    failures.append(error)
                    tasks.cancel_scope.cancel()
            done += jar.bytes
            progress(done, total, f"Neo4j {version()}")

        for jar in wanted:
            tasks.start_soon(fetch, jar)
    if failures:
        raise failures[0]


async def _fetch(client: httpx.AsyncClient, url: str, jar: Jar, target: Path) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            response = await client.get(url)
            response.raise_for_status()
            break
        except httpx.HTTPError as error:
            if attempt == ATTEMPTS or (isinstance(error, httpx.HTTPStatusError) and error.response.status_code < 500):
                message = f"cannot fetch {jar.filename} of Neo4j: {error or type(error).__name__}"
                advice = "check the network, a proxy (HTTPS_PROXY), or set LINEAGE_MAVEN_URL to a mirror that you have"
                raise EmbeddedFailure(f"{message}; {advice}; or use a server with LINEAGE_NEO4J_URI") from error
            await anyio.sleep(0.5 * 2**attempt)
    if hashlib.sha256(response.content).hexdigest() != jar.sha256:
        raise EmbeddedFailure(f"{jar.filename} is not the file that was locked; the mirror or a proxy changed it")
    try:
        fresh = target.with_suffix(f".{os.getpid()}.new")
        fresh.write_bytes(response.content)
        os.replace(fresh, target)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise EmbeddedFailure(
            f"cannot write {target}: {error.strerror}; free some space, or set LINEAGE_CACHE"
        ) from error


def _check_space(target: Path, wanted: int) -> None:
    free = shutil.disk_usage(target).free
    if free < wanted + SPARE_BYTES:
        need = (wanted + SPARE_BYTES) // 2**20
        raise EmbeddedFailure(
            f"the disk of {target} has {free // 2**20} MiB left and Neo4j needs {need}; free some, or set LINEAGE_CACHE"
        )


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.exists() else None


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
