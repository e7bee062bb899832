"""Every option of a walk in a real graph, held against networkx."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import networkx as nx
import pytest
from hypothesis import HealthCheck, given, settings, strategies

from lineage.artifacts import ArtifactKind, EdgeType
from lineage.errors import InvalidInput
from lineage.store import Store
from lineage.store.queries import load
from lineage.store.questions import LINEAGE, Direction, Question, Shown, Stop
from lineage.store.walks import Limit
from tests.store.oracle import KINDS, World, asked, questions, recorded, some_worlds

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j, pytest.mark.timeout(900)]
K = ArtifactKind
thorough = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
brief = settings(thorough, max_examples=12)


@thorough
@given(world=some_worlds, some=strategies.lists(questions, min_size=4, max_size=4))
async def test_a_walk_is_what_the_oracle_says(store: Store, world: World, some: list[Question]) -> None:
    """From several starts, over any types, to any depth, with stops and filters, as of any instant; and it says so.

    Counts, pages put together, columns and facets are of the same answer.
    """
    await world.record(store)
    wide = replace(asked(some[0], world), types=LINEAGE, stop=Stop(), max_depth=None)  # is counted by another query
    wide = replace(wide, shown=Shown(retracted=wide.shown.retracted))
    for question in [*(asked(each, world) for each in some), wide]:
        whole = await store.walks.answer(question)
        counted = await store.walks.answer(question, first=0)
        table = await store.walks.table(question, first=1000)
        facets = await store.walks.facets(question)

        expected = world.answer(question)
        assert expected == [step.cursor for step in whole.steps]
        assert expected == list(zip(table.columns["distance"], table.columns["id"], strict=True))
        nodes = [world.node(world.ids.index(id)) for _, id in expected]
        assert Counter(node.kind for node in nodes) == whole.counts == counted.counts == facets.kinds
        assert (len(expected), []) == (counted.total, counted.steps)
        assert Counter(world.owners[world.ids.index(id)] for _, id in expected) == facets.owners
        depth = question.max_depth
        is_cut = depth is not None and any(far > depth for far in world.reached(question).values())
        assert (not is_cut, [Limit.DEPTH] if is_cut else []) == (whole.complete, whole.truncated_by)
        assert (depth if is_cut else None) == whole.whole_to


@brief
@given(world=some_worlds, each=questions, most=strategies.integers(1, 8), size=strategies.integers(1, 3))
async def test_a_walk_that_is_too_large_is_cut_to_whole_distances(
    store: Store, world: World, each: Question, most: int, size: int
) -> None:
    """What reaches more than it may is cut at a distance, says which, and pages and counts stay those of one answer."""
    question = asked(replace(each, max_depth=None), world)
    await world.record(store)

    page = await store.walks.answer(question, most=most, first=size)
    seen = [step.cursor for step in page.steps]
    while page.has_next:
        page = await store.walks.answer(question, most=most, first=size, after=seen[-1])
        seen += [step.cursor for step in page.steps]

    sizes = Counter(world.reached(question).values())
    fitting = [far for far in sorted(sizes) if sum(sizes[n] for n in sizes if n <= far) <= most]
    kept = max(fitting, default=1) if sizes.total() > most else None
    within = [(far, id) for far, id in world.answer(question) if kept is None or far <= kept]
    if kept is not None and not any(far > kept for far in sizes):  # the first distance alone is kept whole
        kept = None
    assert (kept, [] if kept is None else [Limit.SIZE]) == (page.whole_to, page.truncated_by)
    assert (within, len(within)) == (seen, page.total)


@brief
@given(world=some_worlds, each=questions, most=strategies.integers(1, 12))
async def test_a_count_is_that_of_the_page(store: Store, world: World, each: Question, most: int) -> None:
    """Counted alone, with what is retracted or without, an answer now says of itself what it says with a page."""
    shown = Shown(retracted=each.shown.retracted)
    question = asked(replace(each, types=LINEAGE, max_depth=None, stop=Stop(), shown=shown, as_of=None), world)
    await world.record(store)

    alone = await store.walks.answer(question, first=0, most=most)
    paged = await store.walks.answer(question, first=1, most=most)

    assert question.is_wide
    assert replace(paged, steps=alone.steps, has_next=alone.has_next) == alone


@brief
@given(world=some_worlds, each=questions)
async def test_a_subgraph_is_the_nearest_and_the_edges_among_them(store: Store, world: World, each: Question) -> None:
    """The starts, the answer, and each edge that has both its ends there; what a limit leaves out is told."""
    question = asked(replace(each, stop=Stop()), world)
    await world.record(store)

    whole = await store.walks.subgraph(question, first=100, links=100)
    cut = await store.walks.subgraph(question, first=1, links=1)

    answer = world.answer(question)
    nodes = {*question.of, *(id for _, id in answer)}
    links = {
        (type_, world.ids[source], world.ids[target])
        for number, (source, type_, target) in enumerate(world.edges)
        if {world.ids[source], world.ids[target]} <= nodes and type_ in question.types
        if question.as_of is None or question.as_of >= recorded(number)
    }
    assert nodes == {step.artifact.id for step in whole.nodes}
    assert (links, True, True) == (set(whole.links), whole.has_all_nodes, whole.has_all_links)
    assert (len(answer) <= 1) == cut.has_all_nodes
    assert [step.cursor for step in whole.nodes if step.distance][:1] == [s.cursor for s in cut.nodes if s.distance]


@brief
@given(world=some_worlds, ends=strategies.tuples(strategies.integers(0, 9), strategies.integers(0, 9)))
async def test_paths_are_the_shortest_and_say_whether_there_are_more(
    store: Store, world: World, ends: tuple[int, int]
) -> None:
    """Of all ways between two artifacts the shortest come first, each once, evaluations included; the rest is told."""
    await world.record(store)
    source, target = ends

    every, rest = await store.walks.paths(world.ids[source], world.ids[target], first=50)
    one, more = await store.walks.paths(world.ids[source], world.ids[target], first=1)

    graph = world.graph(list(EdgeType), None)
    if source == target:
        assert ([], False) == (every, rest)
        return
    start, end = (source, target) if nx.has_path(graph, source, target) else (target, source)
    shortest = nx.shortest_path_length(graph, start, end) if nx.has_path(graph, start, end) else None
    assert (shortest is not None) == bool(every)
    lengths = [len(path.links) for path in every]
    assert sorted(lengths) == lengths
    assert ([shortest] if every else []) == [len(path.links) for path in one]
    assert (len(every) > 1 or rest) == more
    for path in every:
        assert (world.ids[start], world.ids[end]) == (path.nodes[0].id, path.nodes[-1].id)
        for (type_, a, b), (left, right) in zip(path.links, pairwise(path.nodes), strict=True):
            assert ((right.id, left.id) if type_ is EdgeType.EVALUATED_BY else (left.id, right.id)) == (a, b)
    assert len(every) == len({tuple(path.links) for path in every})


WALKS = tuple(f"{verb}_{way}" for verb in ("kinds", "levels", "tally", "page") for way in Direction)
#: Within a single edge there is nothing to prune.
NAMES = [name for name in load() if name.startswith(WALKS) and not name.endswith("[1]")]


@pytest.mark.parametrize("name", [*NAMES, "live_deployments", "models_made_of", "models_made_now"])
async def test_the_plan_keeps_the_operator_that_is_linear(store: Store, name: str) -> None:
    """The planner walks breadth-first and prunes what it has seen; another operator would enumerate paths."""
    question = Question(of=["x"], direction=Direction.DOWN)
    params = {
        **question.params([]),
        "by_owner": True,
        "columns": ["kind"],
        "first": 10,
        "after_distance": 0,
        "after_id": "",
        "ids": ["x"],
        "most": 10,
    }
    plan = await store.graph.explain(name, **{each: params[each] for each in load()[name].parameters})

    operators: list[str] = []
    waiting = [plan]
    while waiting:
        node = waiting.pop()
        operators.append(str(node["operatorType"]).split("@")[0])
        waiting += node.get("children", [])
    walks = [name for name in operators if name.startswith("VarLengthExpand")]
    assert ["VarLengthExpand(Pruning,BFS,All)"] == walks


def test_the_bound_is_in_the_pattern() -> None:
    """A depth that was asked for ends the walk itself, one edge behind or nearly so, and far ones have no bound."""
    asked = {n: Question(of=["x"], direction=Direction.UP, max_depth=n).query("tally") for n in (1, 3, 4, 6, 12, 99)}

    assert {
        1: "tally_up[2]",
        3: "tally_up[4]",
        4: "tally_up[6]",
        6: "tally_up[8]",
        12: "tally_up[24]",
        99: "tally_up",
    } == asked
    assert "*0..2]" in load()["tally_up[2]"].text


def test_what_cannot_be_asked() -> None:
    """Edges that join runs are not walked, and a property is not compared with a list."""
    with pytest.raises(InvalidInput, match="USED"):
        Question(of=["x"], direction=Direction.UP, types=[EdgeType.USED])
    with pytest.raises(InvalidInput, match="property"):
        Shown(holds=("columns", [])).params([])
    assert len(KINDS) == 10
