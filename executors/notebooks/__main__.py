"""`python -m executors.notebooks`: JupyterLab in a container of an environment's image, until it is told to stop."""

import argparse
import asyncio
import json
import sys
import webbrowser
from pathlib import Path
from typing import Any

from executors import registry
from lineage import logs
from lineage.errors import ExecutionFailed, LineageError
from lineage.settings import Settings


def main() -> int:
    """Read the arguments, have the notebook, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m executors.notebooks", description=__doc__)
    parser.add_argument("--environment", required=True, help="id of the environment")
    parser.add_argument("--folder", required=True, type=Path)
    parser.add_argument("--port", type=int, default=8888)
    parser.add_argument("--network", action="store_true")
    parser.add_argument("--memory", type=int, help="mebibytes")
    parser.add_argument("--cpus", type=float)
    parser.add_argument("--browser", action="store_true")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    logs.configure()
    try:
        asyncio.run(_run(args, Settings.from_environ()))
    except LineageError as error:
        print(f"lineage: {error}", file=sys.stderr)
        if isinstance(error, ExecutionFailed) and error.log_tail:
            print(error.log_tail.rstrip(), file=sys.stderr)
        return 1
    return 0


async def _run(args: argparse.Namespace, settings: Settings) -> None:
    registry.load("docker", settings)  # says what is missing where the SDK is not installed
    from executors.notebooks import session
    from executors.notebooks.container import Notebook, folder_of

    notebook = Notebook(
        environment=args.environment,
        folder=folder_of(args.folder),
        network=args.network,
        memory_bytes=args.memory * 1024 * 1024 if args.memory else None,
        cpus=args.cpus,
    )

    def ready(told: dict[str, Any]) -> None:
        print(json.dumps(told) if args.json else f"{told['url']}\nCtrl-C ends it.", flush=True)
        if args.browser:
            webbrowser.open(told["url"])

    await session.run(notebook, args.port, settings=settings, log=_say, ready=ready)


async def _say(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
