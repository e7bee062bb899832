"""The audit of a model: every fact that a reviewer asks, each with the node it comes from, and what is missing."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from lineage.artifacts import Artifact, ArtifactKind, asset_id, digest_of
from lineage.errors import DigestMismatch, InvalidInput, LineageError
from lineage.files import Files
from lineage.runs import Run
from lineage.store import Store
from lineage.store.walks import Direction

K = ArtifactKind
MOST = 5_000  # artifacts that one audit takes in
#: What reading a body of an unexpected shape raises.
ODD = (AttributeError, KeyError, TypeError, ValueError)


@dataclass(frozen=True, kw_only=True)
class Fact:
    """Something that is known: in which section, under which name, and the id of the node that says so."""

    section: str
    name: str
    value: Any
    source: str | None


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Something that a reviewer would ask and the graph does not say."""

    section: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Verified:
    """Bytes that were read again: what they are, the digest recorded, and whether they still have it."""

    what: str
    digest: str
    verified: bool
    message: str | None = None


@dataclass(frozen=True, kw_only=True)
class Audit:
    """All facts about a model and all gaps; complete means that there is no gap."""

    model: Artifact
    facts: Sequence[Fact]
    gaps: Sequence[Gap]
    verified: Sequence[Verified] = field(default_factory=tuple)

    @property
    def complete(self) -> bool:
        """Whether nothing is missing and no byte has changed."""
        return not self.gaps and all(each.verified for each in self.verified)

    @property
    def seal(self) -> str:
        """The sha256 of the facts and gaps in canonical form: equal seals, equal audits."""
        return digest_of({"model": self.model.id, "facts": self._facts(), "gaps": [asdict(gap) for gap in self.gaps]})

    def export(self) -> dict[str, Any]:
        """The whole audit as JSON."""
        return {
            "model": {"id": self.model.id, "name": self.model.name, "version": self.model.version},
            "complete": self.complete,
            "gaps": [asdict(gap) for gap in self.gaps],
            "facts": self._facts(),
            "verified": [asdict(each) for each in self.verified],
            "seal": self.seal,
        }

    def _facts(self) -> list[dict[str, Any]]:
        return [asdict(fact) for fact in self.facts]


@dataclass(frozen=True, kw_only=True)
class Record:
    """What the graph holds about a model, read once: all that it depends on, and what was done with it."""

    model: Artifact
    upstream: Mapping[ArtifactKind, Sequence[Artifact]]
    evaluations: Sequence[Artifact]
    made: Sequence[Artifact]
    makers: Sequence[Run]
    is_cut: bool
    runs: Sequence[Run]
    aliases: Sequence[Mapping[str, Any]]
    trials: Mapping[str, int]

    def of(self, kind: ArtifactKind) -> Sequence[Artifact]:
        """The artifacts of *kind* that the model depends on."""
        return self.upstream.get(kind, ())


Section = Callable[[Record], Iterator[Fact | Gap]]
Counts = Callable[[str], Awaitable[Mapping[str, int]]]


async def audit(
    store: Store,
    id: str,
    *,
    files: Files | None = None,
    verify: bool = False,
    trial_counts: Counts | None = None,
) -> Audit:
    """Audit the model *id*, or the model of the predictions or evaluation *id*.

    Args:
        verify: read the bytes again and compare their digests; wants *files*.
        trial_counts: how many trials of a run ended in which way.
    """
    model = await _model(store, id)
    record = await _record(store, model, trial_counts)
    found = [each for name, section in SECTIONS.items() for each in _said(name, section, record)]
    checked = [each async for each in _verify(record, files)] if verify and files is not None else []
    return Audit(
        model=model,
        facts=[each for each in found if isinstance(each, Fact)],
        gaps=[each for each in found if isinstance(each, Gap)],
        verified=checked,
    )


async def _model(store: Store, id: str) -> Artifact:
    found = await store.artifacts.one(id)
    if found.kind is K.MODEL:
        return found
    if found.kind in {K.PREDICTIONS, K.EVALUATION, K.DEPLOYMENT} and found.body.get("model"):
        return await store.artifacts.one(found.body["model"], K.MODEL)
    walk = await store.walks.walk([id], Direction.UP, kinds=[K.MODEL], first=1, retracted=True)
    if found.kind in {K.PREDICTIONS, K.EVALUATION, K.DEPLOYMENT} and walk.steps:
        return walk.steps[0].artifact
    raise InvalidInput(f"{id} is a {found.kind.value}; an audit is of a model or of what one made", field="model")


async def _record(store: Store, model: Artifact, trial_counts: Counts | None) -> Record:
    walk = await store.walks.walk([model.id], Direction.UP, first=MOST, retracted=True)
    upstream: dict[ArtifactKind, list[Artifact]] = {}
    for step in walk.steps:
        upstream.setdefault(step.artifact.kind, []).append(step.artifact)
    edges = await store.artifacts.dependencies([model.id])
    evaluations = await store.artifacts.by_ids([each["target"] for each in edges if each["type"] == "EVALUATED_BY"])
    rows = await store.graph.many("predictions_of", model=model.id)
    made = await store.artifacts.by_ids([row["id"] for row in rows])
    known = [model.id, *(step.artifact.id for step in walk.steps), *evaluations, *made]
    makers = await store.runs.makers(known)
    runs = {run.id: run for each in makers.values() for run in each}
    tunes = [run for run in runs.values() if run.kind == "TUNE" and run.result.get("model") == model.id]
    return Record(
        model=model,
        upstream=upstream,
        evaluations=sorted(evaluations.values(), key=lambda each: each.id),
        made=[made[row["id"]] for row in rows],
        makers=makers.get(model.id, []),
        is_cut=walk.has_next or not walk.complete,
        runs=sorted(runs.values(), key=lambda run: (run.created_at, run.id)),
        aliases=await store.artifacts.alias_history(asset_id(model.kind, model.namespace, model.name)),
        trials=await trial_counts(tunes[0].id) if tunes and trial_counts else {},
    )


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
        body = each.body
        for name, value in (body.get("values") or {}).items():
            yield from _stated("metrics", each, **{f"{body.get('split')}.{name}": value})
        yield from _stated("metrics", each, verdicts=body.get("verdicts"), curves=body.get("curves") or None)
        yield from _stated("metrics", each, confusion_matrix=body.get("confusion_matrix"))
        if body.get("passed") is None:
            yield Gap(section="metrics", message="no metric has a threshold, so nothing was passed")
    if not record.evaluations:
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
    for each in record.made:
        rows = each.body.get("rows")
        yield Fact(section="use", name=each.name, value={"kind": each.kind.value, "rows": rows}, source=each.id)


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


def _said(name: str, section: Section, record: Record) -> Iterator[Fact | Gap]:
    """What a section says; bodies that other systems recorded may have any shape, and one that is odd is a gap."""
    try:
        yield from section(record)
    except ODD as error:
        message = f"what is recorded has another shape than ours, and was not read further: {error!r:.200}"
        yield Gap(section=name, message=message)


def _text(value: Any) -> str | None:
    return value.isoformat() if value is not None else None


async def _verify(record: Record, files: Files) -> AsyncIterator[Verified]:
    """Read again what is recorded: registered datasets where they lie, the rest from the artifact store."""
    from lineage.data import datasets  # brings DuckDB, which readers of the graph can do without

    for dataset in record.of(K.DATASET):
        yield await _checked(f"dataset {dataset.name}", dataset.digest, datasets.verify(dataset))
    for artifact, kept in _keeping(record):
        try:
            named = list(kept(artifact))
        except ODD as error:
            message = f"what is recorded has another shape than ours: {error!r:.200}"
            yield Verified(what=f"{artifact.kind.value} {artifact.name}", digest="", verified=False, message=message)
            continue
        for what, sha256 in named:
            yield await _checked(what, sha256, files.verify(sha256))


Kept = Callable[[Artifact], Iterator[tuple[str, str]]]


def _keeping(record: Record) -> Iterator[tuple[Artifact, Kept]]:
    """The artifacts whose bytes are in the artifact store, each with what names them."""
    for kind, kept in KEPT.items():
        yield from ((artifact, kept) for artifact in record.of(kind))
    yield record.model, _model_files
    yield from ((each, _predictions_file) for each in record.made if each.kind is K.PREDICTIONS)


def _splits(training_set: Artifact) -> Iterator[tuple[str, str]]:
    for name, split in (training_set.body.get("splits") or {}).items():
        yield f"{training_set.name} {name}", str(split["sha256"])


def _archive(code: Artifact) -> Iterator[tuple[str, str]]:
    if code.body.get("archive"):
        yield f"code {code.name}", str(code.body["archive"])


def _lock(environment: Artifact) -> Iterator[tuple[str, str]]:
    if environment.body.get("lock"):
        yield f"lock of {environment.name}", str(environment.body["lock"])


def _model_files(model: Artifact) -> Iterator[tuple[str, str]]:
    for file in model.body.get("files") or ():
        yield f"model {file['path']}", str(file["sha256"])


def _predictions_file(predictions: Artifact) -> Iterator[tuple[str, str]]:
    yield f"predictions {predictions.name}", str(predictions.body["file"])


KEPT: Mapping[ArtifactKind, Kept] = {K.TRAINING_SET: _splits, K.MODEL_CODE: _archive, K.ENVIRONMENT: _lock}


async def _checked(what: str, digest: str | None, check: Awaitable[None]) -> Verified:
    try:
        await check
    except DigestMismatch:  # without the digest found: who brought the address need not learn what lies there
        return Verified(what=what, digest=digest or "", verified=False, message="the bytes are not those recorded")
    except (LineageError, OSError, ValueError) as error:  # names from outside may be none that a file can have
        return Verified(what=what, digest=digest or "", verified=False, message=str(error))
    return Verified(what=what, digest=digest or "", verified=True)
