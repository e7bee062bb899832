"""Migrations of a real graph: once each, whoever comes first, and never edited afterwards."""

from collections.abc import AsyncIterator, Sequence

import anyio
import pytest

from lineage.errors import MigrationDrift
from lineage.store import Store, migrations
from lineage.store.artifacts import ArtifactFilter
from lineage.store.graph import Graph
from lineage.store.migrations import Migration
from tests.conftest import NOW

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]

MINE = "9001_adds_a_mark"


@pytest.fixture
async def migrated(store: Store) -> AsyncIterator[Graph]:
    """A graph with the shipped migrations, from which those of a test are forgotten afterwards."""
    yield store.graph
    await store.graph.script("MATCH (m:Migration) WHERE m.name STARTS WITH '9' DELETE m")


def with_mine(text: str = "// kind: data\nCREATE (:Artifact {id: randomUUID()});\n") -> list[Migration]:
    """The shipped migrations and one more."""
    return [*migrations.load(), migrations.parse(MINE, text)]


async def apply(graph: Graph, all_: Sequence[Migration], owner: str = "me") -> list[str]:
    """Apply *all_* as *owner*."""
    return await migrations.apply(graph, all_, owner=owner, now=NOW)


async def nodes(graph: Graph) -> int:
    """How many nodes the migrations of a test have made."""
    return await Store(graph).artifacts.count(ArtifactFilter())


async def test_appliers_at_once_apply_it_once(migrated: Graph) -> None:
    """Of several processes that migrate at once one applies the migration, and none goes on before it is there."""
    done: list[list[str]] = []

    async def run(owner: str) -> None:
        done.append(await apply(migrated, with_mine(), owner))
        assert await nodes(migrated) == 1

    async with anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(run, f"owner-{number}")

    assert [[], [], [], [], [MINE]] == sorted(done)
    assert await nodes(migrated) == 1


async def test_a_second_time_applies_nothing(migrated: Graph) -> None:
    """What was applied is not applied again."""
    assert [MINE] == await apply(migrated, with_mine())
    assert [] == await apply(migrated, with_mine())
    assert await nodes(migrated) == 1


async def test_an_edited_migration_is_refused(migrated: Graph) -> None:
    """A file that was changed after it was applied stops everything, also what would be pending."""
    await apply(migrated, with_mine())
    edited = with_mine("// kind: data\nCREATE (:Artifact {id: 'edited'});\n")
    pending = migrations.parse("9002_more", "// kind: data\nCREATE (:Artifact {id: randomUUID()});\n")

    with pytest.raises(MigrationDrift, match=f"{MINE} was edited"):
        await apply(migrated, [*edited, pending])
    assert await nodes(migrated) == 1


async def test_a_graph_of_a_newer_version_is_refused(migrated: Graph) -> None:
    """A migration that this version does not know was applied by a newer one."""
    await apply(migrated, with_mine())

    with pytest.raises(MigrationDrift, match="newer version"):
        await apply(migrated, migrations.load())


async def test_a_data_migration_that_fails_leaves_nothing(migrated: Graph) -> None:
    """Neither its first statement nor its record stays when the second fails, and the lock is free again."""
    broken = with_mine(
        "// kind: data\nCREATE (:Artifact {id: randomUUID()});\nUNWIND [0] AS zero CREATE (:Artifact {id: 1 / zero});\n"
    )

    with pytest.raises(Exception, match="by zero"):
        await apply(migrated, broken)

    assert MINE not in {row["name"] for row in await migrated.many("applied_migrations")}
    assert [MINE] == await apply(migrated, with_mine(), "another")
    assert await nodes(migrated) == 1


async def test_a_dead_owner_does_not_hold_the_lock_for_ever(migrated: Graph) -> None:
    """A lock that was left behind is taken over once its time is up."""
    await migrated.run("prepare_migration_lock")
    left = await migrated.one("lock_migrations", owner="dead", now=NOW, until=NOW)
    assert left is not None

    assert [MINE] == await apply(migrated, with_mine())


def test_every_shipped_migration_is_in_order() -> None:
    """They parse, have statements and distinct rising numbers, and a schema one can be applied again after a crash."""
    shipped = migrations.load()

    numbers = [int(each.name[:4]) for each in shipped]
    assert list(range(1, len(shipped) + 1)) == numbers
    for each in shipped:
        assert each.statements, each.name
        if each.kind == "schema":
            assert all("IF NOT EXISTS" in s or s.startswith("CALL db.awaitIndexes") for s in each.statements), each.name


@pytest.mark.parametrize("text", ["", "CREATE (:X);", "// kind: other\nCREATE (:X);", "// kind: data"])
def test_a_migration_without_a_kind_is_refused(text: str) -> None:
    """The first line says what kind it is."""
    with pytest.raises(ValueError, match="first line"):
        migrations.parse("0009_x", text)


def test_statements_are_split_at_the_ends_of_lines() -> None:
    """A semicolon within a line, and comments, split nothing."""
    parsed = migrations.parse("0009_x", "// kind: data\n// why; so\nCREATE (:X {t: 'a;b'});\n\nCREATE (:Y);\n")

    assert ["CREATE (:X {t: 'a;b'})", "CREATE (:Y)"] == parsed.statements
