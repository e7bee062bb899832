"""What every benchmark needs: something to measure on, calls taken in turn, and a table to show."""

import argparse
import hashlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any

from executors import environments
from lineage.artifacts import Artifact, ArtifactKind, digest_of
from lineage.cli import stack
from lineage.embedded import running
from lineage.settings import Settings

Row = dict[str, Any]
Ways = Mapping[str, Callable[[], Awaitable[Any]]]


@dataclass(frozen=True)
class Served:
    """A whole stack on a folder of its own: settings that name its Neo4j, the API's address and process id."""

    settings: Settings
    url: str
    api: int


@asynccontextmanager
async def graph_server() -> AsyncIterator[Settings]:
    """Settings of the Neo4j that LINEAGE_NEO4J_URI names, or of an embedded one that lasts as long as the block."""
    settings = Settings.from_environ()
    if settings.neo4j_uri:
        yield settings
        return
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        async with running(replace(settings, home=Path(folder))) as server:
            yield replace(server.settings, neo4j_uri=server.uri, neo4j_user=server.user, neo4j_password=server.password)


@asynccontextmanager
async def whole_stack(*, workers: int = 0, **changes: Any) -> AsyncIterator[Served]:
    """Neo4j, the API and workers as `lineage up` starts them, on a new data directory and free ports."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        settings = Settings.from_environ(home=Path(folder), port=0, bolt_port=0, **changes)
        settings = replace(settings, neo4j_uri="", url="", token="")
        async with stack.running(settings, workers=workers) as found:
            password = (settings.home / "neo4j" / "password").read_text().strip()
            known = replace(settings, neo4j_uri=found.neo4j, neo4j_password=password)
            yield Served(known, found.url, found.children[0].pid or 0)


async def environment(packages: Sequence[str], settings: Settings) -> tuple[Artifact, str]:
    """An environment with *packages* as executors take it, and its lock."""
    lock = await environments.resolve(packages, version="3.11", settings=settings, log=quiet)
    sha256 = hashlib.sha256(lock.text.encode()).hexdigest()
    identity = {"language": "python", "version": lock.version, "platform": lock.platform, "lock": sha256}
    body = {**identity, "packages": sorted(packages)}
    return Artifact(kind=ArtifactKind.ENVIRONMENT, name="bench", digest=digest_of(identity), body=body), lock.text


async def quiet(text: str) -> None:
    """A log that nobody reads."""


def timed(work: Callable[[], object]) -> float:
    """Milliseconds that *work* takes."""
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


async def elapsed(work: Callable[[], Awaitable[object]]) -> float:
    """Milliseconds that *work* takes."""
    start = time.perf_counter()
    await work()
    return (time.perf_counter() - start) * 1000


async def in_turn(ways: Ways, *, repeats: int, warm: int = 3) -> dict[str, list[float]]:
    """Milliseconds of each way, called A B C A B C …, so that a machine which drifts is as slow for all of them."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(warm + repeats):
        for name, work in ways.items():
            taken = await elapsed(work)
            if turn >= warm:
                times[name].append(taken)
    return times


def ratio(times: Sequence[float], others: Sequence[float]) -> float:
    """The median of *times* by that of *others*, call by call."""
    return round(median(one / other for one, other in zip(times, others, strict=True)), 2)


def percentile(times: Sequence[float], percent: int) -> float:
    """The value below which *percent* of *times* lie."""
    return round(quantiles(times, n=100)[percent - 1], 2)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """*rows* as text, in columns; what a row does not have is left blank."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, *([str(row.get(name, "")) for name in names] for row in rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(names))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Arguments that every benchmark takes."""
    found = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return found


def show(rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Print *rows*."""
    print(json.dumps(rows, indent=2) if as_json else table(rows), flush=True)
