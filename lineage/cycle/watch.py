"""Watching models in use: what `measureDrift` and `measureQuality` mean, checked against the graph before they run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from lineage.artifacts import Artifact, ArtifactKind
from lineage.data.drift import BINS, MOST_BINS
from lineage.data.statistics import is_number
from lineage.endpoints import endpoint_id
from lineage.errors import InvalidInput, NotFound
from lineage.metrics import DRIFT, DRIFT_METRICS, task_of
from lineage.promotion import latest_evaluation
from lineage.requests import Started, queue, trained_on
from lineage.runs import Run, RunKind
from lineage.store import Store

K = ArtifactKind
TRAIN = "train"


@dataclass(frozen=True, kw_only=True)
class MeasureDrift(Started):
    """What a model was given, to be held against the split that it has learned from.

    That is the rows of *predictions*, or the sample that the live version of the *deployment* of a name has kept.
    """

    predictions: str | None = None
    deployment: str | None = None
    namespace: str = "default"
    #: Definitions of `psi`, `p_value` or `drifted_share`, where there is a bar.
    metrics: Sequence[str] = ()
    #: Bins that numbers are cut into.
    bins: int = BINS


@dataclass(frozen=True, kw_only=True)
class MeasureQuality(Started):
    """A model, to be measured on predictions whose labels are there by now.

    *label* is the feature that tells them, by default that of the training set; *datasets* are the versions to read it
    from, by name, by default the newest.
    """

    predictions: str
    label: str | None = None
    datasets: Mapping[str, str] = field(default_factory=dict)
    #: By default those that the model was evaluated by last.
    metrics: Sequence[str] = ()


async def measure_drift(store: Store, input: MeasureDrift, *, by: str, now: datetime) -> Run:
    """Queue the comparing of what was scored with what was learned from; raise InvalidInput where it cannot be."""
    if not 2 <= input.bins <= MOST_BINS:
        raise InvalidInput(f"bins must be between 2 and {MOST_BINS}, not {input.bins}", field="bins")
    watched, model = await _asked(store, input)
    training_set = await store.artifacts.one(await trained_on(store, model), K.TRAINING_SET)
    split = (training_set.body.get("splits") or {}).get(TRAIN)
    if not split or not split.get("sha256") or not training_set.body.get("columns"):
        message = f"the graph does not know the rows of {training_set.name!r} that {model.name!r} has learned from"
        raise InvalidInput(message, field=watched.kind.value.lower())
    for name in await _names(store, input.metrics):
        if task_of(name) != DRIFT:
            raise InvalidInput.unknown("metric of drift", name, sorted(DRIFT_METRICS), field="metrics")
    used = [watched.id, model.id, training_set.id, *watched.body.get("datasets", {}).values(), *input.metrics]
    asked = replace(input, deployment=watched.id) if watched.kind is K.DEPLOYMENT else input
    return await queue(store, RunKind.DRIFT, asked, used=used, by=by, now=now)


async def measure_quality(store: Store, input: MeasureQuality, *, by: str, now: datetime) -> Run:
    """Queue the measuring of a model on what it has predicted; raise InvalidInput where labels cannot be had."""
    predictions, model = await _scored(store, input.predictions, "file", "feature_set")
    feature_set = await store.artifacts.one(predictions.body["feature_set"], K.FEATURE_SET)
    label = await store.artifacts.one(_label(input, feature_set), K.FEATURE)
    keys = [str(each).casefold() for each in label.body.get("entity") or ()]
    wanted = [str(each).casefold() for each in feature_set.body.get("entity") or ()]
    if sorted(keys) != sorted(wanted):
        message = f"the label {label.name!r} is of {', '.join(keys)}, the predictions are of {', '.join(wanted)}"
        raise InvalidInput(message, field="label")
    await _check_type(store, label, feature_set)
    metrics = list(input.metrics) or await _former(store, model)
    for name in await _names(store, metrics):
        if task_of(name) != model.body.get("task"):
            raise InvalidInput(f"{name} does not measure {model.body.get('task')}", field="metrics")
    chosen = await _datasets(store, label, input.datasets)
    used = [predictions.id, model.id, label.id, *chosen.values(), *metrics]
    asked = replace(input, label=label.id, datasets=chosen, metrics=metrics)
    return await queue(store, RunKind.QUALITY, asked, used=used, by=by, now=now)


async def _asked(store: Store, input: MeasureDrift) -> tuple[Artifact, Artifact]:
    """What has the rows that are to be measured, and the model that was given them."""
    if (input.predictions is None) == (input.deployment is None):
        raise InvalidInput("say what is to be measured: predictions, or a deployment", field="predictions")
    if input.predictions is not None:
        return await _scored(store, input.predictions, "feature_set", "datasets")
    name = str(input.deployment)
    endpoint = await store.endpoints.get(endpoint_id(input.namespace, name))
    if endpoint is None or endpoint.live is None:
        raise NotFound(f"nothing is live as {name!r} in {input.namespace!r}")
    live = await store.artifacts.one(endpoint.live, K.DEPLOYMENT)
    if not live.body.get("sample"):
        message = f"the deployment {name!r} keeps none of the rows that it is asked: deploy it with a sample"
        raise InvalidInput(message, field="deployment")
    return live, await store.artifacts.one(live.body["model"], K.MODEL)


async def _scored(store: Store, id: str, *needed: str) -> tuple[Artifact, Artifact]:
    """Predictions and their model; raise InvalidInput when the graph does not know enough of them."""
    predictions = await store.artifacts.one(id, K.PREDICTIONS)
    missing = [name.replace("_", " ") for name in ("model", *needed) if not predictions.body.get(name)]
    if missing:
        message = f"the graph does not know the {', '.join(missing)} of the predictions {predictions.name!r}"
        raise InvalidInput(message, field="predictions")
    return predictions, await store.artifacts.one(predictions.body["model"], K.MODEL)


def _label(input: MeasureQuality, feature_set: Artifact) -> str:
    found = input.label or feature_set.body.get("label")
    if not found:
        raise InvalidInput(f"the feature set {feature_set.name!r} has no label; name the one that tells", field="label")
    return str(found)


async def _check_type(store: Store, label: Artifact, feature_set: Artifact) -> None:
    """Raise InvalidInput when *label* is of another type than the one that was learned: no value would be the same."""
    learned = feature_set.body.get("label")
    if not learned or learned == label.id:
        return
    before, now = (str(each.body.get("type")) for each in (await store.artifacts.one(str(learned), K.FEATURE), label))
    if before != now and not (is_number(before) and is_number(now)):
        raise InvalidInput(f"the label {label.name!r} is {now}, what was learned is {before}", field="label")


async def _names(store: Store, ids: Sequence[str]) -> list[str]:
    return [str((await store.artifacts.one(id, K.METRIC_DEFINITION)).body["metric"]) for id in ids]


async def _former(store: Store, model: Artifact) -> list[str]:
    """The metric definitions that *model* was evaluated by last."""
    evaluation = await latest_evaluation(store, model)
    rows = await store.artifacts.dependencies([evaluation.id]) if evaluation else []
    found = await store.artifacts.by_ids([str(row["target"]) for row in rows])
    known = sorted(each.id for each in found.values() if each.kind is K.METRIC_DEFINITION)
    if not known:
        raise InvalidInput(f"{model.name!r} was never evaluated; name the metrics to measure", field="metrics")
    return known


async def _datasets(store: Store, label: Artifact, given: Mapping[str, str]) -> dict[str, str]:
    """The datasets that *label* is read from, by name: those that are *given*, else the newest versions."""
    found = {}
    for id in dict(label.body.get("datasets") or {}).values():
        dataset = await store.artifacts.one(id, K.DATASET)
        latest = await store.artifacts.get(K.DATASET, dataset.name, namespace=dataset.namespace)
        found[dataset.name] = (latest or dataset).id
    for name, id in given.items():
        dataset = await store.artifacts.one(id, K.DATASET)
        if name not in found:
            raise InvalidInput.unknown("dataset of the label", name, sorted(found), field="datasets")
        if dataset.name != name:
            raise InvalidInput(f"{id} is a version of {dataset.name!r}, not of {name!r}", field="datasets")
    return {**found, **given}
