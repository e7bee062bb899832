"""Freshness as clients see it: what is stale, why, and what to redo in which order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from lineage.artifacts import ArtifactKind
from lineage.client import documents
from lineage.client.artifacts import Artifact
from lineage.client.runs import as_kind
from lineage.client.session import Ref, Session, id_of

SUPERSEDED = f"cause distance input {{ {documents.SHORT} }} newest {{ {documents.SHORT} }}"
STALE = f"artifact {{ {documents.SHORT} }} causes superseded(first: 100) {{ {SUPERSEDED} }}"
STEP = f"""after circular artifact {{ {documents.SHORT} }}
replaced {{ old {{ {documents.SHORT} }} new {{ {documents.SHORT} }} }}"""
FRESHNESS = f"""query($of: [ID!], $namespace: String, $kinds: [ArtifactKind!], $every: Boolean!, $asOf: DateTime) {{
freshness(of: $of, namespace: $namespace, kinds: $kinds, every: $every, asOf: $asOf) {{ checked totalCount complete
stale(first: 1000) {{ {STALE} }} steps(first: 1000) {{ {STEP} }} }} }}"""


@dataclass(frozen=True, kw_only=True)
class Superseded:
    """An input that has a newer version, why that matters, and how many edges away it is."""

    input: Artifact
    newest: Artifact
    cause: str
    distance: int

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """Read it from an answer."""
        ends = {end: Artifact.read(data[end]) for end in ("input", "newest")}
        return cls(cause=data["cause"], distance=data["distance"], **ends)


@dataclass(frozen=True, kw_only=True)
class Stale:
    """An artifact that stands on something superseded, directly or further up."""

    artifact: Artifact
    causes: tuple[str, ...]
    superseded: tuple[Superseded, ...]


@dataclass(frozen=True, kw_only=True)
class RedoStep:
    """An artifact to make again, once those with the ids *after* were; *replaced* pairs old inputs with new ones."""

    artifact: Artifact
    replaced: tuple[tuple[Artifact, Artifact], ...]
    after: tuple[str, ...]
    circular: bool = False


@dataclass(frozen=True, kw_only=True)
class Freshness:
    """How fresh some artifacts are: how many were checked, how many are stale, the first thousand, and what to redo."""

    checked: int
    total: int
    complete: bool
    stale: tuple[Stale, ...]
    steps: tuple[RedoStep, ...]

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """Read it from an answer."""
        stale = (
            Stale(
                artifact=Artifact.read(each["artifact"]),
                causes=tuple(each["causes"]),
                superseded=tuple(Superseded.read(one) for one in each["superseded"]),
            )
            for each in data["stale"]
        )
        return cls(
            checked=data["checked"],
            total=data["totalCount"],
            complete=data["complete"],
            stale=tuple(stale),
            steps=tuple(_step(each) for each in data["steps"]),
        )


class Aging(Session):
    """What goes out of date."""

    def freshness(
        self,
        *of: Ref,
        namespace: str | None = None,
        kinds: Sequence[ArtifactKind | str] = (),
        every: bool = False,
        as_of: datetime | None = None,
    ) -> Freshness:
        """Which of the artifacts *of* were made of superseded data, code or environments, and what to redo in order.

        Without *of* it is asked about the models in use in a namespace (or artifacts of other *kinds*), with *every*
        about all their versions.
        """
        variables = {
            "of": [id_of(each) for each in of] or None,
            "namespace": namespace if of or namespace else "default",
            "kinds": [as_kind(kind).name for kind in kinds] or None,
            "every": every,
            "asOf": as_of.isoformat() if as_of else None,
        }
        return Freshness.read(self.query(FRESHNESS, **variables)["freshness"])


def _step(data: Mapping[str, Any]) -> RedoStep:
    pairs = ((Artifact.read(each["old"]), Artifact.read(each["new"])) for each in data["replaced"])
    return RedoStep(
        artifact=Artifact.read(data["artifact"]),
        replaced=tuple(pairs),
        after=tuple(data["after"]),
        circular=data["circular"],
    )
