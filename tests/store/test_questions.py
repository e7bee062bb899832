"""Every option of a walk in a real graph, held against networkx."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from itertools import islice, pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies

from lineage.artifacts import ALLOWED as ALLOWED_EDGES
from lineage.artifacts import ArtifactKind, Edge, EdgeType
from lineage.errors import InvalidInput
from lineage.store import Store
from lineage.store.queries import load
from lineage.store.questions import LINEAGE, Direction, Question, Shown, Stop
from lineage.store.walks import Limit
from tests.store.oracle import KINDS, MEASURED, World, asked, questions, recorded, second, some_edges, some_worlds

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j, pytest.mark.timeout(900)]
K = ArtifactKind
ALLOWED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]  # slow is the machine, where other work runs
thorough = settings(max_examples=25, deadline=None, suppress_health_check=ALLOWED)
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
        serving = len(world.live(question.as_of) & {world.ids.index(id) for _, id in expected})
        assert ({world.ids[7]: serving} if serving else {}) == facets.deployments
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
@given(
    world=some_worlds, each=questions, size=strategies.integers(1, 3), written=strategies.lists(some_edges, max_size=6)
)
async def test_pages_are_of_the_first_instant_while_others_write(
    store: Store, world: World, each: Question, size: int, written: list[tuple[int, EdgeType, int]]
) -> None:
    """With any stops and filters, pages neither repeat nor skip, though edges come and artifacts are retracted."""
    question = asked(replace(each, as_of=each.as_of or second(8)), world)
    await world.record(store)
    expected, seen = world.answer(question), list[tuple[int, str]]()

    while True:
        page = await store.walks.answer(question, first=size, after=seen[-1] if seen else None)
        seen += [step.cursor for step in page.steps]
        assert len(expected) == page.total
        if not page.has_next:
            break
        if written:
            source, type_, target = written.pop()
            edge = Edge(type=type_, source=world.ids[source], target=world.ids[target])
            await store.artifacts.record([], [edge], now=second(9), by="bob")
            await store.artifacts.retract(world.ids[target], reason="wrong", now=second(9))

    assert expected == seen


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
@given(
    world=some_worlds,
    of=strategies.lists(strategies.integers(0, 9), min_size=1, max_size=2, unique=True),
    node=strategies.integers(0, 9),
    first=strategies.sampled_from((1, 2, 5, 50)),
    as_of=strategies.none() | strategies.integers(0, 2).map(second),
)
async def test_why_is_the_shortest_ways_and_whether_there_are_more(
    store: Store, world: World, of: list[int], node: int, first: int, as_of: datetime | None
) -> None:
    """Of all ways between artifacts so many as were asked for, the shortest first, each once; the rest is told."""
    world = replace(world, edges=world.edges[:14])  # so that the oracle can look at every way
    await world.record(store)

    paths, more = await store.walks.why([world.ids[n] for n in of], world.ids[node], first=first, as_of=as_of)

    there = [way for each in of for way in islice(world.ways(each, node, as_of), 51)]
    back = [way for each in of for way in islice(world.ways(node, each, as_of), 51)]
    lengths = sorted(len(way) for way in there or back)
    assert (lengths[:first], len(lengths) > first) == ([len(path.links) for path in paths], more)
    known = {(type_, world.ids[a], world.ids[b]) for a, type_, b in world.edges_by(as_of)}
    ends = [(world.ids[each], world.ids[node])[:: 1 if there else -1] for each in of]
    for path in paths:
        assert (path.nodes[0].id, path.nodes[-1].id) in ends
        for link, (left, right) in zip(path.links, pairwise(path.nodes), strict=True):
            is_against = link[0] is EdgeType.EVALUATED_BY
            assert link in known
            assert ((right.id, left.id) if is_against else (left.id, right.id)) == link[1:]
    assert len(paths) == len({tuple(path.links) for path in paths})


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

    assert ["VarLengthExpand(Pruning,BFS,All)"] == [each for each in operators(plan) if each.startswith("VarLength")]


async def test_the_plan_of_the_shortest_ways(store: Store) -> None:
    """They are looked for from one end to the other, no further than the 51 that are asked for, and never all."""
    plan = await store.graph.explain("shortest_paths", sources=["x"], targets=["y"], as_of=second(0), first=10)

    found = operators(plan)
    assert ["StatefulShortestPath(Into, Trail)"] * 3 == [each for each in found if "ShortestPath" in each]
    assert not [each for each in found if each.startswith(("VarLength", "Repeat"))]


def operators(plan: Mapping[str, Any]) -> list[str]:
    """The operators of a plan."""
    found, waiting = list[str](), [plan]
    while waiting:
        node = waiting.pop()
        found.append(str(node["operatorType"]).split("@")[0])
        waiting += node.get("children", [])
    return found


def test_counts_look_for_evaluations_of_every_kind_that_has_them() -> None:
    """The queries that count name the kinds that are evaluated or measured, and the oracle has each of them."""
    measured = {target for source, target in ALLOWED_EDGES[EdgeType.MEASURES] if source is K.EVALUATION}
    evaluated = {source for source, _ in ALLOWED_EDGES[EdgeType.EVALUATED_BY]}

    assert measured == {KINDS[number] for number in MEASURED}
    for name in ("levels_down", "kinds_down"):
        (labels,) = re.findall(r"CASE WHEN ((?:x:\w+(?: OR )?)+)\s+THEN x END", load()[name].text)
        assert {f"x:{kind}" for kind in measured | evaluated} == set(labels.split(" OR ")), name


#: The last one is the greatest that a client can ask for, and takes no longer than the others.
DEPTHS = (1, 3, 4, 6, 12, 99, 2**31 - 1)


def test_the_bound_is_in_the_pattern() -> None:
    """A depth that was asked for ends the walk itself, one edge behind or nearly so, and far ones have no bound."""
    asked = {n: Question(of=["x"], direction=Direction.UP, max_depth=n).query("tally") for n in DEPTHS}

    assert {
        1: "tally_up[2]",
        3: "tally_up[4]",
        4: "tally_up[6]",
        6: "tally_up[8]",
        12: "tally_up[24]",
        99: "tally_up",
        2**31 - 1: "tally_up",
    } == asked
    assert "*0..2]" in load()["tally_up[2]"].text


def test_what_cannot_be_asked() -> None:
    """Edges that join runs are not walked, and a property is not compared with a list."""
    with pytest.raises(InvalidInput, match="USED"):
        Question(of=["x"], direction=Direction.UP, types=[EdgeType.USED])
    with pytest.raises(InvalidInput, match="property"):
        Shown(holds=("columns", [])).params([])
    assert len(KINDS) == 10
