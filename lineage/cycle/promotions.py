"""What may be done with aliases: asked for, gated, approved, rejected, rolled back; and the duty that settles them."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

import structlog

from lineage.artifacts import Artifact, ArtifactKind
from lineage.cycle.benchmarks import CHAMPION, model_asset, queue_benchmark
from lineage.cycle.faults import FAULT, contained
from lineage.cycle.gates import GateState
from lineage.errors import Conflict, InvalidInput, NotFound
from lineage.promotion import check_alias
from lineage.promotions import DECIDABLE, PromotionRequest, PromotionState, before
from lineage.requests import Started
from lineage.runs import RunState
from lineage.store import Store

log = structlog.get_logger()
K, S, G = ArtifactKind, PromotionState, GateState


@dataclass(frozen=True, kw_only=True)
class RequestPromotion:
    """An alias that shall move to a model; *benchmark* is the gate, without which a person decides alone."""

    model: str
    alias: str = CHAMPION
    benchmark: str | None = None
    #: Move the alias without a person when the gate says PASSED.
    automatic: bool = False
    reason: str | None = None
    executor: str = "process"
    idempotency_key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Approve:
    """A yes; what the gate has not passed needs *override* and a *reason*."""

    id: str
    override: bool = False
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Rollback:
    """The alias of a name that shall point to the version before again."""

    asset: str
    alias: str = CHAMPION
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class RolledBack:
    """From which version an alias went back to which."""

    asset: str
    alias: str
    model: Artifact
    former: str


async def request_promotion(store: Store, input: RequestPromotion, *, by: str, now: datetime) -> PromotionRequest:
    """Ask for an alias to move; with a benchmark, champion and challenger are scored first.

    The same idempotency key gives the first request back. Raise InvalidInput when nothing could decide it.
    """
    model = await store.artifacts.one(input.model, K.MODEL)
    check_alias(input.alias)
    known = await store.promotions.find(_id(input.idempotency_key)) if input.idempotency_key else None
    if known is not None:
        return _same(known, input)
    if model.retracted_at is not None:
        raise Conflict(f"model {model.name!r} {model.version} was retracted: {model.retracted_reason}")
    if input.automatic and input.benchmark is None:
        raise InvalidInput("without a benchmark there is no gate that could decide by itself", field="benchmark")
    champion = await store.artifacts.get(K.MODEL, model.name, namespace=model.namespace, version=f"@{input.alias}")
    if champion is not None and champion.id == model.id:
        raise Conflict(f"{input.alias!r} points to {model.name!r} {model.version} already")
    asked = PromotionRequest(
        id=_id(input.idempotency_key),
        asset=model_asset(model),
        alias=input.alias,
        model=model.id,
        state=S.WAITING if input.benchmark is None else S.GATING,
        champion=champion.id if champion else None,
        benchmark=input.benchmark,
        is_automatic=input.automatic,
        executor=input.executor,
        reason=input.reason,
        created_at=now,
        created_by=by,
    )
    run = await _gate(store, asked, now=now) if input.benchmark else None  # bad input is refused before it is kept
    made = await store.promotions.create(asked, firing=input.idempotency_key)
    if run is not None:
        await store.promotions.gate(made.id, run)
    return _same(await store.promotions.get(made.id), input)


def _same(known: PromotionRequest, input: RequestPromotion) -> PromotionRequest:
    if (known.model, known.alias, known.benchmark) != (input.model, input.alias, input.benchmark):
        raise Conflict("the idempotency key belongs to another request for promotion")
    return known


def _id(key: str | None) -> str:
    return f"promotion-{hashlib.sha256(key.encode()).hexdigest()[:20] if key else secrets.token_hex(10)}"


async def _gate(store: Store, asked: PromotionRequest, *, now: datetime) -> str:
    """The run that scores both sides, queued once for the request."""
    benchmark = await store.artifacts.one(asked.benchmark or "", K.BENCHMARK)
    model = await store.artifacts.one(asked.model, K.MODEL)
    champion = await store.artifacts.one(asked.champion, K.MODEL) if asked.champion else None
    started = Started(executor=asked.executor, idempotency_key=f"gate {asked.id}")
    run = await queue_benchmark(store, benchmark, [model], champion, started=started, by=asked.created_by, now=now)
    return run.id


async def settle_promotions(store: Store, now: datetime) -> None:
    """Note what the gates of waiting requests have said, and move aliases where they may move by themselves."""
    for each in await store.promotions.list(states=[S.GATING]):
        message = FAULT
        async with contained(promotion=each.id):
            try:
                await _settle(store, each, now)
                continue
            except (Conflict, InvalidInput, NotFound) as error:  # it would be the same at the next look
                message = str(error)
        await store.promotions.judge(each.id, verdict=None, now=now, state=S.FAILED, message=message)


async def _settle(store: Store, asked: PromotionRequest, now: datetime) -> None:
    if asked.run is None:  # whoever asked did not live to note it
        await store.promotions.gate(asked.id, await _gate(store, asked, now=now))
        return
    run = await store.runs.get(asked.run)
    if not run.is_over:
        return
    if run.state is not RunState.SUCCEEDED:
        message = f"the benchmark ended as {run.state.value}: {run.message or run.reason or 'no reason given'}"
        await store.promotions.judge(asked.id, verdict=None, now=now, state=S.FAILED, message=message)
        return
    verdict = await store.artifacts.one(run.result["verdicts"][asked.model], K.GATE_VERDICT)
    gate = GateState(verdict.body["state"])
    known = {"verdict": verdict.id, "gate": gate.value, "message": verdict.body["message"]}
    if gate is G.PASSED and asked.is_automatic:
        reason = asked.reason or f"passed {verdict.id}"
        given = {**{name: known[name] for name in ("gate", "message")}, "verdict_id": verdict.id}
        await _automatic(store, asked, given, reason, now)
        return
    state = S.REFUSED if gate is G.REFUSED else S.WAITING
    await store.promotions.judge(asked.id, now=now, state=state, **known)


async def _automatic(store: Store, asked: PromotionRequest, known: dict[str, str], reason: str, now: datetime) -> None:
    moved = await store.promotions.settle(
        asked.id,
        [S.GATING],
        now=now,
        by=asked.created_by,
        reason=reason,
        verdict=known["verdict_id"],
        gate=known["gate"],
        message=known["message"],
    )
    if moved is not None:
        log.info("promotion.settle", promotion=asked.id, state=moved.state.value, model=asked.model)


async def approve_promotion(store: Store, input: Approve, *, by: str, now: datetime) -> PromotionRequest:
    """Say yes: the alias moves, unless somebody has moved it since, which raises Conflict.

    Raise Conflict too where the gate has not passed it and it is not overridden.
    """
    asked = await _decidable(store, input.id)
    passed = asked.gate in {None, G.PASSED, G.NO_CHAMPION}
    reason = (input.reason or "").strip()
    if input.override and not reason:
        raise InvalidInput("an override must say why", field="reason")
    if not passed and not input.override:
        raise Conflict(f"the gate said {asked.gate}: {asked.message}; override it with a reason, or reject it")
    settled = await store.promotions.settle(
        input.id,
        DECIDABLE,
        now=now,
        by=by,
        reason=reason or asked.reason,
        verdict=asked.verdict,
        is_override=not passed,
    )
    if settled is None:
        raise _decided(await store.promotions.get(input.id))
    if settled.state is not S.PROMOTED:
        raise Conflict(f"{settled.message}; ask for the promotion again")
    return settled


async def reject_promotion(store: Store, id: str, *, reason: str | None, by: str, now: datetime) -> PromotionRequest:
    """Say no; the alias stays where it is."""
    if not (reason or "").strip():
        raise InvalidInput("a rejection must say why", field="reason")
    await _decidable(store, id)
    found = await store.promotions.reject(id, DECIDABLE, decided_at=now, decided_by=by, decided_reason=reason)
    if found is None:
        raise _decided(await store.promotions.get(id))
    return found


async def _decidable(store: Store, id: str) -> PromotionRequest:
    found = await store.promotions.get(id)
    if found.state is S.GATING:
        raise Conflict("its benchmark still runs; decide when the gate has spoken")
    if found.state not in DECIDABLE:
        raise _decided(found)
    return found


def _decided(found: PromotionRequest) -> Conflict:
    who = f" by {found.decided_by}" if found.decided_by else ""
    return Conflict(f"the request is {found.state.value} already{who}: {found.decided_reason or found.message}")


async def rollback(store: Store, input: Rollback, *, by: str, now: datetime) -> RolledBack:
    """Point an alias back at the version before, skipping those that were retracted.

    Raise NotFound when there is none, Conflict when the alias was moved in the same moment.
    """
    history = await store.promotions.held(input.asset, input.alias)
    current = next((each.artifact for each in history if each.until is None), None)
    if current is None:
        raise NotFound(f"there is no alias {input.alias!r} of {input.asset!r}")
    found = await store.artifacts.by_ids(before(history))
    target = next((found[id] for id in before(history) if id in found and found[id].retracted_at is None), None)
    if target is None:
        raise NotFound(f"{input.alias!r} pointed to no other version before that could take its place")
    moved = await store.promotions.move(
        target.id,
        input.alias,
        expected=current,
        is_rollback=True,
        now=now,
        by=by,
        reason=input.reason or f"rolled back from {current}",
    )
    if not moved:
        raise Conflict(f"{input.alias!r} was moved meanwhile; look at its history and roll back again")
    return RolledBack(asset=input.asset, alias=input.alias, model=target, former=current)
