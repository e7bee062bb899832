"""Studies: the search of a run, trial by trial, for slots that may die and a server that may be started anew.

Whatever must be exact is decided in the graph, under the lock of the study's node: who gets which trial, how much of
the budget is taken, how a trial ended. The sampler draws in between, from a replica that is caught up by each claim.
"""

import json
import secrets
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import anyio
import optuna
from anyio import to_thread

from lineage.errors import AttemptOver, Conflict, NotFound
from lineage.searchspace import SearchSpace
from lineage.store.graph import Graph, Row
from lineage.tuning import nodes
from lineage.tuning.replica import Replica
from lineage.tuning.strategies import check_names, count_points
from lineage.tuning.trials import Asked, AskedTrial, Outcome, TrialRow

__all__ = ["Asked", "AskedTrial", "Studies", "TrialRow", "check_names"]

WAIT_SECONDS = 1.0  # after which a slot asks again when all trials are taken and some still run
KILLS = 3  # how many slots the same parameters may end before they are at fault
SESSIONS = 64  # studies that one process keeps in memory


class Studies:
    """Asks and tells for any number of runs, slots and processes."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        optuna.logging.set_verbosity(optuna.logging.WARNING)

    async def ensure(
        self,
        run_id: str,
        *,
        space: SearchSpace,
        metric: str,
        greater_is_better: bool,
        trials: int,
        sampler: str = "tpe",
        pruner: str = "median",
        seed: int | None = None,
        max_failed: int | None = None,
        now: datetime | None = None,
    ) -> None:
        """Make the study of a run, unless it is there; raise Conflict when that one searches for something else.

        A grid ends with its last point, however many *trials* are allowed. Without a *seed*, one is made and recorded.
        Once more than *max_failed* trials have failed, nothing more is asked; a study keeps the number it began with.
        """
        check_names(sampler=sampler, pruner=pruner)
        asked = {
            "space": space.canonical(),
            "metric": metric,
            "direction": "MAXIMIZE" if greater_is_better else "MINIMIZE",
            "trials": trials,
            "sampler": sampler,
            "pruner": pruner,
            "seed": seed,
        }
        budget = await to_thread.run_sync(lambda: count_points(space, most=trials)) if sampler == "grid" else trials
        config = {**_config(asked, budget), "max_failed": max_failed}
        row = await self._graph.one("ensure_study", run_id=run_id, config=config, now=now)
        if row is None:
            raise NotFound(f"there is no run with the id {run_id!r}")
        if json.loads(row["study"]["asked"]) != asked:
            raise Conflict(f"run {run_id} has a study already, which searches for something else; start another run")

    async def ask(self, run_id: str, *, slot: str, attempt: int, now: datetime) -> Asked:
        """The next trial of a slot: the one it has not told yet, one that was lost, or a new one.

        Raise AttemptOver when the attempt was given up.
        """
        session = self._session(run_id)
        async with session.lock:
            row = await self._graph.one(
                "claim_trial",
                run_id=run_id,
                slot=slot,
                attempt=attempt,
                since=session.revision,
                span=nodes.SPAN,
                now=now,
            )
            if row is None:
                raise NotFound(f"run {run_id!r} has no study")
            if row["claim"] == "STALE":
                raise AttemptOver(run_id, attempt)
            await session.catch_up(row)
            if row["number"] is None:
                return Asked(trial=None, done=not row["unfinished"], wait=WAIT_SECONDS if row["unfinished"] else 0.0)
            trial = row["claimed"][0]
            if "constants" not in trial:  # it has not been drawn
                trial = await self._draw(session, run_id, row["number"], attempt)
            return Asked(trial=AskedTrial(number=trial["number"], params=nodes.params_of(trial)), done=False, wait=0.0)

    async def _draw(self, session: "_Session", run_id: str, number: int, attempt: int) -> Row:
        """A claimed trial with its parameters; when another process has drawn them meanwhile, with those."""
        replica, session.replica = session.replica, None  # put away while it knows more than the graph
        assert replica is not None
        drawn = await to_thread.run_sync(replica.draw, number)
        row = await self._graph.one("draw_trial", run_id=run_id, number=number, attempt=attempt, **vars(drawn))
        if row is None or row["trial"]["state"] != "RUNNING" or row["trial"]["attempt"] != attempt:
            raise AttemptOver(run_id, attempt)
        if row["drawn"]:
            session.replica = replica
        trial: Row = row["trial"]
        return trial

    async def report(self, run_id: str, number: int, *, attempt: int, step: int, value: float) -> bool:
        """Note what a running trial has reached at *step*, and say whether it should stop here.

        Raise AttemptOver when the trial was given up, Conflict when it has ended.
        """
        session = self._session(run_id)
        async with session.lock:
            row = await self._graph.one(
                "report_trial",
                run_id=run_id,
                number=number,
                attempt=attempt,
                step=step,
                value=float(value),
                since=session.revision,
            )
            row, state = _checked(row, run_id, number, attempt)
            if state != "RUNNING":
                raise Conflict(f"run {run_id}: trial {number} is {state} and reports no more")
            await session.catch_up(row)
            return await self._prune(session, row["study"]["study_id"], number)

    async def _prune(self, session: "_Session", study_id: int, number: int) -> bool:
        replica, session.replica = session.replica, None
        assert replica is not None
        is_pruned, system = await to_thread.run_sync(replica.prune, number)
        if system["keys"]:
            changes = {**nodes.NOTHING, "system": system}
            await self._graph.one("write_trial", trial_id=study_id * nodes.SPAN + number, **changes)
        session.replica = replica
        return is_pruned

    async def tell(
        self,
        run_id: str,
        number: int,
        *,
        attempt: int,
        state: str,
        value: float | None = None,
        metrics: Mapping[str, float | None] | None = None,
        error: str | None = None,
        reason: str | None = None,
        now: datetime,
    ) -> None:
        """Note how a trial ended; the same may be told again. A value that is not finite makes it a failure.

        Args:
            reason: a word for machines why it failed, one of trials.REASONS; ERROR when none is given.

        Raise AttemptOver when the trial was given up, Conflict when something else was told of it.
        """
        outcome = Outcome.of(state, value, metrics or {}, error, reason)
        row = await self._graph.one(
            "tell_trial",
            run_id=run_id,
            number=number,
            attempt=attempt,
            outcome=outcome.node(),
            told=outcome.digest,
            now=now,
        )
        row, former = _checked(row, run_id, number, attempt)
        if former != "RUNNING" and row["told"] != outcome.digest:
            raise Conflict(f"run {run_id}: trial {number} is {former} already, and ended differently")

    async def abandon(
        self,
        run_id: str,
        *,
        attempt: int | None = None,
        slot: str | None = None,
        before_attempt: int | None = None,
        reason: str = "LOST",
        now: datetime,
    ) -> int:
        """Give up the running trials of an *attempt*, a *slot*, or all attempts *before_attempt*; say how many.

        They are LOST and spend nothing of the budget; their parameters are asked again, in a trial that is a retry of
        them. Parameters that have ended KILLS slots are at fault: the trial then has failed, with the *reason*.
        """
        row = await self._graph.one(
            "abandon_trials",
            run_id=run_id,
            attempt=attempt,
            slot=slot,
            before_attempt=before_attempt,
            reason=reason,
            limit=KILLS,
            span=nodes.SPAN,
            now=now,
        )
        return int(row["lost"]) if row else 0

    async def best(self, run_id: str) -> TrialRow | None:
        """The complete trial with the best value, the first of equals; None when there is none."""
        row = await self._graph.one("best_trial", run_id=run_id)
        return TrialRow.from_row(row["trial"]) if row else None

    async def trials(self, run_id: str) -> list[TrialRow]:
        """Every trial of a run in order, those that run or wait included."""
        return [TrialRow.from_row(row["trial"]) for row in await self._graph.many("trials_of_run", run_id=run_id)]

    async def counts(self, run_id: str) -> dict[str, int]:
        """How many trials are in each state; states without any are left out."""
        return (await self.counts_of([run_id])).get(run_id, {})

    async def counts_of(self, run_ids: Sequence[str]) -> dict[str, dict[str, int]]:
        """The same for several runs, by the id of the run."""
        counts: dict[str, dict[str, int]] = {}
        for row in await self._graph.many("count_trials", run_ids=list(run_ids)):
            counts.setdefault(row["run_id"], {})[row["state"]] = row["count"]
        return counts

    def _session(self, run_id: str) -> "_Session":
        session = self._sessions.setdefault(run_id, _Session())
        self._sessions.move_to_end(run_id)
        idle = [known for known, each in self._sessions.items() if not each.lock.statistics().locked]
        for known in idle[: max(0, len(self._sessions) - SESSIONS)]:
            if known != run_id:
                del self._sessions[known]
        return session


class _Session:
    """What this process keeps of one study. Its replica is put away whenever it may know more than the graph."""

    def __init__(self) -> None:
        self.lock = anyio.Lock()
        self.replica: Replica | None = None

    @property
    def revision(self) -> int:
        """The revision of the study up to which this process knows it; -1 before it knows any."""
        return self.replica.revision if self.replica else -1

    async def catch_up(self, row: Row) -> None:
        """Take in the study and its trials that changed since `revision`."""
        study, replica = row["study"], self.replica
        if replica is None:
            replica = Replica(study, SearchSpace.parse(json.loads(study["asked"])["space"]))
        self.replica = None
        await to_thread.run_sync(replica.merge, study, row["trials"])
        self.replica = replica


def _config(asked: Mapping[str, Any], budget: int) -> Row:
    """What a study's node says of the search, so that it can be gone on with, repeated, and read by Optuna's tools."""
    seed = secrets.randbits(31) if asked["seed"] is None else asked["seed"]
    shown = {name: asked[name] for name in ("metric", "sampler", "pruner", "trials")} | {"seed": seed}
    user, system = nodes.pack(shown), nodes.pack({"study:metric_names": [asked["metric"]]})
    return {
        "asked": json.dumps(asked),  # not sorted: the order of parameters is part of the search
        "budget": budget,
        "metric": asked["metric"],
        "directions": [asked["direction"]],
        "sampler": asked["sampler"],
        "pruner": asked["pruner"],
        "seed": seed,
        "optuna": optuna.__version__,
        "user_keys": user["keys"],
        "user_values": user["values"],
        "system_keys": system["keys"],
        "system_values": system["values"],
    }


def _checked(row: Row | None, run_id: str, number: int, attempt: int) -> tuple[Row, str]:
    """*row* and the state in which the trial was; raise NotFound when there is none, AttemptOver when it was lost."""
    if row is None:
        raise NotFound(f"run {run_id!r} has no trial {number}")
    if not row["fresh"] or row["former"] == "LOST":
        raise AttemptOver(run_id, attempt)
    return row, str(row["former"])
