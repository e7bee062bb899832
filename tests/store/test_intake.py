"""Lineage of other systems: any order and any repetition give the same graph, and a bad item writes nothing."""

from datetime import datetime, timedelta
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType, artifact_id
from lineage.errors import Conflict, InvalidInput, NotFound
from lineage.intake import EdgeInput, NodeInput, Ref, record_lineage
from lineage.store import Store
from lineage.store.artifacts import ArtifactFilter
from lineage.store.questions import Direction
from tests.conftest import NOW

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]

K, E = ArtifactKind, EdgeType
#: With the first every call is written as a large one is, with the second as a small one.
FEW = (0, 200)
FLIGHTS = NodeInput(kind=K.DATASET, name="flights", version="1", properties={"rows": 3}, tags=("b", "a"))
DELAY = NodeInput(kind=K.COLUMN, name="flights.delay", version="1", description="minutes")
MODEL = NodeInput(kind=K.MODEL, name="delays", version="1", digest="d" * 64)
PLACE = Ref(kind=K.TRAINING_SET, name="never described", version="1")


def ref(node: Ref) -> Ref:
    """How an edge names a node."""
    return Ref(kind=node.kind, name=node.name, version=node.version, namespace=node.namespace)


NODES = (FLIGHTS, DELAY, MODEL)
EDGES = (
    EdgeInput(type=E.DERIVED_FROM, source=ref(DELAY), target=ref(FLIGHTS)),
    EdgeInput(type=E.TRAINED_ON, source=ref(MODEL), target=PLACE),
    EdgeInput(type=E.DERIVED_FROM, source=PLACE, target=ref(FLIGHTS)),
)


async def snapshot(store: Store) -> Any:
    """All that the graph says, but for the moments of recording."""
    found = await store.artifacts.page(ArtifactFilter(), first=100)
    edges = await store.artifacts.dependencies([each.id for each in found])
    nodes = {
        each.id: (each.digest, dict(each.body), each.description, tuple(each.tags), each.is_placeholder)
        for each in found
    }
    return nodes, sorted((edge["source"], edge["type"], edge["target"]) for edge in edges)


async def send(store: Store, nodes: Any = (), edges: Any = ()) -> None:
    """One call."""
    await record_lineage(store, nodes, edges, by="ann", now=NOW)


CALLS = st.lists(st.sampled_from([*NODES, *EDGES]), max_size=12).flatmap(
    lambda extra: st.permutations([*NODES, *EDGES, *extra])
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(items=CALLS, size=st.integers(1, 6))
async def test_any_order_gives_the_same_graph(store: Store, items: list[Any], size: int) -> None:
    """Items sent in any order, in any pieces and any number of times, leave what one call leaves."""
    await store.graph.script("MATCH (n) WHERE NOT n:Migration DETACH DELETE n")
    await send(store, NODES, EDGES)
    expected = await snapshot(store)
    await store.graph.script("MATCH (n) WHERE NOT n:Migration DETACH DELETE n")

    for start in range(0, len(items), size):
        piece = items[start : start + size]
        await send(
            store,
            [each for each in piece if isinstance(each, NodeInput)],
            [each for each in piece if isinstance(each, EdgeInput)],
        )

    assert expected == await snapshot(store)


async def test_counts_are_of_distinct_items(store: Store) -> None:
    """What a call repeats counts once, and a placeholder is no node that was brought."""
    recorded = await record_lineage(store, [*NODES, FLIGHTS], [*EDGES, EDGES[0]], by="ann", now=NOW)

    assert (3, 3) == (recorded.nodes, recorded.edges)
    assert await store.artifacts.count(ArtifactFilter()) == 4


BAD_NODES: list[Any] = [
    NodeInput(kind=K.DATASET, name="", version="1"),
    NodeInput(kind=K.DATASET, name="flights", version="1", properties={"rows": 4}),
    NodeInput(kind=K.MODEL, name="delays", version="1", digest="e" * 64),
    NodeInput(kind=K.MODEL, name="delays", version="1", digest="d" * 64, properties={"other": True}),
    NodeInput(kind=K.DATASET, name="x", version="1", properties={"rows": float("nan")}),
    NodeInput(kind=K.DATASET, name="x", version="1", digest="f" * 64, properties={"rows": float("inf")}),
    NodeInput(kind=K.DATASET, name="x\ud800", version="1"),
    NodeInput(kind=K.DATASET, name="x", version="1", description="\ud800"),
    NodeInput(kind=K.DATASET, name="x", version="1" * 20_000),
    NodeInput(kind=K.DATASET, name="x", version="1", namespace="n" * 20_000),
    NodeInput(kind=K.DATASET, name="x", version="1", digest="\ud800"),
    NodeInput(kind=K.DATASET, name="x", version="1\0"),
]


@pytest.mark.parametrize("bad", BAD_NODES, ids=range(len(BAD_NODES)))
async def test_a_bad_node_is_named_and_nothing_is_written(store: Store, bad: NodeInput) -> None:
    """The error says which item of the call is wrong."""
    with pytest.raises(InvalidInput, match=r"1 bad items: nodes\[3\]"):
        await send(store, [*NODES, bad], EDGES)

    assert await store.artifacts.count(ArtifactFilter()) == 0


async def test_all_bad_items_are_named(store: Store) -> None:
    """Nodes and edges that are wrong are all in one error."""
    backwards = EdgeInput(type=E.TRAINED_ON, source=PLACE, target=ref(MODEL))
    nameless = EdgeInput(type=E.TRAINED_ON, source=ref(MODEL), target=Ref(kind=K.TRAINING_SET, name="", version="1"))
    unversioned = EdgeInput(type=E.TRAINED_ON, source=ref(MODEL), target=Ref(kind=K.TRAINING_SET, name="t", version=""))

    with pytest.raises(InvalidInput) as caught:
        await send(store, [BAD_NODES[0], *NODES], [*EDGES, backwards, nameless, unversioned])

    for place in ("4 bad items", "nodes[0]", "edges[3]", "edges[4]", "edges[5]"):
        assert place in str(caught.value)
    assert await store.artifacts.count(ArtifactFilter()) == 0


async def test_other_content_under_a_taken_version_is_a_conflict(store: Store) -> None:
    """What was recorded stays, and nothing of the call is written."""
    await send(store, [FLIGHTS])
    before = await snapshot(store)

    with pytest.raises(Conflict):
        await send(store, [BAD_NODES[1], DELAY])
    assert before == await snapshot(store)


@pytest.mark.parametrize("few", FEW)
async def test_a_placeholder_is_described_once(store: Store, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    """Of several that describe it at once, differently, one does, and the others learn of the conflict."""
    monkeypatch.setattr("lineage.store.recording.FEW", few)
    for number in range(5):
        name = f"d{number}"
        target = Ref(kind=K.DATASET, name=name, version="1")
        await send(store, (), [EdgeInput(type=E.DERIVED_FROM, source=PLACE, target=target)])
        won: list[str] = []

        async def describe(digest: str, *, name: str = name, won: list[str] = won) -> None:
            try:
                await send(store, [NodeInput(kind=K.DATASET, name=name, version="1", digest=digest)])
            except Conflict:
                return
            won.append(digest)

        async with anyio.create_task_group() as group:
            for letter in "abcdef":
                group.start_soon(describe, letter * 64)

        found = await store.artifacts.get(K.DATASET, name, version="1")
        assert found is not None
        assert [found.digest] == won


async def test_a_call_has_its_limit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """More items than one call may bring are refused whole."""
    monkeypatch.setattr("lineage.intake.LIMIT", 5)

    with pytest.raises(InvalidInput, match="at most 5"):
        await send(store, NODES, EDGES)
    assert await store.artifacts.count(ArtifactFilter()) == 0


async def test_the_rest_is_kept(store: Store) -> None:
    """When asked to, what is well is recorded, and each bad item is told by its index; edges keep what they name."""
    await send(store, [FLIGHTS])
    backwards = EdgeInput(type=E.TRAINED_ON, source=PLACE, target=ref(MODEL))
    other = NodeInput(kind=K.DATASET, name="flights", version="1", properties={"rows": 4})

    done = await record_lineage(
        store, [BAD_NODES[0], DELAY, other, MODEL], [backwards, *EDGES], by="ann", now=NOW, keep_rest=True
    )

    assert (2, 3) == (done.nodes, done.edges)
    assert [("nodes", 0), ("nodes", 2), ("edges", 0)] == [(each.list, each.index) for each in done.refused]
    assert "another digest" in done.refused[1].message
    await send(store, NODES, EDGES)
    found = await snapshot(store)
    await store.graph.script("MATCH (n) WHERE NOT n:Migration DETACH DELETE n")
    await send(store, NODES, EDGES)
    assert await snapshot(store) == found


async def test_an_edge_that_is_refused_names_nothing(store: Store) -> None:
    """The good end of an edge that is left out leaves no placeholder behind."""
    nowhere = EdgeInput(type=E.TRAINED_ON, source=ref(MODEL), target=Ref(kind=K.TRAINING_SET, name="t", version=""))

    done = await record_lineage(store, [FLIGHTS], [nowhere], by="ann", now=NOW, keep_rest=True)

    assert (1, 0) == (done.nodes, done.edges)
    assert 1 == await store.artifacts.count(ArtifactFilter())


async def test_the_version_that_an_event_names_is_linked(store: Store) -> None:
    """An event that comes after a newer version names the older one, and that is what its model stands on."""
    versions = [NodeInput(kind=K.DATASET, name="flights", version=each) for each in ("1", "2")]
    await send(store, versions[:1])
    await send(store, versions[1:])
    await send(store, [MODEL], [EdgeInput(type=E.TRAINED_ON, source=ref(MODEL), target=PLACE)])
    await send(store, [], [EdgeInput(type=E.DERIVED_FROM, source=PLACE, target=ref(versions[0]))])

    old, new = [artifact_id(each.kind, each.namespace, each.name, each.version) for each in versions]
    assert 2 == len(await reached(store, old, None))
    assert set() == await reached(store, new, None)


@pytest.mark.parametrize("few", FEW)
async def test_what_is_sent_again_changes_nothing(store: Store, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    """A repetition, whoever sends it and when, changes neither when a thing was recorded nor by whom."""
    monkeypatch.setattr("lineage.store.recording.FEW", few)
    await send(store, NODES, EDGES)
    before = await store.artifacts.page(ArtifactFilter(), first=100)
    ids = [each.id for each in before]
    edges = await store.artifacts.dependencies(ids)

    await record_lineage(store, NODES, EDGES, by="bob", now=NOW + timedelta(days=1))

    assert before == await store.artifacts.page(ArtifactFilter(), first=100)
    assert edges == await store.artifacts.dependencies(ids)


async def test_calls_at_once_share_transactions(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that arrive while one commits go into the next transaction; what is bad in one is its own affair."""
    commits: list[int] = []
    write = store.graph.write

    async def counted(work: Any) -> Any:
        commits.append(1)
        return await write(work)

    monkeypatch.setattr(store.graph, "write", counted)
    await send(store, [FLIGHTS])
    refused: list[int] = []

    async def call(number: int) -> None:
        digest = "e" * 64 if number % 10 else "f" * 64
        name = f"d{number}" if number % 10 else FLIGHTS.name
        node = NodeInput(kind=K.DATASET, name=name, version="1", digest=digest)
        try:
            await send(store, [node], [EdgeInput(type=E.DERIVED_FROM, source=ref(DELAY), target=ref(node))])
        except Conflict:
            refused.append(number)

    async with anyio.create_task_group() as group:
        for number in range(60):
            group.start_soon(call, number)

    assert [0, 10, 20, 30, 40, 50] == sorted(refused)
    assert 1 + 54 + 1 == await store.artifacts.count(ArtifactFilter())
    assert len(commits) < 20


async def test_a_caller_that_goes_away_spoils_nothing(store: Store) -> None:
    """Of calls that share a transaction one may be cancelled; the others are recorded."""
    names = [f"d{number}" for number in range(20)]

    async def call(name: str) -> None:
        with anyio.move_on_after(0.001 if name == names[0] else 60):
            await send(store, [NodeInput(kind=K.DATASET, name=name, version="1")])

    async with anyio.create_task_group() as group:
        for name in names:
            group.start_soon(call, name)

    found = {each.name for each in await store.artifacts.page(ArtifactFilter(), first=100)}
    assert set(names[1:]) <= found


EVENTS = [*NODES, *EDGES]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(EVENTS))
async def test_as_of_is_the_prefix(store: Store, order: list[Any]) -> None:
    """What a walk finds as of an instant is what the graph held when it had heard the events up to then."""
    await store.graph.script("MATCH (n) WHERE NOT n:Migration DETACH DELETE n")
    origin = artifact_id(FLIGHTS.kind, FLIGHTS.namespace, FLIGHTS.name, FLIGHTS.version)
    then: list[set[str]] = []
    moments = [NOW + timedelta(seconds=number) for number in range(len(order))]
    for moment, event in zip(moments, order, strict=True):
        lists: Any = ([event], []) if isinstance(event, NodeInput) else ([], [event])
        await record_lineage(store, *lists, by="ann", now=moment)
        then.append(await reached(store, origin, None))

    assert then == [await reached(store, origin, moment) for moment in moments]


async def reached(store: Store, origin: str, moment: datetime | None) -> set[str]:
    """What depends on *origin*; nothing when it is not there."""
    if not await store.artifacts.by_ids([origin]):
        return set()
    found = await store.walks.walk([origin], Direction.DOWN, as_of=moment, first=100)
    return {step.artifact.id for step in found.steps}


@pytest.mark.parametrize("few", FEW)
@pytest.mark.parametrize("type_", list(E))
async def test_every_type_of_edge_is_recorded_or_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch, type_: EdgeType, few: int
) -> None:
    """No edge is dropped without a word."""
    monkeypatch.setattr("lineage.store.recording.FEW", few)
    source, target = (Artifact.defined(K.DATASET, name, {}) for name in "ab")
    edge = Edge(type=type_, source=source.id, target=target.id)

    try:
        await store.artifacts.record([source, target], [edge], now=NOW, by="ann")
    except InvalidInput:
        assert type_ in {E.USED, E.GENERATED_BY, E.REPRODUCES}
        return
    assert [type_.value] == [each["type"] for each in await store.artifacts.dependencies([source.id])]


@pytest.mark.parametrize("few", FEW)
async def test_an_edge_to_nothing_takes_all_back(store: Store, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    """What came with an edge whose end is not there is not recorded either, and the error names the edge."""
    monkeypatch.setattr("lineage.store.recording.FEW", few)
    source = Artifact.defined(K.DATASET, "a", {})
    edge = Edge(type=E.DERIVED_FROM, source=source.id, target="nowhere")

    with pytest.raises(NotFound, match=f"DERIVED_FROM from {source.id} to nowhere"):
        await store.artifacts.record([source], [edge], now=NOW, by="ann")
    assert 0 == await store.artifacts.count(ArtifactFilter())


async def test_what_the_graph_cannot_hold_fails_alone(store: Store) -> None:
    """Of calls that share a transaction, one that cannot be sent at all fails alone."""
    fine = [Artifact.defined(K.DATASET, f"d{number}", {}) for number in range(5)]
    odd = Artifact(kind=K.DATASET, name="odd", version="1", digest="\ud800")
    failed: list[str] = []

    async def record(artifact: Artifact) -> None:
        try:
            await store.artifacts.record([artifact], now=NOW, by="ann")
        except ValueError:
            failed.append(artifact.name)

    async with anyio.create_task_group() as group:
        for each in (fine[0], odd, *fine[1:]):
            group.start_soon(record, each)

    assert ["odd"] == failed
    assert 5 == await store.artifacts.count(ArtifactFilter())
