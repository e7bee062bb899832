"""Whole runs in containers, over the API: the same as in processes, and through the death of the worker."""

import subprocess
from collections.abc import Iterator

import pytest

from lineage.artifacts import ArtifactKind
from lineage.client import Run
from lineage.runs import RunState
from tests.e2e.worlds import TRIALS, World, running

pytestmark = [pytest.mark.e2e, pytest.mark.docker, pytest.mark.timeout(600)]

CODE = """
import time
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression


def build(params):
    time.sleep(0.5)
    return LogisticRegression(C=params["C"], max_iter=5000)


def forest(params):
    return RandomForestClassifier(n_estimators=20)
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, base_image: str) -> Iterator[World]:
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
