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
from tests.e2e.jupyter import Jupyter, Kernel
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


def environ(world: World, **given: str) -> dict[str, str]:
    """The variables of somebody who works on the machine of *world*."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LINEAGE_")}
    return {**kept, "LINEAGE_HOME": str(world.home), "LINEAGE_TOKEN": TOKEN, **given}


@contextmanager
def opened(world: World, folder: Path, *more: str, **given: str) -> Iterator[Opened]:
    """A notebook of *folder*, ended by Ctrl-C if it has not been ended otherwise."""
    process = subprocess.Popen(command(folder, *more), env=environ(world, **given), stdout=subprocess.PIPE, text=True)
    with process:
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


def refused(world: World, folder: Path, *more: str) -> str:
    """What the command says that does not open a notebook."""
    done = subprocess.run(command(folder, *more), env=environ(world), capture_output=True, text=True, check=False)
    assert 1 == done.returncode
    assert "Traceback" not in done.stderr
    return done.stderr


HERE = "from lineage.client import Client\nprint(Client().artifact('Environment', 'cells').name)"


def test_a_killed_command_leaves_its_notebook_to_the_next(
    world: World, project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The next of its folder goes on with its kernels, one of another clears it away, and Shut Down ends that well."""
    with opened(world, project) as first:
        first.jupyter.open("kept.ipynb", "").do("kept = 42")
        beside = refused(world, project)
        first.process.kill()
    with opened(world, project) as second:
        (kernel,) = second.jupyter.http.get("/api/kernels").json()
        said = Kernel(second.jupyter, kernel["id"]).do(f"print(kept)\n{HERE}")
        second.process.kill()
    left = containers(world)
    other = a_folder(tmp_path_factory, "other")
    with opened(world, other, "--network", LINEAGE_URL=str(world.client.url)) as third:
        now = containers(world)
        told = third.jupyter.open("there.ipynb", "").do(HERE)
        network = inspected("inspect", "-f", "{{.HostConfig.NetworkMode}}", *now).strip()
        third.jupyter.http.post("/api/shutdown")
        code = third.process.wait(timeout=60)

    assert f"has a notebook of this environment at {first.told['url']}" in beside
    assert first.told["container"] == second.told["container"]
    assert ("42\ncells\n", "cells\n") == (said, told)
    assert ([first.told["container"]], [third.told["container"]]) == (left, now)
    assert ("bridge", 0, []) == (network, code, containers(world))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--environment", "nothing"], "there is no Environment 'nothing'"),
        (["--environment", "words"], "words is an environment of perl; notebooks are of Python's alone"),
        (["--folder", "/usr/lib"], "it would hide the image's own"),
        (["--folder", "/nowhere"], "there is no folder /nowhere"),
    ],
)
def test_what_cannot_be_had(world: World, project: Path, given: list[str], words: str) -> None:
    """It is said in a line, and nothing is left."""
    if "words" in given:
        run = world.client.register_environment("words", language="perl", base_image="some:image", command=["perl"])
        world.client.wait(run)

    assert words in refused(world, project, *given)
    assert [] == containers(world)
