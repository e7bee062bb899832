"""What clients ask of the graph: artifacts by name, alias and id, pages, neighbours, typed bodies."""

from datetime import timedelta
from typing import Any

import pytest

from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType
from lineage.store import Store
from tests.api.serving import Client
from tests.conftest import NOW

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]
K, E = ArtifactKind, EdgeType


async def _flights(store: Store) -> tuple[Artifact, Artifact]:
    body: dict[str, Any] = {
        "uri": "/data/flights.csv",
        "format": "csv",
        "row_count": 5_000_000_000,
        "byte_count": 7,
        "files": [{"path": "flights.csv", "sha256": "a" * 64, "bytes": 7}],
        "columns": [{"name": "delay", "type": "BIGINT"}],
    }
    dataset = Artifact(kind=K.DATASET, name="flights", digest="a" * 64, body=body, tags=("raw",))
    details = {"dataset": dataset.id, "column": "delay", "type": "BIGINT", "position": 0, "statistics": {"mean": 1.5}}
    column = Artifact(kind=K.COLUMN, name="flights.delay", version=dataset.version, digest="b" * 64, body=details)
    edges = [Edge(type=E.DERIVED_FROM, source=column.id, target=dataset.id)]
    await store.artifacts.record([dataset, column], edges, now=NOW, by="ada")
    return dataset, column


async def test_an_artifact_by_name_with_its_parts(client: Client, store: Store) -> None:
    """A dataset shows what its body knows, its columns, and who recorded it when; counts may pass 32 bits."""
    dataset, column = await _flights(store)

    data = await client.ask(
        """{ artifact(kind: DATASET, name: "flights") {
          id version createdAt createdBy tags aliases
          ... on Dataset { rowCount format files { path bytes } columns { id position statistics { mean } } }
        } }"""
    )

    assert {
        "id": dataset.id,
        "version": "a" * 12,
        "createdAt": NOW.isoformat(),
        "createdBy": "ada",
        "tags": ["raw"],
        "aliases": [],
        "rowCount": 5_000_000_000,
        "format": "csv",
        "files": [{"path": "flights.csv", "bytes": 7}],
        "columns": [{"id": column.id, "position": 0, "statistics": {"mean": 1.5}}],
    } == data["artifact"]


async def test_versions_and_aliases(client: Client, store: Store) -> None:
    """Without a version the newest is found, with one that very one, with @alias what it points to."""
    first, second = (Artifact(kind=K.MODEL, name="m", digest=letter * 64) for letter in "ab")
    await store.artifacts.record([first], now=NOW, by="t")
    await store.artifacts.record([second], now=NOW + timedelta(seconds=1), by="t")
    await store.artifacts.set_alias(first.id, "champion", now=NOW, by="t", reason="best")

    data = await client.ask(
        """query ($v: String!) {
          newest: artifact(kind: MODEL, name: "m") { id asset { versions { id } } }
          given: artifact(kind: MODEL, name: "m", version: $v) { id }
          alias: artifact(kind: MODEL, name: "m", version: "@champion") {
            id aliases asset { aliasHistory { alias reason until artifact { id } } }
          }
          none: artifact(kind: MODEL, name: "n") { id }
        }""",
        {"v": first.version},
    )

    history = [{"alias": "champion", "reason": "best", "until": None, "artifact": {"id": first.id}}]
    assert {
        "newest": {"id": second.id, "asset": {"versions": [{"id": second.id}, {"id": first.id}]}},
        "given": {"id": first.id},
        "alias": {"id": first.id, "aliases": ["champion"], "asset": {"aliasHistory": history}},
        "none": None,
    } == data


async def test_neighbours(client: Client, store: Store) -> None:
    """Upstream is what it depends on, downstream what depends on it; types can be chosen."""
    dataset, column = await _flights(store)

    data = await client.ask(
        """query ($c: ID!, $d: ID!) {
          column: node(id: $c) { ... on Column { upstream { type node { id } } dataset { id } } }
          dataset: node(id: $d) { ... on Artifact {
            downstream { node { kind } } none: downstream(types: [RUNS_IN]) { type }
          } }
        }""",
        {"c": column.id, "d": dataset.id},
    )

    assert {
        "column": {
            "upstream": [{"type": "DERIVED_FROM", "node": {"id": dataset.id}}],
            "dataset": {"id": dataset.id},
        },
        "dataset": {"downstream": [{"node": {"kind": "COLUMN"}}], "none": []},
    } == data


async def test_pages_neither_repeat_nor_skip(client: Client, store: Store) -> None:
    """Paging by cursor shows each of many artifacts recorded at one instant exactly once."""
    artifacts = [Artifact.defined(K.NOTEBOOK, f"n{number}", {"n": number}) for number in range(25)]
    await store.artifacts.record(artifacts, now=NOW, by="t")
    query = """query ($after: String) { artifacts(filter: {kinds: [NOTEBOOK]}, first: 10, after: $after) {
      totalCount edges { node { id } } pageInfo { hasNextPage endCursor } } }"""

    seen, after, sizes = [], None, []
    while True:
        page = (await client.ask(query, {"after": after}))["artifacts"]
        sizes.append(len(page["edges"]))
        seen += [edge["node"]["id"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break

    assert ([10, 10, 5], 25) == (sizes, page["totalCount"])
    assert {artifact.id for artifact in artifacts} == set(seen)


async def test_filters(client: Client, store: Store) -> None:
    """Artifacts are filtered by kind, name, tag and alias; retracted ones are shown when asked for."""
    dataset, _ = await _flights(store)
    await store.artifacts.retract(dataset.id, reason="wrong", now=NOW)

    data = await client.ask(
        """{
          hidden: artifacts(filter: {tag: "raw"}) { totalCount }
          shown: artifacts(filter: {tag: "raw", retracted: true}) { edges { node { name retractedReason } } }
          columns: artifacts(filter: {kinds: [COLUMN], name: "flights.delay"}) { totalCount }
          aliased: artifacts(filter: {alias: "champion"}) { totalCount }
        }"""
    )

    assert {
        "hidden": {"totalCount": 0},
        "shown": {"edges": [{"node": {"name": "flights", "retractedReason": "wrong"}}]},
        "columns": {"totalCount": 1},
        "aliased": {"totalCount": 0},
    } == data


async def test_what_others_recorded_in_another_shape(client: Client, store: Store) -> None:
    """A body that is not as we write it is shown as it is, and its typed fields are empty."""
    body = {"row_count": "many", "columns": "none", "files": [{"path": 1}], "uri": 5}
    await store.artifacts.record([Artifact.defined(K.DATASET, "odd", body)], now=NOW, by="t")

    data = await client.ask(
        """{ artifact(kind: DATASET, name: "odd") {
          body ... on Dataset { uri rowCount files { path } columns { id } } } }"""
    )

    assert {"body": body, "uri": None, "rowCount": None, "files": [], "columns": []} == data["artifact"]


async def test_many_fields_take_few_queries(client: Client, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neighbours and aliases of a page are fetched for all of it at once."""
    artifacts = [Artifact.defined(K.NOTEBOOK, f"n{number}", {"n": number}) for number in range(20)]
    await store.artifacts.record(artifacts, now=NOW, by="t")
    sent: list[str] = []
    many = store.graph.many

    async def counted(name: str, /, **params: Any) -> list[dict[str, Any]]:
        sent.append(name)
        return await many(name, **params)

    monkeypatch.setattr(store.graph, "many", counted)
    await client.ask(
        "{ artifacts { edges { node { aliases upstream { node { id } } downstream { type } generatedBy { id } } } } }"
    )

    assert ["aliases_of", "edges_from", "edges_to", "page_artifacts", "runs_that_made"] == sorted(sent)


async def test_the_status_of_the_server(client: Client) -> None:
    """The server tells its version, the graph's version and which executors there are."""
    data = await client.ask("{ status { version neo4jVersion executors } version }")

    assert data["version"] == data["status"]["version"]
    assert "process" in data["status"]["executors"]
    assert data["status"]["neo4jVersion"][0].isdigit()
