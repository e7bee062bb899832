"""Actions: what a schedule or a trigger may do, each with the spec that it is recorded with.

An action reads its spec when it is recorded, so that bad input is refused then, and again whenever it fires, so that
`delays@champion` and `flights@newest` are what they are at that moment. What it starts has the firing's id as its
idempotency key: however often an action is begun, it is done once.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any

from lineage import requests
from lineage.artifacts import ArtifactKind
from lineage.cycle import benchmarks, healing, promotions, reproduction, watch
from lineage.cycle.references import newest, resolve
from lineage.cycle.specs import read
from lineage.definitions import Named
from lineage.errors import InvalidInput, NotFound
from lineage.firings import Firing
from lineage.requests import Started
from lineage.runs import Run
from lineage.store import Store

K = ArtifactKind


@dataclass(frozen=True, kw_only=True)
class Call:
    """One firing of an action: on whose behalf, when, and of what."""

    firing: Firing
    by: str
    now: datetime
    #: Where the schedule or the trigger is, and what it names by a name.
    namespace: str = "default"


@dataclass(frozen=True, kw_only=True)
class Action:
    """What may be done: the type of its spec, and how it is started; the run that does it, if there is one."""

    spec: type[Any]
    start: Callable[[Store, Any, Call], Awaitable[Run | None]]


@dataclass(frozen=True, kw_only=True)
class RegisterDataset(Named, Started):
    """A dataset to be read again where it lies: at *uri*, or where its newest version was found."""

    uri: str | None = None
    format: str | None = None
    null_values: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Score(requests.Score):
    """Rows to be scored; datasets that are not given are the newest versions of those that the model has seen."""

    datasets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Retrain:
    """A model to be made again from newer inputs, as `retrain` does."""

    model: str
    pins: tuple[str, ...] = ()
    newest: tuple[ArtifactKind, ...] | None = None


async def register_dataset(store: Store, spec: RegisterDataset, call: Call) -> Run:
    """Read a dataset again; bytes that are already known make no new version."""
    found = await store.artifacts.get(K.DATASET, spec.name, namespace=spec.namespace)
    if found is None and spec.uri is None:
        raise NotFound(f"there is no dataset {spec.name!r} in {spec.namespace!r} to read again; give its uri")
    body = found.body if found else {}
    nulls = spec.null_values if spec.null_values is not None else body.get("null_values")
    asked = requests.RegisterDataset(
        **{name: getattr(spec, name) for name in ("name", "namespace", "description", "tags", *STARTED)},
        uri=spec.uri or str(body["uri"]),
        format=spec.format or body.get("format"),
        null_values=nulls,
    )
    return await requests.register_dataset(store, _keyed(asked, call), by=call.by, now=call.now)


async def score(store: Store, spec: Score, call: Call) -> Run:
    """Score the newest versions of the datasets that the model's training set was made of."""
    model = await resolve(store, spec.model, K.MODEL, namespace=spec.namespace)
    pinned = {
        name: (await resolve(store, given, K.DATASET, namespace=spec.namespace)).id
        for name, given in spec.datasets.items()
    }
    chosen = {**await newest(store, model), **pinned}
    asked = replace(spec, model=model.id, datasets=chosen)
    return await requests.score(store, _keyed(asked, call), by=call.by, now=call.now)


async def evaluate(store: Store, spec: requests.Evaluate, call: Call) -> Run:
    """Measure a model."""
    place = call.namespace
    model = await resolve(store, spec.model, K.MODEL, namespace=place)
    metrics = [(await resolve(store, each, K.METRIC_DEFINITION, namespace=place)).id for each in spec.metrics]
    given = spec.training_set
    training_set = (await resolve(store, given, K.TRAINING_SET, namespace=place)).id if given else None
    asked = replace(spec, model=model.id, metrics=metrics, training_set=training_set)
    return await requests.evaluate(store, _keyed(asked, call), by=call.by, now=call.now)


async def train(store: Store, spec: requests.Train, call: Call) -> Run:
    """Fit a model."""
    return await requests.train(store, await _learning(store, spec, call), by=call.by, now=call.now)


async def tune(store: Store, spec: requests.Tune, call: Call) -> Run:
    """Search for the best hyperparameters."""
    return await requests.tune(store, await _learning(store, spec, call), by=call.by, now=call.now)


async def reproduce(store: Store, spec: reproduction.Reproduce, call: Call) -> Run:
    """Make a model again from its recorded inputs, and compare."""
    of = spec.of if "@" not in spec.of else (await resolve(store, spec.of, K.MODEL, namespace=call.namespace)).id
    return await reproduction.reproduce(store, replace(_keyed(spec, call), of=of), by=call.by, now=call.now)


async def retrain(store: Store, spec: Retrain, call: Call) -> None:
    """Make a model again from newer inputs: a plan, which goes on by itself."""
    model = await resolve(store, spec.model, K.MODEL, namespace=call.namespace)
    await healing.retrain(
        store,
        model.id,
        pins=spec.pins,
        newest=spec.newest,
        idempotency_key=call.firing.id,
        by=call.by,
        now=call.now,
    )


async def run_benchmark(store: Store, spec: benchmarks.RunBenchmark, call: Call) -> Run:
    """Score models and their champion on the same rows."""

    async def id(given: str, kind: ArtifactKind) -> str:
        return (await resolve(store, given, kind, namespace=call.namespace)).id

    asked = replace(
        _keyed(spec, call),
        benchmark=await id(spec.benchmark, K.BENCHMARK),
        models=[await id(each, K.MODEL) for each in spec.models],
        champion=await id(spec.champion, K.MODEL) if spec.champion else None,
    )
    return await benchmarks.run_benchmark(store, asked, by=call.by, now=call.now)


async def request_promotion(store: Store, spec: promotions.RequestPromotion, call: Call) -> None:
    """Ask for an alias to move; the gate judges, and a person where it is not automatic."""
    given, place = spec.benchmark, call.namespace
    benchmark = await resolve(store, given, K.BENCHMARK, namespace=place) if given else None
    asked = replace(
        _keyed(spec, call),
        model=(await resolve(store, spec.model, K.MODEL, namespace=place)).id,
        benchmark=benchmark.id if benchmark else None,
    )
    await promotions.request_promotion(store, asked, by=call.by, now=call.now)


async def measure_drift(store: Store, spec: watch.MeasureDrift, call: Call) -> Run:
    """Hold what was scored against what was learned from."""
    asked = replace(_keyed(spec, call), **await _watched(store, spec, call))
    return await watch.measure_drift(store, asked, by=call.by, now=call.now)


async def measure_quality(store: Store, spec: watch.MeasureQuality, call: Call) -> Run:
    """Measure a model on predictions whose labels are there by now."""
    place, label = call.namespace, spec.label
    given = {name: await resolve(store, each, K.DATASET, namespace=place) for name, each in spec.datasets.items()}
    asked = replace(
        _keyed(spec, call),
        **await _watched(store, spec, call),
        label=(await resolve(store, label, K.FEATURE, namespace=place)).id if label else None,
        datasets={name: each.id for name, each in given.items()},
    )
    return await watch.measure_quality(store, asked, by=call.by, now=call.now)


async def _watched(store: Store, spec: watch.MeasureDrift | watch.MeasureQuality, call: Call) -> dict[str, Any]:
    place = call.namespace
    metrics = [(await resolve(store, each, K.METRIC_DEFINITION, namespace=place)).id for each in spec.metrics]
    given = spec.predictions
    predictions = (await resolve(store, given, K.PREDICTIONS, namespace=place)).id if given else None
    return {"predictions": predictions, "metrics": metrics}


async def _learning(store: Store, spec: Any, call: Call) -> Any:
    async def id(given: str, kind: ArtifactKind) -> str:
        return (await resolve(store, given, kind, namespace=spec.namespace)).id

    return replace(
        _keyed(spec, call),
        training_set=await id(spec.training_set, K.TRAINING_SET),
        model_code=await id(spec.model_code, K.MODEL_CODE),
        environment=await id(spec.environment, K.ENVIRONMENT),
        metrics=[await id(each, K.METRIC_DEFINITION) for each in spec.metrics],
        search_space=await id(spec.search_space, K.SEARCH_SPACE) if spec.search_space else None,
    )


def _keyed(spec: Any, call: Call) -> Any:
    return replace(spec, idempotency_key=call.firing.id)


STARTED = ("executor", "resources", "max_attempts")

#: What may be done, by the name of the mutation that does the same.
ACTIONS: Mapping[str, Action] = {
    "registerDataset": Action(spec=RegisterDataset, start=register_dataset),
    "score": Action(spec=Score, start=score),
    "evaluate": Action(spec=requests.Evaluate, start=evaluate),
    "train": Action(spec=requests.Train, start=train),
    "tune": Action(spec=requests.Tune, start=tune),
    "reproduce": Action(spec=reproduction.Reproduce, start=reproduce),
    "retrain": Action(spec=Retrain, start=retrain),
    "runBenchmark": Action(spec=benchmarks.RunBenchmark, start=run_benchmark),
    "measureDrift": Action(spec=watch.MeasureDrift, start=measure_drift),
    "measureQuality": Action(spec=watch.MeasureQuality, start=measure_quality),
    "requestPromotion": Action(spec=promotions.RequestPromotion, start=request_promotion),
}


def check(action: str, spec: Mapping[str, Any]) -> None:
    """Raise InvalidInput unless there is the *action* and *spec* is what it wants."""
    if action not in ACTIONS:
        raise InvalidInput.unknown("action", action, sorted(ACTIONS), field="action")
    read(ACTIONS[action].spec, spec)


def takes_executor(action: str) -> bool:
    """Whether *action* runs on a default executor where its spec names none, not on that of an earlier run."""
    found = {each.name: each.default for each in fields(ACTIONS[action].spec)} if action in ACTIONS else {}
    return isinstance(found.get("executor"), str)


async def start(
    store: Store, action: str, spec: Mapping[str, Any], call: Call, *, actions: Mapping[str, Action] = ACTIONS
) -> Run | None:
    """Do *action* as *spec* says; the same firing does it once."""
    if action not in actions:
        raise InvalidInput.unknown("action", action, sorted(actions), field="action")
    known = actions[action]
    places = {"namespace": call.namespace} if "namespace" in {each.name for each in fields(known.spec)} else {}
    return await known.start(store, read(known.spec, {**places, **spec}), call)
