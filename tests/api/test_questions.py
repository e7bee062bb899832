"""Every option of a walk over HTTP, held against networkx; and cursors that belong to other pages."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies

from api.pages import decode, encode
from api.questions import CURSOR
from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType
from lineage.store import Store
from lineage.store.questions import Direction, Question
from tests.api.serving import Client
from tests.conftest import NOW
from tests.store.oracle import World, asked, questions, some_worlds

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j, pytest.mark.timeout(900)]
ALLOWED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]  # slow is the machine, where other work runs

WALK = """query ($of: [ID!]!, $kinds: [ArtifactKind!], $maxDepth: Int, $asOf: DateTime, $retracted: Boolean!,
  $types: [EdgeType!], $stop: StopInput, $filter: WalkFilter, $first: Int!, $after: String) {
  walk: %s(of: $of, kinds: $kinds, maxDepth: $maxDepth, asOf: $asOf, retracted: $retracted, types: $types,
      stop: $stop, filter: $filter, first: $first, after: $after) {
    totalCount counts { kind count } complete truncatedBy wholeTo %s } }"""
SHAPES = """facets { kinds { kind count } owners { owner count } deployments { deployment { id } count } }
  table(first: 1000, columns: [KIND]) { columns } subgraph(first: 1000) { complete nodes { distance node { id } } }"""
PAGE = "pageInfo { hasNextPage endCursor } edges { distance cursor node { id } }"
ROOT = {Direction.DOWN: "impact", Direction.UP: "provenance"}


def variables(question: Question) -> dict[str, Any]:
    """*question* as a client asks it."""
    shown, stop = question.shown, question.stop
    filters = {
        "namespace": shown.namespace,
        "name": shown.name,
        "createdBy": shown.owner,
        "tags": shown.tags,
        "alias": shown.alias,
        "live": shown.is_live,
        "property": {"key": shown.holds[0], "value": shown.holds[1]} if shown.holds else None,
    }
    return {
        "of": question.of,
        "kinds": None if shown.kinds is None else [kind.name for kind in shown.kinds],
        "maxDepth": question.max_depth,
        "asOf": question.as_of.isoformat() if question.as_of else None,
        "retracted": shown.retracted,
        "types": [type_.name for type_ in question.types],
        "stop": {"kinds": [kind.name for kind in stop.kinds], "ids": stop.ids, "shown": stop.is_shown},
        "filter": {name: value for name, value in filters.items() if value is not None},
    }


@settings(max_examples=15, deadline=None, suppress_health_check=ALLOWED)
@given(world=some_worlds, each=questions, size=strategies.integers(1, 4))
async def test_an_answer_is_what_the_oracle_says(
    client: Client, store: Store, world: World, each: Question, size: int
) -> None:
    """Pages, counts, facets, columns and the drawing of a question are of its one answer, and say whether it is cut."""
    question = asked(each, world)
    await world.record(store)
    given, root = variables(question), ROOT[question.direction]

    whole = (await client.ask(WALK % (root, SHAPES), {**given, "first": 1}))["walk"]
    seen: list[tuple[int, str]] = []
    page: dict[str, Any] = {"pageInfo": {"hasNextPage": True, "endCursor": None}}
    while page["pageInfo"]["hasNextPage"]:
        after = page["pageInfo"]["endCursor"]
        page = (await client.ask(WALK % (root, PAGE), {**given, "first": size, "after": after}))["walk"]
        seen += [(edge["distance"], edge["node"]["id"]) for edge in page["edges"]]

    answer, depth = world.answer(question), question.max_depth
    numbers = [world.ids.index(id) for _, id in answer]
    kinds = Counter(world.node(n).kind.name for n in numbers)
    is_cut = depth is not None and any(far > depth for far in world.reached(question).values())
    assert answer == seen == list(zip(*(whole["table"]["columns"][name] for name in ("distance", "id")), strict=True))
    for found in (whole, page):
        assert (len(answer), kinds) == (found["totalCount"], {each["kind"]: each["count"] for each in found["counts"]})
        cut = (found["complete"], found["truncatedBy"], found["wholeTo"])
        assert (not is_cut, ["DEPTH"] if is_cut else [], depth if is_cut else None) == cut
    facets = whole["facets"]
    assert kinds == {each["kind"]: each["count"] for each in facets["kinds"]}
    assert Counter(world.owners[n] for n in numbers) == {each["owner"]: each["count"] for each in facets["owners"]}
    serving = len(world.live(question.as_of) & {*numbers})
    assert [(world.ids[7], serving)] * bool(serving) == [
        (each["deployment"]["id"], each["count"]) for each in facets["deployments"]
    ]
    drawn = {(node["distance"], node["node"]["id"]) for node in whole["subgraph"]["nodes"]}
    assert {*answer, *((0, id) for id in question.of)} == drawn
    assert (not is_cut) == whole["subgraph"]["complete"]


async def a_few(store: Store) -> Artifact:
    """A dataset on which three others stand."""
    start, *rest = [Artifact.defined(ArtifactKind.DATASET, f"d{n}", {"n": n}) for n in range(4)]
    edges = [Edge(type=EdgeType.DERIVED_FROM, source=each.id, target=start.id) for each in rest]
    await store.artifacts.record([start, *rest], edges, now=NOW, by="t")
    return start


async def test_a_cursor_fits_its_own_question_alone(client: Client, store: Store) -> None:
    """With another start, filter, depth or direction it is refused; with another size of the page it goes on."""
    start = await a_few(store)
    plain = variables(Question(of=[start.id], direction=Direction.DOWN)) | {"first": 1}
    first = (await client.ask(WALK % ("impact", PAGE), plain))["walk"]
    cursor = first["pageInfo"]["endCursor"]
    other = first["edges"][0]["node"]["id"]

    rest = (await client.ask(WALK % ("impact", PAGE), {**plain, "first": 5, "after": cursor}))["walk"]
    changes: list[dict[str, Any]] = [
        {"of": [start.id, other]},
        {"maxDepth": 3},
        {"retracted": True},
        {"kinds": ["DATASET"]},
        {"types": ["DERIVED_FROM"]},
        {"filter": {"name": "d1"}},
        {"stop": {"ids": [other]}},
    ]
    refused = [await client.refused(WALK % ("impact", PAGE), {**plain, **each, "after": cursor}) for each in changes]
    refused.append(await client.refused(WALK % ("provenance", PAGE), {**plain, "after": cursor}))

    assert (2, False) == (len(rest["edges"]), rest["pageInfo"]["hasNextPage"])
    assert [("INVALID_INPUT", "after")] * 8 == [(each["code"], each["field"]) for each in refused]
    assert "another question" in refused[0]["message"]


@pytest.mark.parametrize("forged", ["", "no base64 \N{SNOWMAN}", "W10", "bm90IEpTT04", encode(1, "x")])
async def test_a_cursor_that_nobody_gave(client: Client, store: Store, forged: str) -> None:
    """What was made up is refused as bad input, whatever is in it."""
    await refused_with(client, (await a_few(store)).id, forged)


@pytest.mark.parametrize(
    ("place", "value"),
    [(0, 1.5), (0, 2**64 - 1), (0, -1), (1, 1), (2, "yesterday"), (2, "2026-01-02"), (2, 3), (3, "0"), (3, None)],
)
async def test_a_cursor_that_was_changed(client: Client, store: Store, place: int, value: Any) -> None:
    """So is one of ours in which a part was exchanged: distance, id, instant, question; with an id it goes on there."""
    start = (await a_few(store)).id
    asked = {**variables(Question(of=[start], direction=Direction.DOWN)), "first": 1}
    page = (await client.ask(WALK % ("impact", PAGE), asked))["walk"]
    parts = decode(page["pageInfo"]["endCursor"], *CURSOR)

    await refused_with(client, start, encode(*parts[:place], value, *parts[place + 1 :]))

    behind = encode(parts[0], "", *parts[2:])
    assert 1 == len((await client.ask(WALK % ("impact", PAGE), {**asked, "after": behind}))["walk"]["edges"])


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_an_instant_that_utc_does_not_have(client: Client, store: Store, at: str) -> None:
    """It is refused as bad input, in an argument as in a cursor of a list by time."""
    asked = variables(Question(of=[(await a_few(store)).id], direction=Direction.DOWN))

    error = await client.refused(WALK % ("impact", PAGE), {**asked, "first": 1, "asOf": at})
    cursor = {"after": encode(at, "x")}
    other = await client.refused("query ($after: String) { artifacts(after: $after) { totalCount } }", cursor)

    assert [("INVALID_INPUT", "asOf"), ("INVALID_INPUT", "after")] == [(e["code"], e["field"]) for e in (error, other)]


async def refused_with(client: Client, start: str, cursor: str) -> None:
    """The walk from *start* is refused for its *cursor*, and that is no fault of ours."""
    asked = variables(Question(of=[start], direction=Direction.DOWN))
    error = await client.refused(WALK % ("impact", PAGE), {**asked, "first": 1, "after": cursor})
    assert ("INVALID_INPUT", "after") == (error["code"], error["field"])
