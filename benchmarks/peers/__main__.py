"""ML Metadata and MLflow beside us: single events written, and the impact of a node.

Each peer runs in process on SQLite, in an environment that this makes from its package; we answer over HTTP. MLflow
knows one hop alone.
"""

import json
import subprocess
import venv
from contextlib import AsyncExitStack
from graphlib import TopologicalSorter
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import anyio

from benchmarks.graphs import Generated, generate
from benchmarks.harness import Row, elapsed, parser, show
from benchmarks.intake import drain, events_of
from benchmarks.target import Target, opened

#: Package → its script.
PEERS = {"ml-metadata": "ml_metadata_peer.py", "mlflow": "mlflow_peer.py"}
COUNT = "query($id: ID!, $depth: Int) { impact(of: [$id], maxDepth: $depth, first: 1) { totalCount } }"
REPEATS = 20


def given(made: Generated) -> str:
    """The graph as peers read it: number, name and what it was made of, what comes first before what comes of it."""
    targets: dict[int, list[int]] = {number: [] for number in range(len(made.kinds))}
    for _, source, target in made.edges:
        targets[source].append(target)
    nodes = [(each, made.name(each), targets[each]) for each in TopologicalSorter(targets).static_order()]
    return json.dumps({"nodes": nodes, "starts": made.starts})


def of_peer(package: str, graph: str) -> list[Row]:
    """What a peer prints, from an environment of its own."""
    with TemporaryDirectory() as folder:
        at = Path(folder)
        (at / "graph.json").write_text(graph)
        venv.create(at / "environment", with_pip=True)
        python = str(at / "environment" / "bin" / "python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", package], check=True)
        script = Path(__file__).with_name(PEERS[package])
        told = subprocess.run([python, script, at / "graph.json"], check=True, stdout=subprocess.PIPE)
        found: list[Row] = json.loads(told.stdout.splitlines()[-1])
        return found


async def ours(made: Generated) -> list[Row]:
    """The same over HTTP: events one after another, and impact."""
    async with AsyncExitStack() as stack:
        target = await opened(stack)
        await drain(target.http, events_of(generate(len(made.kinds), seed=3)))
        seconds = await elapsed(lambda: drain(target.http, events_of(made))) / 1000
        rows: list[Row] = [{"peer": "ours", "what": "writes", "per_second": round(len(made.kinds) / seconds)}]
        for start in made.starts:
            rows.append(await answered(target, start, made.start(start), None))
            rows.append(await answered(target, f"{start}, 1 hop", made.start(start), 1))
        return rows


async def answered(target: Target, what: str, id: str, depth: int | None) -> Row:
    """How long the count of an impact takes."""
    times = []
    for _ in range(REPEATS):
        times.append(await elapsed(lambda: target.post(COUNT, id=id, depth=depth)))
    answer = await target.post(COUNT, id=id, depth=depth)
    return {"peer": "ours", "what": what, "results": answer["impact"]["totalCount"], "ms": round(median(times), 2)}


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--nodes", type=int, default=10_000)
    args = arguments.parse_args()
    made = generate(args.nodes)
    rows = anyio.run(ours, made)
    for package in PEERS:
        rows += of_peer(package, given(made))
    show(rows, as_json=args.json)


if __name__ == "__main__":
    main()
