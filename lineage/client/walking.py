"""Questions along lineage: what depends on something, what it comes from, how that divides, and why."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from lineage.artifacts import ArtifactKind
from lineage.client import documents
from lineage.client.artifacts import Artifact
from lineage.client.runs import as_kind
from lineage.client.session import PAGE, Ref, Session, cased, id_of
from lineage.client.walks import Facets, Path, Walk

ROWS = 1_000  # rows of one page of a table
Verb = Literal["impact", "provenance"]


class Walking(Session):
    """Walks: breadth-first, counted, paged.

    The bounds of a walk are kinds (that are shown), max_depth, as_of, retracted (whether it is shown), types (of
    edges), stop_kinds and stop_ids (where it goes no further) with stops_shown, and filters on what is shown:
    namespace, name, created_by, tags, alias, live, property (a key and a value in the body).
    """

    def impact(self, *of: Ref, first: int = PAGE, after: str | None = None, **bounds: Any) -> Walk:
        """Everything that depends on *of*, the nearest first; *bounds* as in the class's words."""
        return self._walk("impact", of, first, after, bounds)

    def provenance(self, *of: Ref, first: int = PAGE, after: str | None = None, **bounds: Any) -> Walk:
        """Everything that *of* depends on; *bounds* as for `impact`."""
        return self._walk("provenance", of, first, after, bounds)

    def facets(self, *of: Ref, verb: Verb = "impact", **bounds: Any) -> Facets:
        """How many a walk reaches, and how they divide; no artifact is fetched."""
        return Facets.read(self.query(documents.counted(verb), of=_ids(of), **variables(**bounds))["walk"])

    def rows(
        self,
        *of: Ref,
        verb: Verb = "impact",
        page: int = ROWS,
        columns: Sequence[str] | None = None,
        **bounds: Any,
    ) -> Iterator[dict[str, Any]]:
        """Everything that a walk reaches, a mapping for each, fetched page by page as it is read.

        All pages are of the graph as it was at the first. *columns* names what to fetch beside id and distance, as
        `created_at`: the fewer, the faster.
        """
        after: str | None = None
        asked = variables(**bounds) | {"columns": None if columns is None else [each.upper() for each in columns]}
        while True:
            data = self.query(documents.table(verb), of=_ids(of), first=page, after=after, **asked)
            table = data["walk"]["table"]
            names = list(table["columns"])
            for values in zip(*table["columns"].values(), strict=True):
                yield dict(zip(names, values, strict=True))
            if not table["pageInfo"]["hasNextPage"]:
                return
            after = table["pageInfo"]["endCursor"]

    def paths(self, source: Ref, target: Ref, first: int = 10) -> list[Path]:
        """The shortest ways along dependencies from *source* to *target*."""
        variables = {"from": id_of(source), "to": id_of(target), "first": first}
        return [Path.read(each) for each in self.query(documents.PATHS, **variables)["paths"]]

    def why(self, *of: Ref, node: Ref, first: int = 10, as_of: datetime | None = None) -> tuple[list[Path], bool]:
        """Why *node* is in the answer about *of*: the shortest ways, and whether there are more."""
        at = as_of.isoformat() if as_of else None
        found = self.query(documents.WHY, of=_ids(of), node=id_of(node), first=first, asOf=at)["why"]
        return [Path.read(each) for each in found["paths"]], bool(found["more"])

    def _walk(self, verb: str, of: Sequence[Ref], first: int, after: str | None, bounds: Mapping[str, Any]) -> Walk:
        asked = variables(**bounds)
        found = self.query(documents.walk(verb), of=_ids(of), first=first, after=after, **asked)["walk"]
        return Walk.read(found, origins=tuple(each for each in of if isinstance(each, Artifact)))


def _ids(of: Sequence[Ref]) -> list[str]:
    return [id_of(each) for each in of]


def variables(
    *,
    kinds: Sequence[ArtifactKind | str] = (),
    max_depth: int | None = None,
    as_of: datetime | None = None,
    retracted: bool = False,
    types: Sequence[str] = (),
    stop_kinds: Sequence[ArtifactKind | str] = (),
    stop_ids: Sequence[str] = (),
    stops_shown: bool = True,
    property: tuple[str, Any] | None = None,
    **filter: Any,
) -> dict[str, Any]:
    """The bounds of a walk as variables of its document."""
    wanted = cased({**filter, "property": {"key": property[0], "value": property[1]} if property else None})
    return {
        "kinds": _kinds(kinds) or None,
        "maxDepth": max_depth,
        "asOf": as_of.isoformat() if as_of else None,
        "retracted": retracted,
        "types": [str(each).upper() for each in types] or None,
        "stop": {"kinds": _kinds(stop_kinds), "ids": list(stop_ids), "shown": stops_shown},
        "filter": wanted or None,
    }


def _kinds(kinds: Sequence[ArtifactKind | str]) -> list[str]:
    return [as_kind(kind).name for kind in kinds]
