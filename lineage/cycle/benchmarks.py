"""Benchmarks: named sets of metrics on fixed rows, on which a champion and its challengers are scored alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType, asset_id
from lineage.cycle.gates import Bar, Gate
from lineage.definitions import Named
from lineage.errors import InvalidInput
from lineage.metrics import check_tasks
from lineage.requests import Started, environment_of, queue
from lineage.runs import Run, RunKind
from lineage.store import Store

K = ArtifactKind
CHAMPION = "champion"
MOST_RESAMPLES = 10_000
MOST_MODELS = 20
#: What is known of a model that was trained here; another system may have recorded less.
SCORED = ("model_file", "model_sha256", "format", "features", "label", "task")
#: The same of a training set.
ROWS = ("columns", "label", "entity")


@dataclass(frozen=True, kw_only=True)
class DefineBenchmark(Named):
    """Metric definitions on one split of a training set, and how sure a comparison must be."""

    training_set: str
    metrics: Sequence[str]
    split: str = "test"
    #: How many times rows are drawn anew for the interval of a difference; 0 leaves the interval out.
    resamples: int = 500
    confidence: float = 0.95
    seed: int = 0
    #: Whether the worse end of the interval has to reach the changes that the metrics ask for.
    must_be_sure: bool = False


@dataclass(frozen=True, kw_only=True)
class RunBenchmark(Started):
    """Models to be scored on the rows of a benchmark, beside a champion."""

    benchmark: str
    models: Sequence[str]
    #: By default the model that the alias `champion` of the first model's name points to.
    champion: str | None = None
    alias: str = CHAMPION


async def define_benchmark(store: Store, input: DefineBenchmark, *, by: str, now: datetime) -> Artifact:
    """Record a benchmark; raise InvalidInput where its split or its metrics make no sense."""
    training_set = await store.artifacts.one(input.training_set, K.TRAINING_SET)
    given = training_set.body.get("splits")
    splits = given if isinstance(given, dict) else {}
    if input.split not in splits:
        raise InvalidInput.unknown("split", input.split, list(splits), field="split")
    unknown = [name for name in ROWS if not training_set.body.get(name)]
    split = splits[input.split]
    unknown += [] if isinstance(split, dict) and split.get("sha256") else [f"file of the split {input.split}"]
    if unknown:
        message = f"nothing can be scored on {training_set.name!r}: the graph does not know its {', '.join(unknown)}"
        raise InvalidInput(message, field="trainingSet")
    _check(input)
    found = await store.artifacts.by_ids(input.metrics)
    bars = [_definition(found.get(id), id) for id in input.metrics]
    check_tasks([bar.metric for bar in bars])
    names = [bar.metric for bar in bars]
    if len(set(names)) < len(names):
        raise InvalidInput("a benchmark has one definition for each metric", field="metrics")
    body = {
        "training_set": training_set.id,
        "split": input.split,
        "sha256": split["sha256"],
        "metrics": list(input.metrics),
        **{name: getattr(input, name) for name in ("resamples", "confidence", "seed", "must_be_sure")},
    }
    made = Artifact.defined(K.BENCHMARK, input.name, body, **input.labels())
    targets = [training_set.id, *input.metrics]
    edges = [Edge(type=EdgeType.MEASURES, source=made.id, target=target) for target in targets]
    return (await store.artifacts.record([made], edges, now=now, by=by))[0]


def _check(input: DefineBenchmark) -> None:
    if not input.metrics:
        raise InvalidInput("name at least one metric definition", field="metrics")
    if not 0 <= input.resamples <= MOST_RESAMPLES:
        raise InvalidInput(f"resamples must be between 0 and {MOST_RESAMPLES}", field="resamples")
    if not 0 < input.confidence < 1:
        raise InvalidInput("confidence must be between 0 and 1, such as 0.95", field="confidence")
    if input.must_be_sure and not input.resamples:
        raise InvalidInput("without resamples nobody can be sure", field="resamples")
    if not 0 <= input.seed < 2**31:
        raise InvalidInput("seed must be a whole number of at least 0", field="seed")


def _definition(found: Artifact | None, id: str) -> Bar:
    if found is None or found.kind is not K.METRIC_DEFINITION:
        raise InvalidInput(f"there is no metric definition with the id {id!r}", field="metrics")
    return bar_of(found)


def bar_of(definition: Artifact) -> Bar:
    """The bar that a metric definition sets."""
    known = {name: definition.body.get(name) for name in Bar.__dataclass_fields__}
    return Bar(**known)  # type: ignore[arg-type]


async def run_benchmark(store: Store, input: RunBenchmark, *, by: str, now: datetime) -> Run:
    """Queue the scoring of models and their champion on a benchmark's rows; each gets a verdict of its own.

    Raise InvalidInput where a model cannot predict those rows.
    """
    benchmark = await store.artifacts.one(input.benchmark, K.BENCHMARK)
    if not 1 <= len(set(input.models)) <= MOST_MODELS:
        raise InvalidInput(f"name 1 to {MOST_MODELS} models", field="models")
    models = [await store.artifacts.one(id, K.MODEL) for id in dict.fromkeys(input.models)]
    champion = await _champion(store, input, models[0])
    return await queue_benchmark(store, benchmark, models, champion, started=input, by=by, now=now)


async def queue_benchmark(
    store: Store,
    benchmark: Artifact,
    models: Sequence[Artifact],
    champion: Artifact | None,
    *,
    started: Started,
    by: str,
    now: datetime,
) -> Run:
    """Queue the scoring of exactly these models beside *champion*, or beside nobody; see `run_benchmark`."""
    training_set = await store.artifacts.one(benchmark.body["training_set"], K.TRAINING_SET)
    for each in [*models, *([champion] if champion else [])]:
        check_rows(each, training_set)
    chosen = champion.id if champion else None
    asked = AskedBenchmark(
        benchmark=benchmark.id,
        champion=chosen,
        models=[each.id for each in models],
        **{name: getattr(started, name) for name in Started.__dataclass_fields__},
    )
    used = [benchmark.id, training_set.id, *asked.models, *([chosen] if chosen and chosen not in asked.models else [])]
    environment = await environment_of(store, models[0])
    return await queue(store, RunKind.BENCHMARK, asked, used=used, environment=environment, by=by, now=now)


@dataclass(frozen=True, kw_only=True)
class AskedBenchmark(Started):
    """What a run of a benchmark is recorded with: ids alone."""

    benchmark: str
    champion: str | None
    models: Sequence[str]


async def _champion(store: Store, input: RunBenchmark, model: Artifact) -> Artifact | None:
    if input.champion is not None:
        return await store.artifacts.one(input.champion, K.MODEL)
    return await store.artifacts.get(K.MODEL, model.name, namespace=model.namespace, version=f"@{input.alias}")


def check_rows(model: Artifact, training_set: Artifact) -> None:
    """Raise InvalidInput unless *model* can predict the rows of *training_set*."""
    body, columns = model.body, {each["name"] for each in training_set.body.get("columns", ())}
    unknown = [name.replace("_", " ") for name in SCORED if not body.get(name)]
    missing = sorted(set(body.get("features") or ()) - columns)
    if unknown or missing:
        why = f"it takes {', '.join(missing)}, which they have not"
        why = f"the graph does not know its {', '.join(unknown)}" if unknown else why
        raise InvalidInput(f"{model.name!r} cannot predict the rows of the benchmark: {why}", field="models")
    if body["label"] != training_set.body["label"]:
        message = f"{model.name!r} predicts {body['label']!r}, the benchmark has {training_set.body['label']!r}"
        raise InvalidInput(message, field="models")


def verdict_of(
    gate: Gate, *, benchmark: Artifact, challenger: Artifact, champion: Artifact | None, evaluations: Mapping[str, str]
) -> tuple[Artifact, list[Edge]]:
    """The verdict of a gate as a node, with edges to both models, their evaluations and the benchmark."""
    body: dict[str, Any] = {
        "benchmark": benchmark.id,
        "challenger": challenger.id,
        "champion": champion.id if champion else None,
        "evaluations": dict(evaluations),
        "state": gate.state.value,
        "message": gate.message,
        "metrics": [each.body() for each in gate.metrics],
        **{name: benchmark.body[name] for name in ("resamples", "confidence", "seed", "must_be_sure")},
    }
    made = Artifact.defined(K.GATE_VERDICT, f"{challenger.name}.{benchmark.name}", body, namespace=challenger.namespace)
    targets = {benchmark.id, challenger.id, *([champion.id] if champion else []), *evaluations.values()}
    edges = [Edge(type=EdgeType.MEASURES, source=made.id, target=target) for target in sorted(targets)]
    return made, edges


def model_asset(model: Artifact) -> str:
    """The id of the name that *model* is a version of."""
    return asset_id(K.MODEL, model.namespace, model.name)
