"""What the defining mutations mean: checked against the graph, recorded at once, the same for the same content."""

import base64
import binascii
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from lineage import models, notebooks, trees
from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType, digest_of
from lineage.data import features as sql
from lineage.errors import InvalidInput
from lineage.files import Files
from lineage.metrics import is_greater_better, known_metrics
from lineage.searchspace import SearchSpace
from lineage.store import Store

CODE_LIMIT = 8 * 1024 * 1024  # bytes of source that one ModelCode may have
#: What an entry point is called for: see docs/training.md.
CONTRACTS = ("build", "train", models.SPARK)


@dataclass(frozen=True, kw_only=True)
class Named:
    """What every definition has: a name in a namespace, and words about it."""

    name: str
    namespace: str = "default"
    description: str | None = None
    tags: Sequence[str] = ()

    def labels(self) -> dict[str, Any]:
        """The words about it, as fields of an artifact."""
        return {"namespace": self.namespace, "description": self.description, "tags": tuple(self.tags)}


@dataclass(frozen=True, kw_only=True)
class DefineFeature(Named):
    """A feature: one SQL expression over the columns of a source, for each entity.

    *datasets* pins versions by the dataset's name; the others are the newest.
    """

    sql: str
    source: str
    entity: Sequence[str]
    datasets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DefineFeatureSet(Named):
    """The features that a model needs, by id and in order, and the one that it learns to predict."""

    features: Sequence[str]
    label: str | None = None


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """One file of a source tree; *content* is text, or base64 where *is_base64*."""

    path: str
    content: str
    is_base64: bool = False

    def data(self) -> bytes:
        """The bytes of the file; raise InvalidInput when it is not valid base64."""
        if not self.is_base64:
            return self.content.encode()
        try:
            return base64.b64decode(self.content, validate=True)
        except binascii.Error as error:
            raise InvalidInput(f"{self.path}: the content is not base64", field="files") from error


@dataclass(frozen=True, kw_only=True)
class RegisterModelCode(Named):
    """A source tree with an entry point `file.py:function` that follows the contract `build`, `train` or `spark`.

    *notebook* is the .ipynb that it was developed in.
    """

    entry: str
    files: Sequence[SourceFile]
    contract: str = "build"
    git: Mapping[str, Any] | None = None
    feature_set: str | None = None
    notebook: SourceFile | None = None


@dataclass(frozen=True, kw_only=True)
class DefineSearchSpace(Named):
    """The hyperparameters that may be tuned, as data."""

    parameters: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class DefineMetric(Named):
    """A metric to collect, and what a model must reach to be promoted."""

    metric: str
    threshold: float | None = None
    min_absolute_change: float | None = None
    min_relative_change: float | None = None


async def define_feature(store: Store, input: DefineFeature, *, by: str, now: datetime) -> Artifact:
    """Record a feature with the columns that its SQL uses; raise InvalidInput where a name does not resolve."""
    wanted = sql.tables(input.source)
    datasets = {name: await _dataset(store, input, name) for name in wanted}
    used = {name: await _feature(store, input, name) for name in sql.references(input.sql)}
    definition = sql.FeatureInput(
        sql=input.sql, source=input.source, entity=tuple(input.entity), name=input.name, **input.labels()
    )
    feature, edges = sql.resolve(definition, datasets, used)
    return await _record(store, feature, edges, by=by, now=now)


async def _dataset(store: Store, input: DefineFeature, name: str) -> Artifact:
    version = input.datasets.get(name)
    found = await store.artifacts.get(ArtifactKind.DATASET, name, namespace=input.namespace, version=version)
    if found is None:
        known = await store.artifacts.names(ArtifactKind.DATASET, namespace=input.namespace)
        raise InvalidInput.unknown("dataset", name if version is None else f"{name} {version}", known, field="source")
    return found


async def _feature(store: Store, input: DefineFeature, name: str) -> Artifact:
    found = await store.artifacts.get(ArtifactKind.FEATURE, name, namespace=input.namespace)
    if found is None:
        known = await store.artifacts.names(ArtifactKind.FEATURE, namespace=input.namespace)
        raise InvalidInput.unknown("feature", name, known, field="sql")
    return found


async def define_feature_set(store: Store, input: DefineFeatureSet, *, by: str, now: datetime) -> Artifact:
    """Record a feature set; raise InvalidInput when a member is no feature or the entities differ."""
    ids = [*input.features, *([input.label] if input.label else [])]
    found = await store.artifacts.by_ids(ids)
    for id in ids:
        if id not in found or found[id].kind is not ArtifactKind.FEATURE:
            raise InvalidInput(f"there is no feature with the id {id!r}", field="features")
    features = [found[id] for id in input.features]
    label = found[input.label] if input.label else None
    artifact, edges = sql.feature_set(input.name, features, label, **input.labels())
    return await _record(store, artifact, edges, by=by, now=now)


async def register_model_code(
    store: Store, files: Files, input: RegisterModelCode, *, by: str, now: datetime
) -> Artifact:
    """Keep a source tree in the artifact store and record it; the digest is that of its files."""
    tree = _tree(input)
    written = notebooks.written(input.notebook.data()) if input.notebook else None
    listing = [{"path": path, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for path, data in tree]
    if input.feature_set:
        await store.artifacts.one(input.feature_set, ArtifactKind.FEATURE_SET)
    stored = await files.put_bytes(trees.pack(tree))
    body = {
        "entry": input.entry,
        "contract": input.contract,
        "files": listing,
        "archive": stored.sha256,
        "git": dict(input.git) if input.git else None,
        "feature_set": input.feature_set,
    }
    identity = {"entry": input.entry, "contract": input.contract, "feature_set": input.feature_set}
    notebook = await _notebook(store, files, input, written, by=by, now=now) if written else None
    if notebook:
        identity["notebook"] = notebook.digest  # the same code of another notebook has another source
    digest = digest_of([identity, [[each["path"], each["sha256"]] for each in listing]])
    code = Artifact(kind=ArtifactKind.MODEL_CODE, name=input.name, digest=digest, body=body, **input.labels())
    targets = {EdgeType.REQUIRES: input.feature_set, EdgeType.DERIVED_FROM: notebook.id if notebook else None}
    edges = [Edge(type=type_, source=code.id, target=target) for type_, target in targets.items() if target]
    return await _record(store, code, edges, by=by, now=now)


async def _notebook(
    store: Store, files: Files, input: RegisterModelCode, written: bytes, *, by: str, now: datetime
) -> Artifact:
    """The notebook that the code was developed in, by the cells that were *written*; named for its file."""
    assert input.notebook is not None
    path = trees.plain(input.notebook.path)
    stored = await files.put_bytes(written)
    name = PurePosixPath(path).name.removesuffix(".ipynb") or path
    body = notebooks.body(path, written, stored.sha256)
    made = Artifact(kind=ArtifactKind.NOTEBOOK, name=name, namespace=input.namespace, digest=stored.sha256, body=body)
    return await _record(store, made, (), by=by, now=now)


def _tree(input: RegisterModelCode) -> list[tuple[str, bytes]]:
    if input.contract not in CONTRACTS:
        raise InvalidInput.unknown("contract", input.contract, CONTRACTS, field="contract")
    tree = sorted((trees.plain(file.path), file.data()) for file in input.files)
    paths = [path for path, _ in tree]
    if len(set(paths)) != len(paths):
        raise InvalidInput("a path stands twice", field="files")
    if sum(len(data) for _, data in tree) > CODE_LIMIT:
        raise InvalidInput(f"the source tree has more than {CODE_LIMIT} bytes", field="files")
    file, colon, function = input.entry.partition(":")
    if not colon or not function.isidentifier():
        raise InvalidInput(f"the entry {input.entry!r} must have the form file.py:function", field="entry")
    if file not in paths:
        raise InvalidInput.unknown("file of the entry", file, paths, field="entry")
    return tree


async def define_search_space(store: Store, input: DefineSearchSpace, *, by: str, now: datetime) -> Artifact:
    """Record a search space; raise InvalidInput naming the parameter that makes no sense."""
    space = SearchSpace.parse({"parameters": dict(input.parameters)})
    artifact = Artifact.defined(ArtifactKind.SEARCH_SPACE, input.name, space.canonical(), **input.labels())
    return await _record(store, artifact, (), by=by, now=now)


async def define_metric(store: Store, input: DefineMetric, *, by: str, now: datetime) -> Artifact:
    """Record a metric with the bar that a model must reach; raise InvalidInput on an unknown one."""
    if input.metric not in (known := known_metrics()):
        raise InvalidInput.unknown("metric", input.metric, known, field="metric")
    for name in ("threshold", "min_absolute_change", "min_relative_change"):
        value = getattr(input, name)
        if value is not None and not math.isfinite(value):
            raise InvalidInput(f"{name} must be a finite number", field=name)
    body = {
        "metric": input.metric,
        "greater_is_better": is_greater_better(input.metric),
        "threshold": input.threshold,
        "min_absolute_change": input.min_absolute_change,
        "min_relative_change": input.min_relative_change,
    }
    artifact = Artifact.defined(ArtifactKind.METRIC_DEFINITION, input.name, body, **input.labels())
    return await _record(store, artifact, (), by=by, now=now)


async def _record(store: Store, artifact: Artifact, edges: Sequence[Edge], *, by: str, now: datetime) -> Artifact:
    return (await store.artifacts.record([artifact], edges, now=now, by=by))[0]
