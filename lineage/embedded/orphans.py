"""Servers that nobody owns: their owner was killed before it could leave word of them."""

import os
from contextlib import suppress
from pathlib import Path

import psutil
import structlog
from anyio.to_thread import run_sync

log = structlog.get_logger()

MARK = "--home-dir"  # the argument behind which a server's command has its data directory
STOP_SECONDS = 30.0


async def end(home: Path) -> int:
    """End every server of this user on the data directory *home*, and say how many there were.

    Only for who holds the lock of the directory, and knows of no server there.
    """
    found = await run_sync(_of, home)
    for process in found:
        log.warning("neo4j.end_orphan", pid=process.pid, home=str(home))
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = await run_sync(psutil.wait_procs, found, STOP_SECONDS)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    await run_sync(psutil.wait_procs, alive, STOP_SECONDS)
    return len(found)


def _of(home: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            command = process.cmdline()
            named = command[command.index(MARK) + 1] if MARK in command[:-1] else None
            if named == str(home) and process.uids().real == os.getuid():
                found.append(process)
    return found
