"""Runs and trials as clients see them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from lineage.artifacts import ArtifactKind
from lineage.client.answers import known, labels
from lineage.client.artifacts import Artifact
from lineage.errors import NotFound
from lineage.runs import OVER, RunKind, RunState


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One set of hyperparameters that was tried."""

    number: int
    state: str
    params: Mapping[str, Any] = field(default_factory=dict)
    value: float | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    #: A word for machines when it ended badly: ERROR, TIMEOUT, OOM, LOST, …
    reason: str | None = None
    error: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """Read it from an answer."""
        return cls(**known(cls, data))


@dataclass(frozen=True, kw_only=True)
class Run:
    """One thing that was done or is to be done, as it stood when it was asked for."""

    id: str
    kind: RunKind
    state: RunState
    executor: str = "process"
    attempt: int = 0
    max_attempts: int = 2
    generation: int = 0
    phase: str | None = None
    progress: float | None = None
    #: What a cluster calls the work, and where it shows it.
    application: str | None = None
    tracking_url: str | None = None
    message: str | None = None
    reason: str | None = None
    created_at: datetime | None = None
    created_by: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    spec: Mapping[str, Any] = field(default_factory=dict, repr=False)
    result: Mapping[str, Any] = field(default_factory=dict, repr=False)
    used: tuple[Artifact, ...] = field(default=(), repr=False)
    generated: tuple[Artifact, ...] = field(default=(), repr=False)
    #: Trials by state, as far as there are any.
    trial_counts: Mapping[str, int] = field(default_factory=dict)
    best_trial: Trial | None = None

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """Read it from an answer."""
        best = data.get("bestTrial")
        nested = {
            "kind": RunKind(data["kind"]),
            "state": RunState(data["state"]),
            "used": tuple(Artifact.read(each) for each in data.get("used") or ()),
            "generated": tuple(Artifact.read(each) for each in data.get("generated") or ()),
            "trial_counts": labels(data.get("trialCounts") or [], "state"),
            "best_trial": Trial.read(best) if best else None,
        }
        return cls(**{**known(cls, data), **nested})

    @property
    def is_over(self) -> bool:
        """Whether its state is final."""
        return self.state in OVER

    def made(self, kind: ArtifactKind | str) -> Artifact:
        """The artifact of *kind* that it made; raise NotFound when there is none."""
        wanted = as_kind(kind)
        for each in self.generated:
            if each.kind is wanted:
                return each
        raise NotFound(f"run {self.id} ({self.state.value}) made no {wanted.value}")


def as_kind(kind: ArtifactKind | str) -> ArtifactKind:
    """A kind by its name, as GraphQL ("FEATURE_SET") or as the graph ("FeatureSet") has it."""
    if isinstance(kind, ArtifactKind):
        return kind
    named = {each.name: each for each in ArtifactKind} | {each.value.upper(): each for each in ArtifactKind}
    found = named.get(kind.upper().replace("-", "_"))
    if found is None:
        from lineage.errors import InvalidInput

        raise InvalidInput.unknown("kind", kind, [each.value for each in ArtifactKind], field="kind")
    return found
