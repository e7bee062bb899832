"""Search in a real graph: what is found, in which order, and how it divides, held against plain Python."""

from collections import Counter
from datetime import timedelta
from typing import Any

import networkx as nx
import pytest
from hypothesis import HealthCheck, given, settings, strategies

from lineage.artifacts import WALKED, Artifact, ArtifactKind, Edge, EdgeType
from lineage.store import Store
from lineage.store.questions import FOREVER, Direction, Question, Shown
from lineage.store.search import Sought, lucene
from tests.conftest import NOW
from tests.store.oracle import KINDS, World, filters, second, some_worlds

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]
K = ArtifactKind
thorough = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
#: Words that the names and tags of the worlds have, or begin with, and such as none has.
TEXTS = ("", "name0", "NAM", "red", "name1 re", "blue red", "red nothing", "!", "name0 OR red", "-name0")
FIRST: dict[str, Any] = {"first": 100, "as_of": FOREVER}


def has(node: Artifact, text: str) -> bool:
    """Whether an artifact of a world has every word of *text*, the last one perhaps as a beginning."""
    words = text.lower().replace("-", "").replace("!", "").split()
    own = {node.name, *node.tags}
    return all(word in own for word in words[:-1]) and all(any(o.startswith(w) for o in own) for w in words[-1:])


def expected(world: World, sought: Sought, as_of: Any, ranked: int) -> list[str]:
    """The ids that a search finds, in order; everything in a world was recorded at the same instant."""
    question = Question(of=[], direction=Direction.DOWN, shown=sought.shown, as_of=as_of)
    graph = world.graph(WALKED, as_of).reverse()
    words = sought.text.lower().replace("-", "").split()

    def rank(node: Artifact) -> int:
        matches = [word in node.name for word in words]
        return 3 if sought.text.lower() == node.name else 2 if all(matches) else int(any(matches))

    def used(number: int) -> int:
        return sum(KINDS[n] is K.MODEL and not is_gone(n) for n in nx.descendants(graph, number) - {number})

    def is_gone(number: int) -> bool:
        gone = world.retracted.get(number)
        return gone is not None and (as_of is None or second(gone) <= as_of)

    found = [
        (rank(world.node(n)), used(n), world.ids[n])
        for n in range(len(KINDS))
        if sought.text != "!" and world._is_shown(n, question) and has(world.node(n), sought.text)
    ]
    base = sorted(found, key=lambda each: (-each[0], each[2]))
    best = sorted(base[:ranked], key=lambda each: (-each[0], -each[1]))
    return [id for _, _, id in [*best, *base[ranked:]]]


@thorough
@given(
    world=some_worlds,
    text=strategies.sampled_from(TEXTS),
    shown=filters,
    as_of=strategies.none() | strategies.integers(0, 4).map(second),
    ranked=strategies.sampled_from((2, 5, 100)),
)
async def test_what_is_found_is_what_the_oracle_says(
    store: Store, world: World, text: str, shown: Shown, as_of: Any, ranked: int
) -> None:
    """By words, any filter and instant: all that match, by name and then by use; counts, facets and pages agree."""
    await store.graph.script("MATCH (n) WHERE NOT n:Migration DETACH DELETE n")
    await world.record(store)
    await store.search.settle()
    sought, at = Sought(text=text, shown=shown), as_of or FOREVER

    whole = [each.id for each in await store.search.page(sought, as_of=at, first=100, ranked=ranked)]
    pages = [await store.search.page(sought, as_of=at, first=3, skip=skip, ranked=ranked) for skip in range(0, 12, 3)]
    division = await store.search.divide(sought, as_of=at)

    nodes = [world.node(world.ids.index(id)) for id in whole]
    owners = Counter(world.owners[world.ids.index(id)] for id in whole)
    assert expected(world, sought, as_of, ranked) == whole == [each.id for page in pages for each in page]
    assert len(whole) == division.total == await store.search.count(sought, as_of=at)
    assert Counter(node.kind for node in nodes) == division.kinds
    assert Counter(node.namespace for node in nodes) == division.namespaces
    assert owners == division.owners
    assert Counter(tag for node in nodes for tag in node.tags) == division.tags


@thorough
@given(world=some_worlds)
async def test_use_is_counted_in_models(store: Store, world: World) -> None:
    """How many models went into being from each artifact, whatever way leads there; at most as many as asked for."""
    await world.record(store)

    found = await store.search.models(world.ids)
    few = await store.search.models(world.ids, most=1)

    graph = world.graph(WALKED, None).reverse()
    counts = {
        id: sum(KINDS[n] is K.MODEL and n not in world.retracted for n in nx.descendants(graph, number) - {number})
        for number, id in enumerate(world.ids)
    }
    assert counts == found
    assert {id: min(count, 1) for id, count in counts.items()} == few


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("dep_delay", "flights"),
        ("delay", "flights"),
        ("sched", "evening"),
        ("punctual", "evening"),
        ("urgent", "flights"),
        ("zürich 日本", "evening"),
        ("EVENING carrier", None),
        ('dep_delay" OR *:* AND (name', None),
        ("flights.dep_delay", "flights"),
    ],
)
async def test_names_descriptions_tags_columns_and_sql_are_read(store: Store, text: str, name: str | None) -> None:
    """A word is found wherever it stands, in any script; what looks like an operator is a word like others."""
    body = {"columns": [{"name": "dep_delay"}, {"name": "carrier"}]}
    words = "Is it punctual? Zürich, 日本"
    made = [
        Artifact.defined(K.DATASET, "flights", body, tags=("urgent",), description="flights.dep_delay and so on"),
        Artifact.defined(K.FEATURE, "evening", {"sql": "flights_sched > 1800 AND sched < 2300"}, description=words),
    ]
    await store.artifacts.record(made, now=NOW, by="ann")
    await store.search.settle()

    found = await store.search.page(Sought(text=text), **FIRST)

    assert ([name] if name else []) == [each.name for each in found]


async def test_pages_neither_repeat_nor_skip_while_others_write(store: Store) -> None:
    """As of the first page, pages together are what there was then, though better and more used ones come meanwhile."""
    made = [Artifact.defined(K.FEATURE, f"delay{n}", {"n": n}) for n in range(9)]
    await store.artifacts.record(made, now=NOW, by="ann")
    await store.search.settle()
    sought, later = Sought(text="delay"), NOW + timedelta(seconds=1)
    whole = [each.id for each in await store.search.page(sought, as_of=NOW, first=100)]

    seen: list[str] = []
    while page := await store.search.page(sought, as_of=NOW, first=2, skip=len(seen)):
        seen += [each.id for each in page]
        model = Artifact.defined(K.MODEL, "delay", {"n": len(seen)})
        use = Edge(type=EdgeType.DERIVED_FROM, source=model.id, target=made[-1].id)
        await store.artifacts.record([model], [use], now=later, by="bob")
        await store.artifacts.retract(page[0].id, reason="wrong", now=later)
        await store.search.settle()

    assert (9, whole) == (len(seen), seen)
    now = [each.name for each in await store.search.page(sought, as_of=later, first=2)]
    assert ["delay", "delay"] == now


async def test_a_range_of_instants(store: Store) -> None:
    """What was recorded at an instant counts from there, and up to the one before the end."""
    for n in range(4):
        await store.artifacts.record([Artifact.defined(K.FEATURE, f"f{n}", {"n": n})], now=second(n), by="ann")

    found = await store.search.page(Sought(since=second(1), before=second(3)), **FIRST)

    assert ["f2", "f1"] == [each.name for each in found]  # the newest first


async def test_namespaces_have_names_and_versions(store: Store) -> None:
    """A namespace counts names and versions by kind; what was retracted or only named does not count."""
    made = [Artifact(kind=K.DATASET, namespace="a", name="x", version=str(n), digest=str(n)) for n in range(3)]
    made += [Artifact(kind=K.MODEL, namespace="b", name="m", version="1", digest="m")]
    named = Artifact(kind=K.MODEL, namespace="c", name="m", version="1", digest=None, is_placeholder=True)
    await store.artifacts.record([*made, named], now=NOW, by="ann")
    await store.artifacts.retract(made[0].id, reason="wrong", now=NOW)

    found = await store.search.namespaces()

    assert [("a", {K.DATASET: 1}, {K.DATASET: 2}), ("b", {K.MODEL: 1}, {K.MODEL: 1})] == [
        (each.name, each.names, each.versions) for each in found
    ]


def test_what_users_type_is_no_query_language() -> None:
    """Signs are left out, words are joined, and only the last may be a beginning."""
    assert "name AND (dep_delay OR dep_delay*)" == lucene('name:("dep_delay')
    assert "" == lucene("*:*")
