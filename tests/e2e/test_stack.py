"""The stack of compose.yaml, whole: its image built, its secrets in files, and the death of each of its services.

Neo4j's official image is one that cannot be pulled here; what stands in for it is said in stacks.py.
"""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import httpx
import pytest

from executors.base import Prepared
from lineage.artifacts import ArtifactKind
from lineage.client import Client, Run
from lineage.runs import RunState
from tests import daemon
from tests.e2e import stacks
from tests.e2e.stacks import SERVICES, Stack, inspected
from tests.e2e.worlds import World, a_world

pytestmark = [pytest.mark.e2e, pytest.mark.docker, pytest.mark.timeout(900)]

CODE = """
import time
from sklearn.linear_model import LogisticRegression


def build(params):
    time.sleep(1.0)
    return LogisticRegression(C=params.get("C", 1.0), max_iter=5000)
"""
TRIALS = 10


@pytest.fixture(scope="module")
def stack(
    base_image: str, tabular: Prepared, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """The stack in good health, on a daemon that has the image of the environment."""
    command = stacks.compose()
    if command is None:
        pytest.skip(stacks.NO_COMPOSE)
    session = request.config.stash[daemon.SESSION]
    with stacks.running(tmp_path_factory.mktemp("stack"), command, base_image, session) as stack:
        yield stack


@pytest.fixture(scope="module")
def world(stack: Stack) -> Iterator[World]:
    """All that a search needs, registered through the published API."""
    token = stack.secrets["token"]
    with Client(stack.url, token, patience=180) as client:
        yield replace(a_world(client, stack.home, CODE, {}), home=stack.home, token=token)


def test_without_the_token_nobody_gets_in(stack: Stack, world: World) -> None:
    """Neither no token nor another one is let in; the right one is, by a client that is not ours."""
    body = {"query": "{ artifacts { totalCount } }"}
    answers = [
        httpx.post(f"{stack.url}/graphql", json=body, headers=headers)
        for headers in ({}, {"Authorization": "Bearer another"})
    ]

    assert [401, 401] == [answer.status_code for answer in answers]
    assert world.ask("{ artifacts { totalCount } }")["artifacts"]["totalCount"] > 0
    assert 200 == httpx.get(f"{stack.url}/health").status_code


def reaches(container: str, address: str) -> bool:
    """Whether a connection from *container* to *address* comes about."""
    command = ["docker", "exec", container, "timeout", "3", "bash", "-c", f"exec 3<>/dev/tcp/{address}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_only_the_api_is_published_and_nothing_has_more_than_it_needs(stack: Stack) -> None:
    """One port, on loopback; API and worker are nobody, on a root that is read-only; the graph reaches nothing."""
    found = {service: stack.container(service) for service in SERVICES}
    ports = {service: each["NetworkSettings"]["Ports"] or {} for service, each in found.items()}
    bound = {service: [each for each in held.values() if each] for service, held in ports.items()}
    reached = [reaches(found["neo4j"]["Id"], address) for address in ("api/8000", "1.1.1.1/53")]

    assert {"neo4j": [], "worker": []} == {service: bound[service] for service in ("neo4j", "worker")}
    ((published,),) = bound["api"]
    assert stack.url == f"http://{published['HostIp']}:{published['HostPort']}"
    for service in ("api", "worker"):
        held = found[service]["HostConfig"]
        assert ("10001:10001", True, ["ALL"], False) == (
            found[service]["Config"]["User"],
            *(held[each] for each in ("ReadonlyRootfs", "CapDrop", "Privileged")),
        )
    assert {"worker"} == {service for service, each in found.items() if "docker.sock" in json.dumps(each["Mounts"])}
    assert [True, False] == reached


def test_a_model_from_data_to_audit(world: World) -> None:
    """The worker builds an image, trains in a container, and impact and audit tell of it."""
    small = world.client.wait(world.client.register_environment("small", ["six==1.17.0"]))
    built = world.client.wait(world.client.build_environment(small.made(ArtifactKind.ENVIRONMENT), executor="docker"))
    code = world.client.register_model_code("cells", world.code, "code.py:build")
    inputs = {name: world.inputs[name] for name in ("training_set", "environment", "metrics")}
    given = {**inputs, "model_code": code, "executor": "docker", "hyperparameters": {}}
    run = world.client.wait(world.client.train("cells", **given))
    model = run.made(ArtifactKind.MODEL)
    query = "query ($id: ID!) { run(id: $id) { runsIn { kind } } }"
    walk = "query ($of: [ID!]!) { impact(of: $of, kinds: [MODEL]) { edges { node { id } } } }"
    cells = world.client.artifact(ArtifactKind.DATASET, "cells")

    assert built.made(ArtifactKind.IMAGE).digest
    assert {"ENVIRONMENT", "IMAGE"} == {each["kind"] for each in world.ask(query, id=run.id)["run"]["runsIn"]}
    assert [model.id] == [edge["node"]["id"] for edge in world.ask(walk, of=[cells.id])["impact"]["edges"]]
    assert world.client.audit(model).complete


def has_finished(world: World, run: Run, count: int) -> bool:
    """Whether so many trials have ended."""
    return world.finished(run) >= count


def was_restarted(stack: Stack, service: str, before: int) -> bool:
    """Whether the daemon has started *service* again."""
    return bool(stack.container(service)["RestartCount"] > before)


def test_each_service_may_die_in_the_midst_of_a_search(stack: Stack, world: World) -> None:
    """The restart policy brings back what is killed; the search goes on, and each trial is there once."""
    run = world.tune("survives", executor="docker", trials=TRIALS)
    for finished, service in ((1, "worker"), (3, "neo4j"), (5, "api")):
        world.wait_for(partial(has_finished, world, run, finished), 180)
        before = stack.container(service)["RestartCount"]
        stack.kill(service)
        stack.wait_for(partial(was_restarted, stack, service, before))
    done = world.client.wait(run)

    trials = world.client.trials(run)
    assert (RunState.SUCCEEDED, 1) == (done.state, done.attempt)
    assert [*range(TRIALS)] == sorted(trial.number for trial in trials)
    assert {"COMPLETE"} == {trial.state for trial in trials}
    assert 1 == sum(each.kind is ArtifactKind.MODEL for each in done.generated)
    stack.wait_for(lambda: all(stack.is_healthy(each) for each in SERVICES))


def test_the_graph_outlives_the_stack(stack: Stack, world: World) -> None:
    """What is stopped by hand stays stopped until `up`; after `down` and `up` the graph is what it was."""
    query = "{ artifacts(first: 100) { totalCount edges { node { id digest } } } runs { totalCount } }"
    before = world.ask(query)
    killed = stack.container("worker")["Id"]
    subprocess.run(["docker", "kill", killed], check=True, capture_output=True)

    assert not inspected(killed)["State"]["Running"]
    stack.compose("down")
    stack.compose("up", "-d")
    stack.wait_for(lambda: all(stack.is_healthy(each) for each in SERVICES))

    assert before == world.ask(query)
    assert killed != stack.container("worker")["Id"]


def test_no_secret_is_anywhere_but_in_its_file(stack: Stack, world: World) -> None:
    """Neither token nor password is in what the daemon tells of containers and images, in a log, or in the graph's."""
    told = stack.compose("logs", "--no-color")
    for service in SERVICES:
        container = stack.container(service)
        told += json.dumps([container, inspected(container["Image"])])
        history = ["docker", "history", "--no-trunc", container["Image"]]
        told += subprocess.run(history, check=True, capture_output=True, text=True).stdout
    files = [path for path in stack.home.rglob("*") if path.is_file()]

    assert "lineage" in told
    for word in stack.secrets.values():
        assert word not in told
        assert [] == [path for path in files if word.encode() in path.read_bytes()]
