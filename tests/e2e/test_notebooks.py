"""`lineage notebook`: a real JupyterLab in a container, driven as its page does it, over the API with a token."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from executors.base import Prepared
from lineage.artifacts import ArtifactKind
from lineage.client import Client
from lineage.server import WORK_USER
from tests.e2e.jupyter import Jupyter
from tests.e2e.worlds import World, running

pytestmark = [pytest.mark.e2e, pytest.mark.docker, pytest.mark.timeout(600)]

TOKEN = "a-t0ken-of-the-server"
BEGIN = """
from pathlib import Path
from lineage.client import Client
Path("code.py").write_text(
    "from sklearn.linear_model import LogisticRegression\\n\\n\\n"
    "def build(params):\\n    return LogisticRegression(C=params['C'], max_iter=5000)\\n"
)
client = Client()
"""
TRAIN = """
code = client.register_model_code("from-a-notebook", "code.py", "code.py:build")
given = [client.artifact(kind, "cells") for kind in ("TrainingSet", "Environment")]
run = client.train("from-a-notebook", given[0], code, given[1], [client.artifact("MetricDefinition", "roc_auc")],
                   hyperparameters={"C": 1.0}, executor="docker")
print(client.wait(run).made("Model").id)
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, base_image: str, tabular: Prepared) -> Iterator[World]:
    """Everything running behind a token, on a machine that has the image of the environment."""
    with running(tmp_path_factory.mktemp("world"), "", base_image=base_image, token=TOKEN) as world:
        yield world


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is not root's."""
    return a_folder(tmp_path_factory, "project")


def a_folder(factory: pytest.TempPathFactory, name: str) -> Path:
    """An empty folder that is not root's."""
    folder = factory.mktemp(name)
    if os.getuid() == 0:
        os.chown(folder, WORK_USER, WORK_USER)
    return folder


class Opened:
    """A process of `lineage notebook`, and what it said."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.process, line = process, process.stdout.readline()
        assert line, "it said nothing"
        self.told: dict[str, Any] = json.loads(line)
        self.jupyter = Jupyter(self.told["url"])


def command(folder: Path, *more: str) -> list[str]:
    """The command of a notebook of the environment that all use."""
    given = ["--environment", "cells", "--folder", str(folder), "--port", "0", "--json", *more]
    return [sys.executable, "-m", "lineage.cli", "notebook", *given]


def environ(world: World) -> dict[str, str]:
    """The variables of somebody who works on the machine of *world*."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LINEAGE_")}
    return {**kept, "LINEAGE_HOME": str(world.home), "LINEAGE_TOKEN": TOKEN}


@contextmanager
def opened(world: World, folder: Path) -> Iterator[Opened]:
    """A notebook of *folder*, ended by Ctrl-C if it has not been ended otherwise."""
    with subprocess.Popen(command(folder), env=environ(world), stdout=subprocess.PIPE, text=True) as process:
        try:
            notebook = Opened(process)
            with notebook.jupyter.http:
                yield notebook
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)


def containers(world: World) -> list[str]:
    """The containers of the notebooks of this data directory, running or not."""
    home = (world.home / "home.id").read_text()
    filters = ["--filter", f"label=io.lineage.home={home}", "--filter", "label=io.lineage.notebook"]
    done = subprocess.run(["docker", "ps", "-aq", "--no-trunc", *filters], check=True, capture_output=True, text=True)
    return done.stdout.split()


def inspected(*words: str) -> str:
    """What the daemon says, as text."""
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True).stdout


def image_of(client: Client) -> str | None:
    """The digest of the image of the environment, once it is built."""
    run = client.build_environment(client.artifact("Environment", "cells"), executor="docker")
    return client.wait(run).made(ArtifactKind.IMAGE).digest


def test_what_a_notebook_trains_comes_from_it(world: World, project: Path) -> None:
    """Cells train over the API; model, code and notebook hang together, and the environment is what it was."""
    client = world.client
    before = client.artifact("Environment", "cells").digest, image_of(client)
    with opened(world, project) as notebook:
        kernel = notebook.jupyter.open("try it.ipynb", BEGIN, TRAIN)
        kernel.do(BEGIN)
        model = kernel.do(TRAIN).split()[-1]
        held, shown = json.loads(inspected("inspect", notebook.told["container"]))[0], notebook.told["image"]
        said = inspected("inspect", notebook.told["container"], shown) + inspected("history", "--no-trunc", shown)
        said += inspected("logs", notebook.told["container"])
        listening = psutil.Process(notebook.process.pid).net_connections("tcp")
        wrong = httpx.get(f"http://{notebook.jupyter.place}/api/contents", headers={"Authorization": "token no"})
    over = notebook.process.returncode, containers(world)

    walk = client.provenance(model, kinds=["ModelCode", "Notebook"])
    code, source = (each.artifact for each in walk.reached)
    assert ["from-a-notebook", "try it"] == [code.name, source.name]
    assert [1, 2] == [each.distance for each in walk.reached]
    assert before == (client.artifact("Environment", "cells").digest, image_of(client))
    assert before[1] not in (None, notebook.told["image"].removeprefix("sha256:"))
    assert (403, {"127.0.0.1"}) == (wrong.status_code, {each.laddr.ip for each in listening if not each.raddr})
    assert [] == [secret for secret in (TOKEN, notebook.told["token"]) if secret in said]
    assert ("none", True, ["ALL"], ["no-new-privileges"]) == tuple(
        held["HostConfig"][each] for each in ("NetworkMode", "ReadonlyRootfs", "CapDrop", "SecurityOpt")
    )
    assert (project / "code.py").stat().st_uid == project.stat().st_uid == int(held["Config"]["User"].split(":")[0])
    assert (0, []) == over
