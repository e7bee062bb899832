"""Packages as clients see them: which versions fall under a specifier, and what runs on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from lineage.artifacts import ArtifactKind
from lineage.client import documents
from lineage.client.answers import Rows
from lineage.client.artifacts import Artifact
from lineage.client.session import PAGE, Session
from lineage.client.walking import variables
from lineage.client.walks import Walk
from lineage.packages import parse

PACKAGES = f"""query($name: String!, $specifier: String!, $asOf: DateTime, $kinds: [ArtifactKind!], $maxDepth: Int,
$retracted: Boolean! = false, $types: [EdgeType!], $stop: StopInput, $filter: WalkFilter, $first: Int!) {{
packages(name: $name, specifier: $specifier, asOf: $asOf) {{ matchingCount otherCount incomparableCount
matching(first: 1000) {{ {documents.SHORT} }} incomparable(first: 1000) {{ reason package {{ {documents.SHORT} }} }}
impact(kinds: $kinds, maxDepth: $maxDepth, retracted: $retracted, types: $types, stop: $stop, filter: $filter,
first: $first) {{ {documents.WALK} }} }} }}"""
#: What runs on packages.
RUNNING = (ArtifactKind.ENVIRONMENT, ArtifactKind.MODEL, ArtifactKind.DEPLOYMENT)


@dataclass(frozen=True, kw_only=True)
class Packages:
    """The versions of a package under a specifier, those that do not compare (with why), and what is affected."""

    matching: Rows[Artifact]
    incomparable: tuple[tuple[Artifact, str], ...]
    #: How many versions do not fall under the specifier.
    others: int
    impact: Walk

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """Read it from an answer."""
        matching = [Artifact.read(each) for each in data["matching"]]
        return cls(
            matching=Rows(matching, total=data["matchingCount"]),
            incomparable=tuple((Artifact.read(each["package"]), each["reason"]) for each in data["incomparable"]),
            others=data["otherCount"],
            impact=Walk.read(data["impact"], origins=tuple(matching)),
        )


class Packaging(Session):
    """What runs on which package."""

    def packages(
        self,
        requirement: str,
        *,
        kinds: Sequence[ArtifactKind | str] = RUNNING,
        first: int = PAGE,
        as_of: datetime | None = None,
        **bounds: Any,
    ) -> Packages:
        """What runs on the versions of a package that *requirement* names, such as `scikit-learn<1.5`.

        *bounds* are those of `impact`: max_depth, retracted, types, stop_kinds, live, namespace and so on.
        """
        name, specifier = parse(requirement)
        asked = variables(kinds=kinds, as_of=as_of, **bounds)
        found = self.query(PACKAGES, name=name, specifier=specifier, first=first, **asked)
        return Packages.read(found["packages"])
