"""What runs first in the container of a notebook: JupyterLab, and the way out to the API.

Its first argument is the API's Unix socket, or "-" where the network leads to it; the rest are JupyterLab's.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from functools import partial

from executors.inside import relay

PORT = 8000  # on the container's own loopback, which nothing outside reaches


async def main(api: str, arguments: list[str]) -> int:
    """Serve until JupyterLab has ended, and return its exit code."""
    if api != "-":
        connect = partial(relay.open_unix, api)
        await asyncio.start_server(partial(relay.join, connect=connect), "127.0.0.1", PORT)
    # -P keeps the project's own modules out of the server's way.
    process = await asyncio.create_subprocess_exec(sys.executable, "-P", "-m", "jupyterlab", *arguments)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, process.terminate)
    return await process.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], sys.argv[2:])))
