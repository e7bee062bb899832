"""A search goes on through the death of any process: real ones, killed with -9 in its midst."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from lineage.artifacts import ArtifactKind
from lineage.runs import RunState
from tests.e2e.worlds import TRIALS, World, running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

API, NEO4J = ("-m", "api"), ("org.neo4j.server.Neo4jCommunity",)
CLIENTS, EVENTS = 16, 600

CODE = """
import time
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def build(params):
    time.sleep(0.8)
    return make_pipeline(StandardScaler(), LogisticRegression(C=params["C"], max_iter=200))


def broken(params):
    raise RuntimeError("the wings fell off")


def endless(params):
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Everything running."""
    with running(tmp_path_factory.mktemp("world"), CODE) as world:
        yield world


@pytest.mark.parametrize("victim", [("-m", "executors"), API, NEO4J])
def test_a_search_survives_kill_9(world: World, victim: tuple[str, ...]) -> None:
    """Whoever is killed in its midst, a search ends with its number of trials, each once, and one model."""
    run = world.tune(f"survives-{victim[-1].rpartition('.')[2].lower()}")
    world.wait_for(lambda: world.finished(run) >= 2)

    killed = world.child(*victim)
    assert world.finished(run) < TRIALS
    killed.kill()
    done = world.client.wait(run)

    query = """query ($id: ID!) { run(id: $id) {
      generated { kind } trials(first: 100) { edges { node { number state } } }
    } }"""
    found = world.ask(query, id=run.id)["run"]
    states = [edge["node"]["state"] for edge in found["trials"]["edges"]]
    numbers = [edge["node"]["number"] for edge in found["trials"]["edges"]]
    assert RunState.SUCCEEDED is done.state
    assert killed.pid != world.child(*victim).pid
    assert TRIALS == sum(state in {"COMPLETE", "PRUNED", "FAIL"} for state in states)
    assert len(set(numbers)) == len(numbers)
    assert set(states) <= {"COMPLETE", "PRUNED", "LOST"}
    assert ["EVALUATION", "HYPERPARAMETERS", "MODEL"] == sorted(each["kind"] for each in found["generated"])


@pytest.mark.parametrize("victim", [API, NEO4J])
def test_a_stream_of_events_survives_kill_9(world: World, victim: tuple[str, ...]) -> None:
    """Clients send each event until it is acknowledged, and never after: none is missing, none is there twice."""
    namespace = f"stream-{victim[-1].rpartition('.')[2].lower()}"
    acknowledged: list[int] = []

    def event(number: int) -> dict[str, str]:
        return {"kind": "DATASET", "namespace": namespace, "name": f"event-{number}", "version": "1"}

    def send(number: int) -> None:
        edge = {"type": "DERIVED_FROM", "source": event(number), "target": event(number // 2)}
        world.client.record_lineage([event(number)], [edge] if number else [])
        acknowledged.append(number)

    with ThreadPoolExecutor(CLIENTS) as clients:
        sending = [clients.submit(send, number) for number in range(EVENTS)]
        world.wait_for(lambda: len(acknowledged) >= EVENTS // 10)
        killed = world.child(*victim)
        assert len(acknowledged) < EVENTS - CLIENTS
        killed.kill()
        for each in sending:
            each.result()

    root = world.client.artifact(ArtifactKind.DATASET, "event-0", "1", namespace)
    below = world.ask("query ($id: ID!) { impact(of: [$id], first: 1) { totalCount complete } }", id=root.id)
    assert sorted(acknowledged) == list(range(EVENTS))
    assert EVENTS == world.client.artifacts(namespace=namespace).total
    assert {"totalCount": EVENTS - 1, "complete": True} == below["impact"]


def test_code_that_raises_fails_with_its_own_words(world: World) -> None:
    """When every trial raises, the run has failed, and says what the code said."""
    run = world.client.wait(world.tune("broken", "code.py:broken", trials=3), check=False)

    assert (RunState.FAILED, "USER_CODE") == (run.state, run.reason)
    assert "the wings fell off" in str(run.message)
    assert {"FAIL"} == {trial.state for trial in world.client.trials(run)}


def test_a_cancel_leaves_no_process(world: World) -> None:
    """A run that is cancelled ends as such, and nothing of its work is left."""
    run = world.tune("endless", "code.py:endless", trials=2)
    world.wait_for(lambda: any(trial.state == "RUNNING" for trial in world.client.trials(run)))

    assert world.processes_of(run)

    world.client.cancel_run(run)
    done = world.client.wait(run, check=False)

    assert RunState.CANCELED is done.state
    assert [] == world.processes_of(run)
