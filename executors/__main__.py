"""`python -m executors`: a worker that does runs until it is told to stop."""

import argparse
import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress

from executors import registry
from executors.worker import Worker, utc_now
from lineage import logs
from lineage.embedded import connected
from lineage.errors import InvalidInput, LineageError
from lineage.settings import Settings
from lineage.store import Store


def serving(settings: Settings) -> tuple[str, ...]:
    """The executors that this worker serves: those of the settings, or all whose packages are installed."""
    if settings.executors:
        return tuple(name.strip() for name in settings.executors.split(",") if name.strip())
    found = []
    for name in registry.names():
        with suppress(InvalidInput):
            registry.load(name, settings)
            found.append(name)
    return tuple(found)


async def work(settings: Settings, *, name: str) -> None:
    """Do runs until SIGTERM or SIGINT; work that is under way goes on, for the next worker to adopt."""
    async with connected(settings) as graph:
        store = Store(graph)
        await store.migrate(now=utc_now())
        worker = Worker(store, settings, name=name, executors=serving(settings))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, worker.stop)
        await worker.work()


def main() -> int:
    """Read the arguments, work, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m executors", description=__doc__)
    parser.add_argument("--name", default=f"{socket.gethostname()}-{os.getpid()}", help="the worker's name in leases")
    args = parser.parse_args()
    logs.configure()
    try:
        asyncio.run(work(Settings.from_environ(), name=args.name))
    except LineageError as error:
        print(f"lineage: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
