"""Artifacts as clients see them, and what can be said about a model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from lineage.artifacts import ArtifactKind
from lineage.audits import report
from lineage.audits.facts import Fact as Fact
from lineage.audits.facts import Gap as Gap
from lineage.audits.facts import VerifiedDigest as VerifiedDigest
from lineage.client.answers import known


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """One version of one artifact; *body* is what its kind knows about it."""

    id: str
    kind: ArtifactKind
    name: str
    version: str
    namespace: str = "default"
    digest: str | None = None
    created_at: datetime | None = None
    created_by: str | None = None
    description: str | None = None
    tags: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    retracted_at: datetime | None = None
    retracted_reason: str | None = None
    is_placeholder: bool = False
    #: How many models use it, where the question asks.
    model_count: int | None = None
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """Read it from an answer."""
        lists = {"tags": tuple(data.get("tags") or ()), "aliases": tuple(data.get("aliases") or ())}
        return cls(**{**known(cls, data), **lists, "kind": ArtifactKind[data["kind"]]})

    def __str__(self) -> str:
        return f"{self.kind.value} {self.name} {self.version}"


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Where a model comes from, and whether the record is whole; *export* is all of it in one document."""

    model: Artifact
    complete: bool
    gaps: tuple[Gap, ...] = ()
    facts: tuple[Fact, ...] = field(default=(), repr=False)
    verified_digests: tuple[VerifiedDigest, ...] = field(default=(), repr=False)
    export: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def to_html(self) -> str:
        """All of it as one page that needs nothing else."""
        return report.page(self.export)

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """Read it from an answer."""
        facts = [{**each, "source": (each.get("source") or {}).get("id")} for each in data["facts"]]
        return cls(
            model=Artifact.read(data["model"]),
            complete=data["complete"],
            gaps=tuple(Gap(**each) for each in data["gaps"]),
            facts=tuple(Fact(**each) for each in facts),
            verified_digests=tuple(VerifiedDigest(**each) for each in data["verifiedDigests"]),
            export=data["export"],
        )


@dataclass(frozen=True, kw_only=True)
class AuditProgress:
    """How far an audit is: how many of all digests are verified, and what is read next, None at the end."""

    done: int
    total: int
    reading: str | None


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """An alias that moved to *model* from *former*, on the evidence of *verdicts*."""

    alias: str
    model: Artifact
    former: Artifact | None
    verdicts: tuple[Mapping[str, Any], ...]

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """Read it from an answer."""
        former = data.get("former")
        return cls(
            alias=data["alias"],
            model=Artifact.read(data["model"]),
            former=Artifact.read(former) if former else None,
            verdicts=tuple(data["verdicts"]),
        )
