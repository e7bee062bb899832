"""A model goes online and stays there: replaced under load, killed with -9, and undeployed, over real processes."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from sklearn.datasets import load_breast_cancer

from lineage.artifacts import ArtifactKind
from lineage.client import Artifact, Client, Deployment
from lineage.errors import ExecutionFailed, NotFound
from tests.e2e.load import Load

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

CODE = """
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression


def build(params):
    if "constant" in params:
        return DummyClassifier(strategy="constant", constant=bool(params["constant"]))
    return LogisticRegression(C=params["C"], max_iter=500)
"""
NAMES = ["mean_radius", "mean_texture"]
ROW = {"mean_radius": 14.1, "mean_texture": 19.2}


@dataclass
class World:
    """`lineage up`, and models: some that always say the same, one in two versions, and one that has learned."""

    home: Path
    client: Client
    pid: int
    models: dict[str, Artifact] = field(default_factory=dict)

    def deployment(self, name: str) -> Deployment:
        """What serves under *name*."""
        return next(each for each in self.client.deployments() if each.name == name)

    def child(self, *words: str) -> psutil.Process:
        """The process of the stack whose command has *words*, as it is now."""
        family = psutil.Process(self.pid).children(recursive=True)
        return next(each for each in family if set(words) <= set(" ".join(each.cmdline()).split()))

    def scorers(self) -> list[psutil.Process]:
        """The scoring servers that run on this data directory."""
        folder = str(self.home / "deployments")
        return [each for each in psutil.process_iter(["cwd", "cmdline"]) if _serves(each.info, folder)]

    def until(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until *condition* holds."""
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until, "it took too long"
            time.sleep(0.1)


def _serves(info: dict[str, Any], folder: str) -> bool:
    return str(info["cwd"]).startswith(folder) and any(word.endswith("trial.py") for word in info["cmdline"] or ())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Everything running, and the models trained."""
    path = tmp_path_factory.mktemp("world")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LINEAGE_")}
    environ = {**kept, "LINEAGE_HOME": str(path / "home"), "LINEAGE_PORT": str(port), "LINEAGE_LEASE_SECONDS": "4"}
    command = [sys.executable, "-m", "lineage.cli", "up", "--json"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            greeting = json.loads(process.stdout.readline())
            with Client(greeting["url"], patience=120) as client:
                world = World(path / "home", client, process.pid)
                train(world, path)
                yield world
                for each in client.deployments():
                    client.undeploy(each.name)
                world.until(lambda: not world.scorers())
        finally:
            process.terminate()
            process.wait(timeout=240)


def train(world: World, path: Path) -> None:
    """Train what is deployed."""
    client = world.client
    frame = load_breast_cancer(as_frame=True).frame.rename(columns=lambda name: name.replace(" ", "_"))
    frame.reset_index(names="id").to_csv(path / "cells.csv", index=False)
    client.wait(client.register_dataset("cells", path / "cells.csv"))
    features = [client.define_feature(name, f"cells.{name}", "cells", ["cells.id"]) for name in NAMES]
    label = client.define_feature("benign", "cells.target = 1", "cells", ["cells.id"])
    members = client.define_feature_set("cells", features, label)
    rule = {"by": "HASH", "validate": 0.2, "test": 0.2, "seed": 1}
    made = client.wait(client.create_training_set("cells", members, rule)).made(ArtifactKind.TRAINING_SET)
    packages = ["scikit-learn", "pandas", "pyarrow", "skops"]
    environment = client.wait(client.register_environment("cells", packages)).made(ArtifactKind.ENVIRONMENT)
    (path / "code.py").write_text(CODE)
    code = client.register_model_code("cells", path / "code.py", "code.py:build")
    metric = client.define_metric("accuracy")
    wanted: dict[str, dict[str, Any]] = {"no": {"constant": 0}, "yes": {"constant": 1}, "learned": {"C": 1.0}}
    wanted["no, changed"] = {"constant": 1, "C": 2.0}
    for name, values in wanted.items():
        run = client.train(name.partition(",")[0], made, code, environment, [metric], hyperparameters=values)
        world.models[name] = client.wait(run).made(ArtifactKind.MODEL)


def test_deploy_score_and_see_it_in_the_graph(world: World) -> None:
    """A deployed model answers over HTTP as MLflow's would, and impact shows that it is live."""
    client = world.client
    client.promote(world.models["learned"], force=True, reason="it is the only one that has learned")
    run = client.wait(client.deploy("cells", "learned@champion", replicas=2))
    url = f"{client.url}/deployments/cells"

    answer = httpx.post(f"{url}/invocations", json={"dataframe_records": [ROW, {**ROW, "mean_radius": 30.0}]})
    wrong = httpx.post(f"{url}/invocations", json={"dataframe_records": [{**ROW, "mean_radius": "wide"}]})
    reached = client.impact(world.models["learned"], kinds=["Deployment"])
    found = world.deployment("cells")

    assert {"predictions": [True, False]} == answer.json()
    assert (400, "column 'mean_radius', row 0: 'wide' is not a number or null") == (
        wrong.status_code,
        wrong.json()["message"],
    )
    assert [200, 200] == [httpx.get(f"{url}/{path}").status_code for path in ("ping", "version")]
    assert [run.result["deployment"]] == [each.artifact.id for each in reached.reached]
    assert (True, "HEALTHY", 2) == (found.live, found.state, found.healthy_replicas)
    assert [True] == client.predict("cells", [ROW])
    text = httpx.get(f"{client.url}/metrics").text
    assert 'lineage_scoring_requests_total{deployment="cells",namespace="default",status="400"} 1.0' in text


def test_raw_rows_are_scored_by_the_sql_of_training(world: World) -> None:
    """A caller may send columns of the dataset; the features are computed as they were for training."""
    client = world.client
    client.wait(client.deploy("raw", world.models["learned"]))
    url = f"{client.url}/deployments/raw/invocations?raw=true"

    answer = httpx.post(url, json={"dataframe_records": [{"id": 1, **ROW}, {"id": 2, **ROW, "mean_radius": 30.0}]})
    wrong = httpx.post(url, json={"dataframe_records": [{"id": 1, "mean_radius": 30.0}]})

    assert {"predictions": [True, False]} == answer.json()
    assert (400, "row 0 lacks the column 'mean_texture' of 'cells'") == (wrong.status_code, wrong.json()["message"])


def test_a_new_version_replaces_the_old_one_without_a_lost_request(world: World) -> None:
    """Under load, every request is answered while a new version takes over, by the one or by the other."""
    client = world.client
    client.wait(client.deploy("flip", world.models["no"]))
    before = world.deployment("flip")

    with Load(f"{client.url}/deployments/flip/invocations", ROW) as load:
        client.wait(client.deploy("flip", world.models["yes"]))
        world.until(lambda: _is_single(world, "flip"))
        time.sleep(1.0)
        client.wait(client.deploy("flip", world.models["no"]))
        world.until(lambda: _is_single(world, "flip"))

    assert {(200, '{"predictions": [true]}'), (200, '{"predictions": [false]}')} == set(load.answers)
    assert before.id == world.deployment("flip").id  # the same content is the same version
    assert min(load.answers.values()) > 20, load.answers


def test_a_deployment_follows_its_alias_without_a_lost_request(world: World) -> None:
    """Under load, a promotion and a rollback take what is live along; every request is answered meanwhile."""
    client = world.client
    forced: dict[str, Any] = {"alias": "live", "force": True, "reason": "it is a test"}
    client.promote(world.models["no"], **forced)
    client.wait(client.deploy("follower", "no@live", follow=True))

    with Load(f"{client.url}/deployments/follower/invocations", ROW) as load:
        client.promote(world.models["no, changed"], **forced)
        world.until(lambda: serves(world, "follower", "no, changed"))
        client.rollback("no", alias="live", reason="it was better before")
        world.until(lambda: serves(world, "follower", "no"))

    assert {(200, '{"predictions": [true]}'), (200, '{"predictions": [false]}')} == set(load.answers)
    assert "no@live" == world.deployment("follower").follows
    client.undeploy("follower")


def serves(world: World, name: str, model: str) -> bool:
    """Whether the model that the world knows as *model* is live under *name*."""
    found = world.deployment(name)
    return found.live and found.model is not None and found.model.id == world.models[model].id


def _is_single(world: World, name: str) -> bool:
    """Whether nothing of an earlier version is left."""
    rows = world.client.query("{ deployments { name state healthyReplicas } }")["deployments"]
    return any(row == {"name": name, "state": "HEALTHY", "healthyReplicas": 1} for row in rows)


def test_a_killed_scorer_comes_back(world: World) -> None:
    """A scoring process that is killed with -9 is started anew; until then callers are told to come again."""
    client = world.client
    before = {each.pid for each in world.scorers()}
    client.wait(client.deploy("phoenix", world.models["yes"]))
    (victim,) = (each for each in world.scorers() if each.pid not in before)
    url = f"{client.url}/deployments/phoenix/invocations"
    answers: list[httpx.Response] = []

    victim.kill()
    until = time.monotonic() + 60
    while not answers or answers[-1].status_code != 200:
        answers.append(httpx.post(url, json={"instances": [ROW]}, timeout=30))
        assert time.monotonic() < until

    assert {200, 503} >= {each.status_code for each in answers}
    assert all("retry-after" in each.headers for each in answers if each.status_code == 503)
    assert victim.pid not in {each.pid for each in world.scorers()}


def test_scorers_outlive_the_worker(world: World) -> None:
    """When the worker is killed with -9, scoring goes on without a lost request, and the next worker adopts it."""
    client = world.client
    client.wait(client.deploy("orphan", world.models["yes"]))
    running = {each.pid for each in world.scorers()}

    with Load(f"{client.url}/deployments/orphan/invocations", ROW, threads=1) as load:
        worker = world.child("-m", "executors")
        worker.kill()
        world.until(lambda: _another(world, worker.pid))
        client.wait(client.deploy("orphan", world.models["no"]))  # only a controller that has adopted it can do so
        world.until(lambda: _is_single(world, "orphan"))
        world.until(lambda: (200, '{"predictions": [false]}') in load.answers)

    assert {(200, '{"predictions": [true]}'), (200, '{"predictions": [false]}')} == set(load.answers)
    assert len(running & {each.pid for each in world.scorers()}) >= len(running) - 1


def _another(world: World, pid: int) -> bool:
    try:
        return bool(world.child("-m", "executors").pid != pid)
    except (StopIteration, psutil.Error):  # the old one is just going, the new one has yet to come
        return False


def test_what_a_deployment_is_asked_is_watched(world: World) -> None:
    """Drift of a sample of the rows that it was asked; a scorer killed with -9 takes none along, an undeploy all."""
    client, url = world.client, f"{world.client.url}/deployments/watched/invocations"
    client.wait(client.deploy("watched", world.models["learned"], sample=40))
    kept = world.home / "samples"

    def samples() -> list[Path]:
        return list((world.home / "deployments").glob("*/out/sample.json"))

    def asked(count: int) -> Path:
        rows = [{**ROW, "mean_radius": 90.0 + n} for n in range(count)]
        world.until(lambda: httpx.post(url, json={"dataframe_records": rows}).status_code == 200)
        world.until(lambda: bool(samples()))
        return samples()[0].parents[1]

    root = asked(30)
    first = client.wait(client.measure_drift(deployment="watched")).made("Evaluation")
    next(each for each in world.scorers() if each.cwd() == str(root)).kill()
    world.until(lambda: not root.exists())
    rescued = len(list(kept.iterdir()))
    asked(20)
    words = ["drift", "--deployment", "watched", "--home", str(world.home), "--json"]
    done = subprocess.run([sys.executable, "-m", "lineage.cli", *words], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    client.undeploy("watched")
    world.until(lambda: not list(kept.iterdir()) and all(each.name != "watched" for each in client.deployments()))

    radius, texture = first.body["columns"]
    assert (30, 1, 40) == (first.body["rows"], rescued, told["evaluation"]["body"]["rows"])
    assert radius["psi"] > 1 < texture["psi"]  # rows of one texture
    assert told["evaluation"]["body"]["deployment"] == first.body["deployment"]


def test_a_version_that_does_not_come_to_life_is_given_up(world: World) -> None:
    """What is live stays live when a new version cannot be started, and the run says what its process said."""
    client = world.client
    client.wait(client.deploy("steady", world.models["yes"]))

    with pytest.raises(ExecutionFailed, match="no replica came to life"):
        client.wait(client.deploy("steady", world.models["no"], resources={"memory_bytes": 1024 * 1024}))

    assert [True] == client.predict("steady", [ROW])
    assert world.models["yes"].id == _model(world, "steady")
    world.until(lambda: world.deployment("steady").state == "HEALTHY")  # its controller says so at its next look


def _model(world: World, name: str) -> str | None:
    model = world.deployment(name).model
    return model.id if model else None


def test_undeploy_ends_its_processes(world: World) -> None:
    """After an undeploy nothing answers, nothing runs, and the graph still knows the version."""
    client = world.client
    made = client.wait(client.deploy("brief", world.models["yes"])).made(ArtifactKind.DEPLOYMENT)
    running = len(world.scorers())

    client.undeploy("brief")
    world.until(lambda: len(world.scorers()) < running)
    world.until(lambda: "brief" not in {each.name for each in client.deployments()})

    with pytest.raises(NotFound, match="nothing is deployed as 'brief'"):
        client.predict("brief", [ROW])
    assert made.id == client.node(made.id).id


def test_what_was_never_deployed_is_not_found(world: World) -> None:
    """A name under which nothing was deployed is 404."""
    assert 404 == httpx.post(f"{world.client.url}/deployments/nobody/invocations", json={}).status_code
