"""Requests for promotion: an alias that shall move to a model, what the gate said, and who decided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self


class PromotionState(StrEnum):
    """Where a request is."""

    #: The benchmark runs.
    GATING = "GATING"
    #: A person has to say yes or no.
    WAITING = "WAITING"
    #: The gate has refused it; a person may still override it with a reason.
    REFUSED = "REFUSED"
    #: The alias has moved.
    PROMOTED = "PROMOTED"
    #: A person has said no.
    REJECTED = "REJECTED"
    #: The alias was moved by somebody else meanwhile, or the model was retracted.
    OUTDATED = "OUTDATED"
    #: The benchmark did not come to an end.
    FAILED = "FAILED"


S = PromotionState
#: States in which a person may decide.
DECIDABLE = frozenset({S.WAITING, S.REFUSED})


@dataclass(frozen=True, kw_only=True)
class PromotionRequest:
    """An alias that shall move to *model*; *champion* is what it pointed to when that was asked for."""

    id: str
    asset: str
    alias: str
    model: str
    state: PromotionState
    created_at: datetime
    created_by: str
    champion: str | None = None
    benchmark: str | None = None
    #: Whether the alias moves by itself when the gate says PASSED.
    is_automatic: bool = False
    executor: str = "process"
    reason: str | None = None
    run: str | None = None
    verdict: str | None = None
    #: What the gate said: PASSED, REFUSED, NO_THRESHOLDS, NO_CHAMPION.
    gate: str | None = None
    message: str | None = None
    decided_at: datetime | None = None
    decided_by: str | None = None
    decided_reason: str | None = None
    is_override: bool = False

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read it back from the map that a query returns."""
        known = {name: row[name] for name in cls.__dataclass_fields__ if row.get(name) is not None}
        return cls(**{**known, "state": PromotionState(row["state"])})


@dataclass(frozen=True, kw_only=True)
class Held:
    """An interval in which an alias pointed to a version."""

    artifact: str
    since: datetime
    until: datetime | None = None
    is_rollback: bool = False


def before(history: Sequence[Held]) -> list[str]:
    """Versions that an alias may be rolled back to, the nearest first.

    A promotion puts a version on top of those before it; a rollback takes the top ones away. So rolling back twice
    goes two versions back, and never forth again to what was rolled back.
    """
    stack: list[str] = []
    for each in sorted(history, key=lambda each: (each.since, each.until is None, each.until or each.since)):
        if each.is_rollback and each.artifact in stack:
            while stack[-1] != each.artifact:
                stack.pop()
        elif not stack or stack[-1] != each.artifact:
            stack.append(each.artifact)
    current = stack[-1] if stack else None
    return [each for each in reversed(stack[:-1]) if each != current]
