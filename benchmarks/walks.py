"""Impact over GraphQL beside the best plain Cypher: the same graph, the same machine, calls in turn.

Every size has a server of its own, all up at once, so that sizes are compared call by call as well. Ways: `raw` is the
driver alone (benchmarks/raw.py) with the shortest Cypher for the same answer, `walk` that for the walk alone, without
evaluations and without a look at what was retracted; `store` is our own query in process, `GraphQL` the whole product
over HTTP.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from statistics import median
from typing import Any

import anyio
import psutil

from benchmarks.graphs import Generated, generate
from benchmarks.harness import Row, elapsed, in_turn, parser, percentile, ratio, show
from benchmarks.target import Target, opened
from lineage.store.walks import Direction

COUNTS = "query($id: ID!) { impact(of: [$id], first: 1) { totalCount counts { kind count } complete } }"
PAGE = """query($id: ID!, $first: Int!, $after: String) { impact(of: [$id], first: $first, after: $after) {
totalCount counts { kind count } complete pageInfo { hasNextPage endCursor }
edges { distance node { id kind namespace name version createdAt } } } }"""
TABLE = """query($id: ID!, $first: Int!) { impact(of: [$id]) { totalCount counts { kind count } complete
table(first: $first, columns: [KIND, NAMESPACE, NAME, VERSION]) { columns pageInfo { hasNextPage endCursor } } } }"""
LARGEST, ALL = 1_000, 10_000
CLIENTS, CALLS = 16, 1_600
AIMS = {"counts": 1.3, "first page of 100": 2.0, "10,000 as columns": 3.0, "10,000 as objects": None}


@dataclass
class Bench(Target):
    """One size of the graph, and the ways to ask it."""

    graph: Generated

    async def counted(self, id: str) -> int:
        """How many the API says that there are."""
        return int((await self.post(COUNTS, id=id))["impact"]["totalCount"])

    async def page(self, id: str) -> int:
        """How many the first page of 100 has."""
        return len((await self.post(PAGE, id=id, first=100))["impact"]["edges"])

    async def columns(self, id: str) -> int:
        """How many come when all are fetched as columns."""
        table = (await self.post(TABLE, id=id, first=ALL))["impact"]["table"]
        return len(table["columns"]["id"])

    async def whole(self, id: str) -> int:
        """How many come when all are fetched as objects, page by page."""
        found, after = 0, None
        while True:
            answer = (await self.post(PAGE, id=id, first=LARGEST, after=after))["impact"]
            found, after = found + len(answer["edges"]), answer["pageInfo"]["endCursor"]
            if not answer["pageInfo"]["hasNextPage"]:
                return found

    async def in_process(self, id: str, first: int) -> int:
        """How many a walk of the store counts, with a page of *first*."""
        return (await self.store.walks.walk([id], Direction.DOWN, first=first)).total


async def loaded(stack: AsyncExitStack, nodes: int) -> Bench:
    """A server with a graph of *nodes*."""
    bench = Bench(**vars(await opened(stack)), graph=generate(nodes))
    await bench.raw.load(bench.graph)
    return bench


def questions(bench: Bench) -> dict[tuple[str, str], dict[str, Callable[[], Awaitable[Any]]]]:
    """Question and start → way → call."""
    found = {}
    for start in bench.graph.starts:
        id = bench.graph.start(start)
        found["counts", start] = {
            "raw": lambda id=id: bench.raw.counts(id),
            "walk": lambda id=id: bench.raw.walk(id),
            "store": lambda id=id: bench.in_process(id, 0),
            "GraphQL": lambda id=id: bench.counted(id),
        }
        found["first page of 100", start] = {
            "raw": lambda id=id: bench.raw.page(id),
            "store": lambda id=id: bench.in_process(id, 100),
            "GraphQL": lambda id=id: bench.page(id),
        }
    if "large" in bench.graph.starts:
        id = bench.graph.start("large")
        found["10,000 as columns", "large"] = {
            "raw": lambda: bench.raw.columns(id),
            "GraphQL": lambda: bench.columns(id),
        }
        found["10,000 as objects", "large"] = {
            "raw": lambda: bench.raw.columns(id),
            "GraphQL": lambda: bench.whole(id),
        }
    return found


async def asked(benches: dict[int, Bench], repeats: int) -> list[Row]:
    """Each question at each size, each way."""
    rows = []
    for question, start in questions(benches[max(benches)]):
        ways = {
            f"{size} {way}": call
            for size, bench in benches.items()
            for way, call in questions(bench).get((question, start), {}).items()
        }
        times = await in_turn(ways, repeats=repeats)
        for size, bench in benches.items():
            if f"{size} raw" in times:
                rows.append(compared(question, start, size, times, await bench.counted(bench.graph.start(start))))
                show(rows[-1:], as_json=True)
    return rows


def compared(question: str, start: str, size: int, times: dict[str, list[float]], results: int) -> Row:
    """One row: milliseconds of each way, and what the product costs beside plain Cypher."""
    row: Row = {"question": question, "start": start, "nodes": size, "results": results}
    ways = [way for way in ("raw", "walk", "store", "GraphQL") if f"{size} {way}" in times]
    row |= {f"{way}_ms": round(median(times[f"{size} {way}"]), 2) for way in ways}
    row |= {f"{way}_ratio": ratio(times[f"{size} {way}"], times[f"{size} raw"]) for way in ways[1:]}
    smaller = size // 10
    if f"{smaller} GraphQL" in times:
        row["to_smaller"] = ratio(times[f"{size} GraphQL"], times[f"{smaller} GraphQL"])
    return row | {"aim": AIMS[question]}


async def concurrently(bench: Bench) -> list[Row]:
    """What 16 clients at once wait for an answer of 100."""
    id, rows = bench.graph.start("small"), []
    ways: dict[str, Callable[[], Awaitable[Any]]] = {
        "raw": lambda: bench.raw.page(id),
        "GraphQL": lambda: bench.page(id),
    }
    for way, call in ways.items():
        times: list[float] = []

        async def client(call: Callable[[], Awaitable[Any]] = call, times: list[float] = times) -> None:
            for _ in range(CALLS // CLIENTS):
                times.append(await elapsed(call))

        async with anyio.create_task_group() as tasks:  # connections are opened, and what answers is warm
            for _ in range(CLIENTS):
                tasks.start_soon(call)

        start = asyncio.get_running_loop().time()
        async with anyio.create_task_group() as tasks:
            for _ in range(CLIENTS):
                tasks.start_soon(client)
        seconds = asyncio.get_running_loop().time() - start
        p50, p99 = percentile(times, 50), percentile(times, 99)
        name = f"{CLIENTS} clients, small"
        rows.append(
            {"question": name, "way": way, "p50_ms": p50, "p99_ms": p99, "p99/p50": round(p99 / p50, 2), "aim": 3.0}
            | {"per_second": round(CALLS / seconds)}
        )
    return rows


async def memory(bench: Bench, times: int = 20) -> Row:
    """Resident MiB of the API before, after one and after *times* fetches of 10,000 results, and the most between."""
    process, seen = psutil.Process(bench.api), [0.0]
    id = bench.graph.start("large")
    seen[0] = process.memory_info().rss / 2**20
    for _ in range(times):
        await bench.whole(id)
        seen.append(process.memory_info().rss / 2**20)
    names = {"before_mib": seen[0], "after_1_mib": seen[1], f"after_{times}_mib": seen[-1], "most_mib": max(seen)}
    return {"question": "memory, 10,000 whole"} | {name: round(value, 1) for name, value in names.items()}


async def measure(sizes: Sequence[int], repeats: int) -> list[Row]:
    """Everything, at every size."""
    async with AsyncExitStack() as stack:
        benches = {size: await loaded(stack, size) for size in sizes}
        rows = await asked(benches, repeats)
        largest = benches[max(sizes)]
        rows += await concurrently(largest)
        if "large" in largest.graph.starts:
            rows.append(await memory(largest))
        return rows


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000], help="nodes")
    arguments.add_argument("--repeats", type=int, default=15, help="calls of each way that count")
    args = arguments.parse_args()
    show(anyio.run(measure, args.sizes, args.repeats), as_json=args.json)


if __name__ == "__main__":
    main()
