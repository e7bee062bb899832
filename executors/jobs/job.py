"""One leased run while a worker does it: what it may use, and how it speaks to the graph."""

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio

from executors.base import Executor
from lineage.artifacts import Artifact, Edge
from lineage.errors import LineageError
from lineage.files import Files
from lineage.runs import Lease, Run, RunState
from lineage.settings import Settings
from lineage.store import Store
from lineage.tuning.studies import Studies


class Canceled(LineageError):
    """Somebody asked the run to stop, and it has stopped."""

    code = "CANCELED"


@dataclass(frozen=True, kw_only=True)
class Landing:
    """What a run made: lands in the graph in one transaction when the run is finished."""

    artifacts: Sequence[Artifact] = ()
    edges: Sequence[Edge] = ()
    result: dict[str, Any] = field(default_factory=dict)
    #: What the run has made again, and the verdict: artifact id → word.
    reproduced: Mapping[str, str] = field(default_factory=dict)

    def with_(self, artifact: Artifact, edges: Sequence[Edge]) -> "Landing":
        """The same with another artifact and its edges."""
        return replace(self, artifacts=[*self.artifacts, artifact], edges=[*self.edges, *edges])


@dataclass(kw_only=True)
class Job:
    """The context of one run; *lease* is replaced as it is renewed."""

    lease: Lease
    store: Store
    files: Files
    studies: Studies
    settings: Settings
    executor: Executor
    now: Callable[[], datetime]
    token: str | None = None
    #: Whether work of this attempt was started, or adopted, under this lease.
    has_begun: bool = False
    cancelled: anyio.Event = field(default_factory=anyio.Event)

    @property
    def run(self) -> Run:
        """The run as the graph had it last."""
        return self.lease.run

    @property
    def spec(self) -> Any:
        """What is asked for."""
        return self.lease.run.spec

    @property
    def root(self) -> Path:
        """The folder of the present attempt."""
        return self.settings.home / "runs" / self.run.id / str(self.run.attempt)

    async def log(self, text: str) -> None:
        """Add *text* to the run's log."""
        if text:
            await self.store.runs.append_log(self.run.id, attempt=self.run.attempt, text=text, now=self.now())

    async def advance(self, *, state: RunState | None = None, **changes: Any) -> None:
        """Note how far the run has come."""
        if state is not None:
            changes["state"] = state.value
        self.lease = await self.store.runs.advance(self.lease, now=self.now(), **changes)

    async def house(self, place: Artifact, edges: Sequence[Edge]) -> None:
        """Note the very bytes that the run runs in."""
        now = self.now()
        await self.store.artifacts.record([place], edges, now=now, by=self.run.created_by)
        self.lease = await self.store.runs.house(self.lease, place.id, now=now)

    async def begin_attempt(self) -> None:
        """Start anew: a fresh token, and the running trials of earlier attempts are given up as lost."""
        self.token = secrets.token_urlsafe(32)
        hashed = hashlib.sha256(self.token.encode()).hexdigest()
        self.lease = await self.store.runs.begin_attempt(self.lease, token_hash=hashed, now=self.now())
        self.has_begun = True
        await self.studies.abandon(self.run.id, before_attempt=self.run.attempt, now=self.now())

    def check_cancelled(self) -> None:
        """Raise Canceled when somebody has asked the run to stop."""
        if self.cancelled.is_set():
            raise Canceled(f"run {self.run.id} was cancelled")
