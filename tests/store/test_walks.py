"""Walks in a real graph, held against networkx."""

import itertools
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import networkx as nx
import pytest
from hypothesis import HealthCheck, given, settings, strategies

from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType
from lineage.errors import NotFound
from lineage.store import Store
from lineage.store.walks import FOREVER, Direction, Limit
from tests.conftest import NOW

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]

K = ArtifactKind
NODES = 12
counter = itertools.count()


def a_node(number: int, world: int = 0) -> Artifact:
    """Datasets, since these may depend on each other in any shape."""
    return Artifact(kind=K.DATASET, name=f"n{number}", version=f"w{world}", digest=f"{world}-{number}")


def an_edge(source: int, target: int, world: int = 0) -> Edge:
    """The first node depends on the second."""
    ends = [a_node(each, world).id for each in (source, target)]
    return Edge(type=EdgeType.DERIVED_FROM, source=ends[0], target=ends[1])


async def a_graph(store: Store, edges: Sequence[tuple[int, int]], world: int = 0) -> None:
    """Record *edges* and the nodes that they name, each edge a second after the one before."""
    nodes = [a_node(number, world) for number in range(NODES)]
    await store.artifacts.record(nodes, now=NOW, by="ann")
    for second, (source, target) in enumerate(edges):
        at = NOW + timedelta(seconds=second)
        await store.artifacts.record([], [an_edge(source, target, world)], now=at, by="ann")


def expected(edges: Sequence[tuple[int, int]], start: int, direction: Direction, world: int) -> Mapping[str, int]:
    """The oracle: distances by networkx, without the start."""
    graph: Any = nx.DiGraph()
    graph.add_nodes_from(range(NODES))
    graph.add_edges_from(edges)
    seen = nx.single_source_shortest_path_length(graph if direction is Direction.UP else graph.reverse(), start)
    return {a_node(number, world).id: distance for number, distance in dict(seen).items() if number != start}


edge_lists = strategies.lists(
    strategies.tuples(strategies.integers(0, NODES - 1), strategies.integers(0, NODES - 1)), max_size=20, unique=True
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edges=edge_lists, direction=strategies.sampled_from(Direction), depth=strategies.integers(1, 5))
async def test_a_walk_is_what_the_oracle_says(
    store: Store, edges: list[tuple[int, int]], direction: Direction, depth: int
) -> None:
    """On any graph, with cycles, diamonds and loops, distances are networkx's, whole, cut by depth, and as of then."""
    world = next(counter)
    await a_graph(store, edges, world)
    start = a_node(0, world).id

    whole = await store.walks.walk([start], direction, first=1000)
    cut = await store.walks.walk([start], direction, max_depth=depth, first=1000)
    half = len(edges) // 2
    then = NOW + timedelta(seconds=half - 1)
    past = await store.walks.walk([start], direction, as_of=then, first=1000)

    oracle = expected(edges, 0, direction, world)
    assert oracle == {step.artifact.id: step.distance for step in whole.steps}
    assert {id: far for id, far in oracle.items() if far <= depth} == {s.artifact.id: s.distance for s in cut.steps}
    assert any(far > depth for far in oracle.values()) == (Limit.DEPTH in cut.truncated_by)
    assert expected(edges[:half], 0, direction, world) == {s.artifact.id: s.distance for s in past.steps}


async def test_pages_neither_repeat_nor_skip(store: Store) -> None:
    """Pages of a walk give every node once, by distance and then by id, with the same counts on each."""
    await a_graph(store, [(1, 0), (2, 0), (3, 1), (4, 2), (5, 3), (5, 4), (6, 5)])

    seen: list[tuple[int, str]] = []
    while True:
        page = await store.walks.walk([a_node(0).id], Direction.DOWN, first=2, after=seen[-1] if seen else None)
        assert (6, {K.DATASET: 6}) == (page.total, dict(page.counts))
        seen += [step.cursor for step in page.steps]
        if not page.has_next:
            break

    assert sorted(seen) == seen
    assert 6 == len(set(seen)) == len(seen)


async def test_deep_diamonds_stay_linear(store: Store) -> None:
    """Thirty layers of two, a billion paths, are walked as sixty nodes."""
    layers = [[Artifact(kind=K.DATASET, name=f"l{n}-{i}", version="1", digest="d") for i in (0, 1)] for n in range(30)]
    edges = [
        Edge(type=EdgeType.DERIVED_FROM, source=after.id, target=before.id)
        for first, second in itertools.pairwise(layers)
        for before in first
        for after in second
    ]
    await store.artifacts.record([node for layer in layers for node in layer], edges, now=NOW, by="ann")

    walk = await store.walks.walk([layers[0][0].id], Direction.DOWN, first=100)

    assert (58, 29, True) == (walk.total, walk.steps[-1].distance, walk.complete)


@pytest.mark.parametrize("direction", Direction)
async def test_the_plan_keeps_the_operator_that_is_linear(store: Store, direction: Direction) -> None:
    """The planner walks breadth-first and prunes what it has seen; another operator would enumerate paths."""
    plan = await store.graph.explain(direction.value, of=["x"], as_of=FOREVER, most=10)

    operators: list[str] = []
    waiting = [plan]
    while waiting:
        node = waiting.pop()
        operators.append(str(node["operatorType"]).split("@")[0])
        waiting += node.get("children", [])
    walks = [name for name in operators if name.startswith("VarLengthExpand")]
    assert ["VarLengthExpand(Pruning,BFS,All)"] == walks


async def test_a_tombstone_is_hidden_and_walked_through(store: Store) -> None:
    """A retracted artifact is shown only when asked for; what was made from it is affected all the same."""
    await a_graph(store, [(1, 0), (2, 1)])
    await store.artifacts.retract(a_node(1).id, reason="wrong", now=NOW)

    plain = await store.walks.walk([a_node(0).id], Direction.DOWN)
    shown = await store.walks.walk([a_node(0).id], Direction.DOWN, retracted=True)

    assert [a_node(2).id] == [step.artifact.id for step in plain.steps]
    assert 2 == shown.total


async def test_an_evaluation_hangs_on_as_a_leaf(store: Store) -> None:
    """The evaluation of an affected model is affected; nothing is reached through it, and it depends on its model."""
    model, other = (Artifact(kind=K.MODEL, name=name, version="1", digest=name) for name in ("m", "o"))
    bar, evaluation = (
        Artifact(kind=kind, name=kind.value, version="1", digest="d") for kind in (K.METRIC_DEFINITION, K.EVALUATION)
    )
    edges = [
        Edge(type=EdgeType.EVALUATED_BY, source=model.id, target=evaluation.id),
        Edge(type=EdgeType.MEASURES, source=evaluation.id, target=bar.id),
        Edge(type=EdgeType.DERIVED_FROM, source=model.id, target=other.id),
    ]
    await store.artifacts.record([model, other, bar, evaluation], edges, now=NOW, by="ann")

    impact = await store.walks.walk([other.id], Direction.DOWN)
    provenance = await store.walks.walk([evaluation.id], Direction.UP)

    assert [(1, model.id), (2, evaluation.id)] == [step.cursor for step in impact.steps]
    assert {(1, model.id), (1, bar.id), (2, other.id)} == {step.cursor for step in provenance.steps}


async def test_paths_are_the_shortest_and_say_whether_there_are_more(store: Store) -> None:
    """Of the ways between two artifacts the shortest come first; another one is not passed over in silence."""
    await a_graph(store, [(3, 0), (3, 1), (1, 0), (3, 2), (2, 0)])

    one, more = await store.walks.paths(a_node(0).id, a_node(3).id, first=1)
    every, rest = await store.walks.paths(a_node(3).id, a_node(0).id, first=10)

    assert ([["DERIVED_FROM"]], True) == ([path.types for path in one], more)
    assert ([2, 3, 3], False) == (sorted(len(path.nodes) for path in every), rest)


async def test_a_start_that_is_not_there_is_not_found(store: Store) -> None:
    """An unknown start is an error, not an empty answer."""
    with pytest.raises(NotFound):
        await store.walks.walk(["dataset_missing"], Direction.UP)
