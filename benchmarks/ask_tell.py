"""What a trial costs beyond its own work: ask, draw three parameters, tell.

Three ways, each with TPE and its defaults, one slot, a new study: Optuna's own in-memory storage (the floor), Optuna's
study.ask and study.tell over GraphStorage, and the ask and tell that slots use (lineage.tuning.studies).
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import optuna

from lineage.embedded import Embedded
from lineage.runs import Run, RunKind, RunState, new_run_id
from lineage.searchspace import SearchSpace
from lineage.settings import Settings
from lineage.store import Store
from lineage.store.graph import Graph
from lineage.tuning.storage import GraphStorage
from lineage.tuning.studies import Studies

SPACE = SearchSpace.parse(
    {
        "parameters": {
            "C": {"type": "float", "low": 1e-3, "high": 10.0, "log": True},
            "depth": {"type": "int", "low": 2, "high": 9},
            "solver": {"type": "categorical", "choices": ["a", "b", "c"]},
        }
    }
)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Milliseconds of each trial of one study."""

    way: str
    trials: int
    milliseconds: Sequence[float]

    def row(self, floor: float) -> dict[str, Any]:
        """What is shown: median and 95th percentile of a trial, and the median beside that of the floor."""
        middle = median(self.milliseconds)
        late = quantiles(self.milliseconds, n=20)[-1]
        return {
            "way": self.way,
            "trials": self.trials,
            "median_ms": round(middle, 2),
            "p95_ms": round(late, 2),
            "ratio": round(middle / floor, 2),
            "added_ms": round(middle - floor, 2),
        }


def loss(params: Mapping[str, Any]) -> float:
    """An objective that costs nothing."""
    return float(params["C"] + params["depth"])


def with_storage(way: str, storage: optuna.storages.BaseStorage, trials: int) -> Measured:
    """Optuna's own ask and tell over *storage*."""
    study = optuna.create_study(storage=storage, sampler=optuna.samplers.TPESampler(seed=7))

    def once() -> None:
        trial = study.ask()
        study.tell(trial, loss(SPACE.suggest(trial)))

    return Measured(way=way, trials=trials, milliseconds=[timed(once) for _ in range(trials)])


def timed(work: Callable[[], None]) -> float:
    """Milliseconds that *work* takes."""
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


async def with_service(store: Store, trials: int) -> Measured:
    """The ask and tell that slots use."""
    now = datetime.now(UTC)
    run = Run(
        id=new_run_id(),
        kind=RunKind.TUNE,
        state=RunState.RUNNING,
        executor="process",
        spec={},
        created_at=now,
        created_by="benchmark",
    )
    await store.runs.create(run)
    studies = Studies(store.graph)
    await studies.ensure(run.id, space=SPACE, metric="loss", greater_is_better=False, trials=trials, seed=7)
    times = []
    for _ in range(trials):
        start = time.perf_counter()
        asked = await studies.ask(run.id, slot="0", attempt=0, now=now)
        assert asked.trial is not None
        value = loss(asked.trial.params)
        await studies.tell(run.id, asked.trial.number, attempt=0, state="COMPLETE", value=value, now=now)
        times.append((time.perf_counter() - start) * 1000)
    return Measured(way="studies", trials=trials, milliseconds=times)


async def measure(settings: Settings, sizes: Sequence[int]) -> list[dict[str, Any]]:
    """Every way at every size, after a study that warms everything up."""
    graph = await Graph.open(settings.neo4j_uri, settings.neo4j_user, settings.neo4j_password)
    store = Store(graph)
    await store.migrate(now=datetime.now(UTC))
    storage = GraphStorage.of(settings)
    rows = []
    for index, trials in enumerate((sizes[0], *sizes)):
        floor = with_storage("in memory", optuna.storages.InMemoryStorage(), trials)
        graphs = await anyio.to_thread.run_sync(with_storage, "GraphStorage", storage, trials)
        measured = [floor, graphs, await with_service(store, trials)]
        if index > 0:
            rows += [each.row(median(floor.milliseconds)) for each in measured]
    storage.close()
    await graph.close()
    return rows


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """*rows* as text, in columns."""
    names = list(rows[0])
    lines = [names, *([str(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(names))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


async def with_graph(settings: Settings, sizes: Sequence[int]) -> list[dict[str, Any]]:
    """Measure on the server that *settings* name, or on an embedded one that lasts as long as this."""
    if settings.neo4j_uri:
        return await measure(settings, sizes)
    with TemporaryDirectory() as folder:
        server = Embedded(replace(settings, home=Path(folder)))
        await server.start()
        at = replace(settings, neo4j_uri=server.uri, neo4j_user=server.user, neo4j_password=server.password)
        try:
            return await measure(at, sizes)
        finally:
            await server.stop()


def main() -> None:
    """Measure and print, as a table or, with --json, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 100, 300], help="trials of each study")
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rows = anyio.run(with_graph, Settings.from_environ(), args.sizes)
    print(json.dumps(rows, indent=2) if args.json else table(rows))


if __name__ == "__main__":
    main()
