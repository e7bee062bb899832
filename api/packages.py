"""Packages in the schema: which versions fall under a specifier, and what runs on them."""

from datetime import datetime
from typing import cast

import strawberry

from api.artifacts import shown
from api.context import Info
from api.kinds import Package
from api.pages import LARGEST_WALK_PAGE, PageInfo, check_first, instant
from api.questions import Pages, StopInput, WalkFilter, Within, pinned
from api.sdl import object_type
from api.walks import Walk, walked
from lineage import packages as domain
from lineage.artifacts import ArtifactKind, EdgeType
from lineage.errors import LimitExceeded
from lineage.store.questions import FOREVER, Direction, Question

PAGE, STARTS = 100, 1_000


@object_type
class IncomparablePackage:
    """A version that PEP 440 does not order as its own index does, so that it was left out; and why."""

    package: Package
    reason: str


@object_type
class Packages:
    """The versions of a package that the graph has, sorted by a specifier, and what depends on those under it."""

    found: strawberry.Private[domain.Sorted]
    name: strawberry.Private[str]
    specifier: strawberry.Private[str]
    as_of: strawberry.Private[datetime | None]
    matching_count: int
    other_count: int
    """Versions that do not fall under the specifier."""
    incomparable_count: int

    @strawberry.field
    def matching(self, first: int = PAGE) -> list[Package]:
        """The versions that fall under the specifier, in their order."""
        chosen = self.found.matching[: check_first(first, LARGEST_WALK_PAGE)]
        return [cast(Package, shown(each)) for each in chosen]

    @strawberry.field
    def incomparable(self, first: int = PAGE) -> list[IncomparablePackage]:
        """The versions of which that cannot be said; nothing that depends on them is in the impact."""
        chosen = self.found.incomparable[: check_first(first, LARGEST_WALK_PAGE)]
        return [IncomparablePackage(package=cast(Package, shown(each.package)), reason=each.reason) for each in chosen]

    @strawberry.field
    async def impact(
        self,
        info: Info,
        kinds: list[ArtifactKind] | None = None,
        max_depth: int | None = None,
        retracted: bool = False,
        first: int = PAGE,
        after: str | None = None,
        types: list[EdgeType] | None = None,
        stop: StopInput | None = None,
        filter: WalkFilter | None = None,
    ) -> Walk:
        """Everything that depends on the matching versions, the nearest first: environments, models, deployments."""
        within = Within(
            kinds=kinds,
            max_depth=max_depth,
            as_of=self.as_of,
            retracted=retracted,
            types=types,
            stop=stop,
            filter=filter,
        )
        found = self.found
        if after is not None and self.as_of is None:  # pages start from what there was at the first
            found = await domain.find(info.context.store, self.name, self.specifier, as_of=pinned(after))
        starts = [each.id for each in found.matching]
        if len(starts) > STARTS:
            raise LimitExceeded(f"{len(starts)} versions fall under it, and a walk starts from {STARTS}; narrow it")
        check_first(first, LARGEST_WALK_PAGE)
        return await walked(info, Direction.DOWN, starts, within, first, after) if starts else _nothing()


@object_type
class PackageQuery:
    """Questions about packages."""

    @strawberry.field
    async def packages(self, info: Info, name: str, specifier: str = "", as_of: datetime | None = None) -> Packages:
        """The versions of a package in every environment that fall under a specifier of PEP 440, as "<1.5"."""
        at = instant(as_of)
        found = await domain.find(info.context.store, name, specifier, as_of=at)
        return Packages(
            found=found,
            name=name,
            specifier=specifier,
            as_of=at,
            matching_count=len(found.matching),
            other_count=len(found.others),
            incomparable_count=len(found.incomparable),
        )


def _nothing() -> Walk:
    """The answer about no start at all."""
    return Walk(
        question=Question(of=[], direction=Direction.DOWN),
        pages=Pages(after=None, at=FOREVER, asked=""),
        total_count=0,
        counts=[],
        complete=True,
        truncated_by=[],
        whole_to=None,
        edges=[],
        page_info=PageInfo(has_next_page=False, end_cursor=None),
    )
