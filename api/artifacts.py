"""Artifacts as the schema shows them: the interface, the names that outlive versions, fields read from the graph."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import strawberry
from strawberry.scalars import JSON

from api.context import Info
from api.pages import check_first
from api.sdl import interface, object_type
from lineage import artifacts as domain
from lineage.artifacts import ArtifactKind, EdgeType
from lineage.store.graph import Row

if TYPE_CHECKING:
    from api.promotions import PromotionRequest

strawberry.enum(ArtifactKind, description="The kinds of artifact.")
strawberry.enum(EdgeType, description="The types of edge; each points from the dependent to what it depends on.")

RunType = Annotated["Run", strawberry.lazy("api.runs")]  # type: ignore[name-defined]  # noqa: F821

#: The type of the schema for each kind; api.kinds fills it.
TYPES: dict[ArtifactKind, type["Artifact"]] = {}
LINKS, LARGEST_LINKS = 100, 1_000


@interface
class Node:
    """Anything that has an id of its own."""

    id: strawberry.ID


@interface
class Artifact(Node):
    """One version of something that a model is made of; it never changes."""

    record: strawberry.Private[domain.Artifact]
    kind: ArtifactKind
    namespace: str
    name: str
    version: str
    digest: str | None
    created_at: datetime
    created_by: str
    description: str | None
    tags: list[str]
    retracted_at: datetime | None
    retracted_reason: str | None
    is_placeholder: bool

    @strawberry.field
    def body(self) -> JSON:
        """Everything that its kind knows about it, as it was recorded."""
        return JSON(dict(self.record.body))

    @strawberry.field
    async def aliases(self, info: Info) -> list[str]:
        """The aliases that point to this version now."""
        return await info.context.loaders.aliases.load(self.id)

    @strawberry.field
    async def model_count(self, info: Info) -> int:
        """How many models that are not retracted went into being from it, directly or further down."""
        return await info.context.loaders.model_counts.load(self.id)

    @strawberry.field
    def asset(self) -> "Asset":
        """The name that outlives this version."""
        return Asset.of(self.record)

    @strawberry.field
    async def upstream(self, info: Info, types: list[EdgeType] | None = None, first: int = LINKS) -> list["Link"]:
        """What it depends on directly."""
        rows = await info.context.loaders.dependencies.load(self.id)
        return await links(info, rows, "target", types, first)

    @strawberry.field
    async def downstream(self, info: Info, types: list[EdgeType] | None = None, first: int = LINKS) -> list["Link"]:
        """What depends on it directly."""
        rows = await info.context.loaders.dependents.load(self.id)
        return await links(info, rows, "source", types, first)

    @strawberry.field
    async def generated_by(self, info: Info) -> list[RunType]:
        """The runs that made it, the first first."""
        from api.runs import Run  # it knows artifacts; this way round would be a circle

        return [Run.of(run) for run in await info.context.loaders.makers.load(self.id)]


@object_type
class Link:
    """A direct neighbour, and the edge that leads to it."""

    type: EdgeType
    recorded_at: datetime
    run_id: strawberry.ID | None
    node: Artifact


@object_type
class AliasInterval:
    """From when until when an alias pointed to a version, who moved it there, and why."""

    alias: str
    since: datetime
    until: datetime | None
    by: str | None
    reason: str | None
    artifact_id: strawberry.Private[str]
    promotion_id: strawberry.Private[str | None]

    @strawberry.field
    async def artifact(self, info: Info) -> Artifact:
        """The version that it pointed to."""
        (found,) = await info.context.loaders.present([self.artifact_id])
        return shown(found)

    @strawberry.field
    async def promotion(self, info: Info) -> Annotated["PromotionRequest", strawberry.lazy("api.promotions")] | None:
        """The request that moved it there, where one did."""
        from api.promotions import PromotionRequest as Shown  # it shows artifacts, and so knows this module

        return Shown.of(await info.context.store.promotions.get(self.promotion_id)) if self.promotion_id else None


@object_type
class Asset(Node):
    """A name that outlives versions; aliases are pointers from it to one of them."""

    kind: ArtifactKind
    namespace: str
    name: str

    @classmethod
    def of(cls, record: domain.Artifact) -> "Asset":
        """The asset that *record* is a version of."""
        id = strawberry.ID(domain.asset_id(record.kind, record.namespace, record.name))
        return cls(id=id, kind=record.kind, namespace=record.namespace, name=record.name)

    @strawberry.field
    async def versions(self, info: Info) -> list[Artifact]:
        """All versions, the newest first."""
        return [shown(each) for each in await info.context.store.artifacts.versions(self.id)]

    @strawberry.field
    async def alias_history(self, info: Info) -> list[AliasInterval]:
        """Every interval of every alias, the newest first."""
        rows = await info.context.store.artifacts.alias_history(self.id)
        return [interval(row) for row in rows]


def interval(row: Row) -> AliasInterval:
    """*row* of the history of aliases as a type of the schema."""
    return AliasInterval(
        alias=row["name"],
        since=row["since"],
        until=row["until"],
        by=row["by"],
        reason=row["reason"],
        artifact_id=row["artifact"],
        promotion_id=row["promotion"],
    )


def shown(record: domain.Artifact) -> Artifact:
    """*record* as the type of the schema for its kind."""
    return TYPES[record.kind](
        id=strawberry.ID(record.id),
        record=record,
        kind=record.kind,
        namespace=record.namespace,
        name=record.name,
        version=record.version,
        digest=record.digest,
        created_at=record.created_at,  # type: ignore[arg-type]  # whatever comes from the graph has one
        created_by=record.created_by,
        description=record.description,
        tags=list(record.tags),
        retracted_at=record.retracted_at,
        retracted_reason=record.retracted_reason,
        is_placeholder=record.is_placeholder,
    )


async def links(info: Info, rows: Sequence[Row], end: str, types: Sequence[EdgeType] | None, first: int) -> list[Link]:
    """At most *first* of the edges *rows*, of *types* alone when given, with the artifacts at their *end*."""
    check_first(first, LARGEST_LINKS)
    names = {type_.value for type_ in EdgeType if types is None or type_ in types}
    chosen = [row for row in rows if row["type"] in names][:first]
    found = {each.id: each for each in await info.context.loaders.present(row[end] for row in chosen)}
    return [
        Link(
            type=EdgeType(row["type"]),
            recorded_at=row["recorded_at"],
            run_id=row["run_id"],
            node=shown(found[row[end]]),
        )
        for row in chosen
        if row[end] in found
    ]


def known(key: str, convert: Callable[[Any], Any], *, empty: Callable[[], Any] = lambda: None, doc: str) -> Any:
    """A field read from the body; what others recorded in another shape is shown by `body` alone."""

    def resolve(self: Any) -> Any:
        value = self.record.body.get(key)
        try:
            return empty() if value is None else convert(value)
        except (KeyError, TypeError, ValueError, AttributeError):
            return empty()

    return strawberry.field(resolver=_unannotated(resolve), description=doc)


def named(key: str, kind: ArtifactKind, *, many: bool = False, doc: str) -> Any:
    """A field of the artifacts whose ids stand in the body: one, a list, or a map's values."""

    async def resolve(self: Any, info: Info) -> Any:
        value = self.record.body.get(key)
        ids = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
        found = await info.context.loaders.present(str(id) for id in ids if id)
        shapes = [shown(each) for each in found if each.kind is kind]
        return shapes if many else next(iter(shapes), None)

    return strawberry.field(resolver=_unannotated(resolve), description=doc)


def joined(type_: EdgeType, kind: ArtifactKind, *, many: bool = False, against: bool = False, doc: str) -> Any:
    """A field of the neighbours of one kind along edges of one type, or against them."""

    async def resolve(self: Any, info: Info) -> Any:
        loaders = info.context.loaders
        rows = await (loaders.dependents if against else loaders.dependencies).load(self.id)
        ids = [row["source" if against else "target"] for row in rows if row["type"] == type_.value]
        shapes = [shown(each) for each in await loaders.present(ids) if each.kind is kind]
        return shapes if many else next(iter(shapes), None)

    return strawberry.field(resolver=_unannotated(resolve), description=doc)


def _unannotated(resolve: Callable[..., Any]) -> Callable[..., Any]:
    # The type is that of the attribute; Strawberry refuses Any as that of a resolver.
    del resolve.__annotations__["return"]
    return resolve
