"""Freshness over HTTP, from Python and from the command line."""

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from lineage import client as python
from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType
from lineage.store import Store
from tests.api.serving import Client
from tests.api.shell import Shell
from tests.conftest import NOW

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]
K, E = ArtifactKind, EdgeType
FRESHNESS = """query ($of: [ID!], $namespace: String, $kinds: [ArtifactKind!], $asOf: DateTime, $after: ID) {
  freshness(of: $of, namespace: $namespace, kinds: $kinds, asOf: $asOf) { checked totalCount complete
    stale { artifact { name } causes superseded { cause distance input { name version } newest { version } } }
    steps(after: $after) { artifact { id name } after circular replaced { old { version } new { version } } } } }"""


async def a_line(store: Store) -> dict[str, Artifact]:
    """Data and code, a training set, a model and what serves it; then newer data, and a second later newer code."""
    names = {
        "sales": (K.DATASET, "1"),
        "code": (K.MODEL_CODE, "1"),
        "training": (K.TRAINING_SET, "1"),
        "model": (K.MODEL, "1"),
        "serving": (K.DEPLOYMENT, "1"),
        "newer sales": (K.DATASET, "2"),
        "newer code": (K.MODEL_CODE, "2"),
    }
    edges = {
        "training": [(E.DERIVED_FROM, "sales")],
        "model": [(E.TRAINED_ON, "training"), (E.DERIVED_FROM, "code")],
        "serving": [(E.DERIVED_FROM, "model")],
    }
    made: dict[str, Artifact] = {}
    for second, (name, (kind, version)) in enumerate(names.items()):
        each = Artifact(kind=kind, name=name.removeprefix("newer "), version=version, digest=name)
        made[name] = each
        joined = [Edge(type=type_, source=each.id, target=made[to].id) for type_, to in edges.get(name, ())]
        await store.artifacts.record([each], joined, now=NOW + timedelta(seconds=second), by="ann")
    return made


async def test_what_is_stale_and_what_to_redo(client: Client, store: Store) -> None:
    """The model stands on older data and code; the training set is made again, then the model, then what serves it."""
    made = await a_line(store)

    models = (await client.ask(FRESHNESS, {"namespace": "default"}))["freshness"]
    served = (await client.ask(FRESHNESS, {"of": [made["serving"].id]}))["freshness"]

    assert (1, 1, True) == (models["checked"], models["totalCount"], models["complete"])
    (stale,) = models["stale"]
    assert ("model", ["CODE", "DATA"]) == (stale["artifact"]["name"], stale["causes"])
    assert [(1, "code", "2"), (2, "sales", "2")] == [
        (each["distance"], each["input"]["name"], each["newest"]["version"]) for each in stale["superseded"]
    ]
    assert ["training", "model"] == [step["artifact"]["name"] for step in models["steps"]]
    steps = served["steps"]
    assert ["training", "model", "serving"] == [step["artifact"]["name"] for step in steps]
    assert [[], [steps[0]["artifact"]["id"]], [steps[1]["artifact"]["id"]]] == [step["after"] for step in steps]
    assert [{"old": {"version": "1"}, "new": {"version": "2"}}] == steps[0]["replaced"]


async def test_steps_are_paged_and_instants_are_kept(client: Client, store: Store) -> None:
    """Steps go on behind an artifact, and before the newer data was recorded nothing was stale."""
    made = await a_line(store)
    of: dict[str, Any] = {"of": [made["serving"].id]}

    rest = (await client.ask(FRESHNESS, {**of, "after": made["training"].id}))["freshness"]["steps"]
    before = (await client.ask(FRESHNESS, {**of, "asOf": (NOW + timedelta(seconds=4)).isoformat()}))["freshness"]

    assert ["model", "serving"] == [step["artifact"]["name"] for step in rest]
    assert (1, 0, []) == (before["checked"], before["totalCount"], before["steps"])


@pytest.mark.parametrize(
    ("asked", "code", "words"),
    [
        ({}, "INVALID_INPUT", "either artifacts or a namespace"),
        ({"of": ["model_0"]}, "NOT_FOUND", "model_0"),
        ({"namespace": "default", "kinds": ["PACKAGE"]}, "INVALID_INPUT", "Package"),
        ({"namespace": "default", "after": "model_0"}, "INVALID_INPUT", "begin anew"),
    ],
)
async def test_what_is_refused(client: Client, asked: dict[str, Any], code: str, words: str) -> None:
    """A question that has no answer says what to ask instead."""
    error = await client.refused(FRESHNESS, asked)

    assert (code, True) == (error["code"], words in error["message"])


async def test_from_python_and_the_shell(client: Client, store: Store, tmp_path: Path) -> None:
    """The client and `lineage stale` tell the same, of an artifact or of a namespace."""
    made, shell = await a_line(store), Shell(client, tmp_path)
    with python.Client(client.url) as session:
        found = await anyio.to_thread.run_sync(partial(session.freshness, made["serving"].id))
        models = await anyio.to_thread.run_sync(session.freshness)

    told = await shell.tells("stale", "Deployment:serving")
    words = await shell.says("stale")
    then = await shell.tells("stale", "--as-of", (NOW + timedelta(seconds=4)).strftime("%Y-%m-%dT%H:%M:%S"))

    assert ["training", "model", "serving"] == [step.artifact.name for step in found.steps]
    assert [(["CODE", "DATA"], 2)] == [(list(each.causes), len(each.superseded)) for each in models.stale]
    assert [step.artifact.id for step in found.steps] == [step["artifact"]["id"] for step in told["steps"]]
    assert "1 of 1 are stale" in words
    assert "1. TrainingSet training 1 with sales 2" in words
    assert (1, 0, []) == (then["checked"], then["total"], then["steps"])
