"""Artifacts in a real graph."""

from datetime import timedelta

import pytest

from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType, asset_id
from lineage.errors import Conflict, NotFound
from lineage.store import Store
from lineage.store.artifacts import ArtifactFilter
from tests.conftest import NOW

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]

K = ArtifactKind


def a_dataset(name: str = "flights", content: int = 1) -> Artifact:
    """A dataset whose digest follows from *content*."""
    return Artifact.defined(K.DATASET, name, {"row_count": content}, tags=("real",))


async def test_the_same_content_twice_is_one_node(store: Store) -> None:
    """Registering the same content again gives the first node back, with its first time."""
    first = (await store.artifacts.record([a_dataset()], now=NOW, by="ann"))[0]

    again = (await store.artifacts.record([a_dataset()], now=NOW + timedelta(days=1), by="bob"))[0]

    assert first == again
    assert (again.created_at, again.created_by) == (NOW, "ann")
    assert await store.artifacts.count(ArtifactFilter()) == 1


async def test_a_version_keeps_its_digest(store: Store) -> None:
    """Another digest under a version that is taken is refused, and nothing of the call is written."""
    await store.artifacts.record([a_dataset()], now=NOW, by="ann")
    other = Artifact(kind=K.DATASET, name="flights", version=a_dataset().version, digest="0" * 64)

    with pytest.raises(Conflict):
        await store.artifacts.record([a_dataset("planes"), other], now=NOW, by="ann")
    assert await store.artifacts.count(ArtifactFilter()) == 1


async def test_an_edge_to_nowhere_writes_nothing(store: Store) -> None:
    """An edge that names a missing node is NotFound, and the nodes of the call are not there either."""
    dataset = a_dataset()
    edge = Edge(type=EdgeType.DERIVED_FROM, source=dataset.id, target="dataset_missing")

    with pytest.raises(NotFound):
        await store.artifacts.record([dataset], [edge], now=NOW, by="ann")
    assert await store.artifacts.count(ArtifactFilter()) == 0


async def test_edges_are_recorded_once(store: Store) -> None:
    """The same edge twice, in one call or two, is one edge with its first time."""
    nodes = [a_dataset(content=1), a_dataset(content=2)]
    edge = Edge(type=EdgeType.DERIVED_FROM, source=nodes[1].id, target=nodes[0].id)

    await store.artifacts.record(nodes, [edge, edge], now=NOW, by="ann")
    await store.artifacts.record(nodes, [edge], now=NOW + timedelta(days=1), by="ann")

    rows = [row for row in await store.artifacts.dependencies([nodes[1].id]) if row["type"] == "DERIVED_FROM"]
    assert [(nodes[0].id, NOW)] == [(row["target"], row["recorded_at"]) for row in rows]


async def test_a_name_gives_its_newest_version(store: Store) -> None:
    """Without a version, a name means what was recorded last and is not retracted."""
    old, new = a_dataset(content=1), a_dataset(content=2)
    await store.artifacts.record([old], now=NOW, by="ann")
    await store.artifacts.record([new], now=NOW + timedelta(seconds=1), by="ann")

    newest = await store.artifacts.get(K.DATASET, "flights")
    assert newest is not None
    assert new.id == newest.id
    await store.artifacts.retract(new.id, reason="wrong", now=NOW)
    newest = await store.artifacts.get(K.DATASET, "flights")
    assert newest is not None
    assert old.id == newest.id


async def test_an_alias_moves_and_remembers(store: Store) -> None:
    """An alias points to one version at a time; its history has an interval for each."""
    old, new = a_dataset(content=1), a_dataset(content=2)
    await store.artifacts.record([old, new], now=NOW, by="ann")

    assert None is await store.artifacts.set_alias(old.id, "gold", now=NOW, by="ann", reason=None)
    later = NOW + timedelta(days=1)
    assert old.id == await store.artifacts.set_alias(new.id, "gold", now=later, by="bob", reason="better")
    assert new.id == await store.artifacts.set_alias(new.id, "gold", now=later, by="bob", reason="again")

    found = await store.artifacts.get(K.DATASET, "flights", version="@gold")
    assert found is not None
    assert new.id == found.id
    assert {new.id: ["gold"]} == await store.artifacts.aliases([old.id, new.id])
    history = await store.artifacts.alias_history(asset_id(K.DATASET, "default", "flights"))
    assert [(new.id, later, None), (old.id, NOW, later)] == [
        (each["artifact"], each["since"], each.get("until")) for each in history
    ]


async def test_a_placeholder_gets_its_content_later(store: Store) -> None:
    """A node that was only named takes the content of the first one who describes it, and keeps its id."""
    described = a_dataset()
    named = Artifact(kind=K.DATASET, name="flights", version=described.version, digest=None, is_placeholder=True)
    await store.artifacts.record([named], now=NOW, by="ann")
    assert None is await store.artifacts.get(K.DATASET, "flights")

    await store.artifacts.record([described], now=NOW, by="bob")
    await store.artifacts.record([named], now=NOW, by="ann")

    found = (await store.artifacts.by_ids([described.id]))[described.id]
    assert (described.digest, False, "bob") == (found.digest, found.is_placeholder, found.created_by)


async def test_pages_neither_repeat_nor_skip(store: Store) -> None:
    """Pages by cursor give every artifact once, the newest first."""
    for number in range(7):
        await store.artifacts.record([a_dataset(content=number)], now=NOW + timedelta(seconds=number // 2), by="ann")

    seen, after = [], None
    while page := await store.artifacts.page(ArtifactFilter(tag="real"), first=2, after=after):
        seen += page
        assert page[-1].created_at is not None
        after = (page[-1].created_at, page[-1].id)

    assert 7 == len({artifact.id for artifact in seen}) == len(seen)
    times = [artifact.created_at for artifact in seen if artifact.created_at]
    assert sorted(times, reverse=True) == times
