"""A whole pipeline in a real graph, whose runs are landed by a worker that only pretends to work.

What it lands has the bodies and edges of the real thing, and is the same for the same spec, as real work is.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from lineage import definitions, deployments, requests
from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType, digest_of
from lineage.cycle.execution import advance_plans
from lineage.data import datasets
from lineage.deployments import described, edges_of
from lineage.endpoints import endpoint_id
from lineage.members import sources_of
from lineage.plans import Plan
from lineage.runs import Outcome, Run, RunKind, RunState
from lineage.store import Store
from tests.conftest import NOW

K, E = ArtifactKind, EdgeType
TTL = timedelta(days=1)
SECONDS = timedelta(seconds=40)
LABELS = ("namespace", "description", "tags")
LOCK = {"language": "python", "lock": "l", "locked": []}


@dataclass
class Pipeline:
    """The artifacts of a pipeline by kind, in a store; *fails* has kinds of runs that end badly."""

    store: Store
    path: Path
    made: dict[ArtifactKind, str] = field(default_factory=dict)
    fails: set[RunKind] = field(default_factory=set)
    passes: bool = True
    #: The runs that were done, in order.
    done: list[Run] = field(default_factory=list)

    async def dataset(self, name: str, text: str, now: datetime = NOW) -> Artifact:
        """The next version of a dataset."""
        file = self.path / f"{name}-{digest_of(text)[:8]}.csv"
        file.write_text(text)
        found = await datasets.profile(str(file), name=name)
        recorded = await self.store.artifacts.record([found.dataset, *found.columns], found.edges, now=now, by="ann")
        return recorded[0]

    async def feature(self, name: str, sql: str, now: datetime = NOW) -> Artifact:
        """A feature over the flights."""
        asked = definitions.DefineFeature(name=name, sql=sql, source="flights", entity=["flights.id"])
        return await definitions.define_feature(self.store, asked, by="ann", now=now)

    async def work(self, now: datetime = NOW) -> None:
        """Do every run that is queued."""
        while (lease := await self.store.runs.lease("w", executors=["process"], now=now, ttl=TTL)) is not None:
            run, later = lease.run, now + SECONDS
            self.done.append(run)
            if run.kind in self.fails:
                outcome = Outcome(state=RunState.FAILED, reason="USER_CODE", message="the wings fell off")
                await self.store.runs.finish(lease, outcome, now=later)
                continue
            nodes, edges, result = await self._made(run)
            outcome = Outcome(state=RunState.SUCCEEDED)
            await self.store.runs.finish(lease, outcome, now=later, artifacts=nodes, edges=edges, result=result)
            if run.kind is RunKind.DEPLOY:
                await self._serve(nodes[0], now)

    async def until_over(self, plan: Plan, now: datetime = NOW, looks: int = 40) -> Plan:
        """Look after a plan, and do its runs, until it is over."""
        for _ in range(looks):
            await advance_plans(self.store, now)
            await self.work(now)
            plan = await self.store.plans.get(plan.id)
            if plan.is_over:
                return plan
        raise AssertionError(f"the plan is not over: {plan}")

    async def _made(self, run: Run) -> tuple[list[Artifact], list[Edge], dict[str, Any]]:
        return await {
            RunKind.MATERIALISE: self._rows,
            RunKind.TRAIN: self._model,
            RunKind.TUNE: self._model,
            RunKind.SCORE: self._scores,
            RunKind.DEPLOY: self._deployment,
        }[run.kind](run.spec)

    async def _rows(self, spec: Any) -> tuple[list[Artifact], list[Edge], dict[str, Any]]:
        feature_set = await self.store.artifacts.one(spec["feature_set"])
        _, sources = await sources_of(self.store, feature_set)
        used = {name: each.id for name, each in sources.items()}
        splits = {name: {"sha256": digest_of([name, used]), "rows": 3} for name in ("train", "validate", "test")}
        body = {"feature_set": feature_set.id, "datasets": used, "split": spec["split"], "where": spec["where"]}
        told = {"columns": [{"name": "delay"}, {"name": "late"}], "label": "late", "entity": ["id"]}
        rows = Artifact.defined(K.TRAINING_SET, spec["name"], {**body, **told, "splits": splits}, **_labels(spec))
        edges = [Edge(type=E.DERIVED_FROM, source=rows.id, target=each) for each in (feature_set.id, *used.values())]
        return [rows], edges, {"training_set": rows.id}

    async def _model(self, spec: Any) -> tuple[list[Artifact], list[Edge], dict[str, Any]]:
        content = [spec["training_set"], spec["model_code"], spec["environment"], spec["hyperparameters"]]
        signature = {"inputs": [{"name": "delay", "type": "double"}]}
        body = {"params": dict(spec["hyperparameters"]) or {"C": 1}, "seed": spec["seed"], "signature": signature}
        sha256 = digest_of(content)
        body |= {"model_file": "model.skops", "model_sha256": sha256, "format": "skops"}
        body |= {"features": ["delay"], "label": "late", "task": "classification"}
        model = Artifact(kind=K.MODEL, name=spec["name"], digest=sha256, body=body)
        verdict = {"metric": "roc_auc", "value": 0.5, "threshold": 0.9, "passed": self.passes}
        rows = {"split": "test", "training_set": spec["training_set"], "values": {"roc_auc": 0.5}}
        evaluation = Artifact.defined(
            K.EVALUATION,
            f"{spec['name']}.test",
            {**rows, "model": model.id, "passed": self.passes, "verdicts": [verdict]},
        )
        edges = [
            Edge(type=E.TRAINED_ON, source=model.id, target=spec["training_set"]),
            Edge(type=E.DERIVED_FROM, source=model.id, target=spec["model_code"]),
            Edge(type=E.RUNS_IN, source=model.id, target=spec["environment"]),
            Edge(type=E.EVALUATED_BY, source=model.id, target=evaluation.id),
        ]
        if spec["retrain_of"] not in {None, model.id}:
            edges.append(Edge(type=E.DERIVED_FROM, source=model.id, target=spec["retrain_of"]))
        return [model, evaluation], edges, {"model": model.id, "evaluation": evaluation.id}

    async def _scores(self, spec: Any) -> tuple[list[Artifact], list[Edge], dict[str, Any]]:
        model = await self.store.artifacts.one(spec["model"])
        rows = await self.store.artifacts.one(await requests.trained_on(self.store, model))
        used = {**rows.body["datasets"], **spec["datasets"]}
        body = {"model": model.id, "datasets": used, "feature_set": rows.body["feature_set"], "where": spec["where"]}
        scores = Artifact.defined(K.PREDICTIONS, spec["name"], {**body, "file": digest_of(body)}, **_labels(spec))
        targets = [model.id, *used.values()]
        edges = [Edge(type=E.DERIVED_FROM, source=scores.id, target=target) for target in targets]
        return [scores], edges, {"predictions": scores.id}

    async def _deployment(self, spec: Any) -> tuple[list[Artifact], list[Edge], dict[str, Any]]:
        model = await self.store.artifacts.one(spec["model"])
        place = await requests.environment_of(self.store, model)
        version = described(spec, "process", model=model.id, environment=place, image=None)
        return [version], edges_of(version), {"deployment": version.id}

    async def _serve(self, version: Artifact, now: datetime) -> None:
        endpoints, id = self.store.endpoints, endpoint_id(version.namespace, version.name)
        await endpoints.want(id, version.id, executor="process", asked_at=now, now=now)
        (found,) = await endpoints.lease("c", executors=["process"], now=now + 2 * TTL * len(self.done), ttl=SECONDS)
        await endpoints.switch(found, version.id, now=now)


def _labels(spec: Any) -> dict[str, Any]:
    return {name: spec[name] for name in LABELS}


async def a_pipeline(store: Store, path: Path) -> Pipeline:
    """Flights, features, a training set, a model by search, its predictions, and a deployment that is live."""
    pipeline = Pipeline(store, path)
    first = await pipeline.dataset("flights", "id,delay,late\n1,5,0\n2,30,1\n3,7,0\n")
    delay = await pipeline.feature("delay", "flights.delay")
    slow = await pipeline.feature("slow", "features.delay > 10")
    late = await pipeline.feature("late", "flights.late = 1")
    members = await definitions.define_feature_set(
        store,
        definitions.DefineFeatureSet(name="flights", features=[delay.id, slow.id], label=late.id),
        by="ann",
        now=NOW,
    )
    code = Artifact.defined(K.MODEL_CODE, "code", {"entry": "m.py:build", "feature_set": members.id})
    place = Artifact.defined(K.ENVIRONMENT, "env", LOCK)
    package = Artifact.defined(K.PACKAGE, "numpy", {"name": "numpy"}, namespace="pypi")
    metric = Artifact.defined(K.METRIC_DEFINITION, "roc_auc", {"metric": "roc_auc"})
    space = Artifact.defined(K.SEARCH_SPACE, "space", {"parameters": {"C": {"type": "float", "low": 1, "high": 2}}})
    edges = [
        Edge(type=E.REQUIRES, source=code.id, target=members.id),
        Edge(type=E.INCLUDES, source=place.id, target=package.id),
    ]
    await store.artifacts.record([code, place, package, metric, space], edges, now=NOW, by="ann")
    asker: Any = {"by": "ann", "now": NOW}
    rule = {"by": "HASH", "validate": 0.2, "test": 0.2, "seed": 1}
    rows = requests.CreateTrainingSet(name="flights", feature_set=members.id, split=rule, where="flights.delay > 0")
    await requests.create_training_set(store, rows, **asker)
    await pipeline.work()
    pipeline.made |= {K.DATASET: first.id, K.FEATURE: delay.id, K.FEATURE_SET: members.id, K.PACKAGE: package.id}
    pipeline.made |= {each.kind: each.id for each in (code, place, metric, space)}
    pipeline.made[K.TRAINING_SET] = await _result(pipeline, "training_set")
    inputs: Any = {"training_set": pipeline.made[K.TRAINING_SET], "model_code": code.id, "environment": place.id}
    search = requests.Tune(name="late", metrics=[metric.id], search_space=space.id, trials=3, seed=7, **inputs)
    await requests.tune(store, search, **asker)
    await pipeline.work()
    pipeline.made[K.MODEL] = await _result(pipeline, "model")
    await requests.score(store, requests.Score(name="scores", model=pipeline.made[K.MODEL]), **asker)
    await pipeline.work()
    pipeline.made[K.PREDICTIONS] = await _result(pipeline, "predictions")
    await deployments.deploy(store, deployments.Deploy(name="late", model=pipeline.made[K.MODEL], replicas=2), **asker)
    await pipeline.work()
    pipeline.made[K.DEPLOYMENT] = await _result(pipeline, "deployment")
    return pipeline


async def _result(pipeline: Pipeline, name: str) -> str:
    run = await pipeline.store.runs.get(pipeline.done[-1].id)
    return str(run.result[name])
