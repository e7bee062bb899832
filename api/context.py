"""What a resolver may reach: the services of the server, and loaders that gather what one request asks for."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, TypeAlias, TypedDict, TypeVar

import strawberry
from strawberry.dataloader import DataLoader

from lineage.artifacts import Artifact
from lineage.endpoints import Endpoint
from lineage.files import Files
from lineage.firings import Firing
from lineage.runs import Run
from lineage.settings import Settings
from lineage.store import Store
from lineage.store.graph import Row
from lineage.tuning.studies import Studies

V = TypeVar("V")
BATCH = 1_000  # ids that one query of a loader names


@dataclass(frozen=True, kw_only=True)
class Services:
    """What the server was started with."""

    store: Store
    files: Files
    studies: Studies
    settings: Settings
    now: Callable[[], datetime]


class Loaders:
    """One batch for each kind of question, however many fields ask it.

    Args:
        cache: whether an answer is kept; a request may, a socket that lives for hours may not.
    """

    def __init__(self, services: Services, *, cache: bool) -> None:
        store, studies = services.store, services.studies

        async def dependencies(ids: list[str]) -> Mapping[str, list[Row]]:
            return _grouped(await store.artifacts.dependencies(ids), "source")

        async def dependents(ids: list[str]) -> Mapping[str, list[Row]]:
            return _grouped(await store.artifacts.dependents(ids), "target")

        def loader(fetch: Callable[[list[str]], Awaitable[Mapping[str, V]]], missing: V) -> DataLoader[str, V]:
            async def load(ids: list[str]) -> list[V]:
                found = await fetch(ids)
                return [found.get(id, missing) for id in ids]

            return DataLoader(load_fn=load, max_batch_size=BATCH, cache=cache)

        self.artifacts: DataLoader[str, Artifact | None] = loader(store.artifacts.by_ids, None)
        self.aliases: DataLoader[str, list[str]] = loader(store.artifacts.aliases, [])
        self.dependencies: DataLoader[str, list[Row]] = loader(dependencies, [])
        self.dependents: DataLoader[str, list[Row]] = loader(dependents, [])
        self.model_counts: DataLoader[str, int] = loader(store.search.models, 0)
        self.makers: DataLoader[str, list[Run]] = loader(store.runs.makers, [])
        self.runs: DataLoader[str, Run | None] = loader(store.runs.by_ids, None)
        self.plans: DataLoader[str, str | None] = loader(store.plans.started_by, None)
        self.firings: DataLoader[str, Firing | None] = loader(store.firings.that_started, None)
        self.traces: DataLoader[str, Row] = loader(store.runs.traces, {})
        self.endpoints: DataLoader[str, Endpoint | None] = loader(store.endpoints.by_ids, None)
        self.trial_counts: DataLoader[str, dict[str, int]] = loader(studies.counts_of, {})

    async def present(self, ids: Iterable[str]) -> list[Artifact]:
        """The artifacts of *ids* in their order; those that are not there are left out."""
        return [each for each in await self.artifacts.load_many(list(ids)) if each is not None]


@dataclass(kw_only=True)
class Context:
    """What one request brings along."""

    services: Services
    by: str
    #: Whether the caller has shown the token; a socket does so in its first message.
    is_trusted: bool
    is_socket: bool = False
    connection_params: dict[str, Any] | None = None

    @cached_property
    def loaders(self) -> Loaders:
        """Batches of questions, made when the first of them is asked."""
        return Loaders(self.services, cache=not self.is_socket)

    @property
    def store(self) -> Store:
        """The graph's repositories."""
        return self.services.store

    def refresh(self) -> None:
        """Forget what loaders have kept, since the graph is about to change."""
        self.__dict__.pop("loaders", None)

    def now(self) -> datetime:
        """The time, by the server's clock."""
        return self.services.now()


Info: TypeAlias = strawberry.Info[Context, None]


class Asker(TypedDict):
    """Who asks, and when."""

    by: str
    now: datetime


def changing(info: Info) -> Asker:
    """Who is about to change the graph, and when; loaders forget what they have kept."""
    info.context.refresh()
    return {"by": info.context.by, "now": info.context.now()}


def _grouped(rows: Sequence[Row], key: str) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row[key], []).append(row)
    return found
