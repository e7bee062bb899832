"""What the mutations that start a run mean: their input is checked against the graph before anything is queued."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from importlib.metadata import entry_points
from typing import Any

from lineage import environments, models
from lineage.artifacts import Artifact, ArtifactKind
from lineage.definitions import Named
from lineage.errors import InvalidInput
from lineage.metrics import check_tasks
from lineage.runs import Run, RunKind, RunState, new_run_id
from lineage.searchspace import SearchSpace
from lineage.store import Store

K = ArtifactKind
MAX_TRIALS, MAX_PARALLEL = 10_000, 64


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What one run may take; what an executor cannot hold back, it lets pass (docs/docker.md)."""

    memory_bytes: int | None = None
    seconds: float | None = None
    processes: int | None = None
    #: Processors, in shares of one.
    cpus: float | None = None
    #: Everything together that it may write to disk.
    disk_bytes: int | None = None
    #: Whether it needs the network.
    network: bool = False


@dataclass(frozen=True, kw_only=True)
class Started:
    """What every request for a run may say: its key, its executor, its resources, how often it is tried."""

    idempotency_key: str | None = None
    executor: str = "process"
    resources: Resources = field(default_factory=Resources)
    max_attempts: int = 2


@dataclass(frozen=True, kw_only=True)
class RegisterDataset(Named, Started):
    """A dataset to be read where it lies: a path or an address of CSV or Parquet files."""

    uri: str
    format: str | None = None
    null_values: Sequence[str] | None = None


@dataclass(frozen=True, kw_only=True)
class CreateTrainingSet(Named, Started):
    """A feature set to be materialised: *split* is a rule by RATIO, HASH or TIME, *where* a condition on rows."""

    feature_set: str
    split: Mapping[str, Any]
    where: str | None = None


@dataclass(frozen=True, kw_only=True)
class RegisterEnvironment(Named, Started, environments.Wanted):
    """An environment by what it should have."""


@dataclass(frozen=True, kw_only=True)
class BuildEnvironment(Started):
    """An environment to be made ready where an executor runs it: a virtual environment, an image."""

    environment: str


@dataclass(frozen=True, kw_only=True)
class Train(Named, Started):
    """A model to be fitted with given hyperparameters, and evaluated on a held-out split.

    With a *search_space* the hyperparameters must be ones that it could draw.
    """

    training_set: str
    model_code: str
    environment: str
    metrics: Sequence[str]
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    search_space: str | None = None
    evaluate_on: str = "test"
    seed: int = 0
    #: The model that this one is to take the place of, made as that one was from newer inputs.
    retrain_of: str | None = None


@dataclass(frozen=True, kw_only=True)
class Tune(Train):
    """A search for the best hyperparameters; the best is fitted and evaluated as in Train.

    Those of the space's parameters that *hyperparameters* names are held at the values given.
    """

    search_space: str = field()  # which Train may do without
    objective: str | None = None
    trials: int = 20
    parallel: int = 2
    sampler: str = "tpe"
    pruner: str = "median"
    #: How many trials may fail before the search is given up; None is any number.
    max_failed_trials: int | None = None
    #: How long a single trial may take; None leaves it to the settings.
    trial_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Evaluate(Started):
    """A model to be measured on a split of a training set."""

    model: str
    metrics: Sequence[str]
    training_set: str | None = None
    split: str = "test"


@dataclass(frozen=True, kw_only=True)
class Score(Named, Started):
    """Rows to be scored in batch: those of the feature set's datasets (or of newer versions) that meet *where*."""

    model: str
    where: str | None = None
    datasets: Mapping[str, str] = field(default_factory=dict)


async def register_dataset(store: Store, input: RegisterDataset, *, by: str, now: datetime) -> Run:
    """Queue the reading of a dataset: schema, statistics, digest."""
    if not input.uri.strip():
        raise InvalidInput("the address of the dataset is empty", field="uri")
    return await queue(store, RunKind.INGEST, input, by=by, now=now)


async def create_training_set(store: Store, input: CreateTrainingSet, *, by: str, now: datetime) -> Run:
    """Queue the writing of a training set's splits."""
    from lineage.data.splits import SplitRule  # brings DuckDB, which readers of the graph can do without

    feature_set = await store.artifacts.one(input.feature_set, K.FEATURE_SET)
    SplitRule.parse(input.split)
    if not feature_set.body.get("label"):
        raise InvalidInput(f"the feature set {feature_set.name!r} has no label to learn", field="featureSet")
    return await queue(store, RunKind.MATERIALISE, input, used=[feature_set.id], by=by, now=now)


async def register_environment(store: Store, input: RegisterEnvironment, *, by: str, now: datetime) -> Run:
    """Queue the resolving of packages to a lock with hashes."""
    environments.check(input)
    return await queue(store, RunKind.RESOLVE, input, by=by, now=now)


async def build_environment(store: Store, input: BuildEnvironment, *, by: str, now: datetime) -> Run:
    """Queue the building of an environment, so that the first run in it need not wait."""
    environment = await store.artifacts.one(input.environment, K.ENVIRONMENT)
    return await queue(store, RunKind.BUILD, input, used=[environment.id], by=by, now=now)


async def train(store: Store, input: Train, *, by: str, now: datetime) -> Run:
    """Queue one fit with given hyperparameters."""
    used = await _check_train(store, input)
    if input.search_space is not None:
        space = await store.artifacts.one(input.search_space, K.SEARCH_SPACE)
        SearchSpace.parse(space.body).check(input.hyperparameters)
        used = [*used, space.id]
    return await queue(store, RunKind.TRAIN, input, used=used, environment=input.environment, by=by, now=now)


async def tune(store: Store, input: Tune, *, by: str, now: datetime) -> Run:
    """Queue a search over a space of hyperparameters."""
    from lineage.tuning import studies  # brings Optuna

    used = await _check_train(store, input)
    space = await store.artifacts.one(input.search_space, K.SEARCH_SPACE)
    SearchSpace.parse(space.body).fixed(input.hyperparameters)
    definitions = [await store.artifacts.one(id, K.METRIC_DEFINITION) for id in input.metrics]
    names = [str(definition.body["metric"]) for definition in definitions]
    if input.objective is not None and input.objective not in names:
        raise InvalidInput.unknown("objective among the metrics", input.objective, names, field="objective")
    _between("trials", input.trials, MAX_TRIALS)
    _between("parallel", input.parallel, MAX_PARALLEL)
    studies.check_names(sampler=input.sampler, pruner=input.pruner)
    _check_limits(input)
    used = [*used, space.id]
    return await queue(store, RunKind.TUNE, input, used=used, environment=input.environment, by=by, now=now)


def _check_limits(input: Tune) -> None:
    most, seconds = input.max_failed_trials, input.trial_seconds
    if most is not None and most < 0:
        raise InvalidInput(f"maxFailedTrials must be 0 or more, not {most}", field="maxFailedTrials")
    if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
        raise InvalidInput(f"trialSeconds must be a number above 0, not {seconds:g}", field="trialSeconds")


async def _check_train(store: Store, input: Train) -> list[str]:
    training_set = await store.artifacts.one(input.training_set, K.TRAINING_SET)
    splits = list(training_set.body.get("splits", {}))
    if input.evaluate_on not in splits:
        raise InvalidInput.unknown("split", input.evaluate_on, splits, field="evaluateOn")
    await store.artifacts.one(input.model_code, K.MODEL_CODE)
    await store.artifacts.one(input.environment, K.ENVIRONMENT)
    await _check_metrics(store, input.metrics)
    return [input.training_set, input.model_code, *input.metrics]


async def _check_metrics(store: Store, ids: Sequence[str]) -> None:
    if not ids:
        raise InvalidInput("name at least one metric", field="metrics")
    check_tasks([str((await store.artifacts.one(id, K.METRIC_DEFINITION)).body["metric"]) for id in ids])


async def evaluate(store: Store, input: Evaluate, *, by: str, now: datetime) -> Run:
    """Queue the measuring of a model on a split."""
    model = await store.artifacts.one(input.model, K.MODEL)
    training_set = await store.artifacts.one(input.training_set or await trained_on(store, model), K.TRAINING_SET)
    splits = list(training_set.body.get("splits", {}))
    if input.split not in splits:
        raise InvalidInput.unknown("split", input.split, splits, field="split")
    await _check_metrics(store, input.metrics)
    used = [model.id, training_set.id, *input.metrics]
    environment = await environment_of(store, model)
    return await queue(store, RunKind.EVALUATE, input, used=used, environment=environment, by=by, now=now)


async def score(store: Store, input: Score, *, by: str, now: datetime) -> Run:
    """Queue the scoring of rows in batch."""
    model = await store.artifacts.one(input.model, K.MODEL)
    await trained_on(store, model)
    for name, id in input.datasets.items():
        dataset = await store.artifacts.one(id, K.DATASET)
        if dataset.name != name:
            raise InvalidInput(f"{id} is a version of {dataset.name!r}, not of {name!r}", field="datasets")
    environment = await environment_of(store, model)
    used = [model.id, *input.datasets.values()]
    return await queue(store, RunKind.SCORE, input, used=used, environment=environment, by=by, now=now)


async def trained_on(store: Store, model: Artifact) -> str:
    """The id of the training set that a model was trained on; raise InvalidInput when none is recorded."""
    return await _dependency(store, model, "TRAINED_ON", "training set")


async def environment_of(store: Store, model: Artifact) -> str:
    """The id of the environment that a model runs in; raise InvalidInput when none is recorded."""
    return await _dependency(store, model, "RUNS_IN", "environment")


async def _dependency(store: Store, model: Artifact, type_: str, what: str) -> str:
    for edge in await store.artifacts.dependencies([model.id]):
        if edge["type"] == type_:
            return str(edge["target"])
    raise InvalidInput(f"the graph does not know the {what} of model {model.name!r}", field="model")


def _between(name: str, value: int, most: int) -> None:
    if not 1 <= value <= most:
        raise InvalidInput(f"{name} must be between 1 and {most}, not {value}", field=name)


def _check_resources(given: Resources) -> None:
    for name in ("memory_bytes", "seconds", "processes", "cpus", "disk_bytes"):
        value = getattr(given, name)
        if value is not None and not 0 < value < math.inf:
            raise InvalidInput(f"resources: {name} must be greater than 0, not {value}", field="resources")


async def _check_place(store: Store, kind: RunKind, input: Started, used: Sequence[str]) -> None:
    """Raise InvalidInput where code or a model of Spark ML would have to run anywhere else than on a cluster."""
    for each in (await store.artifacts.by_ids(used)).values():
        if models.SPARK not in (each.body.get("contract"), each.body.get("format")):
            continue
        what = (
            f"the model {each.name!r} is one of Spark ML, and"
            if each.kind is K.MODEL
            else f"{each.name!r} builds for Spark ML, and"
        )
        if kind is RunKind.DEPLOY:
            raise InvalidInput(
                f"{what} cannot be served online: score rows in batch, executor spark_yarn", field="model"
            )
        if input.executor != models.CLUSTER:
            message = f"{what} lives on a cluster: use the executor {models.CLUSTER}, not {input.executor}"
            raise InvalidInput(message, field="executor")


async def queue(
    store: Store,
    kind: RunKind,
    input: Started,
    *,
    by: str,
    now: datetime,
    used: Sequence[str] = (),
    environment: str | None = None,
) -> Run:
    """Queue a run of *kind* that does what *input* asks; raise InvalidInput for an executor that is not there."""
    known = sorted({entry.name for entry in entry_points(group="lineage.executors")})
    if input.executor not in known:
        raise InvalidInput.unknown("executor", input.executor, known, field="executor")
    _between("maxAttempts", input.max_attempts, 10)
    _check_resources(input.resources)
    await _check_place(store, kind, input, used)
    spec = {name: value for name, value in asdict(input).items() if name not in {"idempotency_key", "executor"}}
    run = Run(
        id=new_run_id(),
        kind=kind,
        state=RunState.QUEUED,
        executor=input.executor,
        spec=spec,
        created_at=now,
        created_by=by,
        max_attempts=input.max_attempts,
        idempotency_key=input.idempotency_key,
    )
    return await store.runs.create(run, used=used, environment=environment)
