"""What an audit says: facts, each with the node that it comes from, gaps, and bytes that were read again."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from lineage.artifacts import Artifact, digest_of

#: What reading a body of an unexpected shape raises: other systems record theirs as they like.
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
class VerifiedDigest:
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
    verified: Sequence[VerifiedDigest] = field(default_factory=tuple)

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
class Progress:
    """How far an audit is: how many of all digests are verified, what is read next, and in the end the audit."""

    done: int
    total: int
    reading: str | None = None
    audit: Audit | None = None
