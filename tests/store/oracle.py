"""A small world of artifacts, and what networkx says that a walk through it reaches."""

import itertools
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import networkx as nx
from hypothesis import strategies

from lineage.artifacts import WALKED, Artifact, ArtifactKind, Edge, EdgeType
from lineage.store import Store
from lineage.store.questions import LINEAGE, Direction, Question, Shown, Stop
from tests.conftest import NOW

K, E = ArtifactKind, EdgeType
#: The first eight depend on each other in any shape; the evaluations are leaves.
KINDS = [K.DATASET] * 2 + [K.PREDICTIONS] + [K.MODEL] * 2 + [K.TRAINING_SET, K.METRIC_DEFINITION, K.DEPLOYMENT]
KINDS += [K.EVALUATION] * 2
INNER, LEAVES, MEASURED = range(8), (8, 9), (0, 2, 5, 6, 7)
OWNERS, TAGS, FORMATS = ("ann", "bob"), ("red", "blue"), ("csv", 'a "quoted" one', None, 1, 12)
worlds = itertools.count()


def second(number: int) -> datetime:
    """That many seconds after the beginning."""
    return NOW + timedelta(seconds=number)


def recorded(number: int) -> datetime:
    """The instant at which the edge of that number is recorded: six share a second."""
    return second(number // 6)


@dataclass(frozen=True)
class World:
    """Nodes with all that filters look at, and typed edges, recorded one after the other."""

    number: int
    edges: Sequence[tuple[int, EdgeType, int]]
    #: By node: who recorded it, its tags, a value in its body.
    owners: Sequence[str]
    tags: Sequence[Sequence[str]]
    formats: Sequence[Any]
    #: By node: the second at which it was retracted.
    retracted: Mapping[int, int]
    aliased: int | None
    is_serving: bool

    def node(self, number: int) -> Artifact:
        """The artifact of a number."""
        return Artifact(
            kind=KINDS[number],
            namespace=f"n{number % 2}",
            name=f"name{number % 3}",
            version=f"w{self.number}-{number}",
            digest=f"{self.number}-{number}",
            tags=self.tags[number],
            body={"deep": {"format": self.formats[number], "z": number}},
        )

    @property
    def ids(self) -> list[str]:
        """The ids of all nodes, by number."""
        return [self.node(number).id for number in range(len(KINDS))]

    async def record(self, store: Store) -> None:
        """Put the world into the graph."""
        for owner in OWNERS:
            mine = [self.node(n) for n in range(len(KINDS)) if self.owners[n] == owner]
            await store.artifacts.record(mine, now=NOW, by=owner)
        for at, edges in itertools.groupby(enumerate(self.edges), lambda each: recorded(each[0])):
            made = [Edge(type=type_, source=self.ids[a], target=self.ids[b]) for _, (a, type_, b) in edges]
            await store.artifacts.record([], made, now=at, by="ann")
        if self.aliased is not None:  # an alias may point to what is retracted later, though not be given to it
            await store.artifacts.set_alias(self.ids[self.aliased], "champion", now=NOW, by="ann", reason=None)
        for number, gone in self.retracted.items():
            await store.artifacts.retract(self.ids[number], reason="wrong", now=second(gone))
        if self.is_serving:
            await serve(store, self.ids[7])

    def edges_by(self, as_of: datetime | None) -> list[tuple[int, EdgeType, int]]:
        """The edges that were recorded by then."""
        return [each for n, each in enumerate(self.edges) if as_of is None or recorded(n) <= as_of]

    def ways(self, source: int, target: int, as_of: datetime | None) -> Iterator[tuple[int, ...]]:
        """The ways from an artifact to one that it depends on as edges, none of them twice, the shortest first."""
        ends = [(b, a) if type_ is E.EVALUATED_BY else (a, b) for a, type_, b in self.edges_by(as_of)]
        leading = {target, *nx.ancestors(self.graph(LINEAGE, as_of), target)}
        waiting = deque[tuple[int, tuple[int, ...]]]([(source, ())] if source != target else [])
        while waiting:
            at, way = waiting.popleft()
            for number, (a, b) in enumerate(ends):
                if a == at and b in leading and number not in way:
                    waiting.append((b, (*way, number)))
                    if b == target:
                        yield (*way, number)

    def graph(self, types: Sequence[EdgeType], as_of: datetime | None) -> Any:
        """Who depends on whom over edges of *types*: an evaluation depends on its model, against that edge."""
        graph: Any = nx.DiGraph()
        graph.add_nodes_from(range(len(KINDS)))
        for source, type_, target in self.edges_by(as_of):
            if type_ in types:
                graph.add_edge(*((target, source) if type_ is E.EVALUATED_BY else (source, target)))
        return graph

    def reached(self, question: Question) -> dict[int, int]:
        """The distance of everything that a walk reaches, without the starts, however deep; stops as they are shown."""
        graph = self.graph(question.types, question.as_of)
        if question.direction is Direction.DOWN:
            graph = graph.reverse(copy=True)
        starts = {self.ids.index(id) for id in question.of}
        stops = {n for n in graph if n not in starts and self._is_stop(n, question.stop)}
        graph.remove_edges_from([(n, after) for n in stops for after in graph[n]])
        found = nx.multi_source_dijkstra_path_length(graph, starts)
        hidden = starts if question.stop.is_shown else starts | stops
        return {n: far for n, far in dict(found).items() if n not in hidden}

    def answer(self, question: Question) -> list[tuple[int, str]]:
        """What a walk shows: distance and id, in order."""
        depth = question.max_depth or len(KINDS)
        found = self.reached(question).items()
        return sorted((far, self.ids[n]) for n, far in found if far <= depth and self._is_shown(n, question))

    def live(self, as_of: datetime | None) -> set[int]:
        """The deployment that serves, and all that it depends on."""
        return {7, *nx.descendants(self.graph(WALKED, as_of), 7)} if self.is_serving else set()

    def _is_stop(self, number: int, stop: Stop) -> bool:
        return KINDS[number] in stop.kinds or self.ids[number] in stop.ids

    def _is_shown(self, number: int, question: Question) -> bool:
        node, shown = self.node(number), question.shown
        gone = self.retracted.get(number)
        is_gone = gone is not None and (question.as_of is None or second(gone) <= question.as_of)
        live = self.live(question.as_of)
        return all(
            [
                shown.retracted or not is_gone,
                shown.kinds is None or node.kind in shown.kinds,
                shown.namespace in (None, node.namespace),
                shown.name in (None, node.name),
                shown.owner in (None, self.owners[number]),
                shown.tags is None or set(shown.tags) <= set(node.tags),
                shown.alias is None or number == self.aliased,
                shown.is_live in (None, number in live),
                shown.holds is None or (self.formats[number], type(self.formats[number])) == _typed(shown.holds[1]),
            ]
        )


def _typed(value: Any) -> tuple[Any, type]:
    return value, type(value)


async def serve(store: Store, deployment: str) -> None:
    """Let an endpoint serve a deployment since the beginning."""
    await store.graph.script(
        f"MATCH (d:Deployment {{id: '{deployment}'}}) "
        f"CREATE (:Endpoint {{id: 'e-{deployment}'}})-[:SERVES {{since: datetime('{NOW.isoformat()}')}}]->(d)"
    )


def _each(values: strategies.SearchStrategy[Any]) -> strategies.SearchStrategy[Any]:
    return strategies.lists(values, min_size=len(KINDS), max_size=len(KINDS))


_inner = strategies.sampled_from(INNER)
#: Edges as the model of the graph has them.
some_edges = strategies.one_of(
    strategies.tuples(_inner, strategies.sampled_from(WALKED), _inner),
    strategies.tuples(_inner, strategies.sampled_from(WALKED), _inner),
    strategies.tuples(
        strategies.sampled_from((3, 4)), strategies.just(E.EVALUATED_BY), strategies.sampled_from(LEAVES)
    ),
    strategies.tuples(strategies.sampled_from(LEAVES), strategies.just(E.MEASURES), strategies.sampled_from(MEASURED)),
)

#: Worlds with cycles, diamonds, self-loops and edges of several types between the same two.
some_worlds = strategies.builds(
    lambda **fields: World(number=next(worlds), **fields),
    edges=strategies.lists(some_edges, max_size=24, unique=True),
    owners=_each(strategies.sampled_from(OWNERS)),
    tags=_each(strategies.lists(strategies.sampled_from(TAGS), unique=True, max_size=2)),
    formats=_each(strategies.sampled_from(FORMATS)),
    retracted=strategies.dictionaries(strategies.integers(0, 9), strategies.integers(0, 4), max_size=3),
    aliased=strategies.none() | strategies.integers(0, 9),
    is_serving=strategies.booleans(),
)
_kinds = strategies.lists(strategies.sampled_from(sorted(set(KINDS))), unique=True, min_size=1, max_size=4)
_numbers = strategies.lists(strategies.integers(0, 9), min_size=1, max_size=3, unique=True)

#: Filters of which some are empty and a few at a time are not.
filters = strategies.one_of(
    strategies.builds(Shown, retracted=strategies.booleans()),
    strategies.builds(Shown, kinds=_kinds, retracted=strategies.booleans()),
    strategies.builds(Shown, is_live=strategies.booleans(), owner=strategies.sampled_from(OWNERS) | strategies.none()),
    strategies.builds(Shown, tags=strategies.lists(strategies.sampled_from(TAGS), unique=True, max_size=2)),
    strategies.builds(Shown, alias=strategies.just("champion"), retracted=strategies.booleans()),
    strategies.builds(Shown, holds=strategies.tuples(strategies.just("format"), strategies.sampled_from(FORMATS))),
    strategies.builds(
        Shown, namespace=strategies.just("n1"), name=strategies.sampled_from(("name0", "name1")) | strategies.none()
    ),
)
#: Questions about nodes by number; `asked` gives them ids.
questions = strategies.builds(
    Question,
    of=_numbers,
    direction=strategies.sampled_from(Direction),
    types=strategies.just(LINEAGE) | strategies.lists(strategies.sampled_from(LINEAGE), unique=True, min_size=1),
    max_depth=strategies.none() | strategies.sampled_from((1, 2, 4)),
    stop=strategies.builds(Stop)
    | strategies.builds(Stop, kinds=_kinds, is_shown=strategies.booleans())
    | strategies.builds(Stop, ids=_numbers, is_shown=strategies.booleans()),
    shown=filters,
    as_of=strategies.none() | strategies.integers(0, 4).map(second),
)


def asked(question: Question, world: World) -> Question:
    """*question* about the nodes of *world*."""
    stop = replace(question.stop, ids=[world.ids[n] for n in question.stop.ids])  # type: ignore[call-overload]
    return replace(question, of=[world.ids[n] for n in question.of], stop=stop)  # type: ignore[call-overload]
