"""`lineage up` over real processes, and all that a search in it needs."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from gql import Client as GraphQL
from gql import GraphQLRequest
from gql.transport.httpx import HTTPXTransport
from sklearn.datasets import load_breast_cancer

from lineage.artifacts import ArtifactKind
from lineage.client import Client, Run

TRIALS = 12
PACKAGES = ["scikit-learn", "pandas", "pyarrow", "skops"]


@dataclass
class World:
    """`lineage up` with a training set, an environment and all that a search needs."""

    home: Path
    client: Client
    pids: dict[str, int]
    inputs: dict[str, Any]
    code: Path
    token: str = ""

    def ask(self, query: str, **variables: Any) -> Any:
        """The answer of a GraphQL client that is not ours."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        transport = HTTPXTransport(url=f"{self.client.url}/graphql", headers=headers, timeout=60)
        with GraphQL(transport=transport) as session:
            return session.execute(GraphQLRequest(query, variable_values=variables))

    def tune(self, name: str, entry: str = "code.py:build", **more: Any) -> Run:
        """Start a search."""
        code = self.client.register_model_code(name, self.code, entry)
        given = {**self.inputs, "model_code": code, "trials": TRIALS, "parallel": 2, "seed": 1, **more}
        return self.client.tune(name, **given)

    def wait_for(self, what: Callable[[], bool], seconds: float = 90) -> None:
        """Wait until *what* holds."""
        deadline = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def finished(self, run: Run) -> int:
        """How many trials of *run* have ended."""
        return sum(trial.state == "COMPLETE" for trial in self.client.trials(run))

    def log(self, run: Run) -> str:
        """The whole log of *run*."""
        text, after = "", 0
        while True:
            piece, after = self.client.log(run, after)
            if not piece:
                return text
            text += piece

    def processes_of(self, run: Run) -> list[psutil.Process]:
        """Every process that works in the folder of *run*: the shepherd's slots, and whatever they have started."""
        folder = str(self.home / "runs" / run.id)
        return [each for each in psutil.process_iter(["cwd"]) if str(each.info["cwd"]).startswith(folder)]

    def child(self, *words: str) -> psutil.Process:
        """The process of the stack whose command has *words*, as it is now."""
        family = psutil.Process(self.pids["up"]).children(recursive=True)
        return next(each for each in family if set(words) <= set(" ".join(each.cmdline()).split()))


@contextmanager
def running(path: Path, code: str, **settings: str) -> Iterator[World]:
    """Everything running below *path* with *settings*, and a small training set; *code* is that of models."""
    with served(path, **settings) as (client, pids):
        yield a_world(client, path, code, pids)


class Worker:
    """A worker of a test's own on the graph of a stack, which is killed and started again as the test likes.

    Args:
        settings: what it has other than the API of *pids* has, by the name of the setting.
    """

    def __init__(self, pids: dict[str, int], cwd: Path, **settings: str) -> None:
        given = {f"LINEAGE_{name.upper()}": value for name, value in settings.items()}
        self._environ, self._cwd = {**psutil.Process(pids["api"]).environ(), **given}, cwd
        self.start()

    def start(self) -> None:
        """Start it, where it was ended."""
        command = [sys.executable, "-P", "-m", "executors"]
        self._process = subprocess.Popen(command, env=self._environ, cwd=self._cwd, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        """End it by SIGKILL, and start the next one."""
        self._process.kill()
        self._process.wait()
        self.start()

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(timeout=60)


@contextmanager
def alone(path: Path, code: str, **settings: str) -> Iterator[tuple[World, Worker]]:
    """As `running`, with a worker of the test's own in the place of the stack's."""
    with served(path, "--workers", "0", **settings) as (client, pids):
        worker = Worker(pids, path)
        try:
            yield a_world(client, path, code, pids), worker
        finally:
            worker.stop()


@contextmanager
def served(path: Path, *words: str, **settings: str) -> Iterator[tuple[Client, dict[str, int]]]:
    """`lineage up *words*` below *path* with *settings*: a client of it, and its processes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LINEAGE_")}
    environ = {**kept, "LINEAGE_HOME": str(path / "home"), "LINEAGE_PORT": str(port), "LINEAGE_LEASE_SECONDS": "4"}
    environ |= {f"LINEAGE_{name.upper()}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "lineage.cli", "up", "--json", *words]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            greeting = json.loads(process.stdout.readline())
            with Client(greeting["url"], settings.get("token"), patience=120) as client:
                yield client, {**greeting["pids"], "up": process.pid}
        finally:
            process.terminate()
            process.wait(timeout=240)


def a_world(client: Client, path: Path, source: str, pids: dict[str, int]) -> World:
    """Register what a search needs."""
    frame = load_breast_cancer(as_frame=True).frame.rename(columns=lambda name: name.replace(" ", "_"))
    frame.reset_index(names="id").to_csv(path / "cells.csv", index=False)
    client.wait(client.register_dataset("cells", path / "cells.csv"))
    names = ["mean_radius", "mean_texture", "mean_smoothness", "mean_symmetry"]
    features = [client.define_feature(name, f"cells.{name}", "cells", ["cells.id"]) for name in names]
    label = client.define_feature("benign", "cells.target = 1", "cells", ["cells.id"])
    members = client.define_feature_set("cells", features, label)
    rule = {"by": "HASH", "validate": 0.2, "test": 0.2, "seed": 1}
    made = client.wait(client.create_training_set("cells", members, rule))
    environment = client.wait(client.register_environment("cells", PACKAGES))
    space = client.define_search_space("cells", {"C": {"type": "float", "low": 0.001, "high": 10, "log": True}})
    code = path / "code.py"
    code.write_text(source)
    inputs = {
        "training_set": made.made(ArtifactKind.TRAINING_SET),
        "environment": environment.made(ArtifactKind.ENVIRONMENT),
        "metrics": [client.define_metric("roc_auc", threshold=0.5)],
        "search_space": space,
    }
    return World(path / "home", client, pids, inputs, code)
