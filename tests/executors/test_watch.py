"""Drift and late labels against a real graph and real files, done by a worker as any other run."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from executors import samples
from executors.inside.sample import Sample
from executors.worker import Worker
from lineage import definitions, promotion, requests
from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType
from lineage.cycle import triggers, watch
from lineage.cycle.triggers import CreateTrigger, create_trigger
from lineage.definitions import DefineMetric
from lineage.endpoints import Replica, endpoint_id
from lineage.errors import Conflict, InvalidInput, NotFound
from lineage.files import Files
from lineage.firings import Firing
from lineage.runs import Run, RunState
from lineage.settings import Settings
from lineage.store import Store
from lineage.store.firings import FiringFilter
from lineage.store.graph import Graph
from lineage.triggers import TriggerEvent

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]

K, E = ArtifactKind, EdgeType
ROWS = 400
HOUR = timedelta(hours=1)


def now() -> datetime:
    """The present."""
    return datetime.now(UTC)


def cells(first: int, *, moved: float = 0.0, labels: int = ROWS) -> pd.DataFrame:
    """Rows from the id *first* on, whose size has *moved*, with labels for the first *labels* of them."""
    draw = np.random.default_rng(first)
    size = draw.normal(10, 2, ROWS)
    frame = pd.DataFrame(
        {"id": range(first, first + ROWS), "size": size + moved, "town": draw.choice(["a", "b"], ROWS)}
    )
    frame["bad"] = pd.array((size + draw.normal(0, 1, ROWS) > 10).astype(int), dtype="Int64")
    frame.loc[labels:, "bad"] = pd.NA
    return frame


class World:
    """A model of cells with all that it was made of, and a worker."""

    def __init__(self, store: Store, settings: Settings, path: Path) -> None:
        self.store, self.path, self.files = store, path, Files(settings.artifacts_url)
        self._worker, self._numbers = Worker(store, settings, name="w"), count()
        self.model: Artifact

    async def done(self, run: Run) -> Run:
        """*run* when it is over."""
        assert await self._worker.step()
        return await self.store.runs.get(run.id)

    async def dataset(self, frame: pd.DataFrame, name: str = "cells") -> str:
        """A version of a dataset, by its id."""
        path = self.path / f"{name}-{len(list(self.path.iterdir()))}.csv"
        frame.to_csv(path, index=False)
        asked = requests.RegisterDataset(name=name, uri=str(path))
        run = await self.done(await requests.register_dataset(self.store, asked, by="ann", now=now()))
        return str(run.result["dataset"])

    async def feature(self, name: str, sql: str, source: str = "cells") -> str:
        """A feature, by its id."""
        asked = definitions.DefineFeature(name=name, sql=sql, source=source, entity=[f"{source}.id"])
        return (await definitions.define_feature(self.store, asked, by="ann", now=now())).id

    async def metric(self, metric: str, threshold: float | None) -> str:
        """A metric definition, by its id."""
        return (
            await definitions.define_metric(
                self.store, DefineMetric(name=metric, metric=metric, threshold=threshold), by="ann", now=now()
            )
        ).id

    async def learn(self) -> None:
        """Make a training set."""
        await self.dataset(cells(0))
        members = [await self.feature("size", "cells.size"), await self.feature("town", "cells.town")]
        asked = definitions.DefineFeatureSet(
            name="cells", features=members, label=await self.feature("bad", "cells.bad = 1")
        )
        chosen = await definitions.define_feature_set(self.store, asked, by="ann", now=now())
        rule = {"by": "HASH", "validate": 0.1, "test": 0.1, "seed": 1}
        rows = requests.CreateTrainingSet(name="cells", feature_set=chosen.id, split=rule)
        run = await self.done(await requests.create_training_set(self.store, rows, by="ann", now=now()))
        self.feature_set, self.training_set = chosen.id, run.result["training_set"]

    async def fit(self) -> None:
        """Record another model of the training set."""
        body = {"features": ["size", "town"], "label": "bad", "task": "classification", "classes": [False, True]}
        self.model = Artifact.defined(K.MODEL, "cells", {**body, "seed": next(self._numbers)})
        edges = [Edge(type=E.TRAINED_ON, source=self.model.id, target=self.training_set)]
        await self.store.artifacts.record([self.model], edges, now=now(), by="ann")

    async def predict(self, dataset: str, frame: pd.DataFrame) -> str:
        """Predictions of a dataset as a run leaves them, by the id of their artifact."""
        path = self.path / "said.parquet"
        score = 1 / (1 + np.exp(10 - frame["size"]))
        pd.DataFrame({"id": frame["id"], "prediction": score > 0.5, "score": score}).to_parquet(path, index=False)
        body = {"file": (await self.files.put(path)).sha256, "model": self.model.id, "feature_set": self.feature_set}
        made = Artifact.defined(K.PREDICTIONS, "scores", {**body, "datasets": {"cells": dataset}, "where": None})
        edges = [Edge(type=E.DERIVED_FROM, source=made.id, target=target) for target in (self.model.id, dataset)]
        await self.store.artifacts.record([made], edges, now=now(), by="ann")
        return made.id

    async def drift(self, predictions: str | None = None, **more: Any) -> Run:
        """The run that measures drift, when it is over."""
        asked = watch.MeasureDrift(predictions=predictions, **more)
        return await self.done(await watch.measure_drift(self.store, asked, by="ann", now=now()))

    async def quality(self, predictions: str, **more: Any) -> Run:
        """The run that measures quality, when it is over."""
        asked = watch.MeasureQuality(predictions=predictions, **more)
        return await self.done(await watch.measure_quality(self.store, asked, by="ann", now=now()))

    async def evaluation(self, run: Run) -> Artifact:
        """What a run has measured."""
        assert RunState.SUCCEEDED is run.state, run.message
        return await self.store.artifacts.one(run.result["evaluation"], K.EVALUATION)

    async def measured(self, evaluation: Artifact) -> set[str]:
        """What an evaluation measures, by id."""
        rows = await self.store.artifacts.dependencies([evaluation.id])
        return {row["target"] for row in rows if row["type"] == "MEASURES"}


@pytest.fixture(scope="module")
async def learned(
    neo4j_settings: Settings, tmp_path_factory: pytest.TempPathFactory, anyio_backend: Any
) -> AsyncIterator[World]:
    """The one training set of all these tests, in a graph that was emptied before."""
    path = tmp_path_factory.mktemp("watch")
    place = replace(neo4j_settings, home=path / "home")
    graph = await Graph.open(place.neo4j_uri, place.neo4j_user, place.neo4j_password, timeout=30)
    await graph.script("MATCH (n) WHERE NOT n:Migration DETACH DELETE n")
    await Store(graph).migrate(now=now())
    place.home.mkdir()
    found = World(Store(graph), place, path)
    await found.learn()
    yield found
    await graph.close()


@pytest.fixture
async def world(learned: World) -> World:
    """A model that was trained, and measured by nobody yet."""
    await learned.fit()
    return learned


async def test_drift_of_what_was_scored(world: World) -> None:
    """A column that has moved is told from one that has not, by scipy's numbers, and the bar is missed."""
    psi = await world.metric("psi", 0.25)
    training_set = await world.store.artifacts.one(await requests.trained_on(world.store, world.model))
    still, moved = cells(1_000), cells(2_000, moved=3.0)
    runs = []
    for frame in (still, moved):
        dataset = await world.dataset(frame)
        runs.append(await world.drift(await world.predict(dataset, frame), metrics=[psi]))

    found = [await world.evaluation(run) for run in runs]
    size, town = found[1].body["columns"]
    await world.files.fetch(training_set.body["splits"]["train"]["sha256"], world.path / "train.parquet")
    train = pd.read_parquet(world.path / "train.parquet")
    assert [True, False] == [each.body["passed"] for each in found]
    assert ["size", "town"] == [each["name"] for each in (size, town)]
    assert stats.ks_2samp(train["size"], moved["size"], method="asymp").statistic == pytest.approx(size["statistic"])
    assert (size["psi"], True) == (found[1].body["values"]["psi"], size["psi"] > 1 > 0.1 > town["psi"])
    assert {found[1].body["predictions"], training_set.id, psi} == await world.measured(found[1])
    assert [len(train), ROWS] == [found[1].body["expected_rows"], found[1].body["rows"]]


async def serving(world: World, name: str, size: int) -> tuple[Artifact, Path]:
    """The model as it is deployed, keeping *size* rows: the version, and the folder of its one replica."""
    body = {"model": world.model.id, "replicas": 1, **({"sample": size} if size else {})}
    made = Artifact.defined(K.DEPLOYMENT, name, body)
    await world.store.artifacts.record([made], now=now(), by="ann")
    id, root = endpoint_id("default", name), world.path / "home" / "deployments" / name
    await world.store.endpoints.want(id, made.id, executor="process", asked_at=now(), now=now())
    (held,) = await world.store.endpoints.lease("c", executors=["process"], now=now(), ttl=HOUR)
    replica = Replica(id="serve-1", deployment=made.id, number=0, executor="process", root=str(root))
    held = await world.store.endpoints.keep(held, now=now(), ttl=HOUR, replicas=[replica])
    await world.store.endpoints.switch(held, made.id, now=now())
    (root / "out").mkdir(parents=True, exist_ok=True)
    return made, root


async def test_drift_of_what_a_deployment_was_asked(world: World) -> None:
    """The rows that a replica keeps, and those of one that has ended, are held against the training rows."""
    deployed, root = await serving(world, "kept", 300)
    moved = cells(2_000, moved=3.0)
    assert "has kept no rows on this machine yet" in str((await world.drift(deployment="kept")).message)
    sample = Sample(root / "out" / "sample.json", 300)
    with sample:
        sample.add({"size": moved["size"][:250].tolist(), "town": moved["town"][:250].tolist()})
    samples.keep(world.path / "home", deployed, str(root))
    with (again := Sample(root / "out" / "sample.json", 300)):
        again.add({"size": [*moved["size"][250:], float("nan")], "town": [*moved["town"][250:], None]})
    psi = await world.metric("psi", 0.25)

    found = await world.evaluation(await world.drift(deployment="kept", metrics=[psi]))

    size, town = found.body["columns"]
    assert (300, False, deployed.id) == tuple(found.body[name] for name in ("rows", "passed", "deployment"))
    assert size["psi"] > 1 > 0.1 > town["psi"]
    assert deployed.id in await world.measured(found)
    assert found.body["seen_from"] <= found.body["seen_until"]


async def test_a_deployment_that_keeps_nothing_cannot_be_watched(world: World) -> None:
    """Rows are kept where that was asked for alone; what is to be measured is one thing."""
    with pytest.raises(NotFound, match="nothing is live as 'unkept'"):
        await world.drift(deployment="unkept")
    await serving(world, "unkept", 0)
    with pytest.raises(InvalidInput, match="keeps none of the rows that it is asked"):
        await world.drift(deployment="unkept")
    with pytest.raises(InvalidInput, match="predictions, or a deployment"):
        await world.drift()
    with pytest.raises(InvalidInput, match="predictions, or a deployment"):
        await world.drift("predictions_1", deployment="unkept")


async def test_drift_is_no_word_of_a_model(world: World) -> None:
    """A model is not promoted because its inputs have stayed, and drift of the same rows is one evaluation."""
    frame = cells(1_000)
    scores = await world.predict(await world.dataset(frame), frame)
    psi = await world.metric("psi", 5.0)

    first, second = await world.drift(scores, metrics=[psi]), await world.drift(scores, metrics=[psi])

    assert first.result == second.result
    assert first.result["passed"]
    with pytest.raises(Conflict, match="was never evaluated"):
        await promotion.promote(world.store, promotion.Promote(model=world.model.id), by="ann", now=now())
    with pytest.raises(InvalidInput, match="are of inputs, not of a model"):
        await requests.evaluate(world.store, requests.Evaluate(model=world.model.id, metrics=[psi]), by="a", now=now())


async def fired(world: World, name: str) -> list[Firing]:
    """What a trigger has fired."""
    await triggers.fire_triggers(world.store, now())
    found = await world.store.triggers.named(name, namespace="default")
    return list(await world.store.firings.page(FiringFilter(source=found.id), first=10))


async def test_drift_triggers(world: World) -> None:
    """A trigger fires once for inputs that have moved, and not for those that have not, nor for other metrics."""
    asked = CreateTrigger(
        name="moved",
        event=TriggerEvent.METRIC,
        of="cells",
        metric="psi",
        threshold=0.25,
        action="retrain",
        spec={"model": "$artifact"},
    )
    await create_trigger(world.store, asked, by="ann", now=now())
    for frame in (cells(1_000), cells(2_000, moved=3.0)):
        await world.drift(await world.predict(await world.dataset(frame), frame))

    found = await fired(world, "moved") + await fired(world, "moved")

    assert 1 == len({each.id for each in found})
    evaluation = await world.store.artifacts.one(str(found[0].artifact))
    assert evaluation.body["values"]["psi"] > 0.25


async def test_labels_that_arrive_later(world: World) -> None:
    """Predictions are measured on the rows whose labels are there by now; the others are counted."""
    bar = await world.metric("roc_auc", 0.5)
    without = cells(5_000, labels=0)
    scores = await world.predict(await world.dataset(without), without)
    early = await world.quality(scores, metrics=[bar])
    later = cells(5_000, labels=250)
    dataset = await world.dataset(later)

    found = await world.evaluation(await world.quality(scores, metrics=[bar]))

    assert (RunState.FAILED, "INVALID_INPUT") == (early.state, early.reason)
    assert "none of the 400 predictions has a label yet" == early.message
    known = later[:250]
    truth = roc_auc_score(known["bad"].astype(int), known["size"])
    assert truth == pytest.approx(found.body["values"]["roc_auc"])
    assert (250, 150, 0, True) == tuple(found.body[name] for name in ("rows", "unmatched", "unused_labels", "passed"))
    assert len(found.body["curves"]["roc"]["fpr"]) > 2
    assert {scores, dataset, bar} == await world.measured(found)


async def test_labels_of_another_dataset(world: World) -> None:
    """Another feature of the same entity may tell the labels, from a dataset of its own."""
    bar, frame = await world.metric("roc_auc", 0.5), cells(7_000)
    scores = await world.predict(await world.dataset(frame), frame)
    outcomes = frame[["id", "bad"]].rename(columns={"bad": "outcome"})
    dataset = await world.dataset(outcomes, "outcomes")
    label = await world.feature("outcome", "outcomes.outcome = 1", "outcomes")

    found = await world.evaluation(await world.quality(scores, metrics=[bar], label=label))

    assert (ROWS, 0, {"outcomes": dataset}) == tuple(found.body[name] for name in ("rows", "unmatched", "datasets"))


async def test_keys_that_stand_twice(world: World) -> None:
    """Where a key is on several rows nobody knows whose label it is: refused on either side."""
    bar, frame = await world.metric("roc_auc", 0.5), cells(9_000)
    twice = pd.concat([frame, frame[:1]])
    scores = await world.predict(await world.dataset(frame), twice)
    assert "the predictions have id=9000 on 2 rows" in str((await world.quality(scores, metrics=[bar])).message)

    scores = await world.predict(await world.dataset(twice), frame)
    assert "the labels have id=9000 on 2 rows" in str((await world.quality(scores, metrics=[bar])).message)


async def test_what_cannot_be_watched(world: World) -> None:
    """What the graph does not know, metrics of another task, labels of another entity: refused before anything runs."""
    frame = cells(9_500)
    scores = await world.predict(await world.dataset(frame), frame)
    odd = Artifact.defined(K.PREDICTIONS, "odd", {"model": world.model.id})
    await world.store.artifacts.record([odd], now=now(), by="other")
    rmse = await world.metric("rmse", None)

    with pytest.raises(InvalidInput, match="does not know the feature set, datasets of the predictions 'odd'"):
        await world.drift(odd.id)
    with pytest.raises(InvalidInput, match="metric of drift"):
        await world.drift(scores, metrics=[rmse])
    with pytest.raises(InvalidInput, match="bins must be"):
        await world.drift(scores, bins=1)
    with pytest.raises(InvalidInput, match="was never evaluated"):
        await world.quality(scores)
    with pytest.raises(InvalidInput, match="rmse does not measure classification"):
        await world.quality(scores, metrics=[rmse])
    words = await world.feature("words", "cells.town")
    with pytest.raises(InvalidInput, match="the label 'words' is VARCHAR, what was learned is BOOLEAN"):
        await world.quality(scores, metrics=[rmse], label=words)
    with pytest.raises(NotFound):
        await world.quality(scores, metrics=[await world.metric("f1", None)], datasets={"x": scores})
