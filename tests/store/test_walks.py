"""Walks in a real graph, and what walks elsewhere get wrong; every option is held against networkx beside this."""

import itertools
from collections.abc import Sequence
from datetime import timedelta

import pytest

from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType
from lineage.errors import NotFound
from lineage.store import Store, migrations
from lineage.store.questions import Direction
from lineage.store.walks import Limit
from tests.conftest import NOW

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]

K = ArtifactKind
NODES = 12


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


async def test_a_tombstone_is_hidden_and_walked_through(store: Store) -> None:
    """A retracted artifact is shown only when asked for; what was made from it is affected all the same."""
    await a_graph(store, [(1, 0), (2, 1)])
    await store.artifacts.retract(a_node(1).id, reason="wrong", now=NOW)

    plain = await store.walks.walk([a_node(0).id], Direction.DOWN)
    shown = await store.walks.walk([a_node(0).id], Direction.DOWN, retracted=True)

    assert [a_node(2).id] == [step.artifact.id for step in plain.steps]
    assert 2 == shown.total


async def test_what_was_retracted_before_tombstones_had_a_label_is_hidden(store: Store) -> None:
    """The migration labels what older versions have retracted, so that walks go on hiding it."""
    a, b = (Artifact.defined(ArtifactKind.DATASET, name, {"n": name}) for name in "ab")
    await store.artifacts.record([a, b], [Edge(type=EdgeType.DERIVED_FROM, source=b.id, target=a.id)], now=NOW, by="t")
    await store.artifacts.retract(b.id, reason="wrong", now=NOW)
    await store.graph.script("MATCH (b:Retracted) REMOVE b:Retracted")
    (migration,) = [each for each in migrations.load() if each.name == "0009_retracted"]

    before = (await store.walks.walk([a.id], Direction.DOWN, first=0)).total
    for statement in migration.statements:
        await store.graph.script(statement)

    assert (1, 0) == (before, (await store.walks.walk([a.id], Direction.DOWN, first=0)).total)


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


async def test_evaluations_of_data_and_predictions_are_counted(store: Store) -> None:
    """What was seen of data and of predictions in use is counted as it is shown, with a page and without."""
    data, scored, of_data, of_scored = (
        Artifact(kind=kind, name=name, version="1", digest=name)
        for kind, name in ((K.DATASET, "d"), (K.PREDICTIONS, "p"), (K.EVALUATION, "drift"), (K.EVALUATION, "quality"))
    )
    edges = [
        Edge(type=EdgeType.DERIVED_FROM, source=scored.id, target=data.id),
        Edge(type=EdgeType.MEASURES, source=of_data.id, target=data.id),
        Edge(type=EdgeType.MEASURES, source=of_scored.id, target=scored.id),
    ]
    await store.artifacts.record([data, scored, of_data, of_scored], edges, now=NOW, by="ann")

    alone = await store.walks.walk([data.id], Direction.DOWN, first=0)
    paged = await store.walks.walk([data.id], Direction.DOWN)

    assert {scored.id: 1, of_data.id: 1, of_scored.id: 2} == {s.artifact.id: s.distance for s in paged.steps}
    assert {K.PREDICTIONS: 1, K.EVALUATION: 2} == dict(alone.counts) == dict(paged.counts)


async def test_a_short_way_counts_though_a_long_one_was_met_first(store: Store) -> None:
    """What a depth-first walk with one set of visited nodes loses: all within depth is found, by its fewest steps."""
    s, a, b, t, u, v, w = range(7)
    await a_graph(store, [(a, s), (b, a), (t, b), (t, s), (u, t), (v, u), (w, v)])

    walk = await store.walks.walk([a_node(s).id], Direction.DOWN, max_depth=4)

    found = {step.artifact.id: step.distance for step in walk.steps}
    assert {a_node(n).id: far for n, far in ((a, 1), (b, 2), (t, 1), (u, 2), (v, 3), (w, 4))} == found
    assert walk.complete


async def test_of_several_ways_none_is_passed_over_in_silence(store: Store) -> None:
    """A diamond has two ways; where one is shown it is told that there are more."""
    await a_graph(store, [(3, 1), (1, 0), (3, 2), (2, 0)])

    one, more = await store.walks.why([a_node(0).id], a_node(3).id, first=1)
    every, rest = await store.walks.why([a_node(0).id], a_node(3).id)

    assert (1, True, 2, False) == (len(one), more, len(every), rest)


async def test_one_question_goes_from_captures_to_what_was_scored_and_back(store: Store) -> None:
    """Every hop of machine learning is one of the graph: to the set, the model, what serves, what was scored."""
    kinds = {"captures": K.DATASET, "set": K.TRAINING_SET, "model": K.MODEL, "serves": K.DEPLOYMENT}
    kinds |= {"scored": K.PREDICTIONS, "asked": K.DATASET}
    made = {name: Artifact(kind=kind, name=name, version="1", digest=name) for name, kind in kinds.items()}
    edges = [
        Edge(type=type_, source=made[source].id, target=made[target].id)
        for source, type_, target in (
            ("set", EdgeType.DERIVED_FROM, "captures"),
            ("model", EdgeType.TRAINED_ON, "set"),
            ("serves", EdgeType.DERIVED_FROM, "model"),
            ("scored", EdgeType.DERIVED_FROM, "model"),
            ("scored", EdgeType.DERIVED_FROM, "asked"),
        )
    ]
    await store.artifacts.record(list(made.values()), edges, now=NOW, by="ann")

    async def found(start: str, direction: Direction) -> dict[str, int]:
        walk = await store.walks.walk([made[start].id], direction)
        return {step.artifact.name: step.distance for step in walk.steps}

    assert {"set": 1, "model": 2, "serves": 3, "scored": 3} == await found("captures", Direction.DOWN)
    assert {"model": 1, "asked": 1, "set": 2, "captures": 3} == await found("scored", Direction.UP)
    assert {"model": 1, "set": 2, "captures": 3} == await found("serves", Direction.UP)
    assert {"scored": 1} == await found("asked", Direction.DOWN)


async def test_pages_are_those_of_the_first_instant_while_others_write(store: Store) -> None:
    """Asked as of the first page, pages together are the whole of then, though short cuts are added meanwhile."""
    edges = [(n, n - 1) for n in range(1, NODES)]
    await a_graph(store, edges)
    start, at = a_node(0).id, NOW + timedelta(seconds=NODES)
    whole = [step.cursor for step in (await store.walks.walk([start], Direction.DOWN)).steps]

    seen: list[tuple[int, str]] = []
    for written in itertools.count():
        page = await store.walks.walk([start], Direction.DOWN, first=2, after=seen[-1] if seen else None, as_of=at)
        assert NODES - 1 == page.total
        seen += [step.cursor for step in page.steps]
        if not page.has_next:
            break
        new = Artifact(kind=K.DATASET, name=f"new{written}", version="1", digest="d")
        short = an_edge(NODES - 1 - written, 0)
        into = Edge(type=EdgeType.DERIVED_FROM, source=new.id, target=start)
        await store.artifacts.record([new], [short, into], now=at + timedelta(seconds=1), by="bob")

    assert whole == seen


LONG = """UNWIND range(0, 9999) AS n
CREATE (a:Artifact:Dataset {id: 'dataset_' + n, kind: 'Dataset', namespace: 'default', name: 'n' + n, version: '1'})
WITH collect(a) AS nodes
UNWIND range(1, 9999) AS n
WITH nodes[n] AS after, nodes[n - 1] AS before
CREATE (after)-[:DERIVED_FROM {recorded_at: datetime('2026-01-02T00:00:00Z')}]->(before)"""


async def test_a_walk_that_takes_too_long_says_how_far_it_came(store: Store) -> None:
    """Cut by time, an answer is not nothing: it is what lies near, whole up to a distance that it names."""
    await store.graph.script(LONG)
    starts = [f"dataset_{n}" for n in range(1000)]  # together they reach ten million times
    await store.walks.walk(starts, Direction.DOWN, max_depth=4)  # so that its plan is there
    store.graph.timeout = 5.0

    walk = await store.walks.walk(starts, Direction.DOWN)

    assert (False, [Limit.TIME]) == (walk.complete, walk.truncated_by)
    assert walk.whole_to == walk.total == len(walk.steps)


async def test_a_start_that_is_not_there_is_not_found(store: Store) -> None:
    """An unknown start is an error, not an empty answer."""
    with pytest.raises(NotFound):
        await store.walks.walk(["dataset_missing"], Direction.UP)
