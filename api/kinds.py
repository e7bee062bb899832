"""One type for each kind of artifact, with what its body knows and what its edges lead to."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote

import strawberry
from strawberry.scalars import JSON

from api import parts
from api.artifacts import TYPES, Artifact, joined, known, named, shown
from api.context import Info
from api.sdl import Long, object_type
from lineage import environments
from lineage.artifacts import ArtifactKind, EdgeType, artifact_id
from lineage.endpoints import Endpoint, EndpointState, ReplicaState, endpoint_id

T = TypeVar("T", bound=Artifact)
K, E, S, R = ArtifactKind, EdgeType, EndpointState, ReplicaState


def shows(kind: ArtifactKind) -> Callable[[type[T]], type[T]]:
    """Make a class the type that artifacts of *kind* have in the schema."""

    def register(cls: type[T]) -> type[T]:
        TYPES[kind] = object_type(cls)
        return cls

    return register


def _feature_names(doc: str) -> Any:
    return known("features", parts.texts, empty=list, doc=doc)


@shows(K.DATASET)
class Dataset(Artifact):
    """A registered source: its bytes have a digest, its columns are nodes of their own."""

    uri: str | None = known("uri", parts.text, doc="Where it lies.")
    format: str | None = known("format", parts.text, doc="csv or parquet.")
    row_count: Long | None = known("row_count", parts.whole, doc="How many rows it has.")
    byte_count: Long | None = known("byte_count", parts.whole, doc="How many bytes its files have.")
    files: list[parts.FileEntry] = known("files", parts.files, empty=list, doc="The files that it consists of.")

    @strawberry.field
    def locations(self) -> list[str]:
        """Where it was found again, the last place last: it is read there first, and at its uri when it is gone."""
        return list(self.record.locations)

    @strawberry.field
    async def columns(self, info: Info) -> list["Column"]:
        """Its columns, in their order."""
        names = [str(each.get("name")) for each in self.record.body.get("columns", ()) if isinstance(each, dict)]
        ids = [artifact_id(K.COLUMN, self.namespace, f"{self.name}.{name}", self.version) for name in names]
        return [shown(each) for each in await info.context.loaders.present(ids)]  # type: ignore[misc]


@shows(K.COLUMN)
class Column(Artifact):
    """A raw attribute of one version of a dataset."""

    column: str | None = known("column", parts.text, doc="Its name within the dataset.")
    type: str | None = known("type", parts.text, doc="Its type, in DuckDB's words.")
    position: int | None = known("position", parts.whole, doc="Its place among the columns.")
    statistics: parts.ColumnStatistics | None = known("statistics", parts.statistics, doc="What profiling found.")
    dataset: Dataset | None = named("dataset", K.DATASET, doc="The dataset that it is part of.")


@shows(K.FEATURE)
class Feature(Artifact):
    """One SQL expression over columns, for each entity."""

    expression: str | None = known("expression", parts.text, doc="The expression as it was given.")
    sql: str | None = known("sql", parts.text, doc="The expression, normalised.")
    source: str | None = known("source", parts.text, doc="The FROM clause that it reads, normalised.")
    entity: list[str] = known("entity", parts.texts, empty=list, doc="The columns that are the key.")
    type: str | None = known("type", parts.text, doc="The type of its values, in DuckDB's words.")
    columns: list[Column] = named("columns", K.COLUMN, many=True, doc="The columns that the expression uses.")
    features: list["Feature"] = named("features", K.FEATURE, many=True, doc="Other features that it builds on.")
    datasets: list[Dataset] = named("datasets", K.DATASET, many=True, doc="The datasets that the source names.")


@shows(K.FEATURE_SET)
class FeatureSet(Artifact):
    """The features that a model requires, in order, and the label that it learns."""

    features: list[Feature] = named("features", K.FEATURE, many=True, doc="The features, in order.")
    label: Feature | None = named("label", K.FEATURE, doc="What is to be predicted.")
    feature_names: list[str] = known("names", parts.texts, empty=list, doc="The names of the features, in order.")
    label_name: str | None = known("label_name", parts.text, doc="The name of the label.")
    entity: list[str] = known("entity", parts.texts, empty=list, doc="The columns that are the key.")


@shows(K.TRAINING_SET)
class TrainingSet(Artifact):
    """A feature set materialised: splits as Parquet, each with its digest."""

    feature_set: FeatureSet | None = named("feature_set", K.FEATURE_SET, doc="What was materialised.")
    datasets: list[Dataset] = named("datasets", K.DATASET, many=True, doc="The versions that were read.")
    rule: JSON | None = known("split", parts.anything, doc="How rows were split.")
    seed: int | None = known("seed", parts.whole, doc="What the split was drawn with.")
    splits: list[parts.Split] = known("splits", parts.splits, empty=list, doc="The parts, in the order of learning.")
    columns: list[parts.TableColumn] = known("columns", parts.table_columns, empty=list, doc="Columns of the files.")
    feature_names: list[str] = _feature_names("The columns that are features, in order.")
    label_name: str | None = known("label", parts.text, doc="The column that is the label.")
    entity: list[str] = known("entity", parts.texts, empty=list, doc="The columns that are the key.")
    overlap: parts.Overlap | None = known("overlap", parts.overlap, doc="What the splits share.")
    label_counts: JSON | None = known("label_counts", parts.anything, doc="How often each label is in each split.")


@shows(K.MODEL_CODE)
class ModelCode(Artifact):
    """A source tree with an entry point."""

    entry: str | None = known("entry", parts.text, doc="The entry point, as file.py:function.")
    contract: str | None = known(
        "contract",
        parts.text,
        doc="What the entry point is: build(params), train(run), or spark: build(params) of Spark ML.",
    )
    files: list[parts.FileEntry] = known("files", parts.files, empty=list, doc="The files of the tree.")
    git: parts.Git | None = known("git", parts.git, doc="Where the code came from.")
    feature_set: FeatureSet | None = named("feature_set", K.FEATURE_SET, doc="The features that it requires.")


@shows(K.NOTEBOOK)
class Notebook(Artifact):
    """Where a model was developed: the cells as they were written, without what came out of them."""

    path: str | None = known("path", parts.text, doc="Its file.")
    language: str | None = known("language", parts.text, doc="The language of its cells.")
    cell_count: int | None = known("cells", parts.whole, doc="How many cells it has.")


@shows(K.PACKAGE)
class Package(Artifact):
    """One version of one package of an index."""


@shows(K.ENVIRONMENT)
class Environment(Artifact):
    """A language and packages, locked with hashes."""

    language: str | None = known("language", parts.text, doc="The language, as python.")
    language_version: str | None = known("version", parts.text, doc="The language's version.")
    platform: str | None = known("platform", parts.text, doc="The platform that the lock is for.")
    asked: list[str] = known("packages", parts.texts, empty=list, doc="The packages as they were asked for.")
    packages: list[parts.PackageVersion] = known("locked", parts.packages, empty=list, doc="What was locked.")
    lock: str | None = known("lock", parts.text, doc="The sha256 of the lock, which is kept as an artifact.")
    conda: JSON | None = known("conda", parts.anything, doc="Its channels of conda, and what was locked of them.")
    system_packages: list[str] = known(
        "system_packages", parts.texts, empty=list, doc="Packages of its image's system."
    )
    base_image: str | None = known("base_image", parts.text, doc="The image that its own is built on, if it says so.")
    command: list[str] = known("command", parts.texts, empty=list, doc="What speaks the run protocol, beside Python.")

    @strawberry.field
    def yaml(self) -> str:
        """It as the text of an environment.yml, every version exact."""
        return environments.export(self.record)

    @strawberry.field
    async def images(self, info: Info) -> list["Image"]:
        """The images that were built of it; the digest of each names its exact bytes."""
        rows = await info.context.loaders.dependents.load(self.id)
        ids = [row["source"] for row in rows if row["type"] == E.DERIVED_FROM.value]
        found = await info.context.loaders.present(ids)
        return [shown(each) for each in found if each.kind is K.IMAGE]  # type: ignore[misc]


@shows(K.IMAGE)
class Image(Artifact):
    """An environment as an image of containers."""

    base: str | None = known("base", parts.text, doc="The image that it was built on, as it was named.")
    tag: str | None = known("tag", parts.text, doc="Its name on the daemon that built it.")
    byte_count: Long | None = known("size", parts.whole, doc="How many bytes it has, those of its base included.")
    platform: str | None = known("platform", parts.text, doc="What it runs on, as linux/amd64.")
    environment: Environment | None = joined(E.DERIVED_FROM, K.ENVIRONMENT, doc="What it was built of.")


@shows(K.SEARCH_SPACE)
class SearchSpace(Artifact):
    """The hyperparameters that may be tuned, as data."""

    parameters: JSON | None = known("parameters", parts.anything, doc="Each parameter by its name.")


@shows(K.HYPERPARAMETERS)
class Hyperparameters(Artifact):
    """One set of values, fixed before learning."""

    values: JSON | None = known("values", parts.anything, doc="Each value by its name.")


@shows(K.METRIC_DEFINITION)
class MetricDefinition(Artifact):
    """A metric to collect, and the bar that it sets."""

    metric: str | None = known("metric", parts.text, doc="What is measured, as roc_auc.")
    greater_is_better: bool | None = known("greater_is_better", parts.truth, doc="Its direction.")
    threshold: float | None = known("threshold", parts.number, doc="What a model must reach.")
    min_absolute_change: float | None = known("min_absolute_change", parts.number, doc="By how much to beat another.")
    min_relative_change: float | None = known("min_relative_change", parts.number, doc="The same, as a share.")


@shows(K.EVALUATION)
class Evaluation(Artifact):
    """What a model was measured to be on one split, or what was seen of it in use."""

    watch: str | None = known("watch", parts.text, doc="DRIFT or QUALITY for what was seen in use; null for a split.")
    split: str | None = known("split", parts.text, doc="The split that it was measured on.")
    rows: Long | None = known("rows", parts.whole, doc="How many rows were measured.")
    unmatched: Long | None = known("unmatched", parts.whole, doc="How many predictions have no label yet.")
    columns: list[parts.ColumnDrift] = known("columns", parts.column_drifts, empty=list, doc="How far each has moved.")
    values: JSON | None = known("values", parts.anything, doc="The value of each metric by its name.")
    curves: parts.Curves | None = known("curves", parts.curves, doc="ROC and precision-recall.")
    confusion_matrix: parts.ConfusionMatrix | None = known(
        "confusion_matrix", parts.confusion_matrix, doc="How labels were taken for each other."
    )
    verdicts: list[parts.Verdict] = known("verdicts", parts.verdicts, empty=list, doc="What reached its bar.")
    passed: bool | None = known("passed", parts.truth, doc="Whether all bars were reached; null when none was set.")
    training_set: TrainingSet | None = joined(E.MEASURES, K.TRAINING_SET, doc="Whose split was used.")
    metrics: list[MetricDefinition] = joined(E.MEASURES, K.METRIC_DEFINITION, many=True, doc="What was measured.")
    predictions: "Predictions | None" = joined(E.MEASURES, K.PREDICTIONS, doc="What is watched.")
    deployment: "Deployment | None" = joined(E.MEASURES, K.DEPLOYMENT, doc="Or the deployment whose rows are watched.")
    seen_from: datetime | None = known("seen_from", parts.moment, doc="When the first of those rows was answered.")
    seen_until: datetime | None = known("seen_until", parts.moment, doc="When the last of them was answered.")

    @strawberry.field
    async def model(self, info: Info) -> "Model | None":
        """The model that was measured."""
        rows = await info.context.loaders.dependents.load(self.id)
        ids = [row["source"] for row in rows if row["type"] == E.EVALUATED_BY.value]
        return next((shown(each) for each in await info.context.loaders.present(ids)), None)  # type: ignore[return-value]


@shows(K.MODEL)
class Model(Artifact):
    """A trained model: its file, and all that it was made of."""

    format: str | None = known("format", parts.text, doc="How it is serialised: skops, pickle or spark.")
    task: str | None = known("task", parts.text, doc="classification or regression.")
    files: list[parts.FileEntry] = known("files", parts.files, empty=list, doc="Its files, in MLflow's layout.")
    signature: JSON | None = known("signature", parts.anything, doc="What goes in and what comes out.")
    classes: JSON | None = known("classes", parts.anything, doc="The classes that it tells apart.")
    feature_names: list[str] = _feature_names("The columns that it takes, in order.")
    label_name: str | None = known("label", parts.text, doc="What it predicts.")
    hyperparameters: Hyperparameters | None = joined(E.DERIVED_FROM, K.HYPERPARAMETERS, doc="What it was built with.")
    training_set: TrainingSet | None = joined(E.TRAINED_ON, K.TRAINING_SET, doc="What it learned from.")
    environment: Environment | None = joined(E.RUNS_IN, K.ENVIRONMENT, doc="What it needs around it.")
    code: ModelCode | None = joined(E.DERIVED_FROM, K.MODEL_CODE, doc="What built it.")
    evaluations: list[Evaluation] = joined(E.EVALUATED_BY, K.EVALUATION, many=True, doc="What it was measured to be.")


@shows(K.PREDICTIONS)
class Predictions(Artifact):
    """What a model said about rows, in batch."""

    file: str | None = known("file", parts.text, doc="The sha256 of the Parquet file that holds them.")
    rows: Long | None = known("rows", parts.whole, doc="How many rows were scored.")
    byte_count: Long | None = known("bytes", parts.whole, doc="How many bytes the file has.")
    columns: list[parts.TableColumn] = known("columns", parts.table_columns, empty=list, doc="Columns of the file.")
    where: str | None = known("where", parts.text, doc="The condition that rows had to meet.")
    model: Model | None = joined(E.DERIVED_FROM, K.MODEL, doc="Who made them.")
    datasets: list[Dataset] = joined(E.DERIVED_FROM, K.DATASET, many=True, doc="What was scored.")


@shows(K.DEPLOYMENT)
class Deployment(Artifact):
    """A model that serves."""

    model: Model | None = joined(E.DERIVED_FROM, K.MODEL, doc="What it serves.")
    environment: Environment | None = joined(E.RUNS_IN, K.ENVIRONMENT, doc="What it runs in.")
    image: Image | None = joined(E.RUNS_IN, K.IMAGE, doc="The exact bytes that it runs in.")
    replicas: int | None = known("replicas", parts.whole, doc="How many scoring servers it has.")
    executor: str | None = known("executor", parts.text, doc="What runs them.")
    sample: int | None = known("sample", parts.whole, doc="How many of the rows that it is asked are kept.")

    @strawberry.field
    async def live(self, info: Info) -> bool:
        """Whether requests are answered by this version."""
        endpoint = await _endpoint(self, info)
        return endpoint is not None and endpoint.live == self.id

    @strawberry.field
    async def state(self, info: Info) -> str:
        """That of its endpoint while it is live or wanted: STARTING, REPLACING, HEALTHY, DEGRADED; else SUPERSEDED.

        STOPPING and REMOVED after an undeploy, FAILED where it has never come to life.
        """
        endpoint = await _endpoint(self, info)
        if endpoint is None:
            return "FAILED"
        if self.id in (endpoint.live, endpoint.wanted) or endpoint.state in (S.STOPPING, S.REMOVED):
            return endpoint.state.value
        failed = endpoint.failure is not None and endpoint.failure.deployment == self.id
        return "FAILED" if failed else "SUPERSEDED"

    @strawberry.field
    async def healthy_replicas(self, info: Info) -> int:
        """How many of its scoring servers are healthy at present."""
        endpoint = await _endpoint(self, info)
        return sum(e.deployment == self.id and e.state is R.HEALTHY for e in endpoint.replicas) if endpoint else 0

    @strawberry.field
    async def message(self, info: Info) -> str | None:
        """What its scoring server said when it ended last without being asked to; or why an alias is not followed."""
        endpoint = await _endpoint(self, info)
        if endpoint is None:
            return None
        failure = endpoint.failure
        said = failure.message if failure and failure.deployment == self.id else None
        return said or (endpoint.follow_message if self.id == endpoint.live else None)

    @strawberry.field
    async def live_since(self, info: Info) -> datetime | None:
        """Since when requests are answered by this version."""
        endpoint = await _endpoint(self, info)
        return endpoint.live_since if endpoint and endpoint.live == self.id else None

    @strawberry.field
    async def follows(self, info: Info) -> str | None:
        """NAME@ALIAS where its endpoint serves whatever the alias points to."""
        endpoint = await _endpoint(self, info)
        return endpoint.follows if endpoint else None

    @strawberry.field
    def endpoint(self) -> str:
        """The path of the API that rows are sent to."""
        suffix = "" if self.namespace == "default" else f"?namespace={quote(self.namespace)}"
        return f"/deployments/{quote(self.name)}/invocations{suffix}"


async def _endpoint(deployment: Deployment, info: Info) -> Endpoint | None:
    return await info.context.loaders.endpoints.load(endpoint_id(deployment.namespace, deployment.name))
