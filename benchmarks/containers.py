"""Containers against processes: a search of short trials in both, and one container for each trial.

    python -m benchmarks.containers [--trials 50] [--slots 2] [--rounds 3]

The other end of the run protocol is in memory, so that only the executors are measured. The environment is
built for both first; LINEAGE_BASE_IMAGE names the base of its image.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import anyio

from benchmarks import harness
from executors.base import Executor, Prepared
from executors.docker import DockerExecutor
from executors.exchange import Bench
from executors.process import ProcessExecutor
from lineage.runs import RunState
from lineage.settings import Settings

PACKAGES = ["scikit-learn", "pandas", "pyarrow", "skops"]
CODE = """
import time
from sklearn.linear_model import LogisticRegression

def build(params):
    time.sleep(0.5)
    return LogisticRegression(C=params["C"], max_iter=500)
"""


async def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--single", type=int, default=8, help="trials that get a container each")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    root = _scratch()
    try:
        settings = Settings.from_environ(home=root / "home")
        docker, process = DockerExecutor(settings), ProcessExecutor(settings)
        environment, lock = await harness.environment(PACKAGES, settings)
        places = {
            "process": (process, await process.prepare(environment, lock, log=harness.quiet)),
            "docker": (docker, await docker.prepare(environment, lock, log=harness.quiet)),
        }
        began = time.perf_counter()
        await docker.prepare(environment, lock, log=harness.quiet)
        print(f"| a warm build of an unchanged environment | {time.perf_counter() - began:.2f} s |")
        await _table(root, places, given)
    finally:
        shutil.rmtree(root, ignore_errors=True)


async def _table(root: Path, places: dict[str, tuple[Executor, Prepared]], given: argparse.Namespace) -> None:
    times: dict[str, list[float]] = {name: [] for name in places}
    for number in range(given.rounds):
        for name, (executor, prepared) in places.items():
            folder = root / f"{name}{number}"
            times[name].append(await _search(executor, prepared, folder, trials=given.trials, slots=given.slots))
    best = {name: min(each) for name, each in times.items()}
    for name, each in times.items():
        shown = ", ".join(f"{one:.2f}" for one in each)
        print(f"| {given.trials} trials through {given.slots} slots, `{name}` | {best[name]:.2f} s (of {shown}) |")
    print(f"| `docker` against `process` | {best['docker'] / best['process']:.3f} |")
    executor, prepared = places["docker"]
    began = time.perf_counter()
    for number in range(given.single):
        await _search(executor, prepared, root / f"single{number}", trials=1, slots=1)
    each = (time.perf_counter() - began) / given.single
    many = await _search(executor, prepared, root / "many", trials=given.single, slots=1) / given.single
    print(f"| a trial, a container each | {each:.2f} s |\n| a trial, {given.single} through one | {many:.2f} s |")


async def _search(executor: Executor, prepared: Prepared, root: Path, *, trials: int, slots: int) -> float:
    """Seconds from the start of a search to its end."""
    with Bench(root, prepared, unix=root / "s") as bench:
        params: list[dict[str, Any]] = [{"C": 0.1 * (number + 1)} for number in range(trials)]
        workspace = bench.tune(CODE, params, slots=slots)
        began = time.perf_counter()
        outcome = await executor.wait(await executor.start(workspace))
        took = time.perf_counter() - began
        told = bench.exchange.told
    if outcome.state is not RunState.SUCCEEDED or any(each["state"] != "COMPLETE" for each in told.values()):
        sys.exit(f"it failed: {outcome}")
    return took


def _scratch() -> Path:
    root = Path(tempfile.mkdtemp(prefix="lineage-"))
    root.chmod(0o755)
    return root


if __name__ == "__main__":
    anyio.run(main)
