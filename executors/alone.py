"""One at a time over all processes of a machine, by a lock on a file."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from filelock import FileLock, Timeout

POLL_SECONDS = 0.2


@asynccontextmanager
async def alone(path: Path) -> AsyncIterator[None]:
    """Hold a lock between processes; the kernel frees that of a dead one."""
    lock = FileLock(path, thread_local=False)
    while True:
        try:
            lock.acquire(timeout=0)
            break
        except Timeout:
            await anyio.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        lock.release()
