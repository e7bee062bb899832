"""`python -m lineage.embedded run --home DIR`: keep a server until SIGTERM; `lock`: make the lock of jars anew."""

import argparse
import asyncio
import dataclasses
import hashlib
import json
import signal
from pathlib import Path

import httpx
import jgo
from jgo.constants import MAVEN_CENTRAL_URL

from lineage.embedded import running
from lineage.embedded.jars import Jar
from lineage.settings import Settings


async def run(settings: Settings) -> None:
    """Start the server, say how to reach it as one line of JSON, and keep it until SIGTERM or SIGINT."""
    async with running(settings) as server:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        print(json.dumps({"uri": server.uri, "user": server.user, "password": server.password}), flush=True)
        watch = asyncio.create_task(server.watch())
        await stop.wait()
        watch.cancel()


def lock(version: str) -> None:
    """Print a lock of Neo4j *version*: every jar that Maven resolves, fetched once for its digest."""
    print(f"# Neo4j Community {version}: coordinates, sha256, bytes; made by python -m lineage.embedded lock")
    lines = []
    with httpx.Client(timeout=60) as client:
        for found in jgo.resolve(f"org.neo4j:neo4j:{version}"):
            parts = (found.groupId, found.artifactId, found.version, found.classifier)
            jar = Jar(
                **dict(zip(("group", "artifact", "version", "classifier"), parts, strict=True)), sha256="", bytes=0
            )
            data = client.get(f"{MAVEN_CENTRAL_URL}/{jar.path}").raise_for_status().content
            lines.append(f"{':'.join(filter(None, parts))} {hashlib.sha256(data).hexdigest()} {len(data)}")
    print("\n".join(sorted(lines)))


def main() -> None:
    """Read the arguments and do what they say."""
    parser = argparse.ArgumentParser(prog="python -m lineage.embedded", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("run").add_argument("--home", type=Path)
    verbs.add_parser("lock").add_argument("version")
    args = parser.parse_args()
    if args.verb == "lock":
        lock(args.version)
        return
    settings = Settings.from_environ()
    asyncio.run(run(dataclasses.replace(settings, home=args.home or settings.home)))


if __name__ == "__main__":
    main()
