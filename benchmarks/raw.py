"""The best plain Cypher for each question, straight to the driver: what the product is measured against."""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import neo4j

from benchmarks.graphs import Generated
from lineage.artifacts import asset_id
from lineage.settings import Settings

BATCH = 10_000
WALKED = "DERIVED_FROM|TRAINED_ON|RUNS_IN|REQUIRES|INCLUDES"
#: How many, by kind: only the walk.
WALK = f"""
MATCH (a:Artifact {{id: $id}})<-[:{WALKED}*1..]-(x:Artifact)
WITH DISTINCT x
RETURN x.kind AS kind, count(*) AS many
"""
#: The answer of the product: without what was retracted, with the evaluations of what is reached.
COUNTS = f"""
MATCH (a:Artifact {{id: $id}})<-[:{WALKED}*0..]-(x:Artifact)
WITH DISTINCT x
WITH x.kind AS kind, x.retracted_at IS NULL AS is_shown, collect(x) AS found
WITH collect([kind, is_shown, size(found)]) AS counts,
  collect(CASE WHEN kind IN ['Model', 'TrainingSet', 'MetricDefinition'] THEN found END) AS evaluated
CALL (evaluated) {{
  UNWIND evaluated AS found
  UNWIND found AS x
  MATCH (x)-[:EVALUATED_BY|MEASURES]-(v:Evaluation) WHERE v.retracted_at IS NULL
  RETURN count(DISTINCT v) AS evaluations
}}
RETURN counts, evaluations
"""
#: The nearest, whole, and the kinds of all.
PAGE = f"""
MATCH (a:Artifact {{id: $id}}) WITH a LIMIT 1
MATCH p = (a)<-[:{WALKED}*1..]-(x:Artifact)
WITH x, min(length(p)) AS distance ORDER BY distance, x.id
WITH collect(x) AS found, collect(x.kind) AS kinds, collect(distance) AS distances
RETURN kinds, distances[..$first] AS distances, [x IN found[..$first] | x {{.*, search_text: null}}] AS nodes
"""
#: All, as six columns in one record.
COLUMNS = f"""
MATCH (a:Artifact {{id: $id}}) WITH a LIMIT 1
MATCH p = (a)<-[:{WALKED}*1..]-(x:Artifact)
WITH x, min(length(p)) AS distance
RETURN collect(x.id) AS ids, collect(distance) AS distances, collect(x.kind) AS kinds,
       collect(x.namespace) AS namespaces, collect(x.name) AS names, collect(x.version) AS versions
"""
NODES = """
UNWIND $nodes AS node
CREATE (a:Artifact:$(node.kind)) SET a = node, a.created_at = datetime()
"""
ASSETS = """
UNWIND $nodes AS node
MATCH (a:Artifact {id: node.id})
MERGE (s:Asset {id: node.asset}) ON CREATE SET s.kind = node.kind, s.namespace = node.namespace, s.name = node.name
CREATE (a)-[:VERSION_OF]->(s)
"""
EDGES = """
UNWIND $edges AS edge
MATCH (source:Artifact {id: edge[0]})
MATCH (target:Artifact {id: edge[1]})
CREATE (source)-[r:$($type) {recorded_at: datetime()}]->(target)
"""


class Raw:
    """A bare driver on one database."""

    def __init__(self, settings: Settings) -> None:
        self._driver = neo4j.AsyncGraphDatabase.driver(
            settings.neo4j_uri, auth=(settings.neo4j_user, settings.neo4j_password), notifications_min_severity="OFF"
        )

    async def close(self) -> None:
        """Give the connections back."""
        await self._driver.close()

    async def rows(self, text: str, **params: Any) -> list[neo4j.Record]:
        """The records of one read."""
        async with self._driver.session() as session:

            async def work(tx: neo4j.AsyncManagedTransaction) -> list[neo4j.Record]:
                return [record async for record in await tx.run(text, params)]

            return await session.execute_read(work)

    async def write(self, text: str, **params: Any) -> None:
        """One write in a transaction of its own."""
        async with self._driver.session() as session:

            async def work(tx: neo4j.AsyncManagedTransaction) -> None:
                await (await tx.run(text, params)).consume()

            await session.execute_write(work)

    async def walk(self, id: str) -> dict[str, int]:
        """How many depend on *id*, by kind, evaluations left out."""
        return {row["kind"]: row["many"] for row in await self.rows(WALK, id=id)}

    async def counts(self, id: str) -> int:
        """How many depend on *id*, evaluations and the start included."""
        (row,) = await self.rows(COUNTS, id=id)
        return int(row["evaluations"]) + sum(many for _, is_shown, many in row["counts"] if is_shown)

    async def page(self, id: str, first: int = 100) -> tuple[Counter[str], Sequence[Any]]:
        """The *first* nearest, and how many there are by kind."""
        (row,) = await self.rows(PAGE, id=id, first=first)
        return Counter(row["kinds"]), list(zip(row["distances"], row["nodes"], strict=True))

    async def columns(self, id: str) -> dict[str, list[Any]]:
        """Everything that depends on *id*, as columns."""
        (row,) = await self.rows(COLUMNS, id=id)
        return row.data()

    async def load(self, graph: Generated) -> None:
        """Write *graph* by UNWIND, with the fields that the product keeps and without the names of its versions."""
        for nodes in batches([node(graph, number) for number in range(len(graph.kinds))]):
            await self.write(NODES, nodes=nodes)
        await self.link(graph)

    async def load_named(self, graph: Generated) -> None:
        """The same with an Asset for each name, as the product keeps it."""
        made = [node(graph, number) for number in range(len(graph.kinds))]
        for nodes in batches(made):
            await self.write(NODES, nodes=nodes)
        for nodes in batches([{**each, "asset": asset(graph, number)} for number, each in enumerate(made)]):
            await self.write(ASSETS, nodes=nodes)
        await self.link(graph)

    async def link(self, graph: Generated) -> None:
        """Write the edges of *graph*."""
        for type_, found in groupby(sorted(graph.edges), key=lambda edge: edge[0]):
            pairs = [(graph.id(source), graph.id(target)) for _, source, target in found]
            for edges in batches(pairs):
                await self.write(EDGES, edges=edges, type=type_.value)


def node(graph: Generated, number: int) -> dict[str, Any]:
    """The fields of a node as the product keeps them."""
    return {
        "id": graph.id(number),
        "kind": graph.kinds[number].value,
        "namespace": "benchmark",
        "name": graph.name(number),
        "version": "1",
        "digest": f"{number:064x}",
        "body": f'{{"number":{number}}}',
        "tags": [],
        "created_by": "benchmark",
        "is_placeholder": False,
    }


def asset(graph: Generated, number: int) -> str:
    """The id of the name of a node."""
    return asset_id(graph.kinds[number], "benchmark", graph.name(number))


def batches(items: list[Any]) -> list[list[Any]]:
    """*items* in pieces of BATCH."""
    return [items[start : start + BATCH] for start in range(0, len(items), BATCH)]
