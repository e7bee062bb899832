"""Bulk intake and a stream of single events, beside plain Cypher that writes the same.

`raw` is UNWIND with CREATE in pieces of 10,000: nodes with the fields that the product keeps, an Asset for each name,
edges. `store` is `record_lineage` in process, `HTTP` the mutation `recordLineage`, both in calls of 10,000 items. Each
way starts on an empty graph of its own. The stream is one node with its edges a call, from 16 clients at once, after
as many calls that warm Java up.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from typing import Any

import aiohttp
import anyio
import orjson

from benchmarks.graphs import Generated, generate
from benchmarks.harness import Row, elapsed, parser, show
from benchmarks.raw import batches
from benchmarks.target import Target, opened
from lineage.artifacts import ArtifactKind, EdgeType
from lineage.intake import EdgeInput, NodeInput, Ref, record_lineage

RECORD = "mutation($input: RecordLineageInput!) { recordLineage(input: $input) { nodes edges } }"
CLIENTS = 16
#: Of raw; and events a second, twenty times what Marquez takes.
AIM, STREAM_AIM = 0.5, 600


class Intake(Target):
    """The ways into an empty graph."""

    async def by_raw(self, made: Generated) -> None:
        """Plain Cypher."""
        await self.raw.load_named(made)

    async def by_store(self, made: Generated) -> None:
        """The product, in process."""
        for nodes in batches(list(made.node_inputs())):
            await self._record([NodeInput(**plain(each)) for each in nodes], [])
        for edges in batches(list(made.edge_inputs())):
            await self._record([], [edge(each) for each in edges])

    async def _record(self, nodes: Sequence[NodeInput], edges: Sequence[EdgeInput]) -> None:
        await record_lineage(self.store, nodes, edges, by="benchmark", now=datetime.now(UTC))

    async def by_http(self, made: Generated) -> None:
        """The product, over HTTP."""
        for nodes in batches(list(made.node_inputs())):
            await self.send(nodes, [])
        for edges in batches(list(made.edge_inputs())):
            await self.send([], edges)

    async def send(self, nodes: Sequence[Mapping[str, Any]], edges: Sequence[Mapping[str, Any]]) -> None:
        """One call of the API."""
        await self.post(RECORD, input={"producer": "benchmark", "nodes": nodes, "edges": edges})


def plain(item: Mapping[str, Any]) -> dict[str, Any]:
    """A node of the API as the domain's."""
    return {**item, "kind": ArtifactKind[item["kind"]]}


def edge(item: Mapping[str, Any]) -> EdgeInput:
    """An edge of the API as the domain's."""
    source, target = (Ref(**plain(item[end])) for end in ("source", "target"))
    return EdgeInput(type=EdgeType[item["type"]], source=source, target=target)


async def bulk(nodes: int) -> list[Row]:
    """The same graph, each way."""
    made, rows, rates = generate(nodes), list[Row](), dict[str, float]()
    for way in ("raw", "store", "HTTP"):
        async with AsyncExitStack() as stack:
            target = Intake(**vars(await opened(stack)))
            call = {"raw": target.by_raw, "store": target.by_store, "HTTP": target.by_http}[way]
            await call(generate(2_000, seed=3))  # plans are cached, and Java is warm
            seconds = await elapsed(partial(call, made)) / 1000
        rates[way] = (len(made.kinds) + len(made.edges)) / seconds
        row: Row = {"way": way, "nodes": len(made.kinds), "edges": len(made.edges), "seconds": round(seconds, 1)}
        rows.append(row | {"per_second": round(rates[way]), "of_raw": round(rates[way] / rates["raw"], 2), "aim": AIM})
        show(rows[-1:], as_json=True)
    return rows


Event = tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]


def events_of(made: Generated) -> deque[Event]:
    """Each node, with the edges that it has."""
    links: dict[int, list[Mapping[str, Any]]] = {number: [] for number in range(len(made.kinds))}
    for (_, source, _), item in zip(made.edges, made.edge_inputs(), strict=True):
        links[source].append(item)
    return deque(zip(made.node_inputs(), links.values(), strict=True))


async def stream(events: int) -> Row:
    """Single events from several clients at once: a node and the edges that it has, a call for each."""
    made = generate(events)
    async with AsyncExitStack() as stack:
        target = await opened(stack)
        await drain(target.http, events_of(generate(events, seed=3)))
        seconds = await elapsed(partial(drain, target.http, events_of(made))) / 1000
    row: Row = {"way": f"stream, {CLIENTS} clients", "nodes": len(made.kinds), "edges": len(made.edges)}
    rate = round(len(made.kinds) / seconds)
    return row | {"seconds": round(seconds, 1), "events_per_second": rate, "events_aim": STREAM_AIM}


async def drain(session: aiohttp.ClientSession, waiting: deque[Event]) -> None:
    """Send what waits, each client one event after another."""

    async def client() -> None:
        while waiting:
            node, edges = waiting.popleft()
            given = {"producer": "benchmark", "nodes": [node], "edges": edges}
            content = orjson.dumps({"query": RECORD, "variables": {"input": given}})
            async with session.post("/graphql", data=content, headers={"content-type": "application/json"}) as reply:
                answer = orjson.loads(await reply.read())
            assert "errors" not in answer, answer

    async with anyio.create_task_group() as tasks:
        for _ in range(CLIENTS):
            tasks.start_soon(client)


async def measure(nodes: int, events: int) -> list[Row]:
    """Bulk, then the stream."""
    return [*await bulk(nodes), await stream(events)]


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--nodes", type=int, default=100_000, help="of the bulk")
    arguments.add_argument("--events", type=int, default=5_000, help="of the stream")
    args = arguments.parse_args()
    show(anyio.run(measure, args.nodes, args.events), as_json=args.json)


if __name__ == "__main__":
    main()
