"""Runs: things that are done, their states, and who may do them."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self


class RunKind(StrEnum):
    """What a run does."""

    INGEST = "INGEST"
    MATERIALISE = "MATERIALISE"
    #: Resolve an environment's packages to a lock.
    RESOLVE = "RESOLVE"
    #: Make an environment ready where it will be run in.
    BUILD = "BUILD"
    TUNE = "TUNE"
    TRAIN = "TRAIN"
    EVALUATE = "EVALUATE"
    #: Score a champion and its challengers on the same rows, and judge them.
    BENCHMARK = "BENCHMARK"
    SCORE = "SCORE"
    #: Compare what a model was given with what it has learned from.
    DRIFT = "DRIFT"
    #: Measure a model on predictions that it made before their labels were there.
    QUALITY = "QUALITY"
    #: Serve a model online; over when it is live.
    DEPLOY = "DEPLOY"
    #: Make an artifact again from its recorded inputs and compare.
    REPRODUCE = "REPRODUCE"


class RunState(StrEnum):
    """Where a run is. LOST is not FAILED: nobody knows how the work ended, and no retry of the user's is spent."""

    QUEUED = "QUEUED"
    BUILDING = "BUILDING"
    SUBMITTED = "SUBMITTED"
    RUNNING = "RUNNING"
    NEEDS_RECOVERY = "NEEDS_RECOVERY"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"
    TIMED_OUT = "TIMED_OUT"
    LOST = "LOST"


S = RunState

#: States in which a worker holds the lease.
LEASED = frozenset({S.BUILDING, S.SUBMITTED, S.RUNNING})
#: States from which a worker may take the run.
READY = frozenset({S.QUEUED, S.NEEDS_RECOVERY})
#: States that never change again.
OVER = frozenset({S.SUCCEEDED, S.FAILED, S.CANCELED, S.TIMED_OUT, S.LOST})

#: Which state may follow which.
NEXT: Mapping[RunState, frozenset[RunState]] = {
    S.QUEUED: frozenset({S.BUILDING, S.CANCELED}),
    S.BUILDING: frozenset({S.SUBMITTED, S.RUNNING, S.QUEUED, S.NEEDS_RECOVERY}) | OVER,
    S.SUBMITTED: frozenset({S.RUNNING, S.QUEUED, S.NEEDS_RECOVERY}) | OVER,
    S.RUNNING: frozenset({S.QUEUED, S.NEEDS_RECOVERY}) | OVER,
    S.NEEDS_RECOVERY: frozenset({S.BUILDING, S.CANCELED, S.LOST}),
    **{state: frozenset() for state in OVER},
}


def new_run_id() -> str:
    """A fresh id; lower case, since YARN's tags and Docker's names must carry it."""
    return f"run-{secrets.token_hex(10)}"


@dataclass(frozen=True, kw_only=True)
class Run:
    """One thing that was done, or is to be done."""

    id: str
    kind: RunKind
    state: RunState
    executor: str
    #: What is asked for, as JSON: ids of artifacts, numbers, names.
    spec: Mapping[str, Any]
    created_at: datetime
    created_by: str
    #: How often work was started anew; a worker that adopts what still runs does not count.
    attempt: int = 0
    #: How often the lease was handed out; every write of a worker is fenced by it.
    generation: int = 0
    max_attempts: int = 2
    owner: str | None = None
    leased_until: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    attempt_started_at: datetime | None = None
    #: Whether it was leased to go on with what an earlier worker has begun.
    recovering: bool = False
    #: When the work itself was last heard of, by the run protocol.
    last_beat_at: datetime | None = None
    phase: str | None = None
    progress: float | None = None
    #: What a cluster calls the work of the latest attempt, and where it shows it; none where there is no cluster.
    application: str | None = None
    tracking_url: str | None = None
    message: str | None = None
    #: The number of the newest piece of its log.
    log_seq: int = 0
    #: A word for machines when it ended badly: ERROR, OOM, TIMEOUT, INVALID_INPUT, …
    reason: str | None = None
    result: Mapping[str, Any] = field(default_factory=dict)
    idempotency_key: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether its state is final."""
        return self.state in OVER

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read it back from the map that a query returns."""
        known = {name: row[name] for name in cls.__dataclass_fields__ if row.get(name) is not None}
        known |= {
            "kind": RunKind(row["kind"]),
            "state": RunState(row["state"]),
            "spec": json.loads(row.get("spec") or "{}"),
            "result": json.loads(row.get("result") or "{}"),
        }
        return cls(**known)


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The right to do one run until *until*; every write made under it names its generation."""

    run: Run
    worker: str
    generation: int
    until: datetime


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How the work of a run ended, as its executor saw it."""

    state: RunState
    reason: str | None = None
    message: str | None = None
    log_tail: str = ""


@dataclass(frozen=True, kw_only=True)
class RetryDecision:
    """What to do with a run whose attempt ended badly."""

    state: RunState
    not_before: datetime | None = None


#: Reasons that the same attempt would meet again: trying again only wastes time.
PERMANENT: frozenset[str] = frozenset(
    {
        "INVALID_INPUT",
        "NOT_FOUND",
        "RESOLUTION",
        "USER_CODE",
        "ENVIRONMENT",
        "OOM",
        "PROCESSES",
        "DISK",
        "NOT_HEALTHY",
        "SUPERSEDED",
    }
)


def retry(run: Run, outcome: Outcome, *, now: datetime, base: timedelta = timedelta(seconds=2)) -> RetryDecision:
    """Decide whether *run* is tried again: transient ends are, after a pause that doubles, up to its attempts."""
    may = outcome.state in {S.FAILED, S.LOST} and outcome.reason not in PERMANENT
    if may and run.attempt < run.max_attempts and run.cancel_requested_at is None:
        return RetryDecision(state=S.QUEUED, not_before=now + base * 2**run.attempt)
    return RetryDecision(state=outcome.state)
