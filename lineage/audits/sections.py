"""The sections of an audit: each reads the record and says what is known and what is missing."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lineage.artifacts import Artifact, ArtifactKind
from lineage.audits.facts import ODD, Fact, Gap
from lineage.audits.record import MOST, Record
from lineage.watch import watch_of

K = ArtifactKind
Section = Callable[[Record], Iterator[Fact | Gap]]


def said(name: str, section: Section, record: Record) -> Iterator[Fact | Gap]:
    """What a section says; bodies that other systems recorded may have any shape, and one that is odd is a gap."""
    try:
        yield from section(record)
    except ODD as error:
        message = f"what is recorded has another shape than ours, and was not read further: {error!r:.200}"
        yield Gap(section=name, message=message)


def _stated(section: str, source: Artifact, /, **values: Any) -> Iterator[Fact]:
    for name, value in values.items():
        if value is not None:
            yield Fact(section=section, name=name, value=value, source=source.id)


def _model_facts(record: Record) -> Iterator[Fact | Gap]:
    model, body = record.model, record.model.body
    yield from _stated("model", model, name=model.name, version=model.version, digest=model.digest)
    yield from _stated("model", model, format=body.get("format"), task=body.get("task"), classes=body.get("classes"))
    if not body.get("signature"):
        yield Gap(section="model", message="the model has no signature")
    if record.is_cut:
        yield Gap(section="model", message=f"not all that the model depends on was read: the nearest {MOST:,} at most")
    inputs = (each for kind in record.upstream.values() for each in kind)
    for each in (model, *inputs, *record.evaluations):
        if each.is_placeholder:
            yield Gap(section="model", message=f"{each.kind.value} {each.name} was named, but never described")
        if each.retracted_at is not None:
            why = each.retracted_reason or "no reason given"
            yield Gap(section="model", message=f"{each.kind.value} {each.name} was retracted: {why}")


def _data(record: Record) -> Iterator[Fact | Gap]:
    for dataset in record.of(K.DATASET):
        body = dataset.body
        yield from _stated("data", dataset, dataset=f"{dataset.name} {dataset.version}", digest=dataset.digest)
        yield from _stated("data", dataset, rows=body.get("row_count"), uri=body.get("uri"))
    for training_set in record.of(K.TRAINING_SET):
        body = training_set.body
        yield from _stated("data", training_set, training_set=f"{training_set.name} {training_set.version}")
        yield from _stated("data", training_set, split=body.get("split"), overlap=body.get("overlap"))
        for name, split in (body.get("splits") or {}).items():
            yield from _stated(
                "data", training_set, **{f"{name}_rows": split["rows"], f"{name}_digest": split["sha256"]}
            )
    if not record.of(K.DATASET):
        yield Gap(section="data", message="no dataset is recorded")
    if not record.of(K.TRAINING_SET):
        yield Gap(section="data", message="no training set is recorded")


def _features(record: Record) -> Iterator[Fact | Gap]:
    for feature in record.of(K.FEATURE):
        yield from _stated("features", feature, **{feature.name: feature.body.get("expression")})
        yield from _stated("columns", feature, **{feature.name: record.columns[feature.id] or None})
    if not record.of(K.FEATURE):
        yield Gap(section="features", message="no feature is recorded")
    elif not record.of(K.COLUMN):
        yield Gap(section="features", message="no column is recorded that the features come from")


def _code(record: Record) -> Iterator[Fact | Gap]:
    for code in record.of(K.MODEL_CODE):
        git = code.body.get("git") or {}
        yield from _stated("code", code, code=f"{code.name} {code.version}", digest=code.digest)
        yield from _stated("code", code, entry=code.body.get("entry"), commit=git.get("commit"), dirty=git.get("dirty"))
        if git.get("dirty"):
            yield Gap(section="code", message=f"the tree of {code.name} had changes that were not committed")
    if not record.of(K.MODEL_CODE):
        yield Gap(section="code", message="no model code is recorded")


def _environment(record: Record) -> Iterator[Fact | Gap]:
    for each in record.of(K.ENVIRONMENT):
        body = each.body
        language = f"{body.get('language')} {body.get('version')}"
        yield from _stated("environment", each, environment=f"{each.name} {each.version}", digest=each.digest)
        yield from _stated("environment", each, language=language, platform=body.get("platform"), lock=body.get("lock"))
        packages = [f"{package['name']}=={package['version']}" for package in body.get("locked") or ()]
        yield from _stated("environment", each, packages=packages)
        seen = ((record.model.body.get("observed") or {}).get("packages")) or {}
        yield from _drift(each, seen)
    for image, runs in record.images:
        value = {"digest": image.digest, "base": image.body.get("base"), "runs": runs}
        yield Fact(section="environment", name=f"image {image.name}", value=value, source=image.id)
    if not record.of(K.ENVIRONMENT):
        yield Gap(section="environment", message="no environment is recorded")


def _drift(environment: Artifact, seen: Mapping[str, str]) -> Iterator[Gap]:
    """What was really installed inside the run, held against the lock."""
    found = {re.sub(r"[-_.]+", "-", name.lower()): version for name, version in seen.items()}
    for package in environment.body.get("locked") or ():
        actual = found.get(package["name"])
        if seen and actual != package["version"]:
            message = f"{package['name']} was locked at {package['version']}, the run saw {actual or 'none'}"
            yield Gap(section="environment", message=message)


def _search(record: Record) -> Iterator[Fact | Gap]:
    for space in record.of(K.SEARCH_SPACE):
        yield from _stated("search", space, space=space.body.get("parameters"))
    for run in record.runs:
        if run.kind == "TUNE" and run.result.get("model") == record.model.id:
            for name in ("trials", "sampler", "pruner", "seed", "parallel"):
                yield Fact(section="search", name=name, value=run.spec.get(name), source=run.id)
            if record.trials:
                yield Fact(section="search", name="trial_counts", value=dict(record.trials), source=run.id)
    for values in record.of(K.HYPERPARAMETERS):
        for name, value in (values.body.get("values") or {}).items():
            yield Fact(section="hyperparameters", name=name, value=value, source=values.id)  # None is a value here
    if not record.of(K.HYPERPARAMETERS):
        yield Gap(section="hyperparameters", message="no hyperparameters are recorded")


def _metrics(record: Record) -> Iterator[Fact | Gap]:
    for each in record.evaluations:
        body, watch = each.body, watch_of(each)
        rows = watch.value.lower() if watch else body.get("split")
        for name, value in (body.get("values") or {}).items():
            yield from _stated("metrics", each, **{f"{rows}.{name}": value})
        yield from _stated("metrics", each, verdicts=body.get("verdicts"), curves=body.get("curves") or None)
        yield from _stated("metrics", each, confusion_matrix=body.get("confusion_matrix"))
        if body.get("passed") is None and not watch:
            yield Gap(section="metrics", message="no metric has a threshold, so nothing was passed")
    if all(watch_of(each) for each in record.evaluations):
        yield Gap(section="metrics", message="the model was never evaluated")


def _history(record: Record) -> Iterator[Fact | Gap]:
    for run in record.runs:
        value: dict[str, Any] = {
            "kind": run.kind.value,
            "executor": run.executor,
            "by": run.created_by,
            "attempts": run.attempt,
        }
        value |= {"started_at": _text(run.started_at), "ended_at": _text(run.ended_at), "state": run.state.value}
        yield Fact(section="runs", name=run.id, value=value, source=run.id)
    if not any(run.kind in {"TRAIN", "TUNE"} for run in record.makers):
        yield Gap(section="runs", message="no run is recorded that trained the model")
    for interval in record.aliases:
        if interval["artifact"] == record.model.id:
            value = {"since": _text(interval["since"]), "until": _text(interval.get("until")), "by": interval["by"]}
            value["reason"] = interval.get("reason")
            yield Fact(section="promotions", name=interval["name"], value=value, source=record.model.id)
    yield from _use(record)


def _use(record: Record) -> Iterator[Fact]:
    for each in record.made:
        if each.kind is K.PREDICTIONS:
            value: Any = {"kind": each.kind.value, "rows": each.body.get("rows")}
            yield Fact(section="use", name=each.name, value=value, source=each.id)
            continue
        value = [{"since": _text(live["since"]), "until": _text(live["until"])} for live in record.served[each.id]]
        yield Fact(section="deployments", name=f"{each.name} {each.version}", value=value, source=each.id)


SECTIONS: Mapping[str, Section] = {
    "model": _model_facts,
    "data": _data,
    "features": _features,
    "code": _code,
    "environment": _environment,
    "search": _search,
    "metrics": _metrics,
    "runs": _history,
}


def _text(value: Any) -> str | None:
    return value.isoformat() if value is not None else None
