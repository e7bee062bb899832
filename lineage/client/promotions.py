"""Benchmarks, promotions and aliases from Python."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from lineage.client import waiting
from lineage.client.answers import known
from lineage.client.artifacts import Artifact
from lineage.client.documents import ALIASES, PROMOTION_BY_ID, PROMOTIONS
from lineage.client.runs import Run
from lineage.client.session import Ref, Session, id_of
from lineage.errors import NotFound
from lineage.promotions import PromotionState


@dataclass(frozen=True, kw_only=True)
class PromotionRequest:
    """An alias that shall move to *model*; *champion* is what it pointed to when that was asked for."""

    id: str
    alias: str
    state: PromotionState
    automatic: bool = False
    #: What the gate said: PASSED, REFUSED, NO_THRESHOLDS, NO_CHAMPION.
    gate: str | None = None
    message: str | None = None
    reason: str | None = None
    created_at: datetime | None = None
    created_by: str | None = None
    decided_at: datetime | None = None
    decided_by: str | None = None
    decided_reason: str | None = None
    override: bool = False
    model: Artifact | None = None
    champion: Artifact | None = None
    #: The numbers of both sides are in its body.
    verdict: Artifact | None = None
    run: Run | None = None

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """Read it from an answer."""
        made = {name: Artifact.read(data[name]) for name in ("model", "champion", "verdict") if data.get(name)}
        run = {"run": Run.read(data["run"])} if data.get("run") else {}
        return cls(**{**known(cls, data), **made, **run, "state": PromotionState(data["state"])})


@dataclass(frozen=True, kw_only=True)
class Interval:
    """From when until when an alias pointed to a version, who moved it there, and why."""

    alias: str
    artifact: Artifact
    since: datetime
    until: datetime | None = None
    by: str | None = None
    reason: str | None = None

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """Read it from an answer."""
        times = {name: datetime.fromisoformat(data[name]) for name in ("since", "until") if data.get(name)}
        return cls(**{**known(cls, data), **times, "artifact": Artifact.read(data["artifact"])})


class Promotions(Session):
    """The verbs of benchmarks, promotions and aliases."""

    def define_benchmark(
        self,
        name: str,
        training_set: Ref,
        metrics: Sequence[Ref],
        *,
        split: str = "test",
        resamples: int = 500,
        confidence: float = 0.95,
        seed: int = 0,
        must_be_sure: bool = False,
        namespace: str = "default",
        description: str | None = None,
    ) -> Artifact:
        """Define what champions and challengers are scored on, and how sure a comparison must be."""
        found = self._mutate(
            "define_benchmark",
            name=name,
            training_set=id_of(training_set),
            metrics=[id_of(each) for each in metrics],
            split=split,
            resamples=resamples,
            confidence=confidence,
            seed=seed,
            must_be_sure=must_be_sure,
            namespace=namespace,
            description=description,
        )
        return Artifact.read(found["benchmark"])

    def run_benchmark(
        self,
        benchmark: Ref,
        *models: Ref,
        champion: Ref | None = None,
        alias: str = "champion",
        executor: str | None = None,
        idempotency_key: str | None = None,
    ) -> Run:
        """Score models and their champion on the same rows; the run generates a verdict for each model."""
        found = self._mutate(
            "run_benchmark",
            benchmark=id_of(benchmark),
            models=[id_of(each) for each in models],
            champion=id_of(champion) if champion is not None else None,
            alias=alias,
            executor=executor,
            idempotency_key=idempotency_key or uuid.uuid4().hex,
        )
        return Run.read(found["run"])

    def request_promotion(
        self,
        model: Ref,
        alias: str = "champion",
        *,
        benchmark: Ref | None = None,
        automatic: bool = False,
        reason: str | None = None,
        executor: str | None = None,
        idempotency_key: str | None = None,
    ) -> PromotionRequest:
        """Ask for an alias to move: the gate judges first, then a person, or with *automatic* the gate alone."""
        return self._promotion(
            "request_promotion",
            model=id_of(model),
            alias=alias,
            benchmark=id_of(benchmark) if benchmark is not None else None,
            automatic=automatic,
            reason=reason,
            executor=executor,
            idempotency_key=idempotency_key or uuid.uuid4().hex,
        )

    def approve_promotion(self, id: str, *, override: bool = False, reason: str | None = None) -> PromotionRequest:
        """Say yes; what the gate has not passed needs *override* and a *reason*."""
        return self._promotion("approve_promotion", id=id, override=override, reason=reason)

    def reject_promotion(self, id: str, reason: str) -> PromotionRequest:
        """Say no, and why."""
        return self._promotion("reject_promotion", id=id, reason=reason)

    def promotion(self, id: str) -> PromotionRequest:
        """One request; raise NotFound when there is none."""
        found = self.query(PROMOTION_BY_ID, id=id)["promotion"]
        if found is None:
            raise NotFound(f"there is no request for promotion with the id {id!r}")
        return PromotionRequest.read(found)

    def promotions(
        self, model: str | None = None, *, namespace: str = "default", states: Sequence[str] | None = None
    ) -> list[PromotionRequest]:
        """Requests for promotion of the models that are called *model*, or of all, the newest first."""
        found = self.query(PROMOTIONS, model=model, namespace=namespace, states=states)["promotions"]
        return [PromotionRequest.read(each) for each in found]

    def wait_for_gate(
        self,
        promotion: PromotionRequest,
        *,
        timeout: float = 3600,
        progress: waiting.Progress | bool | None = None,
    ) -> PromotionRequest:
        """The request when its gate has spoken; raise Unavailable when it has not within *timeout* seconds.

        Args:
            progress: called with the run of the benchmark at each look; True draws a bar.
        """
        with waiting.shown(progress) as tell:
            return waiting.until_over(
                lambda: self.promotion(promotion.id),
                is_over=lambda found: found.state is not PromotionState.GATING,
                tell=lambda found: tell(found.run) if found.run else None,
                timeout=timeout,
                patience=self._transport,
            )

    def rollback(
        self, name: str, alias: str = "champion", *, namespace: str = "default", reason: str | None = None
    ) -> Artifact:
        """Point an alias of the models called *name* at the version before again, and return that version."""
        found = self._mutate("rollback", name=name, namespace=namespace, alias=alias, reason=reason)
        return Artifact.read(found["model"])

    def alias_history(self, name: str, *, kind: str = "MODEL", namespace: str = "default") -> list[Interval]:
        """Every interval of every alias of a name, the newest first; raise NotFound for an unknown name."""
        found = self.query(ALIASES, kind=kind, name=name, namespace=namespace)["artifact"]
        if found is None:
            raise NotFound(f"there is no {kind} {name!r} in {namespace!r}")
        return [Interval.read(each) for each in found["asset"]["aliasHistory"]]

    def _promotion(self, verb: str, **input: Any) -> PromotionRequest:
        return PromotionRequest.read(self._mutate(verb, **input)["promotion"])
