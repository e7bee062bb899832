"""What the items of a plan are made of, read from the graph."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import anyio

from lineage.artifacts import Artifact, ArtifactKind
from lineage.cycle.choices import Choices
from lineage.cycle.features import redefine
from lineage.cycle.planning import Item
from lineage.cycle.recipes import Recipe, maker_of, recipe_of
from lineage.data.features import check_defined, datasets_of
from lineage.errors import InvalidInput
from lineage.plans import Source
from lineage.requests import Resources, Train, Tune
from lineage.runs import Run
from lineage.store import Store

K = ArtifactKind
#: What a plan can make.
MADE = (K.FEATURE_SET, K.TRAINING_SET, K.MODEL, K.PREDICTIONS, K.DEPLOYMENT)
#: Fields of a request that are inputs, or not part of what is asked for.
NOT_KEPT = {"training_set", "model_code", "environment", "metrics", "search_space", "retrain_of"}
NOT_KEPT |= {"idempotency_key", "executor", "resources"}


@dataclass(kw_only=True)
class Survey:
    """Reads items, with what is chosen in the place of their inputs."""

    store: Store
    choices: Choices
    _read: dict[str, Artifact] = field(default_factory=dict)

    async def item(self, artifact: Artifact) -> Item:
        """*artifact* as something that would be made again; what cannot be known is among its blockers."""
        try:
            return await READ[artifact.kind](self, artifact)
        except InvalidInput as error:  # the graph does not know how it was made: that is what the plan has to say
            return _item(artifact, [], {}, None, [str(error)])

    async def inner(self, artifact: Artifact) -> list[Artifact]:
        """What *artifact* is made of that a plan can make as well."""
        name = "feature_set" if artifact.kind is K.TRAINING_SET else "model"
        ids = [str(artifact.body[name])] if artifact.body.get(name) else []
        if artifact.kind is K.MODEL:
            rows = await self.store.artifacts.dependencies([artifact.id])
            maker = await maker_of(self.store, artifact)
            ours = maker.spec.get("training_set") if maker else None
            ids = [ours] if ours else [str(row["target"]) for row in rows if row["type"] == "TRAINED_ON"]
        found = await self.store.artifacts.by_ids(ids)
        return [each for each in found.values() if each.kind in MADE]

    async def _one(self, id: str | None) -> Artifact | None:
        if id is None:
            return None
        if id not in self._read:
            self._read |= await self.store.artifacts.by_ids([id])
        return self._read.get(id)

    async def _feature_set(self, artifact: Artifact) -> Item:
        problems: list[str] = []
        definition = await self.choices.source("definition", artifact, problems)
        base = await self._one(definition.chosen)
        before = await self._members(artifact, chosen=False)
        if base is None or problems:
            return _item(artifact, [definition], {}, None, problems)
        members = await self._members(base, chosen=True)
        sources = [definition]
        for name, (member, problem) in members.items():
            recorded = before[name][0].id if name in before else None
            sources.append(Source(role=f"feature:{name}", recorded=recorded, chosen=member.id))
            problems += [problem] if problem else []
        datasets = await self._datasets(members, sources, problems)
        if not problems:
            problems += await _trial(base, {name: each for name, (each, _) in members.items()}, datasets)
        return _item(artifact, sources, {}, None, problems)

    async def _members(self, feature_set: Artifact, *, chosen: bool) -> dict[str, tuple[Artifact, str | None]]:
        """The features of a feature set, its label and those that they use, by name, with what is wrong about each."""
        label = feature_set.body.get("label")
        waiting = [*feature_set.body.get("features", ()), *([label] if label else [])]
        if not waiting:
            raise InvalidInput(f"the graph does not know the features of {feature_set.name!r}")
        found: dict[str, tuple[Artifact, str | None]] = {}
        while waiting:
            feature = await self._one(waiting.pop(0))
            if feature is None:
                raise InvalidInput(f"a feature of {feature_set.name!r} is not in the graph")
            taken, problem = await self.choices.of(feature) if chosen else (feature, None)
            taken = taken or feature
            check_defined(taken)
            found.setdefault(taken.name, (taken, problem))
            waiting += [id for id in taken.body.get("features", ()) if id not in waiting]
        return found

    async def _datasets(
        self, members: Mapping[str, tuple[Artifact, str | None]], sources: list[Source], problems: list[str]
    ) -> dict[str, Artifact]:
        """The datasets that are chosen for *members*, by name; they are added to *sources*."""
        found: dict[str, Artifact] = {}
        for member, _ in members.values():
            for name, id in datasets_of(member).items():
                if name in found:
                    continue
                recorded = await self._one(id)
                source = await self.choices.source(f"dataset:{name}", recorded, problems)
                sources.append(source)
                taken = await self._one(source.chosen)
                if taken is not None:
                    found[name] = taken
        return found

    async def _training_set(self, artifact: Artifact) -> Item:
        body, run = artifact.body, await maker_of(self.store, artifact)
        if not body.get("feature_set") or not body.get("split"):
            raise InvalidInput(f"the graph does not know how {artifact.name!r} was split")
        asked = run.spec if run else {}
        spec = {**_labels(artifact), "split": body["split"], "where": asked.get("where", body.get("where"))}
        source = _kept("feature_set", body["feature_set"])
        return _item(artifact, [source], spec | _resources(asked), run, [])

    async def _model(self, artifact: Artifact) -> Item:
        recipe, problems = await recipe_of(self.store, artifact), list[str]()
        run = await maker_of(self.store, artifact)
        sources = [_kept("training_set", recipe.training_set)]
        inputs = [("model_code", recipe.model_code), ("environment", recipe.environment)]
        if recipe.spec.get("search_space"):
            inputs.append(("search_space", recipe.spec["search_space"]))
        for role, id in inputs:
            sources.append(await self.choices.source(role, await self._one(id), problems))
        for id in recipe.metrics:
            metric = await self._one(id)
            role = f"metric:{metric.name}" if metric else "metric"
            sources.append(await self.choices.source(role, metric, problems))
        return _item(artifact, sources, _model_spec(recipe), run, problems, executor=recipe.executor)

    async def _predictions(self, artifact: Artifact) -> Item:
        body, run, problems = artifact.body, await maker_of(self.store, artifact), list[str]()
        if not body.get("model"):
            raise InvalidInput(f"the graph does not know the model of {artifact.name!r}")
        asked = run.spec if run else {}
        sources = [_kept("model", body["model"])]
        for name, id in (asked.get("datasets") or {}).items():
            sources.append(await self.choices.source(f"dataset:{name}", await self._one(id), problems))
        spec = {**_labels(artifact), "where": asked.get("where", body.get("where")), **_resources(asked)}
        return _item(artifact, sources, spec, run, problems)

    async def _deployment(self, artifact: Artifact) -> Item:
        body = artifact.body
        if not body.get("model"):
            raise InvalidInput(f"the graph does not know the model of {artifact.name!r}")
        run = await maker_of(self.store, artifact)
        spec = {**_labels(artifact), **_resources(body)}
        spec |= {"replicas": body.get("replicas", 1), "sample": body.get("sample", 0)}
        executor = body.get("executor") or "process"
        return _item(artifact, [_kept("model", body["model"])], spec, run, [], executor=executor)


READ = {
    K.FEATURE_SET: Survey._feature_set,
    K.TRAINING_SET: Survey._training_set,
    K.MODEL: Survey._model,
    K.PREDICTIONS: Survey._predictions,
    K.DEPLOYMENT: Survey._deployment,
}


async def _trial(base: Artifact, members: Mapping[str, Artifact], datasets: Mapping[str, Artifact]) -> list[str]:
    """Why the features cannot be defined over *datasets*, where they cannot; nothing is written."""
    try:
        await anyio.to_thread.run_sync(redefine, base, members, datasets)
    except InvalidInput as error:
        return [str(error)]
    return []


def _kept(role: str, id: str) -> Source:
    return Source(role=role, recorded=id, chosen=id)


def _labels(artifact: Artifact) -> dict[str, Any]:
    return {"description": artifact.description, "tags": list(artifact.tags)}


def _resources(spec: Mapping[str, Any]) -> dict[str, Any]:
    given = spec.get("resources") or {}
    return {"resources": {each.name: given[each.name] for each in fields(Resources) if given.get(each.name)}}


def _model_spec(recipe: Recipe) -> dict[str, Any]:
    """What the training was asked for, but for its inputs."""
    cls = Tune if recipe.is_tuned else Train
    kept = {each.name for each in fields(cls)} - NOT_KEPT - {"name", "namespace"}
    given = {name: value for name, value in recipe.spec.items() if name in kept and value is not None}
    own = {**_labels(recipe.model), "evaluate_on": recipe.evaluate_on, "seed": recipe.seed}
    values = {} if recipe.is_tuned else {"hyperparameters": dict(recipe.params)}
    return {**given, **own, **values, **_resources(recipe.spec)}


def _item(
    artifact: Artifact,
    sources: list[Source],
    spec: Mapping[str, Any],
    run: Run | None,
    problems: list[str],
    *,
    executor: str | None = None,
) -> Item:
    return Item(
        id=artifact.id,
        kind=artifact.kind,
        namespace=artifact.namespace,
        name=artifact.name,
        sources=tuple(sources),
        spec=spec,
        executor=executor or (run.executor if run else "process"),
        seconds=seconds_of(run),
        blockers=tuple(dict.fromkeys(problems)),
    )


def seconds_of(run: Run | None) -> float | None:
    """How long the work of a run took, waiting for a worker not counted."""
    if run is None or run.started_at is None or run.ended_at is None:
        return None
    return (run.ended_at - run.started_at).total_seconds()
