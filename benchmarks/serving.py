"""What a request for a prediction costs beyond the estimator's own time.

The same fitted pipeline three ways: called in process, asked over the Unix socket of its scoring server, and asked
over HTTP through the API that forwards. One row a request, connections kept open. The API runs in this process's child
with the embedded Neo4j; the endpoint is written as a controller writes it.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import anyio

from lineage import server, sockets
from lineage.artifacts import Artifact, ArtifactKind
from lineage.embedded import Embedded
from lineage.endpoints import EndpointState, Replica, ReplicaState, endpoint_id
from lineage.settings import Settings
from lineage.store import Store
from lineage.store.graph import Graph

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.executors.scoring import fitted, rows, scoring, write_job  # noqa: E402  # the same model as the tests'

HEADERS = {"Content-Type": "application/json"}


def timed(call: Callable[[], Any], requests: int) -> list[float]:
    """Milliseconds of each of *requests* calls, after a tenth as many that do not count."""
    found = []
    for number in range(-requests // 10, requests):
        began = time.perf_counter()
        call()
        if number >= 0:
            found.append((time.perf_counter() - began) * 1000)
    return found


def row(way: str, callers: int, found: list[float], seconds: float) -> dict[str, Any]:
    """What is shown of one way."""
    late = quantiles(found, n=100)[-1]
    rate = round(len(found) / seconds)
    return {"way": way, "callers": callers, "p50_ms": round(median(found), 2), "p99_ms": round(late, 2), "rate": rate}


def measured(way: str, caller: Callable[[], Callable[[], Any]], requests: int, callers: int) -> dict[str, Any]:
    """Ask from *callers* threads at once, each with a call of its own."""
    calls = [caller() for _ in range(callers)]
    for call in calls:
        call()
    began = time.perf_counter()
    with ThreadPoolExecutor(callers) as pool:
        found = [ms for each in pool.map(lambda call: timed(call, requests // callers), calls) for ms in each]
    return row(way, callers, found, (time.perf_counter() - began) / 1.1)


class OverSocket(HTTPConnection):
    """A connection to a Unix socket."""

    def connect(self) -> None:
        """Connect to the path that stands for the host."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.host)


def asking(connection: HTTPConnection, path: str, body: bytes) -> Callable[[], None]:
    """A call that asks for one prediction, by a connection that is kept."""

    def ask() -> None:
        connection.request("POST", path, body, HEADERS)
        answer = connection.getresponse()
        said = answer.read()
        assert answer.status == 200, said

    return ask


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """The API in a process of its own, and its address."""
    given = {f"LINEAGE_{name.upper()}": str(value) for name, value in vars(settings).items() if name in STARTED}
    with subprocess.Popen([sys.executable, "-m", "api"], cwd=ROOT, env={**os.environ, **given}) as process:
        try:
            until = time.monotonic() + 180
            while not (url := server.running(settings)):
                assert time.monotonic() < until, "the API did not start"
                time.sleep(0.1)
            yield url
        finally:
            process.terminate()


STARTED = ("home", "port", "neo4j_uri", "neo4j_user", "neo4j_password")


async def publish(settings: Settings, root: Path) -> None:
    """Record the server in *root* as the healthy replica of the live version of the deployment `bench`."""
    now, ttl = datetime.now(UTC), timedelta(hours=1)
    graph = await Graph.open(settings.neo4j_uri, settings.neo4j_user, settings.neo4j_password)
    store = Store(graph)
    await store.migrate(now=now)
    version = Artifact.defined(ArtifactKind.DEPLOYMENT, "bench", {"replicas": 1})
    await store.artifacts.record([version], now=now, by="benchmark")
    id = endpoint_id("default", "bench")
    await store.endpoints.want(id, version.id, executor="process", asked_at=now, now=now)
    (held,) = await store.endpoints.lease("benchmark", executors=["process"], now=now, ttl=ttl)
    replica = Replica(
        id="serve-1",
        deployment=version.id,
        number=0,
        executor="process",
        root=str(root),
        state=ReplicaState.HEALTHY,
    )
    held = await store.endpoints.keep(held, now=now, ttl=ttl, state=EndpointState.HEALTHY, replicas=[replica])
    await store.endpoints.switch(held, version.id, now=now)
    await graph.close()


def compare(settings: Settings, root: Path, requests: int) -> list[dict[str, Any]]:
    """The three ways, from one caller and from four."""
    estimator, frame = fitted(), rows(1)
    body = json.dumps({"dataframe_records": json.loads(frame.to_json(orient="records"))}).encode()
    write_job(root, estimator)
    with scoring(root), serving(settings) as url:
        anyio.run(publish, settings, root)
        address = str(root / "out" / "serve.sock")

        def over_socket() -> Callable[[], None]:
            return asking(OverSocket(sockets.short(address)), "/invocations", body)

        def over_api() -> Callable[[], None]:
            return asking(HTTPConnection(urlsplit(url).netloc), "/deployments/bench/invocations", body)

        ways = {"in process": lambda: lambda: estimator.predict(frame), "socket": over_socket, "API": over_api}
        return [measured(way, call, requests, callers) for callers in (1, 4) for way, call in ways.items()]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=2000, help="of each way")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    with TemporaryDirectory(prefix="bench-") as folder:
        settings = Settings(home=Path(folder) / "home", port=0)
        embedded = Embedded(settings)
        anyio.run(embedded.start)
        try:
            reach = {"neo4j_uri": embedded.uri, "neo4j_user": embedded.user, "neo4j_password": embedded.password}
            found = compare(replace(settings, **reach), Path(folder) / "replica", given.requests)
        finally:
            anyio.run(embedded.stop)
            shutil.rmtree(Path(folder) / "replica", ignore_errors=True)
    print(json.dumps(found, indent=1) if given.json else table(found))


def table(found: list[dict[str, Any]]) -> str:
    """The rows under their names."""
    lines = [list(found[0]), *([str(value) for value in each.values()] for each in found)]
    return "\n".join("  ".join(text.rjust(10) for text in line) for line in lines)


if __name__ == "__main__":
    main()
