"""How long the README's main job takes: `lineage demo` on an empty data directory, and again on the same one.

Each is a process of its own, from its start to its end: the embedded Neo4j, the API and a worker are started and
stopped in it. Jars and packages come from the user's caches where they are there; `--empty-caches` starts without them,
which adds the download. Memory is what all processes of the demo together held at its peak.
"""

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from benchmarks import harness

LIMITS = {"first": 300, "again": 90}
LOOK_SECONDS = 0.5


def demo(environ: dict[str, str]) -> tuple[dict[str, Any], float, dict[str, int]]:
    """What the demo says, the seconds that it took, and the most MB that it held: all of it, and Neo4j's share."""
    began, most = time.monotonic(), {"peak_mb": 0, "neo4j_mb": 0, "neo4j_own_mb": 0}
    command = [sys.executable, "-m", "lineage.cli", "demo", "--json"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            most = {name: max(most[name], now) for name, now in held(process.pid).items()}
            time.sleep(LOOK_SECONDS)
        seconds = time.monotonic() - began
        assert process.stdout is not None
        said = process.stdout.read()
    if process.returncode:
        raise SystemExit(f"the demo ended with {process.returncode}; run `lineage demo` to see why")
    return json.loads(said), seconds, most


def held(pid: int) -> dict[str, int]:
    """MB that a process and all below it hold, pages that they share counted once, and MB resident of Neo4j's Java.

    Its own are those that are not pages of files, which the system takes back when it needs them.
    """
    whole, java, own = 0, 0, 0
    with suppress(psutil.Error):  # one ended meanwhile; the next look counts them again
        root = psutil.Process(pid)
        for each in [root, *root.children(recursive=True)]:
            memory = each.memory_full_info()
            whole += memory.pss
            if each.name() == "java":
                java, own = memory.rss, memory.rss - memory.shared
    return {"peak_mb": whole // 1_000_000, "neo4j_mb": java // 1_000_000, "neo4j_own_mb": own // 1_000_000}


def measure(*, rounds: int, empty_caches: bool) -> list[dict[str, Any]]:
    """The demo from nothing and again, *rounds* times."""
    rows = []
    for _ in range(rounds):
        with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            environ = {name: value for name, value in os.environ.items() if not name.startswith("LINEAGE_")}
            environ |= {"LINEAGE_HOME": str(Path(folder) / "home"), "LINEAGE_PORT": "0"}
            if empty_caches:
                environ |= {"XDG_CACHE_HOME": str(Path(folder) / "cache"), "UV_CACHE_DIR": str(Path(folder) / "uv")}
            for which, limit in LIMITS.items():
                summary, seconds, most = demo(environ)
                row = {"run": which, "wall_s": round(seconds, 1), "limit_s": limit, "ratio": round(seconds / limit, 2)}
                rows.append({**row, **most, "roc_auc": summary["evaluation"]["values"]["roc_auc"]})
    return rows


def main() -> None:
    """Measure and print."""
    parser = harness.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=1, help="how often both are run")
    parser.add_argument("--empty-caches", action="store_true", help="download jars and packages, too")
    args = parser.parse_args()
    harness.show(measure(rounds=args.rounds, empty_caches=args.empty_caches), as_json=args.json)


if __name__ == "__main__":
    main()
