"""Migrations: what a graph must have, numbered, applied once under a lock, and never edited afterwards."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from typing import Any, Literal

import anyio

from lineage.errors import MigrationDrift, Unavailable
from lineage.store.graph import Graph, Transaction

HEADER = re.compile(r"// kind: (schema|data)\n")
LOCK_FOR = timedelta(seconds=60)
POLL_SECONDS = 0.25


@dataclass(frozen=True, kw_only=True)
class Migration:
    """One file of cypher/migrations; a schema one cannot share a transaction with its record."""

    name: str
    kind: Literal["schema", "data"]
    statements: Sequence[str]
    checksum: str


def parse(name: str, text: str) -> Migration:
    """Read one migration: its kind from the first line, its statements split at semicolons that end a line."""
    header = HEADER.match(text)
    if header is None:
        raise ValueError(f"{name}: the first line must be `// kind: schema` or `// kind: data`")
    bare = re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)
    statements = [piece.strip() for piece in re.split(r";\s*(?:\n|$)", bare) if piece.strip()]
    checksum = hashlib.sha256(text.encode()).hexdigest()
    return Migration(name=name, kind=header[1], statements=statements, checksum=checksum)  # type: ignore[arg-type]


def load() -> list[Migration]:
    """All migrations that the project ships, in order."""
    folder = files("cypher") / "migrations"
    entries = sorted((entry.name, entry) for entry in folder.iterdir() if entry.name.endswith(".cypher"))
    return [parse(name.removesuffix(".cypher"), entry.read_text("utf-8")) for name, entry in entries]


async def apply(graph: Graph, migrations: Sequence[Migration], *, owner: str, now: datetime) -> list[str]:
    """Apply what is pending, one process at a time, and return the names; raise MigrationDrift on an edited one."""
    if not _pending(await _applied(graph), migrations):
        return []
    await _lock(graph, owner, now)
    try:
        pending = _pending(await _applied(graph), migrations)
        for migration in pending:
            await _apply_one(graph, migration, now)
        return [migration.name for migration in pending]
    finally:
        await graph.run("unlock_migrations", owner=owner)


async def _applied(graph: Graph) -> dict[str, str]:
    return {row["name"]: row["checksum"] for row in await graph.many("applied_migrations")}


def _pending(applied: dict[str, str], migrations: Sequence[Migration]) -> list[Migration]:
    known = {migration.name: migration.checksum for migration in migrations}
    for name, checksum in applied.items():
        if name not in known:
            raise MigrationDrift(f"migration {name} was applied by a newer version of lineage; upgrade this one")
        if known[name] != checksum:
            raise MigrationDrift(f"migration {name} was edited after it was applied; restore its file")
    return [migration for migration in migrations if migration.name not in applied]


async def _lock(graph: Graph, owner: str, now: datetime) -> None:
    await graph.run("prepare_migration_lock")
    waited = timedelta()
    while not await graph.one("lock_migrations", owner=owner, now=now + waited, until=now + waited + LOCK_FOR):
        if waited > 2 * LOCK_FOR:
            raise Unavailable("another process has been migrating the graph for two minutes; see what it does")
        await anyio.sleep(POLL_SECONDS)
        waited += timedelta(seconds=POLL_SECONDS)


async def _apply_one(graph: Graph, migration: Migration, now: datetime) -> None:
    record: dict[str, Any] = {"name": migration.name, "checksum": migration.checksum, "now": now}
    if migration.kind == "schema":
        for statement in migration.statements:
            await graph.script(statement)
        await graph.run("record_migration", **record)
        return

    async def work(tx: Transaction) -> None:
        for statement in migration.statements:
            await tx.script(statement)
        await tx.run("record_migration", **record)

    await graph.write(work)
