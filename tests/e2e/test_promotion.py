"""A champion and its challengers over real processes: scored on the same rows, judged, promoted, rolled back."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from lineage.artifacts import ArtifactKind
from lineage.client import Artifact
from lineage.errors import Conflict, InvalidInput
from lineage.promotions import PromotionState
from tests.e2e.worlds import World, running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

CODE = """
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def build(params):
    return make_pipeline(StandardScaler(), LogisticRegression(C=params["C"], max_iter=200))


def guess(params):
    return DummyClassifier(strategy="prior")
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Everything running."""
    with running(tmp_path_factory.mktemp("world"), CODE) as world:
        yield world


def trained(world: World, entry: str, **params: Any) -> Artifact:
    """A version of one model."""
    code = world.client.register_model_code("code", world.code, entry)
    inputs = {key: world.inputs[key] for key in ("training_set", "environment", "metrics")}
    run = world.client.train("cells", model_code=code, hyperparameters=params, seed=3, **inputs)
    return world.client.wait(run).made(ArtifactKind.MODEL)


def command(world: World, *words: str) -> tuple[int, Any]:
    """The exit code of a command and the JSON that it printed."""
    line = [sys.executable, "-m", "lineage.cli", *words, "--home", str(world.home), "--json"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout or "null")


def test_the_best_stays_champion(world: World) -> None:
    """The first passes, a better one moves the alias by itself, a guesser is refused; then back again."""
    client = world.client
    good, better = (trained(world, "code.py:build", C=C) for C in (0.001, 1.0))
    guess = trained(world, "code.py:guess")
    metric = client.define_metric("roc_auc", threshold=0.6, min_absolute_change=-0.05)
    fixed = client.define_benchmark("fixed", world.inputs["training_set"], [metric], resamples=100)

    first = client.wait_for_gate(client.request_promotion(good, benchmark=fixed, automatic=True))
    client.approve_promotion(first.id)
    second = client.wait_for_gate(client.request_promotion(better, benchmark=fixed, automatic=True))
    third = client.wait_for_gate(client.request_promotion(guess, benchmark=fixed, automatic=True))
    code, told = command(world, "benchmark", "fixed", guess.id)
    shown = command(world, "promotion", "show", third.id)[1]

    assert (PromotionState.WAITING, "NO_CHAMPION") == (first.state, first.gate)
    assert (PromotionState.PROMOTED, "PASSED") == (second.state, second.gate)
    assert (PromotionState.REFUSED, "REFUSED") == (third.state, third.gate)
    assert second.verdict is not None
    (numbers,) = second.verdict.body["metrics"]
    assert numbers["low"] <= numbers["difference"] <= numbers["high"]
    assert value(world, better) == numbers["challenger"]
    assert (1, ["REFUSED"]) == (code, [each["body"]["state"] for each in told["verdicts"]])
    assert third.id == shown["id"]
    with pytest.raises(Conflict, match="the gate said REFUSED"):
        client.approve_promotion(third.id)
    forced = client.approve_promotion(third.id, override=True, reason="a drill")
    assert forced.override

    backs = [command(world, "rollback", "cells")[1]["model"]["id"] for _ in range(2)]
    told = command(world, "aliases", "cells")[1]["aliases"]
    assert [better.id, good.id] == backs
    assert [good.id, better.id, guess.id, better.id, good.id] == [each["artifact"]["id"] for each in told]
    assert "a drill" == told[2]["reason"]


def value(world: World, model: Artifact) -> float:
    """The metric on the fixed rows, as an evaluation of its own has it."""
    run = world.client.evaluate(model, world.inputs["metrics"], split="test")
    found = world.client.wait(run).made(ArtifactKind.EVALUATION)
    return float(found.body["values"]["roc_auc"])


def test_what_no_model_can_be_scored_on(world: World) -> None:
    """A split that is not there and a model as a metric are refused with the field that is wrong."""
    rows, metrics = world.inputs["training_set"], world.inputs["metrics"]
    with pytest.raises(InvalidInput, match="split"):
        world.client.define_benchmark("x", rows, metrics, split="tset")
    with pytest.raises(InvalidInput, match="there is no metric definition"):
        world.client.define_benchmark("x", rows, [rows])
    with pytest.raises(InvalidInput, match="confidence must be"):
        world.client.define_benchmark("x", rows, metrics, confidence=1.0)


def test_what_was_scored_is_watched(world: World) -> None:
    """New predictions are held against the training rows by a trigger; with their labels the model is measured."""
    client, model = world.client, trained(world, "code.py:build", C=0.5)
    client.define_metric("psi", threshold=0.25)
    spec = {"predictions": "$artifact", "metrics": ["psi@newest"]}
    client.create_trigger("look", "new-version", "measureDrift", spec, of="big", kind="Predictions")
    spec = {"name": "again", "uri": str(world.home.parent / "cells.csv")}
    client.create_trigger("moved", "metric", "registerDataset", spec, of="cells", metric="psi", threshold=0.25)

    scored = client.wait(client.score("big", model, "cells.mean_radius > 14")).made("Predictions")
    world.wait_for(lambda: any(each.state == "DONE" for each in client.firings(firer(world, "moved"))))
    code, told = command(world, "drift", "big", "--metric", "psi")
    right, found = command(world, "quality", scored.id)

    (firing,) = client.firings(firer(world, "look"))
    (moved,) = client.firings(firer(world, "moved"))
    worst = max(told["evaluation"]["body"]["columns"], key=lambda each: each["psi"])
    assert (scored.id, 1, "mean_radius") == (firing.artifact, code, worst["name"])
    assert client.run(str(firing.run)).made("Evaluation").id == moved.artifact
    seen = found["evaluation"]["body"]
    assert (0, 0, scored.id) == (right, seen["unmatched"], seen["predictions"])
    assert seen["values"]["roc_auc"] > 0.5
    query = """query ($id: ID!) { node(id: $id) { ... on Evaluation {
        watch passed columns { name psi test bins { label expected found } } predictions { id } model { id } } } }"""
    shown = world.ask(query, id=moved.artifact)["node"]
    assert ("DRIFT", False, {"id": scored.id}) == (shown["watch"], shown["passed"], shown["predictions"])
    assert ({"id": model.id}, 4) == (shown["model"], len(shown["columns"]))


def firer(world: World, name: str) -> str:
    """The id of a trigger."""
    return next(each.id for each in world.client.triggers() if each.name == name)
