"""Reproducing: what the graph has recorded is made again from exactly the same, and compared."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lineage.artifacts import Artifact, ArtifactKind
from lineage.cycle.recipes import maker_of, recipe_of, resources_of
from lineage.errors import InvalidInput
from lineage.requests import Resources, Started, Train, environment_of, queue
from lineage.runs import Run, RunKind
from lineage.store import Store

K = ArtifactKind
KINDS = (K.MODEL, K.TRAINING_SET, K.PREDICTIONS)


@dataclass(frozen=True, kw_only=True)
class Reproduce:
    """An artifact to be made again from its recorded inputs; None leaves executor and resources as they were."""

    of: str
    executor: str | None = None
    resources: Resources | None = None
    idempotency_key: str | None = None
    max_attempts: int = 2


@dataclass(frozen=True, kw_only=True)
class Refit(Train):
    """The fit of the model *of*, as the graph has recorded it."""

    of: str


@dataclass(frozen=True, kw_only=True)
class Rewrite(Started):
    """The writing of the training set or the predictions *of*, as the graph has recorded it."""

    of: str


async def reproduce(store: Store, input: Reproduce, *, by: str, now: datetime) -> Run:
    """Queue the making again of a model, a training set or predictions, from the graph alone.

    Raise NotFound for any other artifact, InvalidInput naming what the graph does not know about its making.
    """
    artifact = await store.artifacts.one(input.of, *KINDS)
    if artifact.kind is K.MODEL:
        return await _model(store, input, artifact, by=by, now=now)
    if artifact.kind is K.TRAINING_SET:
        return await _training_set(store, input, artifact, by=by, now=now)
    return await _predictions(store, input, artifact, by=by, now=now)


async def rescore(store: Store, input: Reproduce, *, by: str, now: datetime) -> Run:
    """Queue the scoring again of predictions, with the recorded model on the recorded rows; see `reproduce`."""
    await store.artifacts.one(input.of, K.PREDICTIONS)
    return await reproduce(store, input, by=by, now=now)


async def _model(store: Store, input: Reproduce, model: Artifact, *, by: str, now: datetime) -> Run:
    _require(model, "model_sha256")
    recipe = await recipe_of(store, model)
    asked = Refit(
        of=model.id,
        name=model.name,
        namespace=model.namespace,
        training_set=recipe.training_set,
        model_code=recipe.model_code,
        environment=recipe.environment,
        metrics=tuple(recipe.metrics),
        hyperparameters=recipe.params,
        evaluate_on=recipe.evaluate_on,
        seed=recipe.seed,
        **_started(input, recipe.executor, resources_of(recipe.spec)),
    )
    used = [model.id, recipe.training_set, recipe.model_code, *recipe.metrics]
    return await queue(store, RunKind.REPRODUCE, asked, used=used, environment=recipe.environment, by=by, now=now)


async def _training_set(store: Store, input: Reproduce, artifact: Artifact, *, by: str, now: datetime) -> Run:
    _require(artifact, "feature_set", "split", "splits", "datasets")
    used = [artifact.id, artifact.body["feature_set"], *artifact.body["datasets"].values()]
    asked = Rewrite(of=artifact.id, **_started(input, await _executor(store, artifact), Resources()))
    return await queue(store, RunKind.REPRODUCE, asked, used=used, by=by, now=now)


async def _predictions(store: Store, input: Reproduce, artifact: Artifact, *, by: str, now: datetime) -> Run:
    _require(artifact, "model", "feature_set", "datasets", "file")
    model = await store.artifacts.one(artifact.body["model"], K.MODEL)
    run = await maker_of(store, artifact)
    started = _started(input, run.executor if run else "process", resources_of(run.spec if run else {}))
    used = [artifact.id, model.id, artifact.body["feature_set"], *artifact.body["datasets"].values()]
    asked, environment = Rewrite(of=artifact.id, **started), await environment_of(store, model)
    return await queue(store, RunKind.REPRODUCE, asked, used=used, environment=environment, by=by, now=now)


def _require(artifact: Artifact, *names: str) -> None:
    missing = [name.replace("_", " ") for name in names if not artifact.body.get(name)]
    if missing:
        what = f"{artifact.kind.value} {artifact.name!r}"
        raise InvalidInput(f"{what} cannot be made again: the graph does not know its {', '.join(missing)}", field="of")


async def _executor(store: Store, artifact: Artifact) -> str:
    run = await maker_of(store, artifact)
    return run.executor if run else "process"


def _started(input: Reproduce, executor: str, resources: Resources) -> dict[str, Any]:
    return {
        "executor": input.executor or executor,
        "resources": input.resources or resources,
        "idempotency_key": input.idempotency_key,
        "max_attempts": input.max_attempts,
    }
