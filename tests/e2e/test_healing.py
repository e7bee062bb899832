"""Healing from end to end over real processes: newer data, a plan, and everything that depends on it made again."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from lineage.artifacts import ArtifactKind
from lineage.client.plans import Plan
from lineage.errors import Conflict, InvalidInput
from lineage.plans import PlanState, StepState
from tests.e2e.worlds import Worker, World, alone

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

K, S = ArtifactKind, StepState
CODE = """
from sklearn.linear_model import LogisticRegression


def build(params):
    return LogisticRegression(C=params["C"], max_iter=500)
"""
CHAIN = [K.FEATURE_SET, K.TRAINING_SET, K.MODEL, K.PREDICTIONS]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Worker]]:
    """Everything running, with a model that was searched for and has scored; and the one worker."""
    with alone(tmp_path_factory.mktemp("world"), CODE, lease_seconds="2") as (world, worker):
        model = world.client.wait(world.tune("cells", trials=2)).made(K.MODEL)
        world.client.wait(world.client.score("cells", model, where="id % 2 = 0"))
        yield world, worker


@pytest.fixture
def world(both: tuple[World, Worker]) -> World:
    """Everything running."""
    return both[0]


def newer(world: World, rows: int) -> Any:
    """The dataset without its last *rows*, registered as its next version."""
    file = world.code.parent / "cells.csv"
    lines = file.read_text().splitlines(keepends=True)
    file = file.with_name(f"cells-{rows}.csv")
    file.write_text("".join(lines[:-rows]))
    return world.client.wait(world.client.register_dataset("cells", file)).made(K.DATASET)


def shell(world: World, *words: str, code: int = 0) -> Any:
    """What `lineage … --json` answers."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("LINEAGE_")}
    done = subprocess.run(
        [sys.executable, "-m", "lineage.cli", *words, "--home", str(world.home), "--json"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert code == done.returncode, done.stderr
    return json.loads(done.stdout)


def test_newer_data_heals_what_depends_on_it(world: World) -> None:
    """A plan from a shell says what it would do and does nothing; executed, it makes everything again, in order."""
    client = world.client
    first = client.artifact("Dataset", "cells")
    second = newer(world, 50)
    planned = shell(world, "heal", first.id)
    before = client.artifact("Model", "cells")

    assert (["PLANNED"], [], 4) == (
        [planned["state"]],
        [each["run"] for each in planned["steps"] if each["run"]],
        len(planned["steps"]),
    )
    assert planned["seconds"] > 0
    done = shell(world, "plan", "execute", planned["id"])

    made = {each["kind"]: each["made"] for each in done["steps"]}
    assert ("SUCCEEDED", [each.value for each in CHAIN]) == (done["state"], [each["kind"] for each in done["steps"]])
    model = client.artifact("Model", "cells")
    assert made["Model"]["id"] == model.id != before.id
    assert model.id in {row.artifact.id for row in client.impact(second).reached}
    assert client.audit(model).complete
    assert planned["id"] in {each["id"] for each in shell(world, "plan", "list")["plans"]}


def test_a_worker_killed_at_every_state_costs_nothing(both: tuple[World, Worker]) -> None:
    """Killed with -9 at each state of each step in turn, a plan ends as one left in peace does, and nothing twice."""
    world, worker = both
    client = world.client
    calm = client.plans(states=[PlanState.SUCCEEDED])[-1]
    wrong = client.artifact("Dataset", "cells")
    newer(world, 60)
    plan = client.execute_plan(client.plan_retraining(wrong))
    killed = set[Place]()
    now = client.query(PLACES, id=plan.id)["plan"]
    while now["state"] == "RUNNING":
        places = {place(each) for each in now["steps"] if each["state"] == "RUNNING"}
        if fresh := {each for each in places - killed if each[1] != "NEEDS_RECOVERY"}:  # where kills lead
            killed |= fresh
            worker.kill()
        time.sleep(0.02)
        now = client.query(PLACES, id=plan.id)["plan"]
    done = client.plan(plan)

    assert PlanState.SUCCEEDED is done.state, [each.message for each in done.steps]
    # Whether a look meets the moments in which a run waits, or is prepared, is chance.
    assert {(1, None), *((n, state) for n in (2, 3, 4) for state in (None, "RUNNING"))} <= killed
    assert shape(world, calm) == shape(world, done)
    assert {step.made.id for step in calm.steps if step.made} & {
        step.made.id for step in done.steps if step.made
    } == set()


Place = tuple[int, str | None]
PLACES = "query ($id: ID!) { plan(id: $id) { state steps { number state run { state } } } }"
SHAPE = """query ($id: ID!) {
  plan(id: $id) { state steps { number kind name state after sources { role step }
    made { id kind } run { kind generated { kind } trialCounts { state count } } } }
  runs(first: 100) { edges { node { kind plan { id } } } }
}"""


def place(step: Any) -> Place:
    """Where a step is that was begun: its number, and the state of its run."""
    return step["number"], step["run"] and step["run"]["state"]


def shape(world: World, plan: Plan) -> Any:
    """All that came of a plan but for ids: its steps, the runs that it started, what they made, and what that is of."""
    found = world.ask(SHAPE, id=plan.id)
    for step in found["plan"]["steps"]:
        near = world.client.provenance(step["made"].pop("id"), max_depth=1)
        step["near"] = sorted((each.artifact.kind, each.artifact.name) for each in near.reached)
        if step["run"]:  # a trial whose worker died is lost and asked again; what counts is what ended
            counts = {each["state"]: each["count"] for each in step["run"].pop("trialCounts")}
            step["trials"] = counts.get("COMPLETE")
            step["run"]["generated"] = sorted(each["kind"] for each in step["run"]["generated"])
    runs = [each["node"] for each in found["runs"]["edges"]]
    started = sorted(each["kind"] for each in runs if each["plan"] == {"id": plan.id})
    return found["plan"], started


def test_retraining_takes_the_newest_inputs(world: World) -> None:
    """A model is made again when something newer is there, by one command; with nothing newer it is refused."""
    client = world.client
    model = client.artifact("Model", "cells")
    with pytest.raises(Conflict, match="newer"):
        client.retrain(model)
    data = newer(world, 70)
    done = shell(world, "retrain", model.id)

    assert "SUCCEEDED" == done["state"]
    again = client.artifact("Model", "cells")
    assert data.id in {each.artifact.id for each in client.provenance(again).reached}
    assert model.id in {each.artifact.id for each in client.provenance(again).reached}


def test_what_cannot_be_healed_is_said(world: World) -> None:
    """What nothing in use depends on is no plan; without a newer input every step is blocked, and is not executed."""
    client = world.client
    alone = client.define_search_space("alone", {"x": {"type": "float", "low": 0, "high": 1}})
    with pytest.raises(InvalidInput, match="nothing that is in use"):
        client.plan_retraining(alone)
    blocked: Plan = client.plan_retraining(client.artifact("Dataset", "cells"))

    assert {S.BLOCKED} == {each.state for each in blocked.steps}
    assert all(each.blockers for each in blocked.steps)
    with pytest.raises(Conflict, match="blocked"):
        client.execute_plan(blocked)
