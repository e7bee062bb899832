"""What is asked of a run is held against the graph before anything is queued."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from typing import Any

import pytest

from lineage import requests
from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType, canonical
from lineage.deployments import Deploy, deploy
from lineage.errors import InvalidInput, LineageError, NotFound
from lineage.requests import Evaluate, RegisterDataset, Resources, Score, Train, Tune
from lineage.runs import RunKind, RunState
from lineage.store import Store
from lineage.store.runs import RunFilter
from tests.conftest import NOW

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]

K, E = ArtifactKind, EdgeType

DATA = Artifact.defined(K.DATASET, "cells", {"row_count": 3})
OTHER = Artifact.defined(K.DATASET, "other", {"row_count": 3})
MEMBERS = Artifact.defined(K.FEATURE_SET, "cells", {"label": {"name": "benign"}})
UNLABELLED = Artifact.defined(K.FEATURE_SET, "unlabelled", {"label": None})
TRAINING = Artifact.defined(K.TRAINING_SET, "cells", {"splits": {"train": {}, "validate": {}, "test": {}}})
CODE = Artifact.defined(K.MODEL_CODE, "code", {"entry": "code.py:build"})
PLACE = Artifact.defined(K.ENVIRONMENT, "place", {"lock": []})
AUC = Artifact.defined(K.METRIC_DEFINITION, "auc", {"metric": "roc_auc"})
RMSE = Artifact.defined(K.METRIC_DEFINITION, "rmse", {"metric": "rmse"})
SPACE = Artifact.defined(
    K.SEARCH_SPACE,
    "space",
    {
        "parameters": {
            "C": {"type": "float", "low": 0.1, "high": 10.0},
            "gamma": {"type": "float", "low": 0.1, "high": 1.0, "when": {"kernel": ["rbf"]}},
            "kernel": {"type": "categorical", "choices": ["rbf", "linear"]},
        }
    },
)
MODEL = Artifact.defined(K.MODEL, "model", {"format": "skops"})
SPARK_CODE = Artifact.defined(K.MODEL_CODE, "spark", {"entry": "code.py:build", "contract": "spark"})
SPARK_MODEL = Artifact.defined(
    K.MODEL, "forest", {"format": "spark", "signature": {"inputs": [{"name": "a", "type": "double"}]}}
)
STRANGER = Artifact.defined(K.MODEL, "stranger", {"format": "skops"})
ALL = [
    DATA,
    OTHER,
    MEMBERS,
    UNLABELLED,
    TRAINING,
    CODE,
    PLACE,
    AUC,
    RMSE,
    SPACE,
    MODEL,
    SPARK_CODE,
    SPARK_MODEL,
    STRANGER,
]
EDGES = [
    Edge(type=E.TRAINED_ON, source=MODEL.id, target=TRAINING.id),
    Edge(type=E.RUNS_IN, source=MODEL.id, target=PLACE.id),
    Edge(type=E.TRAINED_ON, source=SPARK_MODEL.id, target=TRAINING.id),
    Edge(type=E.RUNS_IN, source=SPARK_MODEL.id, target=PLACE.id),
]

TRAIN = Train(name="m", training_set=TRAINING.id, model_code=CODE.id, environment=PLACE.id, metrics=[AUC.id])
TUNE = Tune(**{**vars(TRAIN), "search_space": SPACE.id})
EVALUATE = Evaluate(model=MODEL.id, metrics=[AUC.id])
SCORE = Score(name="s", model=MODEL.id)
RATIO = {"by": "RATIO", "validate": 0.2, "test": 0.2, "seed": 7}
MATERIALISE = requests.CreateTrainingSet(name="t", feature_set=MEMBERS.id, split=RATIO)
REGISTER = RegisterDataset(name="d", uri="/x.csv")
VERBS: dict[type, Callable[..., Awaitable[Any]]] = {
    Train: requests.train,
    Tune: requests.tune,
    Evaluate: requests.evaluate,
    Score: requests.score,
    requests.CreateTrainingSet: requests.create_training_set,
    RegisterDataset: requests.register_dataset,
}


@pytest.fixture
async def known(store: Store) -> Store:
    """A graph in which everything is that a request may name."""
    await store.artifacts.record(ALL, EDGES, now=NOW, by="ann")
    return store


async def ask(store: Store, asked: Any) -> Any:
    """The run that *asked* starts."""
    return await VERBS[type(asked)](store, asked, by="ann", now=NOW)


@pytest.mark.parametrize(
    ("asked", "kind", "used", "place"),
    [
        (REGISTER, RunKind.INGEST, [], None),
        (MATERIALISE, RunKind.MATERIALISE, [MEMBERS], None),
        (TRAIN, RunKind.TRAIN, [AUC, CODE, TRAINING], PLACE),
        (replace(TRAIN, search_space=SPACE.id, hyperparameters={"C": 1, "kernel": "linear"}), RunKind.TRAIN,
         [AUC, CODE, SPACE, TRAINING], PLACE),
        (TUNE, RunKind.TUNE, [AUC, CODE, SPACE, TRAINING], PLACE),
        (EVALUATE, RunKind.EVALUATE, [AUC, MODEL, TRAINING], PLACE),
        (replace(SCORE, datasets={"cells": DATA.id}), RunKind.SCORE, [DATA, MODEL], PLACE),
    ],
    ids=["ingest", "materialise", "train", "train-in-a-space", "tune", "evaluate", "score"],
)  # fmt: skip
async def test_a_run_is_queued_with_what_it_uses(
    known: Store, asked: Any, kind: RunKind, used: list[Artifact], place: Artifact | None
) -> None:
    """The run says who asked for what, and hangs on the artifacts that it will read."""
    run = await ask(known, asked)

    assert (kind, RunState.QUEUED, "ann", "process") == (run.kind, run.state, run.created_by, run.executor)
    said = {name: value for name, value in asdict(asked).items() if name not in {"idempotency_key", "executor"}}
    assert canonical(said) == canonical(run.spec)
    trace = (await known.runs.traces([run.id]))[run.id]
    assert sorted(each.id for each in used) == trace["used"]
    assert ([place.id] if place else []) == trace["housed"]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (replace(REGISTER, uri=" "), "uri"),
        (replace(REGISTER, executor="proces"), "executor"),
        (replace(REGISTER, max_attempts=0), "maxAttempts"),
        (replace(REGISTER, resources=Resources(memory_bytes=0)), "resources"),
        (replace(REGISTER, resources=Resources(seconds=float("inf"))), "resources"),
        (replace(REGISTER, resources=Resources(cpus=float("nan"))), "resources"),
        (replace(MATERIALISE, feature_set=UNLABELLED.id), "featureSet"),
        (replace(TRAIN, evaluate_on="tset"), "evaluateOn"),
        (replace(TRAIN, metrics=[]), "metrics"),
        (replace(TRAIN, metrics=[AUC.id, RMSE.id]), "metrics"),
        (replace(TRAIN, search_space=SPACE.id, hyperparameters={"kernel": "linear"}), "C"),
        (replace(TRAIN, search_space=SPACE.id, hyperparameters={"C": 1, "kernel": "poly"}), "kernel"),
        (replace(TUNE, objective="f1"), "objective"),
        (replace(TUNE, trials=0), "trials"),
        (replace(TUNE, parallel=65), "parallel"),
        (replace(TUNE, sampler="tep"), "sampler"),
        (replace(TUNE, pruner="medain"), "pruner"),
        (replace(TUNE, max_failed_trials=-1), "maxFailedTrials"),
        (replace(TUNE, trial_seconds=0), "trialSeconds"),
        (replace(TUNE, trial_seconds=float("nan")), "trialSeconds"),
        (replace(TUNE, hyperparameters={"D": 1}), "hyperparameters"),
        (replace(TUNE, hyperparameters={"C": 11}), "C"),
        (replace(TUNE, hyperparameters={"kernel": "linear", "gamma": 0.5}), "gamma"),
        (replace(EVALUATE, split="tset"), "split"),
        (replace(EVALUATE, model=STRANGER.id), "model"),
        (replace(EVALUATE, model=STRANGER.id, training_set=TRAINING.id), "model"),
        (replace(SCORE, model=STRANGER.id), "model"),
        (replace(SCORE, datasets={"cells": OTHER.id}), "datasets"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
async def test_a_bad_request_queues_nothing(known: Store, asked: Any, field: str) -> None:
    """The error names the field that makes no sense."""
    with pytest.raises(InvalidInput) as caught:
        await ask(known, asked)

    assert field == caught.value.field
    assert 0 == await known.runs.count(RunFilter())


@pytest.mark.parametrize(
    "asked",
    [
        replace(MATERIALISE, feature_set=TRAINING.id),
        replace(TRAIN, training_set="none"),
        replace(TRAIN, model_code=PLACE.id),
        replace(TRAIN, environment=CODE.id),
        replace(TRAIN, metrics=[SPACE.id]),
        replace(TUNE, search_space=AUC.id),
        replace(EVALUATE, model=CODE.id),
        replace(SCORE, datasets={"cells": MODEL.id}),
    ],
    ids=["feature-set", "training-set", "code", "environment", "metric", "space", "model", "dataset"],
)
async def test_what_is_not_there_is_not_found(known: Store, asked: Any) -> None:
    """An id that nothing has, or that something of another kind has, starts nothing."""
    with pytest.raises(LineageError) as caught:
        await ask(known, asked)

    assert isinstance(caught.value, NotFound | InvalidInput)
    assert 0 == await known.runs.count(RunFilter())


@pytest.mark.parametrize(
    "asked",
    [
        replace(TRAIN, model_code=SPARK_CODE.id),
        replace(TUNE, model_code=SPARK_CODE.id),
        replace(EVALUATE, model=SPARK_MODEL.id),
        replace(SCORE, model=SPARK_MODEL.id),
    ],
    ids=["train", "tune", "evaluate", "score"],
)
async def test_spark_ml_lives_on_a_cluster(known: Store, asked: Any) -> None:
    """What Spark ML fits, or what it has fitted, is refused everywhere else by a word that says where to go."""
    for executor in ("process", "docker"):
        with pytest.raises(InvalidInput, match=f"use the executor spark_yarn, not {executor}") as caught:
            await ask(known, replace(asked, executor=executor))
        assert "executor" == caught.value.field

    assert "spark_yarn" == (await ask(known, replace(asked, executor="spark_yarn"))).executor


async def test_spark_ml_is_not_served_online(known: Store) -> None:
    """No executor keeps such a model in a server; rows are scored in batch."""
    asked = Deploy(name="forest", model=SPARK_MODEL.id, executor="spark_yarn")

    with pytest.raises(InvalidInput, match="cannot be served online") as caught:
        await deploy(known, asked, by="ann", now=NOW)

    assert "model" == caught.value.field
