"""Search, facets and namespaces over HTTP, from Python and from the command line."""

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from lineage import client as python
from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType
from lineage.store import Store
from tests.api.serving import Client
from tests.api.shell import Shell
from tests.conftest import NOW

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]
K = ArtifactKind
SEARCH = """query ($text: String!, $kinds: [ArtifactKind!], $filter: SearchFilter, $first: Int, $after: String) {
  search(text: $text, kinds: $kinds, filter: $filter, first: $first, after: $after) { totalCount
    edges { cursor node { name modelCount } } pageInfo { hasNextPage endCursor } } }"""


async def features(store: Store) -> dict[str, Artifact]:
    """Features of two owners, a second after each other; the second goes into two models, the third into one."""
    made = {
        name: Artifact.defined(
            K.FEATURE, name, {"sql": f"delay > {n}", "n": n}, tags=("delays", f"t{n}"), namespace=f"space{n % 2}"
        )
        for n, name in enumerate(("late", "very_late", "early", "delay"))
    }
    for second, each in enumerate(made.values()):
        at = NOW + timedelta(seconds=second)
        await store.artifacts.record([each], now=at, by="ann" if second else "bob")
    for name, used in (("one", ["very_late", "early"]), ("two", ["very_late"])):
        model = Artifact.defined(K.MODEL, name, {"name": name}, namespace="models")
        edges = [Edge(type=EdgeType.DERIVED_FROM, source=model.id, target=made[each].id) for each in used]
        await store.artifacts.record([model], edges, now=NOW, by="ann")
    return made


async def test_the_name_comes_first_and_then_the_use(client: Client, store: Store) -> None:
    """Of what has the word, that which is called so comes first, and of the others the one that most models use."""
    await features(store)

    found = (await client.ask(SEARCH, {"text": "delay"}))["search"]

    assert [("delay", 0), ("very_late", 2), ("early", 1), ("late", 0)] == [
        (each["node"]["name"], each["node"]["modelCount"]) for each in found["edges"]
    ]


async def test_pages_stay_those_of_the_first(client: Client, store: Store) -> None:
    """What is recorded and used meanwhile changes no page; a cursor belongs to the search that gave it."""
    made = await features(store)
    asked: dict[str, Any] = {"text": "delay", "first": 2}

    first = (await client.ask(SEARCH, asked))["search"]
    model = Artifact.defined(K.MODEL, "delay", {"late": True})
    edge = Edge(type=EdgeType.DERIVED_FROM, source=model.id, target=made["late"].id)
    await store.artifacts.record([model], [edge], now=datetime.now(UTC) + timedelta(seconds=1), by="ann")
    rest = (await client.ask(SEARCH, {**asked, "after": first["pageInfo"]["endCursor"]}))["search"]
    refused = await client.refused(SEARCH, {"text": "late", "after": first["pageInfo"]["endCursor"]})
    odd = await client.refused(SEARCH, {**asked, "after": "x"})

    names = [each["node"]["name"] for each in [*first["edges"], *rest["edges"]]]
    assert ["delay", "very_late", "early", "late"] == names
    assert (4, 4, False) == (first["totalCount"], rest["totalCount"], rest["pageInfo"]["hasNextPage"])
    assert [("INVALID_INPUT", "after")] * 2 == [(each["code"], each["field"]) for each in (refused, odd)]


@pytest.mark.parametrize(
    ("filter", "names"),
    [
        ({"namespace": "space1"}, ["very_late", "delay"]),
        ({"createdBy": "bob"}, ["late"]),
        ({"tags": ["delays", "t2"]}, ["early"]),
        ({"property": {"key": "n", "value": 3}}, ["delay"]),
        ({"createdSince": "2026-01-02T03:04:06Z", "createdBefore": "2026-01-02T03:04:08"}, ["very_late", "early"]),
        ({"live": True}, []),
        ({"alias": "champion"}, ["late"]),
        ({"retracted": True, "name": "delay"}, ["delay"]),
    ],
)
async def test_filters_narrow_what_is_found(
    client: Client, store: Store, filter: dict[str, Any], names: list[str]
) -> None:
    """With an empty text a search gives all that a filter lets through, the most used first."""
    made = await features(store)
    await store.artifacts.set_alias(made["late"].id, "champion", now=NOW, by="ann", reason=None)

    found = (await client.ask(SEARCH, {"text": "", "kinds": ["FEATURE"], "filter": filter}))["search"]

    assert names == [each["node"]["name"] for each in found["edges"]]
    assert len(names) == found["totalCount"]


async def test_from_python_and_the_shell(client: Client, store: Store, tmp_path: Path) -> None:
    """The client, `lineage search` and `lineage namespaces` tell the same."""
    await features(store)
    shell = Shell(client, tmp_path)
    with python.Client(client.url) as session:
        found = await anyio.to_thread.run_sync(partial(session.search, "delay", property=("n", 1), tags=["delays"]))
        facets = await anyio.to_thread.run_sync(session.search_facets, "delay")
        spaces = await anyio.to_thread.run_sync(session.namespaces)

    assert [("very_late", 2)] == [(each.name, each.model_count) for each in found]
    assert (4, {"Feature": 4}, {"space0": 2, "space1": 2}) == (facets.total, facets.kinds, facets.namespaces)
    assert ({"ann": 3, "bob": 1}, "delays") == (facets.owners, next(iter(facets.tags)))
    assert [("models", {"Model": 2}), ("space0", {"Feature": 2}), ("space1", {"Feature": 2})] == [
        (each.name, each.names) for each in spaces
    ]
    narrow = ["search", "--kind", "Feature", "--json"]
    told = await shell.each(
        [*narrow, "--tag", "t1"],
        [*narrow, "--namespace", "space1", "--owner", "ann"],
        [*narrow, "--property", "n=2"],
        [*narrow, "--since", "2026-01-02T03:04:07"],
        [*narrow, "--before", "2026-01-02T03:04:06"],
        [*narrow, "--alias", "none"],
        [*narrow, "--live"],
        ["search", "delay", "--first", "1"],
        ["search", "delay", "--count"],
        ["namespaces"],
        ["search", "--property", "n"],
    )
    listed = [sorted(each["name"] for each in json.loads(out)["artifacts"]) for _, out in told[:7]]
    assert [["very_late"], ["delay", "very_late"], ["early"], ["delay", "early"], ["late"], [], []] == listed
    assert [0] * 10 + [1] == [code for code, _ in told]
    assert "and 3 more" in told[7][1]
    assert "4 found" in told[8][1]
    assert "2 Feature" in told[9][1]
    assert "KEY=VALUE" in told[10][1]
