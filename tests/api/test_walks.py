"""Impact, provenance, paths, search and audit over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType
from lineage.store import Store
from tests.api.serving import Client
from tests.conftest import NOW

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]
K, E = ArtifactKind, EdgeType

WALK = """totalCount counts { kind count } complete truncatedBy
  pageInfo { hasNextPage endCursor } edges { distance cursor node { id name } }"""
IMPACT = f"""query ($of: [ID!]!, $kinds: [ArtifactKind!], $maxDepth: Int, $asOf: DateTime, $first: Int! = 100,
  $after: String) {{ walk: impact(of: $of, kinds: $kinds, maxDepth: $maxDepth, asOf: $asOf, first: $first,
  after: $after) {{ {WALK} }} }}"""


async def a_chain(store: Store) -> dict[str, Artifact]:
    """Dataset ← column ← two features ← feature set ← training set ← model, each recorded a second after the other."""
    names = {
        "flights": K.DATASET,
        "flights.delay": K.COLUMN,
        "late": K.FEATURE,
        "very_late": K.FEATURE,
        "delays": K.FEATURE_SET,
        "delays-2026": K.TRAINING_SET,
        "model": K.MODEL,
    }
    made = {name: Artifact.defined(kind, name, {"n": name}) for name, kind in names.items()}
    edges = [
        ("flights.delay", E.DERIVED_FROM, "flights"),
        ("late", E.DERIVED_FROM, "flights.delay"),
        ("very_late", E.DERIVED_FROM, "flights.delay"),
        ("delays", E.DERIVED_FROM, "late"),
        ("delays", E.DERIVED_FROM, "very_late"),
        ("delays-2026", E.DERIVED_FROM, "delays"),
        ("model", E.TRAINED_ON, "delays-2026"),
    ]
    await store.artifacts.record(list(made.values()), now=NOW, by="t")
    for second, (source, type_, target) in enumerate(edges):
        edge = Edge(type=type_, source=made[source].id, target=made[target].id)
        await store.artifacts.record([], [edge], now=NOW + timedelta(seconds=second), by="t")
    return made


async def test_what_a_column_affects(client: Client, store: Store) -> None:
    """Everything that depends on a column, each once, by distance, with counts by kind."""
    made = await a_chain(store)

    walk = (await client.ask(IMPACT, {"of": [made["flights.delay"].id]}))["walk"]

    assert [(1, "late"), (1, "very_late"), (2, "delays"), (3, "delays-2026"), (4, "model")] == sorted(
        (edge["distance"], edge["node"]["name"]) for edge in walk["edges"]
    )
    assert (5, True, []) == (walk["totalCount"], walk["complete"], walk["truncatedBy"])
    assert {"kind": "FEATURE", "count": 2} in walk["counts"]


async def test_pages_of_a_walk(client: Client, store: Store) -> None:
    """A walk is paged by cursor: together its pages are the whole, in order."""
    of = [(await a_chain(store))["flights"].id]
    whole = (await client.ask(IMPACT, {"of": of}))["walk"]["edges"]

    seen: list[Any] = []
    after, more = None, True
    while more:
        page = (await client.ask(IMPACT, {"of": of, "first": 4, "after": after}))["walk"]
        seen += page["edges"]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]

    assert [(each["distance"], each["node"]) for each in whole] == [(each["distance"], each["node"]) for each in seen]


async def test_a_walk_that_is_cut_says_so(client: Client, store: Store) -> None:
    """What lies deeper than maxDepth is left out, and the answer is not complete."""
    of = [(await a_chain(store))["flights"].id]

    walk = (await client.ask(IMPACT, {"of": of, "maxDepth": 2}))["walk"]

    assert (3, False, ["DEPTH"]) == (walk["totalCount"], walk["complete"], walk["truncatedBy"])


async def test_the_graph_as_it_was(client: Client, store: Store) -> None:
    """As of an instant, only what was recorded by then is walked; a time without a zone is UTC."""
    of = [(await a_chain(store))["flights"].id]
    at = (NOW + timedelta(seconds=1)).replace(tzinfo=None).isoformat()

    walk = (await client.ask(IMPACT, {"of": of, "asOf": at}))["walk"]

    assert {"flights.delay", "late"} == {edge["node"]["name"] for edge in walk["edges"]}


async def test_pages_are_of_the_first_instant(client: Client, store: Store) -> None:
    """What is recorded after the first page is on none of the later ones, though it would be nearer."""
    made = await a_chain(store)
    of = [made["flights"].id]
    first = (await client.ask(IMPACT, {"of": of, "first": 2}))["walk"]
    new = Artifact.defined(K.MODEL, "new", {})
    edges = [Edge(type=E.TRAINED_ON, source=each, target=of[0]) for each in (new.id, made["model"].id)]
    await store.artifacts.record([new], edges, now=datetime.now(UTC), by="t")

    rest = (await client.ask(IMPACT, {"of": of, "after": first["pageInfo"]["endCursor"]}))["walk"]

    assert (6, 6) == (first["totalCount"], rest["totalCount"])
    assert [2, 3, 4, 5] == [edge["distance"] for edge in rest["edges"]]
    assert 7 == (await client.ask(IMPACT, {"of": of}))["walk"]["totalCount"]
    other = {"of": of, "after": first["pageInfo"]["endCursor"], "asOf": "2020-01-01T00:00:00Z"}
    assert "INVALID_INPUT" == (await client.refused(IMPACT, other))["code"]


async def test_columns_alone(client: Client, store: Store) -> None:
    """Who asks for nothing but columns gets those of the whole answer, page by page, and hears of a missing start."""
    made = await a_chain(store)
    query = """query ($of: [ID!]!, $after: String) { impact(of: $of, after: $after) {
      table(first: 3, columns: [NAME]) { columns pageInfo { hasNextPage endCursor } } } }"""
    of = [made["flights.delay"].id]

    first = (await client.ask(query, {"of": of}))["impact"]["table"]
    rest = (await client.ask(query, {"of": of, "after": first["pageInfo"]["endCursor"]}))["impact"]["table"]
    refused = await client.refused(query, {"of": [*of, "feature_none"]})

    assert (True, False) == (first["pageInfo"]["hasNextPage"], rest["pageInfo"]["hasNextPage"])
    assert [1, 1, 2, 3, 4] == first["columns"]["distance"] + rest["columns"]["distance"]
    assert ("NOT_FOUND", True) == (refused["code"], "feature_none" in refused["message"])


async def test_an_answer_in_other_shapes(client: Client, store: Store) -> None:
    """Counts alone, facets, columns and a drawing are all of the one answer, which stops and filters narrow."""
    made = await a_chain(store)
    query = """query ($of: [ID!]!, $stop: StopInput, $filter: WalkFilter, $types: [EdgeType!]) {
      impact(of: $of, stop: $stop, filter: $filter, types: $types) { totalCount wholeTo
        facets { kinds { kind count } owners { owner count } deployments { count } }
        table(first: 2) { columns pageInfo { hasNextPage } }
        subgraph { complete nodes { distance node { name } } links { type source } } } }"""
    of = [made["flights.delay"].id]

    whole = (await client.ask(query, {"of": of}))["impact"]
    stopped = (await client.ask(query, {"of": of, "stop": {"kinds": ["FEATURE_SET"], "shown": False}}))["impact"]
    named = await client.ask(query, {"of": of, "filter": {"name": "model", "property": {"key": "n", "value": "model"}}})
    derived = (await client.ask(query, {"of": of, "types": ["DERIVED_FROM"]}))["impact"]

    assert (5, None, [{"owner": "t", "count": 5}]) == (whole["totalCount"], whole["wholeTo"], whole["facets"]["owners"])
    assert ["Feature", "Feature"] == whole["table"]["columns"]["kind"]
    assert ([1, 1], True) == (whole["table"]["columns"]["distance"], whole["table"]["pageInfo"]["hasNextPage"])
    assert (6, 6, True) == (
        len(whole["subgraph"]["nodes"]),
        len(whole["subgraph"]["links"]),
        whole["subgraph"]["complete"],
    )
    assert (2, 1, 4) == (stopped["totalCount"], named["impact"]["totalCount"], derived["totalCount"])


async def test_why_an_artifact_is_in_the_answer(client: Client, store: Store) -> None:
    """The shortest ways from any start, and whether there are more than are shown."""
    made = await a_chain(store)
    query = """query ($of: [ID!]!, $node: ID!, $first: Int!) { why(of: $of, node: $node, first: $first) {
      more paths { nodes { name } links { type } } } }"""
    of = [made["flights"].id, made["flights.delay"].id]

    one = (await client.ask(query, {"of": of, "node": made["delays"].id, "first": 1}))["why"]
    most = (await client.ask(query, {"of": of, "node": made["delays"].id, "first": 10}))["why"]

    assert (1, True) == (len(one["paths"]), one["more"])
    assert ([2, 2, 3, 3], False) == ([len(path["links"]) for path in most["paths"]], most["more"])


async def test_what_a_model_comes_from(client: Client, store: Store) -> None:
    """Provenance walks the other way, and can show one kind alone."""
    made = await a_chain(store)
    query = "query ($of: [ID!]!) { provenance(of: $of, kinds: [DATASET]) { edges { distance node { id } } } }"

    data = await client.ask(query, {"of": [made["model"].id]})

    assert [{"distance": 5, "node": {"id": made["flights"].id}}] == data["provenance"]["edges"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"of": []}, "INVALID_INPUT"),
        ({"of": ["nothing"]}, "NOT_FOUND"),
        ({"of": ["x"], "first": 1001}, "LIMIT_EXCEEDED"),
        ({"of": ["x"] * 1001}, "LIMIT_EXCEEDED"),
        ({"of": ["x"], "maxDepth": 0}, "INVALID_INPUT"),
        ({"of": ["x"], "after": "W10"}, "INVALID_INPUT"),
    ],
)
async def test_a_walk_that_cannot_be(client: Client, arguments: dict[str, Any], code: str) -> None:
    """A walk from nowhere, from what is not there, or in pages that are too large is refused."""
    assert code == (await client.refused(IMPACT, arguments))["code"]


async def test_paths(client: Client, store: Store) -> None:
    """The ways from a model to a column: two, through either feature, each edge with its type and ends."""
    made = await a_chain(store)
    query = """query ($from: ID!, $to: ID!) { paths(from: $from, to: $to) {
      nodes { name } links { type source target } } }"""

    paths = (await client.ask(query, {"from": made["model"].id, "to": made["flights.delay"].id}))["paths"]

    assert {"late", "very_late"} == {path["nodes"][3]["name"] for path in paths}
    first = {"type": "TRAINED_ON", "source": made["model"].id, "target": made["delays-2026"].id}
    assert [first, first] == [path["links"][0] for path in paths]


async def test_search_in_pages(client: Client, store: Store) -> None:
    """Words are found in names and columns; pages neither repeat nor skip though many match equally well."""
    artifacts = [Artifact.defined(K.NOTEBOOK, f"delay study {number}", {"n": number}) for number in range(12)]
    await store.artifacts.record(artifacts, now=NOW, by="t")
    await store.search.settle()
    query = """query ($after: String) { search(text: "stud", kinds: [NOTEBOOK], first: 5, after: $after) {
      totalCount edges { node { id } } pageInfo { hasNextPage endCursor } } }"""

    seen: list[str] = []
    after, more = None, True
    while more:
        page = (await client.ask(query, {"after": after}))["search"]
        seen += [edge["node"]["id"] for edge in page["edges"]]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]

    assert (12, 12) == (page["totalCount"], len(seen))
    assert {artifact.id for artifact in artifacts} == set(seen)


async def test_an_audit_names_what_is_missing(client: Client, store: Store) -> None:
    """A model whose record has holes is not complete: each gap is said, each fact has its source."""
    made = await a_chain(store)
    query = """query ($id: ID!) { audit(model: $id) {
      model { id } complete gaps { section message } facts { section name value source { id } } seal export } }"""

    audit = (await client.ask(query, {"id": made["model"].id}))["audit"]

    assert (made["model"].id, False) == (audit["model"]["id"], audit["complete"])
    assert audit["gaps"]
    assert made["delays-2026"].id in {fact["source"]["id"] for fact in audit["facts"] if fact["source"]}


async def test_only_models_are_audited(client: Client, store: Store) -> None:
    """An audit of what has no model is INVALID_INPUT."""
    made = await a_chain(store)

    error = await client.refused("query ($id: ID!) { audit(model: $id) { seal } }", {"id": made["flights"].id})

    assert "INVALID_INPUT" == error["code"]
