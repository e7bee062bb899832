"""Freshness in the schema: what is stale, why, and what to redo in which order."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

import strawberry

from api.artifacts import Artifact, shown
from api.context import Info
from api.pages import LARGEST_WALK_PAGE, check_first, instant
from api.questions import check_starts
from api.sdl import object_type
from lineage import freshness as domain
from lineage.artifacts import ArtifactKind
from lineage.errors import InvalidInput
from lineage.freshness import Cause

strawberry.enum(Cause, description="What kind of input has a newer version.")
T = TypeVar("T")
STALE, STEPS, INPUTS = 100, 1_000, 20


@object_type
class Superseded:
    """An input that has a newer version, and the fewest edges that lead to it."""

    found: strawberry.Private[domain.Superseded]
    cause: Cause
    distance: int

    @strawberry.field
    async def input(self, info: Info) -> Artifact:
        """The version that was used."""
        return await _artifact(info, self.found.input)

    @strawberry.field
    async def newest(self, info: Info) -> Artifact:
        """The version that has taken its place."""
        return await _artifact(info, self.found.newest)


@object_type
class Stale:
    """An artifact that stands on something superseded, directly or further up."""

    id: strawberry.Private[str]
    found: strawberry.Private[Sequence[domain.Superseded]]
    causes: list[Cause]

    @strawberry.field
    async def artifact(self, info: Info) -> Artifact:
        """What is stale."""
        return await _artifact(info, self.id)

    @strawberry.field
    def superseded(self, first: int = INPUTS) -> list[Superseded]:
        """The superseded inputs, the nearest first."""
        chosen = self.found[: check_first(first, LARGEST_WALK_PAGE)]
        return [Superseded(found=each, cause=each.cause, distance=each.distance) for each in chosen]


@object_type
class Replacement:
    """An input that is superseded, and the version to take instead."""

    pair: strawberry.Private[tuple[str, str]]

    @strawberry.field
    async def old(self, info: Info) -> Artifact:
        """The version that was used."""
        return await _artifact(info, self.pair[0])

    @strawberry.field
    async def new(self, info: Info) -> Artifact:
        """The version to use; where a step makes that one again, what the step makes."""
        return await _artifact(info, self.pair[1])


@object_type
class RedoStep:
    """An artifact that must be made again, once the artifacts *after* were."""

    step: strawberry.Private[domain.Step]
    after: list[strawberry.ID]
    circular: bool
    """It stands on a newer version of itself, so that no order does it justice."""

    @strawberry.field
    async def artifact(self, info: Info) -> Artifact:
        """The version that there is now."""
        return await _artifact(info, self.step.artifact)

    @strawberry.field
    def replaced(self) -> list[Replacement]:
        """The inputs to exchange."""
        return [Replacement(pair=each) for each in self.step.replaced]


@object_type
class Freshness:
    """How fresh some artifacts are: how many were checked, which are stale, what to redo."""

    report: strawberry.Private[domain.Report]
    checked: int
    total_count: int
    """How many of them are stale."""
    complete: bool
    """False when the namespace has more artifacts than are looked at."""

    @classmethod
    def of(cls, report: domain.Report) -> "Freshness":
        """*report* as a type of the schema."""
        counts = {"checked": len(report.checked), "total_count": len(report.stale)}
        return cls(report=report, complete=report.complete, **counts)

    @strawberry.field
    def stale(self, first: int = STALE, after: strawberry.ID | None = None) -> list[Stale]:
        """Those that are stale, behind the artifact *after*."""
        chosen = _behind(list(self.report.stale.items()), lambda each: each[0], first, after)
        return [Stale(id=id, found=found, causes=sorted({one.cause for one in found})) for id, found in chosen]

    @strawberry.field
    def steps(self, first: int = STEPS, after: strawberry.ID | None = None) -> list[RedoStep]:
        """What must be made again, in the order of dependency, behind the step of the artifact *after*."""
        return [
            RedoStep(step=each, after=[strawberry.ID(id) for id in each.after], circular=each.is_circular)
            for each in _behind(self.report.steps, lambda each: each.artifact, first, after)
        ]


@object_type
class FreshnessQuery:
    """Questions about what goes out of date."""

    @strawberry.field
    async def freshness(
        self,
        info: Info,
        of: list[strawberry.ID] | None = None,
        namespace: str | None = None,
        kinds: list[ArtifactKind] | None = None,
        every: bool = False,
        as_of: datetime | None = None,
    ) -> Freshness:
        """Which artifacts were made of superseded data, code or environments: those given, or models of a namespace.

        Of a namespace those in use count: the newest of a name, and what an alias or a live deployment holds; or every
        version.
        """
        if (of is None) == (namespace is None):
            raise InvalidInput("name either artifacts or a namespace", field="of")
        store, at = info.context.store, instant(as_of)
        if of is not None:
            check_starts(of)
            return Freshness.of(await domain.of_artifacts(store, of, as_of=at))
        asked = [ArtifactKind.MODEL] if kinds is None else kinds
        return Freshness.of(await domain.of_namespace(store, namespace or "", kinds=asked, every=every, as_of=at))


async def _artifact(info: Info, id: str) -> Artifact:
    (found,) = await info.context.loaders.present([id])
    return shown(found)


def _behind(items: Sequence[T], id_of: Callable[[T], str], first: int, after: str | None) -> Sequence[T]:
    check_first(first, LARGEST_WALK_PAGE)
    if after is None:
        return items[:first]
    places = [place for place, each in enumerate(items) if id_of(each) == after]
    if not places:
        raise InvalidInput(f"{after!r} is not in this list any more; begin anew", field="after")
    return items[places[0] + 1 :][:first]
