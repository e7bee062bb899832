"""Artifacts in the graph: recorded once, never changed, found by id, by name and by alias."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from lineage.artifacts import Artifact, ArtifactKind, Edge, asset_id
from lineage.errors import Conflict, NotFound
from lineage.store import columns
from lineage.store.graph import Graph, Row
from lineage.store.recording import Entry
from lineage.store.writer import Writer

LOCATIONS = 20  # places that one dataset remembers


@dataclass(frozen=True, kw_only=True)
class ArtifactFilter:
    """Which artifacts a page shows; None filters nothing."""

    kinds: Sequence[ArtifactKind] | None = None
    namespace: str | None = None
    name: str | None = None
    tag: str | None = None
    alias: str | None = None
    retracted: bool = False

    def params(self) -> Row:
        """The same as parameters of a query."""
        kinds = None if self.kinds is None else [kind.value for kind in self.kinds]
        return {**vars(self), "kinds": kinds}


class Artifacts:
    """Versions of artifacts, the edges among them, and the names and aliases that point to them."""

    def __init__(self, graph: Graph, writer: Writer) -> None:
        self._graph, self._writer = graph, writer

    async def record(
        self,
        artifacts: Sequence[Artifact],
        edges: Sequence[Edge] = (),
        *,
        now: datetime,
        by: str,
        run_id: str | None = None,
    ) -> list[Artifact]:
        """Record *artifacts* and *edges* whole or not at all, and return the artifacts as the graph has them.

        What is there already stays as it was first recorded. Raise VersionTaken when a version is taken by another
        digest, NotFound when an edge names a node that is neither there nor given.
        """

        await self._writer.record(Entry(artifacts=artifacts, edges=edges, now=now, by=by, run_id=run_id))
        found = await self.by_ids([artifact.id for artifact in artifacts])
        return [found[artifact.id] for artifact in artifacts]

    async def note_location(self, id: str, uri: str) -> None:
        """Remember that the bytes of the artifact *id* were found at *uri* last; nothing happens when it is not there.

        The address is no part of the artifact's content, which never changes.
        """
        await self._graph.one("note_location", id=id, uri=uri, most=LOCATIONS)

    async def by_ids(self, ids: Iterable[str]) -> dict[str, Artifact]:
        """The artifacts of *ids*, by id; one that is not there is left out."""
        row = await self._graph.one("artifacts_by_id", ids=sorted(set(ids)))
        return {each.id: each for each in columns.artifacts(row["columns"] if row else {})}

    async def one(self, id: str, *kinds: ArtifactKind) -> Artifact:
        """The artifact *id*; raise NotFound when it is not there or not of one of *kinds*."""
        found = (await self.by_ids([id])).get(id)
        if found is None or (kinds and found.kind not in kinds):
            what = " or ".join(kind.value for kind in kinds) or "artifact"
            raise NotFound(f"there is no {what} with the id {id!r}")
        return found

    async def get(
        self, kind: ArtifactKind, name: str, *, namespace: str = "default", version: str | None = None
    ) -> Artifact | None:
        """A version of a name: the one given, the one that `@alias` points to, or the newest."""
        asset = asset_id(kind, namespace, name)
        if version is None:
            row = await self._graph.one("newest_version", asset=asset)
        elif version.startswith("@"):
            row = await self._graph.one("artifact_by_alias", asset=asset, name=version[1:])
        else:
            row = await self._graph.one(
                "artifact_version", kind=kind.value, namespace=namespace, name=name, version=version
            )
        return Artifact.from_row(row["artifact"]) if row else None

    async def names(self, kind: ArtifactKind, *, namespace: str, first: int = 1_000) -> list[str]:
        """The names that *namespace* has of one kind, in order."""
        rows = await self._graph.many("asset_names", kind=kind.value, namespace=namespace, first=first)
        return [row["name"] for row in rows]

    async def versions(self, asset: str) -> list[Artifact]:
        """All versions of an asset, the newest first."""
        return [Artifact.from_row(row["artifact"]) for row in await self._graph.many("versions_of", asset=asset)]

    async def page(
        self, filter: ArtifactFilter, *, first: int, after: tuple[datetime, str] | None = None
    ) -> list[Artifact]:
        """At most *first* artifacts, the newest first, behind the one recorded at *after*."""
        after_at, after_id = after or (None, None)
        rows = await self._graph.many(
            "page_artifacts", **filter.params(), first=first, after_at=after_at, after_id=after_id
        )
        return [Artifact.from_row(row["artifact"]) for row in rows]

    async def count(self, filter: ArtifactFilter) -> int:
        """How many artifacts *filter* lets through."""
        row = await self._graph.one("count_artifacts", **filter.params())
        return int(row["total"]) if row else 0

    async def dependencies(self, ids: Sequence[str]) -> list[Row]:
        """Edges from *ids* to what they depend on: source, target, type, recorded_at, run_id."""
        return columns.edges(await self._graph.one("edges_from", ids=list(ids)))

    async def dependents(self, ids: Sequence[str]) -> list[Row]:
        """Edges to *ids* from what depends on them."""
        return columns.edges(await self._graph.one("edges_to", ids=list(ids)))

    async def retract(self, id: str, *, reason: str, now: datetime) -> Artifact:
        """Leave a tombstone on an artifact; raise NotFound when it is not there."""
        row = await self._graph.one("retract_artifact", id=id, reason=reason, now=now)
        if row is None:
            raise NotFound(f"there is no artifact with the id {id!r}")
        return Artifact.from_row(row["artifact"])

    async def set_alias(
        self, id: str, alias: str, *, now: datetime, by: str, reason: str | None, expected: str | None = None
    ) -> str | None:
        """Point *alias* at the version *id*, and return the id of the version that it pointed to.

        With *expected*, the id that it must point to or "" for none, raise Conflict where it points elsewhere, and not
        to *id* already; so too where *id* was retracted meanwhile.
        """
        row = await self._graph.one("set_alias", id=id, name=alias, expected=expected, now=now, by=by, reason=reason)
        if row is None:
            raise NotFound(f"there is no artifact with the id {id!r}")
        former: str | None = row["former"]
        if not row["is_expected"]:
            found, wanted = former or "nothing", expected or "nothing"
            raise Conflict(f"{alias!r} points to {found}, not to {wanted}: it was moved since you looked")
        if row["is_retracted"]:
            raise Conflict(f"{id} was retracted")
        return former

    async def aliases(self, ids: Sequence[str]) -> dict[str, list[str]]:
        """The aliases in force, by the id of the artifact that they point to."""
        found: dict[str, list[str]] = {}
        for row in await self._graph.many("aliases_of", ids=list(ids)):
            found.setdefault(row["id"], []).append(row["name"])
        return found

    async def alias_history(self, asset: str) -> list[Row]:
        """Every interval of every alias of an asset, the newest first."""
        return [row["interval"] for row in await self._graph.many("alias_history", asset=asset)]

    async def since(
        self, since: datetime, after_id: str, *, kinds: Sequence[ArtifactKind] | None, first: int
    ) -> list[Artifact]:
        """Artifacts recorded after a point, the oldest first."""
        named = None if kinds is None else [kind.value for kind in kinds]
        rows = await self._graph.many("recorded_since", since=since, after_id=after_id, kinds=named, first=first)
        return [Artifact.from_row(row["artifact"]) for row in rows]
