"""Search as clients see it: what was found, how it divides, the namespaces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from lineage.artifacts import ArtifactKind
from lineage.client import documents
from lineage.client.answers import Rows, labels
from lineage.client.artifacts import Artifact
from lineage.client.runs import as_kind
from lineage.client.session import Session, cased

KINDS = "{ kind count }"
SEARCH = f"""query($text: String!, $kinds: [ArtifactKind!], $filter: SearchFilter, $first: Int!, $after: String) {{
found: search(text: $text, kinds: $kinds, filter: $filter, first: $first, after: $after) {{
{documents.PAGE.format(f"{documents.ARTIFACT} modelCount")} }} }}"""
FACETS = f"""query($text: String!, $kinds: [ArtifactKind!], $filter: SearchFilter) {{
found: searchFacets(text: $text, kinds: $kinds, filter: $filter) {{ totalCount kinds {KINDS}
namespaces {{ namespace count }} owners {{ owner count }} tags {{ tag count }} }} }}"""
NAMESPACES = f"{{ namespaces {{ name versionCount names {KINDS} versions {KINDS} }} }}"


@dataclass(frozen=True, kw_only=True)
class SearchFacets:
    """How everything that a search finds divides, the greatest count first."""

    total: int
    kinds: Mapping[str, int]
    namespaces: Mapping[str, int]
    owners: Mapping[str, int]
    tags: Mapping[str, int]

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """Read it from an answer."""
        return cls(
            total=data["totalCount"],
            kinds=_by_kind(data["kinds"]),
            namespaces=labels(data["namespaces"], "namespace"),
            owners=labels(data["owners"], "owner"),
            tags=labels(data["tags"], "tag"),
        )


@dataclass(frozen=True, kw_only=True)
class Namespace:
    """A namespace: how many versions it has, and by kind how many names and versions."""

    name: str
    version_count: int
    names: Mapping[str, int]
    versions: Mapping[str, int]

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """Read it from an answer."""
        counts = {each: _by_kind(data[each]) for each in ("names", "versions")}
        return cls(name=data["name"], version_count=data["versionCount"], **counts)


class Searching(Session):
    """Finding things.

    The filters of a search are namespace, name, created_by, tags (it has all), alias, live, property (a key and a value
    in the body), created_since, created_before, retracted.
    """

    def search(
        self, text: str = "", *, kinds: Sequence[ArtifactKind | str] = (), first: int = 20, **filter: Any
    ) -> Rows[Artifact]:
        """Artifacts that match words, the best first; without words, those that a filter lets through."""
        return self._pages(SEARCH, Artifact, first, text=text, **_variables(kinds, filter))

    def search_facets(self, text: str = "", *, kinds: Sequence[ArtifactKind | str] = (), **filter: Any) -> SearchFacets:
        """How everything that a search finds divides; no artifact is fetched."""
        return SearchFacets.read(self.query(FACETS, text=text, **_variables(kinds, filter))["found"])

    def namespaces(self) -> list[Namespace]:
        """The namespaces, with how much is in each."""
        return [Namespace.read(each) for each in self.query(NAMESPACES)["namespaces"]]


def _variables(kinds: Sequence[ArtifactKind | str], filter: Mapping[str, Any]) -> dict[str, Any]:
    wanted = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in filter.items()}
    if pair := wanted.get("property"):
        wanted["property"] = {"key": pair[0], "value": pair[1]}
    return {"kinds": [as_kind(kind).name for kind in kinds] or None, "filter": cased(wanted) or None}


def _by_kind(counts: list[dict[str, Any]]) -> dict[str, int]:
    return {ArtifactKind[kind].value: count for kind, count in labels(counts, "kind").items()}
