"""Healing from end to end over real processes: newer data, a plan, and everything that depends on it made again."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from lineage.artifacts import ArtifactKind
from lineage.client.plans import Plan
from lineage.errors import Conflict, InvalidInput
from lineage.plans import PlanState, StepState
from tests.e2e.worlds import World, running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

K, S = ArtifactKind, StepState
CODE = """
from sklearn.linear_model import LogisticRegression


def build(params):
    return LogisticRegression(C=params["C"], max_iter=500)
"""
CHAIN = [K.FEATURE_SET, K.TRAINING_SET, K.MODEL, K.PREDICTIONS]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Everything running, with a model that was searched for and has scored."""
    with running(tmp_path_factory.mktemp("world"), CODE) as world:
        model = world.client.wait(world.tune("cells", trials=2)).made(K.MODEL)
        world.client.wait(world.client.score("cells", model, where="id % 2 = 0"))
        yield world


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


def test_a_killed_worker_costs_nothing(world: World) -> None:
    """The worker is killed in the midst of each step of a plan in turn; the plan ends with each step done once."""
    client = world.client
    wrong = client.artifact("Dataset", "cells")
    newer(world, 60)
    plan = client.execute_plan(client.plan_retraining(wrong))
    killed: set[int] = set()

    def under_way() -> bool:
        now = client.plan(plan)
        fresh = {each.number for each in now.steps if each.state is S.RUNNING} - killed
        if fresh:
            killed.update(fresh)
            world.child("executors").kill()
        return now.is_over

    world.wait_for(under_way, seconds=600)
    done = client.plan(plan)
    assert PlanState.SUCCEEDED is done.state, [each.message for each in done.steps]
    assert len(killed) >= 2
    made = [each.made.id for each in done.steps if each.made]
    assert len(CHAIN) == len(set(made))


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
