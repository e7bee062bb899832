"""Trials as the rest of the system sees them: what a slot is asked to try, and what became of it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from lineage.artifacts import canonical, digest_of
from lineage.errors import InvalidInput
from lineage.tuning import nodes
from lineage.tuning.nodes import Row

#: How a slot may say that a trial ended.
TOLD = ("COMPLETE", "PRUNED", "FAIL")
#: Why it may say that a trial failed: its code raised, or its process was ended over a limit.
REASONS = ("ERROR", "OOM", "PROCESSES", "TIMEOUT")


@dataclass(frozen=True, kw_only=True)
class AskedTrial:
    """A trial that a slot is to run."""

    number: int
    params: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The answer to an ask: a trial, or the end of the search, or seconds to wait before asking again."""

    trial: AskedTrial | None
    done: bool
    wait: float


@dataclass(frozen=True, kw_only=True)
class TrialRow:
    """One trial. Its state is one of Optuna's, or LOST when its slot or attempt was given up."""

    number: int
    state: str
    params: Mapping[str, Any]
    value: float | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    #: What was reported on the way, by step.
    intermediate: Mapping[int, float] = field(default_factory=dict)
    slot: str | None = None
    attempt: int | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    #: A word for machines when it ended badly: ERROR, TIMEOUT, NOT_FINITE, LOST, OOM, …
    reason: str | None = None
    error: str | None = None
    #: The number of the lost trial whose parameters are tried again.
    retry_of: int | None = None

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read it back from the map that a query returns."""
        plain = ("slot", "attempt", "started_at", "ended_at", "reason", "error", "retry_of")
        return cls(
            number=row["number"],
            state=row["state"],
            params=nodes.params_of(row),
            value=(row.get("values") or [None])[0],
            metrics=nodes.metrics_of(row),
            intermediate=nodes.steps_of(row),
            **{name: row.get(name) for name in plain},
        )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a trial ended, brought to the one form in which it is kept and compared."""

    state: str
    values: list[float] | None = None
    metrics: Mapping[str, float | None]
    reason: str | None = None
    error: str | None = None

    @classmethod
    def of(
        cls,
        state: str,
        value: float | None,
        metrics: Mapping[str, float | None],
        error: str | None,
        reason: str | None = None,
    ) -> Self:
        """What a slot told; a complete trial without a finite value has failed."""
        if state not in TOLD:
            raise InvalidInput.unknown("state", state, TOLD, field="state")
        if reason is not None and reason not in REASONS:
            raise InvalidInput.unknown("reason", reason, REASONS, field="reason")
        finite = {name: _finite(each) for name, each in metrics.items()}
        if state == "FAIL":
            return cls(state=state, metrics=finite, reason=reason or "ERROR", error=error)
        known = _finite(value)
        if state == "COMPLETE" and known is None:
            return cls(state="FAIL", metrics=finite, reason="NOT_FINITE", error=f"the objective is {value}")
        return cls(state=state, values=None if known is None else [known], metrics=finite, error=error)

    def node(self) -> dict[str, Any]:
        """The properties that it gives the trial's node."""
        return {**vars(self), "metrics": canonical(dict(self.metrics))}

    @property
    def digest(self) -> str:
        """The same for what was told twice, another for anything else."""
        return digest_of({**vars(self), "metrics": dict(self.metrics)})


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
