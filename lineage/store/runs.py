"""The queue: runs as nodes, handed out one lease at a time, every write of a worker fenced by its generation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lineage.artifacts import Artifact, Edge, canonical
from lineage.errors import Conflict, LeaseLost, NotFound
from lineage.runs import Lease, Outcome, Run, RunKind, RunState
from lineage.store.graph import Graph, Row, Transaction
from lineage.store.recording import Entry, write

LOG_LIMIT = 2 * 1024 * 1024  # characters of log that a run keeps in the graph


@dataclass(frozen=True, kw_only=True)
class RunFilter:
    """Which runs a page shows; None filters nothing."""

    kinds: Sequence[RunKind] | None = None
    states: Sequence[RunState] | None = None

    def params(self) -> Row:
        """The same as parameters of a query."""
        return {
            "kinds": None if self.kinds is None else [kind.value for kind in self.kinds],
            "states": None if self.states is None else [state.value for state in self.states],
        }


class Runs:
    """Runs: created by mutations, leased by workers, finished in one transaction."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    async def create(self, run: Run, *, used: Sequence[str] = (), environment: str | None = None) -> Run:
        """Queue *run*; when its idempotency key is known, the first run with it is returned and nothing is made.

        Raise Conflict when the first run with the key was to do something else.
        """
        row = await self._graph.one(
            "create_run", run=_node(run), used=sorted(set(used)), environment=environment, now=run.created_at
        )
        first = _run(row)
        if first.id != run.id and (other := _differences(first, run)):
            message = f"the idempotency key {run.idempotency_key!r} belongs to {first.id}, which differs in"
            raise Conflict(f"{message} {', '.join(other)}; use another key for another request")
        return first

    async def get(self, id: str) -> Run:
        """The run *id*; raise NotFound when there is none."""
        row = await self._graph.one("run_by_id", id=id)
        if row is None:
            raise NotFound(f"there is no run with the id {id!r}")
        return _run(row)

    async def by_ids(self, ids: Sequence[str]) -> dict[str, Run]:
        """The runs of *ids*, by id."""
        runs = [_run(row) for row in await self._graph.many("runs_by_id", ids=list(ids))]
        return {run.id: run for run in runs}

    async def by_token(self, token_hash: str) -> Run | None:
        """The run whose present attempt has the token with this sha256, or None."""
        row = await self._graph.one("run_by_token", token_hash=token_hash)
        return _run(row) if row else None

    async def page(self, filter: RunFilter, *, first: int, after: tuple[datetime, str] | None = None) -> list[Run]:
        """At most *first* runs, the newest first, behind the one created at *after*."""
        after_at, after_id = after or (None, None)
        rows = await self._graph.many("page_runs", **filter.params(), first=first, after_at=after_at, after_id=after_id)
        return [_run(row) for row in rows]

    async def count(self, filter: RunFilter) -> int:
        """How many runs *filter* lets through."""
        row = await self._graph.one("count_runs", **filter.params())
        return int(row["total"]) if row else 0

    async def lease(self, worker: str, *, executors: Sequence[str], now: datetime, ttl: timedelta) -> Lease | None:
        """Hand the oldest ready run to *worker*, or return None when nothing waits or another was first."""
        row = await self._graph.one("lease_run", worker=worker, executors=list(executors), now=now, until=now + ttl)
        return _lease(row, worker) if row else None

    async def renew(self, lease: Lease, *, now: datetime, ttl: timedelta) -> Lease:
        """Keep *lease* for longer and see the run as it is now; raise LeaseLost when it is over."""
        return await self._fenced("renew_lease", lease, now=now, until=now + ttl)

    async def advance(self, lease: Lease, *, now: datetime, **changes: Any) -> Lease:
        """Note how far the run has come: state, phase, progress (0 to 1), message, where a cluster shows it."""
        return await self._fenced("advance_run", lease, now=now, changes=_plain(changes))

    async def house(self, lease: Lease, place: str, *, now: datetime) -> Lease:
        """Note that the run runs in the artifact *place*; raise LeaseLost when the lease is over."""
        return await self._fenced("house_run", lease, place=place, now=now)

    async def begin_attempt(self, lease: Lease, *, token_hash: str, now: datetime) -> Lease:
        """Count a new attempt and give it its token; what earlier attempts still say is refused from here on."""
        return await self._fenced("begin_attempt", lease, token_hash=token_hash, now=now)

    async def finish(
        self,
        lease: Lease,
        outcome: Outcome,
        *,
        now: datetime,
        result: Mapping[str, Any] | None = None,
        artifacts: Sequence[Artifact] = (),
        edges: Sequence[Edge] = (),
        reproduced: Mapping[str, str] | None = None,
    ) -> Run:
        """End the run with all that it made, in one transaction; raise LeaseLost and write nothing when stale.

        *reproduced* has the verdict on each artifact that it made again, by id.
        """
        changes = _plain(
            {"reason": outcome.reason, "message": outcome.message, "ended_at": now, "result": result or {}}
        )

        by, run_id = lease.run.created_by, lease.run.id
        entry = Entry(artifacts=artifacts, edges=edges, now=now, by=by, run_id=run_id)

        async def work(tx: Transaction) -> Row:
            row = await tx.one(
                "finish_run",
                id=lease.run.id,
                generation=lease.generation,
                state=outcome.state.value,
                changes=changes,
                now=now,
            )
            if row is None:
                raise LeaseLost(lease.run.id, lease.generation)
            await _close_trials(tx, _run(row), now=now)
            await write(tx, [entry])
            await tx.run("link_generated", id=lease.run.id, artifacts=[a.id for a in artifacts], now=now)
            await tx.run("link_reproduced", id=lease.run.id, verdicts=_pairs(reproduced or {}), now=now)
            return row

        return _run(await self._graph.write(work))

    async def give_back(
        self, lease: Lease, state: RunState, *, now: datetime, not_before: datetime, outcome: Outcome | None = None
    ) -> Run:
        """Let the run wait again in *state* (QUEUED for a new attempt, NEEDS_RECOVERY for another worker)."""
        changes: dict[str, Any] = {"not_before": not_before}
        if outcome is not None:
            changes |= {"reason": outcome.reason, "message": outcome.message}
        row = await self._graph.one(
            "finish_run",
            id=lease.run.id,
            generation=lease.generation,
            state=state.value,
            changes=changes,
            now=now,
        )
        if row is None:
            raise LeaseLost(lease.run.id, lease.generation)
        return _run(row)

    async def recover_expired(self, *, now: datetime) -> list[Run]:
        """Make runs whose worker has been silent for too long ready for another one."""
        return [_run(row) for row in await self._graph.many("recover_expired", now=now)]

    async def cancel(self, id: str, *, now: datetime) -> Run:
        """Ask a run to stop; one that waits stops at once, one that runs at its next heartbeat."""

        async def work(tx: Transaction) -> Run:
            row = await tx.one("cancel_run", id=id, now=now)
            if row is None:
                raise NotFound(f"there is no run with the id {id!r}")
            run = _run(row)
            await _close_trials(tx, run, now=now)
            return run

        return await self._graph.write(work)

    async def beat(self, id: str, *, now: datetime, progress: float | None = None, message: str | None = None) -> Run:
        """Note a sign of life of the work itself."""
        return _run(await self._graph.one("beat_run", id=id, now=now, progress=progress, message=message))

    async def append_log(self, id: str, *, attempt: int, text: str, now: datetime) -> bool:
        """Keep the next piece of the log; False when the run's log is full."""
        row = await self._graph.one("append_log", run_id=id, attempt=attempt, text=text, now=now, limit=LOG_LIMIT)
        return bool(row and row["kept"])

    async def log(self, id: str, *, after: int = 0, first: int = 200) -> list[Row]:
        """Pieces of the log behind number *after*, in order: seq, attempt, text, at."""
        return await self._graph.many("read_log", run_id=id, after=after, first=first)

    async def traces(self, ids: Sequence[str]) -> dict[str, Row]:
        """What runs used, generated and were housed in: ids of artifacts, by the id of the run."""
        return {row["id"]: row for row in await self._graph.many("used_by_run", ids=list(ids))}

    async def makers(self, artifact_ids: Sequence[str]) -> dict[str, list[Run]]:
        """The runs that made these artifacts, by the id of the artifact."""
        found: dict[str, list[Run]] = {}
        for row in await self._graph.many("runs_that_made", ids=list(artifact_ids)):
            found.setdefault(row["id"], []).append(_run(row))
        return found

    async def reproductions(self, of: str) -> list[Run]:
        """The runs that have made the artifact *of* again, the newest first."""
        return [_run(row) for row in await self._graph.many("runs_that_reproduced", of=of)]

    async def _fenced(self, query: str, lease: Lease, **params: Any) -> Lease:
        row = await self._graph.one(query, id=lease.run.id, generation=lease.generation, **params)
        if row is None:
            raise LeaseLost(lease.run.id, lease.generation)
        return _lease(row, lease.worker)


async def _close_trials(tx: Transaction, run: Run, *, now: datetime) -> None:
    if run.kind is RunKind.TUNE and run.is_over:
        await tx.run("close_trials", run_id=run.id, reason=run.reason or run.state.value, now=now)


def _run(row: Row | None) -> Run:
    if row is None:
        raise NotFound("the run is not there any more")
    return Run.from_row(row["run"])


def _differences(first: Run, second: Run) -> list[str]:
    one, other = ({"kind": each.kind, "executor": each.executor, **each.spec} for each in (first, second))
    names = sorted(one.keys() | other.keys())
    return [name for name in names if canonical(one.get(name)) != canonical(other.get(name))]


def _pairs(verdicts: Mapping[str, str]) -> list[Row]:
    return [{"id": id, "verdict": verdict} for id, verdict in sorted(verdicts.items())]


def _lease(row: Row, worker: str) -> Lease:
    run = _run(row)
    assert run.leased_until is not None
    return Lease(run=run, worker=worker, generation=run.generation, until=run.leased_until)


def _plain(changes: Mapping[str, Any]) -> Row:
    nested = {"spec", "result"}
    return {name: canonical(value) if name in nested else value for name, value in changes.items()}


def _node(run: Run) -> Row:
    fields = {name: getattr(run, name) for name in Run.__dataclass_fields__}
    fields |= {
        "idempotency_key": run.idempotency_key or run.id,
        "not_before": run.created_at,
        "updated_at": run.created_at,
    }
    return {name: value for name, value in _plain(fields).items() if value is not None}
