"""What clients may ask."""

from datetime import datetime
from importlib.metadata import entry_points, version
from typing import Annotated

import strawberry

from api.artifacts import Artifact, Asset, Node, shown
from api.audits import Audit
from api.comparisons import Comparison
from api.context import Info
from api.deployments import DeploymentQuery
from api.firings import FiringQuery
from api.freshness import FreshnessQuery
from api.packages import PackageQuery
from api.pages import PAGE, Connection, check_first, encode, instant, moment, page
from api.paths import Path, Paths
from api.plans import PlanQuery
from api.promotions import PromotionQuery
from api.questions import StopInput, WalkFilter, Within, check_starts
from api.reproductions import ReproductionQuery
from api.runs import Run
from api.schedules import ScheduleQuery
from api.sdl import input_type, object_type
from api.search import SearchQuery
from api.triggers import TriggerQuery
from api.walks import Walk, walked
from api.webhooks import WebhookQuery
from lineage import artifacts as domain
from lineage import comparison
from lineage import runs as domain_runs
from lineage.artifacts import ArtifactKind, EdgeType
from lineage.audits import audit as audits
from lineage.runs import RunKind, RunState
from lineage.store import artifacts as stored
from lineage.store import runs as stored_runs
from lineage.store.paths import MOST_PATHS
from lineage.store.questions import Direction

WALK_PAGE, PATHS = 100, 10
Kinds = list[ArtifactKind] | None


@input_type
class ArtifactFilter:
    """Which artifacts to list; what is left out filters nothing."""

    kinds: list[ArtifactKind] | None = None
    namespace: str | None = None
    name: str | None = None
    tag: str | None = None
    alias: str | None = None
    retracted: bool = False


@input_type
class RunFilter:
    """Which runs to list; what is left out filters nothing."""

    kinds: list[RunKind] | None = None
    states: list[RunState] | None = None


@object_type
class Status:
    """The server and what it stands on."""

    version: str
    neo4j_version: str
    executors: list[str]


@object_type
class Query(
    DeploymentQuery,
    ReproductionQuery,
    ScheduleQuery,
    FiringQuery,
    FreshnessQuery,
    PackageQuery,
    SearchQuery,
    TriggerQuery,
    WebhookQuery,
    PlanQuery,
    PromotionQuery,
):
    """What clients may ask."""

    @strawberry.field
    async def artifact(
        self, info: Info, kind: ArtifactKind, name: str, namespace: str = "default", version: str | None = None
    ) -> Artifact | None:
        """A version of a name: the one given, the one that "@alias" points to, or the newest."""
        found = await info.context.store.artifacts.get(kind, name, namespace=namespace, version=version)
        return shown(found) if found else None

    @strawberry.field
    async def node(self, info: Info, id: strawberry.ID) -> Node | None:
        """Whatever has the id: an artifact, a run, an asset."""
        loaders = info.context.loaders
        if run := await loaders.runs.load(id):
            return Run.of(run)
        if artifact := await loaders.artifacts.load(id):
            return shown(artifact)
        versions = await info.context.store.artifacts.versions(id)
        return Asset.of(versions[0]) if versions else None

    @strawberry.field
    async def artifacts(
        self, info: Info, filter: ArtifactFilter | None = None, first: int = PAGE, after: str | None = None
    ) -> Connection[Artifact]:
        """Artifacts, the newest first."""
        check_first(first)
        wanted = stored.ArtifactFilter(**vars(filter)) if filter else stored.ArtifactFilter()
        repository = info.context.store.artifacts
        rows = await repository.page(wanted, first=first + 1, after=moment(after))
        return page(rows, first, node=shown, cursor=_recorded, count=lambda: repository.count(wanted))

    @strawberry.field
    async def impact(
        self,
        info: Info,
        of: list[strawberry.ID],
        kinds: Kinds = None,
        max_depth: int | None = None,
        as_of: datetime | None = None,
        retracted: bool = False,
        first: int = WALK_PAGE,
        after: str | None = None,
        types: list[EdgeType] | None = None,
        stop: StopInput | None = None,
        filter: WalkFilter | None = None,
    ) -> Walk:
        """Everything that depends on these artifacts, the nearest first, as the graph was at an instant."""
        within = Within(
            kinds=kinds,
            max_depth=max_depth,
            as_of=as_of,
            retracted=retracted,
            types=types,
            stop=stop,
            filter=filter,
        )
        return await walked(info, Direction.DOWN, of, within, first, after)

    @strawberry.field
    async def provenance(
        self,
        info: Info,
        of: list[strawberry.ID],
        kinds: Kinds = None,
        max_depth: int | None = None,
        as_of: datetime | None = None,
        retracted: bool = False,
        first: int = WALK_PAGE,
        after: str | None = None,
        types: list[EdgeType] | None = None,
        stop: StopInput | None = None,
        filter: WalkFilter | None = None,
    ) -> Walk:
        """Everything that these artifacts depend on, the nearest first, as the graph was at an instant."""
        within = Within(
            kinds=kinds,
            max_depth=max_depth,
            as_of=as_of,
            retracted=retracted,
            types=types,
            stop=stop,
            filter=filter,
        )
        return await walked(info, Direction.UP, of, within, first, after)

    @strawberry.field
    async def paths(
        self,
        info: Info,
        from_: Annotated[strawberry.ID, strawberry.argument(name="from")],
        to: strawberry.ID,
        first: int = PATHS,
    ) -> list[Path]:
        """The shortest ways between two artifacts, whichever depends on the other."""
        found, _ = await info.context.store.walks.paths(from_, to, first=check_first(first, MOST_PATHS))
        return [Path.of(path) for path in found]

    @strawberry.field
    async def why(
        self,
        info: Info,
        of: list[strawberry.ID],
        node: strawberry.ID,
        as_of: datetime | None = None,
        first: int = PATHS,
    ) -> Paths:
        """Why an artifact is in the answer about others: the shortest ways between them, and whether there are more."""
        check_starts(of)
        check_first(first, MOST_PATHS)
        return Paths.of(await info.context.store.walks.why(of, node, first=first, as_of=instant(as_of)))

    @strawberry.field
    async def audit(self, info: Info, model: strawberry.ID, verify: bool = True) -> Audit:
        """Where a model comes from, whether the record is complete, and whether the bytes still match it."""
        services = info.context.services
        found = await audits.audit(
            services.store, model, files=services.files, verify=verify, trial_counts=services.studies.counts
        )
        return Audit.of(found)

    @strawberry.field
    async def compare(self, info: Info, a: strawberry.ID, b: strawberry.ID) -> Comparison:
        """What differs between two artifacts of one kind, and their nearest common ancestors."""
        services = info.context.services
        return Comparison.of(await comparison.compare(services.store, a, b, files=services.files))

    @strawberry.field
    async def run(self, info: Info, id: strawberry.ID) -> Run | None:
        """One run."""
        run = await info.context.loaders.runs.load(id)
        return Run.of(run) if run else None

    @strawberry.field
    async def runs(
        self, info: Info, filter: RunFilter | None = None, first: int = PAGE, after: str | None = None
    ) -> Connection[Run]:
        """Runs, the newest first."""
        check_first(first)
        wanted = stored_runs.RunFilter(**vars(filter)) if filter else stored_runs.RunFilter()
        repository = info.context.store.runs
        rows = await repository.page(wanted, first=first + 1, after=moment(after))
        return page(rows, first, node=Run.of, cursor=_created, count=lambda: repository.count(wanted))

    @strawberry.field
    def version(self) -> str:
        """The version of the server."""
        return version("lineage-graph")

    @strawberry.field
    async def status(self, info: Info) -> Status:
        """The server and what it stands on."""
        executors = sorted({entry.name for entry in entry_points(group="lineage.executors")})
        neo4j = await info.context.store.graph.version()
        return Status(version=version("lineage-graph"), neo4j_version=neo4j, executors=executors)


def _recorded(artifact: domain.Artifact) -> str:
    return encode(artifact.created_at.isoformat() if artifact.created_at else "", artifact.id)


def _created(run: domain_runs.Run) -> str:
    return encode(run.created_at.isoformat(), run.id)
