"""The writer: calls share transactions, each hears of its own, and what waits is bounded."""

from collections.abc import Mapping

import anyio
import pytest

from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType
from lineage.errors import LineageError, NotFound, Unavailable, VersionTaken
from lineage.store import Store
from lineage.store.artifacts import ArtifactFilter
from lineage.store.recording import Entry
from lineage.store.writer import Room, Writer
from tests.conftest import NOW
from tests.store.held import Held

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]


def a_dataset(name: str, digest: str = "a") -> Artifact:
    """A dataset of this name."""
    return Artifact(kind=ArtifactKind.DATASET, name=name, version="1", digest=digest * 64, body={"rows": 3})


def an_entry(name: str, digest: str = "a", *edges: Edge) -> Entry:
    """A call that brings one dataset."""
    return Entry(artifacts=[a_dataset(name, digest)], edges=edges, now=NOW, by="ann")


class Said(dict[str, type[Exception] | None]):
    """What each caller heard: an error, or None when its entry was recorded."""

    async def hear(self, writer: Writer, name: str, entry: Entry) -> None:
        """Record *entry* as the caller *name*."""
        try:
            await writer.record(entry)
        except LineageError as error:
            self[name] = type(error)
        else:
            self[name] = None


async def together(held: Held, writer: Writer, entries: Mapping[str, Entry]) -> Said:
    """What each is told when the first has its transaction and the others come while it is under way."""
    said = Said()
    async with anyio.create_task_group() as tasks:
        for name, entry in entries.items():
            tasks.start_soon(said.hear, writer, name, entry)
            await held.reached.wait()
        await anyio.wait_all_tasks_blocked()
        held.goes_on.set()
    return said


async def names(store: Store) -> set[str]:
    """What is recorded."""
    return {each.name for each in await store.artifacts.page(ArtifactFilter(), first=200)}


async def test_what_comes_meanwhile_shares_a_transaction(store: Store) -> None:
    """A hundred calls at once are two transactions: the first's, and that of all who came while it was under way."""
    held = Held(store.graph)
    entries = {f"d{number}": an_entry(f"d{number}") for number in range(100)}

    said = await together(held, Store(held).writer, entries)

    assert dict.fromkeys(entries) == said
    assert 2 == held.writes
    assert entries.keys() == await names(store)


async def test_each_hears_of_its_own(store: Store) -> None:
    """Of calls that share a transaction those are refused that are at fault: a taken version, an edge to nothing."""
    await store.writer.record(an_entry("taken"))
    lost = Edge(type=EdgeType.DERIVED_FROM, source=a_dataset("lost").id, target="nowhere")
    entries = {
        "first": an_entry("first"),
        "good": an_entry("good"),
        "other": an_entry("taken", "b"),
        "lost": an_entry("lost", "a", lost),
        "fine": an_entry("fine"),
    }
    held = Held(store.graph)

    said = await together(held, Store(held).writer, entries)

    assert {"first": None, "good": None, "other": VersionTaken, "lost": NotFound, "fine": None} == said
    assert {"taken", "first", "good", "fine"} == await names(store)


ROOMS = {"nodes": Room(items=2), "bytes": Room(bytes=2_100)}


@pytest.mark.parametrize("room", ROOMS.values(), ids=ROOMS)
async def test_who_finds_no_room_is_refused(store: Store, room: Room) -> None:
    """While as much waits as may, in number or in bytes, a call is refused at once, and can be sent again."""
    held = Held(store.graph)
    writer = Store(held, room=room).writer
    entries = {name: an_entry(name) for name in ("one", "two", "three")}

    said = await together(held, writer, entries)

    assert {"one": None, "two": None, "three": Unavailable} == said
    assert {"one", "two"} == await names(store)
    await writer.record(entries["three"])
    assert {"one", "two", "three"} == await names(store)


async def test_a_call_that_is_larger_than_the_room_waits_alone(store: Store) -> None:
    """What could never have room is recorded when nothing else waits."""
    entry = Entry(artifacts=[a_dataset(f"d{number}") for number in range(5)], now=NOW, by="ann")

    await Store(store.graph, room=Room(items=2)).writer.record(entry)

    assert 5 == await store.artifacts.count(ArtifactFilter())


async def test_all_who_wait_hear_that_neo4j_is_gone(store: Store) -> None:
    """A server that does not answer is tried once for all who wait, and leaves their room free."""
    held = Held(store.graph)
    held.is_gone = True
    writer = Store(held, room=Room(items=3)).writer
    entries = {name: an_entry(name) for name in ("one", "two", "three")}

    assert dict.fromkeys(entries, Unavailable) == await together(held, writer, entries)
    assert 1 == held.writes
    held.is_gone = False
    assert dict.fromkeys(entries) == await together(held, writer, entries)
    assert entries.keys() == await names(store)


async def test_a_server_that_hangs_is_waited_for_no_longer(store: Store) -> None:
    """After the writer's patience all who wait hear of it, and what they bring can be sent again."""
    held = Held(store.graph)
    writer = Store(held).writer
    writer.patience = 0.0
    said = Said()

    await said.hear(writer, "one", an_entry("one"))

    assert {"one": Unavailable} == said
    held.goes_on.set()
    writer.patience = 30.0
    await writer.record(an_entry("one"))
    assert {"one"} == await names(store)


async def test_who_goes_away_takes_no_room_and_stops_nobody(store: Store) -> None:
    """Callers that are cancelled while they wait leave their neighbours alone, and their room free."""
    held = Held(store.graph)
    writer = Store(held, room=Room(items=3)).writer
    said = Said()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(said.hear, writer, "first", an_entry("first"))
        await held.reached.wait()
        async with anyio.create_task_group() as gone:
            for name in ("gone", "lost"):
                gone.start_soon(said.hear, writer, name, an_entry(name))
            await anyio.wait_all_tasks_blocked()
            gone.cancel_scope.cancel()
        for name in ("second", "third"):
            tasks.start_soon(said.hear, writer, name, an_entry(name))
        await anyio.wait_all_tasks_blocked()
        held.goes_on.set()

    assert {"first": None, "second": None, "third": None} == said
    assert {"first", "second", "third"} == await names(store)
