"""Deployments: models to be served under a name; each version is an artifact, its endpoint says what is live."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType, asset_id
from lineage.definitions import Named
from lineage.endpoints import Endpoint, Following, endpoint_id
from lineage.errors import Conflict, InvalidInput, NotFound
from lineage.requests import Started, environment_of, queue
from lineage.runs import Run, RunKind
from lineage.store import Store

K = ArtifactKind
MOST_REPLICAS = 16
MOST_ROWS = 10_000  # of a sample


@dataclass(frozen=True, kw_only=True)
class Deploy(Named, Started):
    """A model to be served under a name: *model* is an id, or `name@alias`."""

    model: str
    replicas: int = 1
    #: How many of the rows that it is asked it keeps, for drift; 0 is none.
    sample: int = 0
    #: Serve what the alias of *model* points to, now and whenever it moves.
    follow: bool = False
    #: The interval of the alias that is followed, as `Following.to_spec` writes it.
    following: Mapping[str, str] | None = None


def described(spec: Mapping[str, Any], executor: str, *, model: str, environment: str, image: str | None) -> Artifact:
    """The version of a deployment that a run's *spec* asks for; the same content is the same version."""
    body = {
        "model": model,
        "environment": environment,
        "image": image,
        "executor": executor,
        "replicas": spec["replicas"],
        "resources": {name: value for name, value in (spec.get("resources") or {}).items() if value},
    }
    if spec.get("sample"):
        body["sample"] = spec["sample"]
    labels = {name: spec[name] for name in ("namespace", "description", "tags")}
    return Artifact.defined(K.DEPLOYMENT, spec["name"], body, **labels)


def edges_of(deployment: Artifact) -> list[Edge]:
    """What a version of a deployment depends on: its model, its environment, its image where there is one."""
    body = deployment.body
    places = [body["environment"], *([body["image"]] if body["image"] else [])]
    edges = [Edge(type=EdgeType.RUNS_IN, source=deployment.id, target=place) for place in places]
    return [Edge(type=EdgeType.DERIVED_FROM, source=deployment.id, target=body["model"]), *edges]


async def deploy(store: Store, input: Deploy, *, by: str, now: datetime) -> Run:
    """Queue the serving of a model; the run succeeds when the new version is live.

    One that follows no alias ends the following of what was deployed under the name before.
    """
    _check(input)
    if input.follow:
        model, following = await _followed(store, input)
        return await follow(store, input, model, following, by=by, now=now)
    run = await _queue(store, input, await find_model(store, input.model, namespace=input.namespace), by=by, now=now)
    await store.endpoints.pin(endpoint_id(input.namespace, input.name), asked_at=run.created_at)
    return run


async def follow(store: Store, input: Deploy, model: Artifact, following: Following, *, by: str, now: datetime) -> Run:
    """Queue the serving of *model*, to which the alias that is followed points."""
    return await _queue(store, replace(input, following=following.to_spec()), model, by=by, now=now)


def _check(input: Deploy) -> None:
    if not 1 <= input.replicas <= MOST_REPLICAS:
        raise InvalidInput(f"replicas must be between 1 and {MOST_REPLICAS}, not {input.replicas}", field="replicas")
    if not 0 <= input.sample <= MOST_ROWS:
        raise InvalidInput(f"sample must be between 0 and {MOST_ROWS}, not {input.sample}", field="sample")
    if not input.name or "/" in input.name or "?" in input.name or input.name in {".", ".."}:
        raise InvalidInput("the name of a deployment is part of an address: it has no / and no ?", field="name")


async def _queue(store: Store, input: Deploy, model: Artifact, *, by: str, now: datetime) -> Run:
    if model.retracted_at is not None:
        raise Conflict(f"model {model.name!r} {model.version} was retracted: {model.retracted_reason}")
    if not (model.body.get("signature") or {}).get("inputs"):
        raise InvalidInput(f"the model {model.name!r} has no signature to check rows against", field="model")
    asked = replace(input, model=model.id)
    environment = await environment_of(store, model)
    return await queue(store, RunKind.DEPLOY, asked, used=[model.id], environment=environment, by=by, now=now)


async def _followed(store: Store, input: Deploy) -> tuple[Artifact, Following]:
    """The model that the alias of *input* points to, and the interval in which it does."""
    name, at, alias = input.model.rpartition("@")
    if not at:
        raise InvalidInput("what is to be followed is an alias: name the model as NAME@ALIAS", field="model")
    asset = asset_id(K.MODEL, input.namespace, name)
    held = next((each for each in await store.promotions.held(asset, alias) if each.until is None), None)
    if held is None:
        raise _nothing_at(name, alias, input.namespace)
    following = Following(asset=asset, alias=alias, named=input.model, since=held.since)
    return await store.artifacts.one(held.artifact, K.MODEL), following


async def find_model(store: Store, ref: str, *, namespace: str) -> Artifact:
    """The model with the id *ref*, or the one that `name@alias` points to."""
    name, at, alias = ref.rpartition("@")
    if not at:
        return await store.artifacts.one(ref, K.MODEL)
    found = await store.artifacts.get(K.MODEL, name, namespace=namespace, version=f"@{alias}")
    if found is None:
        raise _nothing_at(name, alias, namespace)
    return found


def _nothing_at(name: str, alias: str, namespace: str) -> NotFound:
    return NotFound(f"there is no model {name!r} with the alias {alias!r} in {namespace!r}")


async def undeploy(store: Store, name: str, *, namespace: str, now: datetime) -> Endpoint:
    """Let nothing serve under *name* any more; what is under way is answered first."""
    return await store.endpoints.unwant(endpoint_id(namespace, name), now=now)
