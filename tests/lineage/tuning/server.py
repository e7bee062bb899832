"""A server process that serves two slots of a run until the search is done, and may be killed at any moment."""

import sys

import anyio

from lineage.store.graph import Graph
from lineage.tuning.studies import Studies
from tests.conftest import NOW
from tests.lineage.tuning.searches import tell


async def serve(*arguments: str) -> None:
    """Ask and tell for both slots, and say each trial that was told."""
    *address, run_id = arguments
    graph = await Graph.open(*address)
    studies = Studies(graph)

    async def slot(name: str) -> None:
        while not (asked := await studies.ask(run_id, slot=name, attempt=1, now=NOW)).done:
            if asked.trial is not None:
                await tell(studies, run_id, asked.trial.number, float(asked.trial.params["x"]))
                print(asked.trial.number, flush=True)

    async with anyio.create_task_group() as slots:
        for name in "ab":
            slots.start_soon(slot, name)
    await graph.close()


if __name__ == "__main__":
    anyio.run(serve, *sys.argv[1:])
