"""What was made is made again from the graph alone, by real processes, and held against what was recorded."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from lineage.artifacts import ArtifactKind
from lineage.client import Artifact, Reproduction
from lineage.embedded import Embedded
from lineage.errors import NotFound
from lineage.reproducibility import Reproduced
from lineage.runs import RunState
from lineage.settings import Settings
from tests.e2e.worlds import Worker, World, alone

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

CODE = """
import random
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def build(params):
    return make_pipeline(StandardScaler(), LogisticRegression(C=params["C"], max_iter=200))


def dice(params):
    return LogisticRegression(C=10 ** random.SystemRandom().uniform(-6, -3))
"""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Worker]]:
    """Everything running, and the one worker."""
    with alone(tmp_path_factory.mktemp("world"), CODE) as found:
        yield found


@pytest.fixture
def world(both: tuple[World, Worker]) -> World:
    """Everything running."""
    return both[0]


def again(world: World, of: Artifact) -> Reproduction:
    """The verdict on *of*, made again."""
    run = world.client.wait(world.client.reproduce(of))
    found = world.client.reproductions(of)
    assert run.id == found[0].run.id
    return found[0]


def trained(world: World, name: str, entry: str, **params: Any) -> Artifact:
    """A model that was fitted with given hyperparameters."""
    code = world.client.register_model_code(name, world.code, entry)
    inputs = {key: world.inputs[key] for key in ("training_set", "environment", "metrics")}
    run = world.client.train(name, model_code=code, hyperparameters=params, seed=3, **inputs)
    return world.client.wait(run).made(ArtifactKind.MODEL)


def test_a_tuned_model_is_reproduced_to_the_byte(world: World) -> None:
    """The best of a search is fitted again without the search: the same bytes, and no new version."""
    model = world.client.wait(world.tune("tuned", trials=3)).made(ArtifactKind.MODEL)

    found = again(world, model)

    assert Reproduced.EQUAL is found.verdict
    assert [model.body["model_sha256"]] * 2 == [found.digests[0].recorded, found.digests[0].reproduced]
    assert {0.0} == {each.difference for each in found.metrics}
    assert [] == found.surroundings
    assert () == world.client.wait(found.run).generated
    assert 1 == len(world.client.artifacts(kinds=["Model"], name="tuned"))


def test_from_the_graph_and_the_artifacts_alone(both: tuple[World, Worker], tmp_path: Path) -> None:
    """On a machine that has an empty home, and nothing but graph and artifacts, what was made comes out the same."""
    world, here = both
    model = trained(world, "alone", "code.py:build", C=0.25)
    scored = world.client.wait(world.client.score("alone", model, "cells.mean_radius > 14")).made("Predictions")

    server, home = Embedded(Settings(home=world.home)), tmp_path / "empty"
    anyio.run(server.start)  # joins the one that runs
    here.stop()
    code = world.code.rename(tmp_path / "moved.py")
    elsewhere = Worker(
        world.pids,
        tmp_path,
        home=str(home),
        cache=str(home / "cache"),
        artifacts=str(world.home / "artifacts"),
        url=str(world.client.url),
        neo4j_uri=server.uri,
        neo4j_user=server.user,
        neo4j_password=server.password,
    )
    try:
        runs = [world.client.reproduce(each) for each in (world.inputs["training_set"], model)]
        runs.append(world.client.rescore(scored))
        done = [world.client.wait(each, timeout=300) for each in runs]
    finally:
        elsewhere.stop()
        code.rename(world.code)
        here.start()

    assert ["EQUAL"] * 3 == [each.result["verdict"] for each in done]
    assert (home / "environments").is_dir()


def test_code_that_throws_dice_differs_by_so_much(world: World) -> None:
    """When the bytes differ the verdict says how far each metric is from what was recorded; the command ends with 1."""
    model = trained(world, "dice", "code.py:dice")

    command = [sys.executable, "-m", "lineage.cli", "reproduce", model.id, "--home", str(world.home), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    told = json.loads(done.stdout)
    found = world.client.reproductions(model)[0]

    assert (1, "DIFFERENT") == (done.returncode, told["verdict"])
    assert told["run"]["id"] == found.run.id
    assert not found.digests[0].equal
    assert any(each.difference for each in found.metrics)


def test_a_training_set_and_predictions_are_reproduced(world: World) -> None:
    """Splits and predictions come out of the recorded bytes as they did."""
    model = trained(world, "plain", "code.py:build", C=0.5)
    scored = world.client.wait(world.client.score("some", model, "cells.mean_radius > 14")).made("Predictions")

    rows = again(world, world.inputs["training_set"])
    rescored = world.client.wait(world.client.rescore(scored))

    assert Reproduced.EQUAL is rows.verdict
    assert {"test.parquet", "train.parquet", "validate.parquet"} == {each.what for each in rows.digests}
    assert "EQUAL" == rescored.result["verdict"]
    assert rescored.id == world.client.reproductions(scored)[0].run.id


def test_a_dataset_that_changed_is_no_recorded_input(world: World) -> None:
    """When the bytes of a dataset are not those recorded, nothing is made of others, and the run says why."""
    path = world.home.parent / "cells.csv"
    text = path.read_text()
    path.write_text(text.replace("17.99", "18.99", 1))
    run = world.client.wait(world.client.reproduce(world.inputs["training_set"]), check=False)
    path.write_text(text)

    assert (RunState.FAILED, "CONFLICT") == (run.state, run.reason)
    assert "recorded digest" in str(run.message)


def test_what_cannot_be_made_again_is_refused(world: World) -> None:
    """A dataset was made by nobody here; rescoring is for predictions."""
    with pytest.raises(NotFound, match="there is no Model or TrainingSet or Predictions"):
        world.client.reproduce(world.inputs["metrics"][0])
    with pytest.raises(NotFound, match="there is no Predictions"):
        world.client.rescore(world.inputs["training_set"])
