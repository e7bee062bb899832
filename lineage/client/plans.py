"""Plans from Python: what is wrong is healed, and models are trained again."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from lineage.artifacts import ArtifactKind
from lineage.client import waiting
from lineage.client.answers import known
from lineage.client.artifacts import Artifact
from lineage.client.documents import PLAN_BY_ID, PLANS
from lineage.client.session import Ref, Session, id_of
from lineage.errors import ExecutionFailed
from lineage.plans import PlanState, Reason, StepState

OVER = frozenset({PlanState.SUCCEEDED, PlanState.FAILED, PlanState.CANCELED})


@dataclass(frozen=True, kw_only=True)
class PlanStep:
    """One artifact to be made again, when the steps that it comes *after* have succeeded."""

    number: int
    kind: ArtifactKind
    name: str
    state: StepState
    namespace: str = "default"
    level: int = 0
    after: tuple[int, ...] = ()
    #: How long it took before.
    seconds: float | None = None
    #: Why it cannot be made again.
    blockers: tuple[str, ...] = ()
    message: str | None = None
    of: tuple[Artifact, ...] = ()
    made: Artifact | None = None
    run: str | None = None
    #: From 0 to 1, while its run says so.
    progress: float | None = None

    @classmethod
    def read(cls, data: dict[str, Any]) -> Self:
        """Read it from an answer."""
        run = data.get("run") or {}
        made = {
            "kind": ArtifactKind[data["kind"]],
            "state": StepState(data["state"]),
            "after": tuple(data["after"]),
            "blockers": tuple(data["blockers"]),
            "of": tuple(Artifact.read(each) for each in data["of"]),
            "made": Artifact.read(data["made"]) if data.get("made") else None,
            "run": run.get("id"),
            "progress": run.get("progress"),
        }
        return cls(**{**known(cls, data), **made})


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be made again, in the order of dependencies; the estimate is of earlier runs, in seconds."""

    id: str
    reason: Reason
    state: PlanState
    steps: tuple[PlanStep, ...] = field(repr=False)
    of: tuple[Artifact, ...] = ()
    #: With all side by side that can be.
    seconds: float | None = None
    #: One after the other.
    work_seconds: float | None = None
    created_at: datetime | None = None
    created_by: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing happens any more unless it is executed again."""
        return self.state in OVER

    @classmethod
    def read(cls, data: dict[str, Any]) -> Self:
        """Read it from an answer."""
        made = {
            "reason": Reason(data["reason"]),
            "state": PlanState(data["state"]),
            "steps": tuple(PlanStep.read(each) for each in data["steps"]),
            "of": tuple(Artifact.read(each) for each in data["of"]),
        }
        return cls(**{**known(cls, data), **made})


class Plans(Session):
    """The verbs that make again what depends on something wrong, or a model from newer inputs."""

    def plan_retraining(
        self,
        *of: Ref,
        pins: Sequence[Ref] = (),
        newest: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Plan:
        """Plan the making again of all that is in use and depends on *of*; nothing is started.

        Args:
            pins: versions of inputs to take in the place of those that are wrong.
            newest: kinds of input, as in ArtifactKind, that are renewed besides.
        """
        return self._planned("plan_retraining", {"of": [id_of(each) for each in of]}, pins, newest, idempotency_key)

    def retrain(
        self, model: Ref, *, pins: Sequence[Ref] = (), newest: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Plan:  # fmt: skip
        """Make a model again as it was made, from newer inputs, and start at once."""
        return self._planned("retrain", {"model": id_of(model)}, pins, newest, idempotency_key)

    def execute_plan(self, plan: Plan | str) -> Plan:
        """Start a plan, or go on with one that has failed or was cancelled."""
        return Plan.read(self._mutate("execute_plan", id=_id(plan))["plan"])

    def cancel_plan(self, plan: Plan | str) -> Plan:
        """Ask a plan to stop; what was made stays."""
        return Plan.read(self._mutate("cancel_plan", id=_id(plan))["plan"])

    def plan(self, plan: Plan | str) -> Plan:
        """A plan as it stands now."""
        return Plan.read(self.query(PLAN_BY_ID, id=_id(plan))["plan"])

    def plans(self, *, states: Sequence[PlanState] | None = None, first: int = 20) -> list[Plan]:
        """Plans, the newest first."""
        names = None if states is None else [state.value for state in states]
        found = self.query(PLANS, states=names, first=first, after=None)["found"]
        return [Plan.read(each["node"]) for each in found["edges"]]

    def wait_for_plan(
        self,
        plan: Plan | str,
        *,
        timeout: float | None = None,
        check: bool = True,
        progress: Callable[[Plan], None] = lambda plan: None,
    ) -> Plan:
        """Wait until a plan is over; with *check* raise ExecutionFailed, which tells of each step, unless it succeeded.

        Raise Unavailable after *timeout* seconds; the plan goes on.
        """
        found = waiting.until_over(
            lambda: self.plan(plan),
            is_over=lambda plan: plan.is_over,
            tell=progress,
            timeout=timeout,
            patience=self._transport,
        )
        if check and found.state is not PlanState.SUCCEEDED:
            said = [f"{each.kind.value} {each.name}: {each.message or each.state.value}" for each in _bad(found)]
            raise ExecutionFailed(f"plan {found.id} ended as {found.state.value}: {'; '.join(said)}", reason="PLAN")
        return found

    def _planned(
        self, verb: str, about: dict[str, Any], pins: Sequence[Ref], newest: Sequence[str] | None, key: str | None
    ) -> Plan:
        given = {**about, "pins": [id_of(each) for each in pins], "newest": None if newest is None else list(newest)}
        return Plan.read(self._mutate(verb, **given, idempotency_key=key or uuid.uuid4().hex)["plan"])


def _id(plan: Plan | str) -> str:
    return plan if isinstance(plan, str) else plan.id


def _bad(plan: Plan) -> list[PlanStep]:
    return [each for each in plan.steps if each.state is not StepState.SUCCEEDED]
