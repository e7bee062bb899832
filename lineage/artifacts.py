"""Artifacts and the edges between them: what a node is, and what makes two of them the same."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, Self

from lineage.errors import InvalidInput

VERSION_LENGTH = 12  # hex digits of the digest that serve as the version of an artifact


class ArtifactKind(StrEnum):
    """The kinds of artifact; the value is the node's label."""

    DATASET = "Dataset"
    COLUMN = "Column"
    FEATURE = "Feature"
    FEATURE_SET = "FeatureSet"
    TRAINING_SET = "TrainingSet"
    MODEL_CODE = "ModelCode"
    NOTEBOOK = "Notebook"
    ENVIRONMENT = "Environment"
    PACKAGE = "Package"
    IMAGE = "Image"
    SEARCH_SPACE = "SearchSpace"
    HYPERPARAMETERS = "Hyperparameters"
    METRIC_DEFINITION = "MetricDefinition"
    MODEL = "Model"
    EVALUATION = "Evaluation"
    PREDICTIONS = "Predictions"
    DEPLOYMENT = "Deployment"
    BENCHMARK = "Benchmark"
    GATE_VERDICT = "GateVerdict"


class EdgeType(StrEnum):
    """The types of edge; each points from the dependent to what it depends on."""

    DERIVED_FROM = "DERIVED_FROM"
    TRAINED_ON = "TRAINED_ON"
    RUNS_IN = "RUNS_IN"
    EVALUATED_BY = "EVALUATED_BY"
    REQUIRES = "REQUIRES"
    INCLUDES = "INCLUDES"
    MEASURES = "MEASURES"
    #: These join runs and artifacts.
    USED = "USED"
    GENERATED_BY = "GENERATED_BY"
    REPRODUCES = "REPRODUCES"


#: What a lineage walk follows; evaluations hang on as leaves.
WALKED = (EdgeType.DERIVED_FROM, EdgeType.TRAINED_ON, EdgeType.RUNS_IN, EdgeType.REQUIRES, EdgeType.INCLUDES)

K, E = ArtifactKind, EdgeType

#: Which edges there may be between artifacts: type → (from, to) pairs.
ALLOWED: Mapping[EdgeType, frozenset[tuple[ArtifactKind, ArtifactKind]]] = {
    E.DERIVED_FROM: frozenset(
        {
            (K.COLUMN, K.DATASET),
            (K.FEATURE, K.COLUMN),
            (K.FEATURE, K.FEATURE),
            (K.FEATURE_SET, K.FEATURE),
            (K.TRAINING_SET, K.FEATURE_SET),
            (K.TRAINING_SET, K.DATASET),
            (K.MODEL, K.MODEL_CODE),
            (K.MODEL, K.HYPERPARAMETERS),
            (K.MODEL, K.MODEL),
            (K.HYPERPARAMETERS, K.SEARCH_SPACE),
            (K.PREDICTIONS, K.MODEL),
            (K.PREDICTIONS, K.DATASET),
            (K.DEPLOYMENT, K.MODEL),
            (K.MODEL_CODE, K.NOTEBOOK),
            (K.DATASET, K.DATASET),
            (K.DATASET, K.PREDICTIONS),
            (K.IMAGE, K.ENVIRONMENT),
        }
    ),
    E.TRAINED_ON: frozenset({(K.MODEL, K.TRAINING_SET)}),
    E.RUNS_IN: frozenset({(K.MODEL, K.ENVIRONMENT), (K.DEPLOYMENT, K.ENVIRONMENT), (K.DEPLOYMENT, K.IMAGE)}),
    E.EVALUATED_BY: frozenset({(K.MODEL, K.EVALUATION)}),
    E.REQUIRES: frozenset({(K.MODEL_CODE, K.FEATURE_SET)}),
    E.INCLUDES: frozenset({(K.ENVIRONMENT, K.PACKAGE)}),
    E.MEASURES: frozenset(
        {
            (K.EVALUATION, K.METRIC_DEFINITION),
            (K.EVALUATION, K.TRAINING_SET),
            (K.EVALUATION, K.PREDICTIONS),
            (K.EVALUATION, K.DEPLOYMENT),
            (K.EVALUATION, K.DATASET),
            (K.BENCHMARK, K.METRIC_DEFINITION),
            (K.BENCHMARK, K.TRAINING_SET),
            (K.GATE_VERDICT, K.BENCHMARK),
            (K.GATE_VERDICT, K.MODEL),
            (K.GATE_VERDICT, K.EVALUATION),
        }
    ),
}


def canonical(value: Any) -> str:
    """The one JSON text of *value*: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_of(value: Any) -> str:
    """The sha256, in hex, of the canonical JSON of *value*."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def artifact_id(kind: ArtifactKind, namespace: str, name: str, version: str) -> str:
    """The id of an artifact version: the same on every machine, whatever order things arrive in."""
    digest = hashlib.sha256("\0".join((kind, namespace, name, version)).encode()).hexdigest()
    return f"{kind.lower()}_{digest[:32]}"


def asset_id(kind: ArtifactKind, namespace: str, name: str) -> str:
    """The id of the name that outlives versions."""
    return artifact_id(kind, namespace, name, "").replace("_", "-asset_", 1)


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """One version of one artifact; *body* is what its kind knows about it, as JSON."""

    kind: ArtifactKind
    name: str
    digest: str | None
    namespace: str = "default"
    version: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)
    description: str | None = None
    tags: Sequence[str] = ()
    created_at: datetime | None = None
    created_by: str = "unknown"
    retracted_at: datetime | None = None
    retracted_reason: str | None = None
    #: Where else its bytes were found, the last place last; no part of what it is.
    locations: Sequence[str] = ()
    #: An edge or an event has named it, but nobody has described it yet.
    is_placeholder: bool = False

    def __post_init__(self) -> None:
        if not self.name or len(self.name) > 500 or "\0" in self.name:
            raise InvalidInput("a name has 1 to 500 characters", field="name")
        if not self.version:
            if not self.digest:
                raise InvalidInput("an artifact needs a version or a digest", field="version")
            object.__setattr__(self, "version", self.digest[:VERSION_LENGTH])

    @cached_property
    def id(self) -> str:
        """The id, made of kind, namespace, name and version."""
        return artifact_id(self.kind, self.namespace, self.name, self.version)

    @cached_property
    def text(self) -> str:
        """The body as canonical JSON."""
        return canonical(self.body)

    @classmethod
    def defined(cls, kind: ArtifactKind, name: str, body: Mapping[str, Any], **rest: Any) -> Self:
        """An artifact whose content is its body: the digest is that of the body."""
        return cls(kind=kind, name=name, body=body, digest=digest_of(body), **rest)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read it back from the map that a query returns."""
        return cls(
            kind=ArtifactKind(row["kind"]),
            namespace=row["namespace"],
            name=row["name"],
            version=row["version"],
            digest=row.get("digest"),
            body=json.loads(row.get("body") or "{}"),
            description=row.get("description"),
            tags=tuple(row.get("tags") or ()),
            created_at=row.get("created_at"),
            created_by=row.get("created_by") or "unknown",
            retracted_at=row.get("retracted_at"),
            retracted_reason=row.get("retracted_reason"),
            locations=tuple(row.get("locations") or ()),
            is_placeholder=bool(row.get("is_placeholder")),
        )


@dataclass(frozen=True, kw_only=True)
class Edge:
    """A typed edge between two artifacts, from the dependent to what it depends on."""

    type: EdgeType
    source: str
    target: str


def check_edge(type_: EdgeType, source: ArtifactKind, target: ArtifactKind) -> None:
    """Raise InvalidInput unless the model of the graph has such an edge."""
    if (source, target) not in ALLOWED.get(type_, frozenset()):
        raise InvalidInput(f"{type_.value} cannot join {source.value} to {target.value}", field="type")
