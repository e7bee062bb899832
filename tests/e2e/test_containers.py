"""All in containers, over the API: runs as in processes, models online, and both through the death of the worker."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import psutil
import pytest
from gql import Client as GraphQL
from gql import gql
from gql.transport.websockets import WebsocketsTransport

from executors.base import Prepared
from lineage.artifacts import ArtifactKind
from lineage.client import Artifact, Run
from lineage.runs import RunState
from tests.e2e.load import Load
from tests.e2e.worlds import TRIALS, World, running

pytestmark = [pytest.mark.e2e, pytest.mark.docker, pytest.mark.timeout(600)]

CODE = """
import time
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression


def build(params):
    time.sleep(0.5)
    return LogisticRegression(C=params["C"], max_iter=5000)


def counting(params):
    for number in range(10):
        print("line", number, flush=True)
        time.sleep(0.5)
    return LogisticRegression(max_iter=5000)


def forest(params):
    return RandomForestClassifier(n_estimators=20)


def constant(params):
    return DummyClassifier(strategy="constant", constant=bool(params["constant"]))
"""
ROW = {"mean_radius": 14.1, "mean_texture": 19.2, "mean_smoothness": 0.1, "mean_symmetry": 0.2}
NO, YES = ((200, f'{{"predictions": [{said}]}}') for said in ("false", "true"))
RESOURCES = {"memory_bytes": 2**30, "cpus": 1, "processes": 64}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, base_image: str, tabular: Prepared) -> Iterator[World]:
    """Everything running, on a machine that has the image of the environment."""
    with running(tmp_path_factory.mktemp("world"), CODE, base_image=base_image) as world:
        yield world


def containers(run: Run) -> list[str]:
    """The ids of the containers of a run, running or not."""
    command = ["docker", "ps", "-aq", "--filter", f"label=io.lineage.run={run.id}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def test_the_same_model_in_both(world: World) -> None:
    """A train over the API gives the same bytes in a container as in a process, and names what it ran in."""
    code = world.client.register_model_code("forest", world.code, "code.py:forest")
    inputs = {name: world.inputs[name] for name in ("training_set", "environment", "metrics")}
    digests, places = {}, {}
    for executor in ("process", "docker"):
        given = {**inputs, "model_code": code, "executor": executor, "seed": 5, "hyperparameters": {}}
        done = world.client.wait(world.client.train(f"forest-{executor}", **given))
        digests[executor] = done.made(ArtifactKind.MODEL).digest
        query = "query ($id: ID!) { run(id: $id) { runsIn { kind digest } } }"
        places[executor] = {each["kind"] for each in world.ask(query, id=done.id)["run"]["runsIn"]}
        assert [] == containers(done)

    assert digests["process"] == digests["docker"]
    assert places["docker"] - places["process"] == {"IMAGE"}


async def watched(world: World, run: Run, followed: Path) -> list[tuple[str, str, str]]:
    """What a watcher of *run* is told until its end: its state, its log, and what a follower has written till then."""
    url = f"{world.client.url}/graphql".replace("http", "ws")
    transport = WebsocketsTransport(url=url, subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL])
    query = gql("subscription ($id: ID!) { runUpdated(id: $id) { state log { text } } }")
    query.variable_values = {"id": run.id}
    seen = []
    async with GraphQL(transport=transport) as session:
        async for event in session.subscribe(query):
            told = event["runUpdated"]
            seen.append((told["state"], told["log"]["text"], await anyio.Path(followed).read_text()))
    return seen


@pytest.mark.parametrize("executor", ["process", "docker"])
def test_a_log_is_told_while_it_is_written(world: World, tmp_path: Path, executor: str) -> None:
    """runUpdated and `lineage logs -f` have the first lines before the last are written, and each line once."""
    code = world.client.register_model_code("counting", world.code, "code.py:counting")
    inputs = {name: world.inputs[name] for name in ("training_set", "environment", "metrics")}
    run = world.client.train(
        f"counting-{executor}", **inputs, model_code=code, executor=executor, hyperparameters={}, seed=8
    )
    followed = tmp_path / "followed"
    command = [sys.executable, "-m", "lineage.cli", "logs", run.id, "-f", "--home", str(world.home)]
    with followed.open("wb") as stream, subprocess.Popen(command, stdout=stream) as follower:
        seen = anyio.run(watched, world, run, followed)
        assert 0 == follower.wait(60)

    for place in (1, 2):
        early = [each[place] for each in seen if each[0] == "RUNNING"]
        assert any("line 0\n" in text and "line 9\n" not in text for text in early), seen
    assert [1] * 10 == [followed.read_text().count(f"line {number}\n") for number in range(10)]


def test_a_search_survives_kill_9_of_its_worker(world: World) -> None:
    """The containers work on; another worker adopts them, and every trial is done once, in the first attempt."""
    run = world.tune("survives", executor="docker", resources={"memoryBytes": 2**30, "cpus": 1})
    world.wait_for(lambda: world.finished(run) >= 2)
    before = set(containers(run))

    world.child("-m", "executors").kill()
    world.wait_for(lambda: world.finished(run) >= 6)
    during = set(containers(run))
    done = world.client.wait(run)

    trials = world.client.trials(run)
    assert (RunState.SUCCEEDED, 1) == (done.state, done.attempt)
    assert before == during
    assert 2 == len(before)
    assert [*range(TRIALS)] == sorted(trial.number for trial in trials)
    assert {"COMPLETE"} == {trial.state for trial in trials}
    assert world.log(run).count("trial 3:") == 2  # what it was given, and what came of it
    assert [] == containers(run)


def test_cancel_removes_the_containers(world: World) -> None:
    """A cancelled search ends within its grace and leaves nothing on the daemon."""
    run = world.tune("canceled", executor="docker")
    world.wait_for(lambda: world.finished(run) >= 1)

    world.client.cancel_run(run)
    done = world.client.wait(run, check=False)

    assert RunState.CANCELED is done.state
    world.wait_for(lambda: containers(run) == [])


@pytest.fixture(scope="module")
def models(world: World) -> dict[str, Artifact]:
    """A model that always says no, and one that always says yes."""
    code = world.client.register_model_code("constant", world.code, "code.py:constant")
    inputs = {name: world.inputs[name] for name in ("training_set", "environment", "metrics")}
    runs = {
        name: world.client.train(
            name, **inputs, model_code=code, executor="docker", hyperparameters={"constant": value}
        )
        for name, value in {"no": 0, "yes": 1}.items()
    }
    return {name: world.client.wait(run).made(ArtifactKind.MODEL) for name, run in runs.items()}


def scorers(world: World, *options: str) -> list[str]:
    """The containers that serve on this data directory: those that run, unless *options* say otherwise."""
    home = (world.home / "home.id").read_text()
    command = ["docker", "ps", "-q", "--no-trunc", *options, "--filter", f"label=io.lineage.home={home}"]
    command += ["--filter", "name=^serve-"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def withdraw(world: World, name: str) -> None:
    """Undeploy *name*, and wait until none of its containers is left."""
    world.client.undeploy(name)
    world.wait_for(lambda: scorers(world, "-a") == [])


def inspected(id: str) -> dict[str, Any]:
    """What the daemon says of a container."""
    done = subprocess.run(["docker", "inspect", id], check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)[0]
    return found


def url(world: World, name: str) -> str:
    """Where *name* is asked."""
    return f"{world.client.url}/deployments/{name}/invocations"


def is_settled(world: World, name: str, replicas: int = 1) -> bool:
    """Whether *name* is in good health, with so many replicas."""
    rows = world.ask("{ deployments { name state healthyReplicas } }")["deployments"]
    return any(row == {"name": name, "state": "HEALTHY", "healthyReplicas": replicas} for row in rows)


def test_a_container_that_scores_is_shut_off(world: World, models: dict[str, Artifact]) -> None:
    """It answers over HTTP, names the column that is wrong, and may do nothing else; undeploying removes it."""
    run = world.client.wait(world.client.deploy("shut", models["yes"], executor="docker", resources=RESOURCES))
    (id,) = scorers(world)
    found = inspected(id)

    answer = httpx.post(url(world, "shut"), json={"dataframe_records": [ROW]})
    wrong = httpx.post(url(world, "shut"), json={"dataframe_records": [{**ROW, "mean_radius": "wide"}]})
    (image,) = world.client.provenance(run.made(ArtifactKind.DEPLOYMENT), kinds=["Image"], max_depth=1).reached
    withdraw(world, "shut")

    assert YES == (answer.status_code, answer.text)
    assert (400, "column 'mean_radius', row 0: 'wide' is not a number or null") == (
        wrong.status_code,
        wrong.json()["message"],
    )
    held, user = found["HostConfig"], found["Config"]["User"]
    assert ("none", True, ["ALL"], ["no-new-privileges"], False) == tuple(
        held[each] for each in ("NetworkMode", "ReadonlyRootfs", "CapDrop", "SecurityOpt", "Privileged")
    )
    assert (2**30, 2**30, 64) == (held["Memory"], held["MemorySwap"], held["PidsLimit"])
    assert int(user.partition(":")[0]) != 0
    assert {"/work", "/work/out", "/work/slots"} == {each["Destination"] for each in found["Mounts"] if each["RW"]}
    assert found["Image"] == f"sha256:{world.client.node(image.artifact.id).digest}"
    assert 404 == httpx.post(url(world, "shut"), json={"dataframe_records": [ROW]}).status_code


def test_a_new_version_replaces_the_old_one_without_a_lost_request(world: World, models: dict[str, Artifact]) -> None:
    """Under load every request is answered, by the one container or by the other, and the old one is removed."""
    world.client.wait(world.client.deploy("flip", models["no"], executor="docker"))
    before = scorers(world)

    with Load(url(world, "flip"), ROW) as load:
        world.client.wait(world.client.deploy("flip", models["yes"], executor="docker"))
        world.wait_for(lambda: is_settled(world, "flip"))
        world.wait_for(lambda: not set(before) & set(scorers(world, "-a")))

    assert {NO, YES} == set(load.answers)
    assert min(load.answers.values()) > 20, load.answers
    assert [True] == world.client.predict("flip", [ROW])
    withdraw(world, "flip")


def test_containers_outlive_their_worker_and_one_that_dies_is_started_again(
    world: World, models: dict[str, Artifact]
) -> None:
    """While the worker is dead the same containers answer; the next one adopts them, and replaces what is killed."""
    world.client.wait(world.client.deploy("phoenix", models["yes"], executor="docker", replicas=2))
    before = scorers(world)
    worker = world.child("-m", "executors").pid

    with Load(url(world, "phoenix"), ROW, threads=1) as load:
        os.kill(worker, signal.SIGKILL)
        world.wait_for(lambda: is_another(world, worker))
        time.sleep(1.0)
    orphaned = scorers(world)
    subprocess.run(["docker", "kill", before[0]], check=True, capture_output=True)
    world.wait_for(lambda: is_settled(world, "phoenix", 2) and set(scorers(world)) != set(before[1:]))

    assert {YES} == set(load.answers)
    assert before == orphaned
    assert 2 == len(scorers(world))
    assert {before[1]} == set(before) & set(scorers(world, "-a"))
    assert [True] == world.client.predict("phoenix", [ROW])
    withdraw(world, "phoenix")


def is_another(world: World, pid: int) -> bool:
    """Whether there is a worker that is not *pid*."""
    try:
        return bool(world.child("-m", "executors").pid != pid)
    except (StopIteration, psutil.Error):  # the old one is just going, the new one has yet to come
        return False
