"""The duty that starts what was fired: one thing of a source at a time, as its overlap policy says."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog

from lineage.cycle.actions import ACTIONS, Action, Call, start
from lineage.cycle.faults import FAULT, contained
from lineage.cycle.healing import cancel_plan
from lineage.errors import LineageError, Unavailable
from lineage.firings import Firing, FiringCause, FiringState
from lineage.schedules import Overlap
from lineage.store import Store
from lineage.store.firings import Queue
from lineage.triggers import filled

log = structlog.get_logger()

S = FiringState
#: Firings that one source may have waiting; those beyond it are passed over.
MOST_WAITING = 1_000
GOES_ON = "what an earlier firing started still goes on"


async def start_firings(store: Store, now: datetime, *, actions: Mapping[str, Action] = ACTIONS) -> None:
    """Start what waits and may start; pass over what its source's overlap policy does not let wait."""
    for firing in await store.firings.end(now=now):
        log.info("firing.end", firing=firing.id, run_id=firing.run, plan=firing.plan, promotion=firing.promotion)
    for queue in await store.firings.waiting(now=now):
        async with contained(source=queue.source["id"]):
            await _serve(store, queue, now, actions)


async def _serve(store: Store, queue: Queue, now: datetime, actions: Mapping[str, Action]) -> None:
    first = min(queue.firings, key=lambda each: (each.state is not S.STARTING, each.at, each.id))
    if not queue.active - {first.id}:
        await _start(store, queue, first, now, actions)
        return
    waiting = [each for each in queue.firings if each.state is S.WAITING]
    match Overlap(queue.source["overlap"]):
        case Overlap.SKIP:
            late = [each for each in waiting if each.cause is not FiringCause.CATCHUP]
            await _skip(store, late, GOES_ON, now)
        case Overlap.QUEUE:
            await _skip(store, waiting[MOST_WAITING:], f"{MOST_WAITING} firings wait already", now)
        case Overlap.CANCEL:
            await _skip(store, waiting[:-1], "a later firing took its place", now)
            for firing, gate in await store.firings.going_on(str(queue.source["id"])):
                await _cancel(store, firing, gate, now)


async def _cancel(store: Store, firing: Firing, gate: str | None, now: datetime) -> None:
    if firing.plan is not None:
        await cancel_plan(store, firing.plan, now=now)
    elif (run := firing.run or gate) is not None:
        await store.runs.cancel(run, now=now)


async def _skip(store: Store, firings: Sequence[Firing], message: str, now: datetime) -> None:
    for each in firings:
        if await store.firings.settle(each, S.SKIPPED, leaves=[S.WAITING], message=message, now=now):
            log.info("firing.skip", firing=each.id, source=each.source_id, reason=message)


async def _start(store: Store, queue: Queue, firing: Firing, now: datetime, actions: Mapping[str, Action]) -> None:
    """Start one firing; whoever dies over it leaves it to be claimed again, and the same key starts nothing twice."""
    if not await store.firings.claim(firing, now=now):
        return
    action, spec, by, place = (queue.source[name] for name in ("action", "spec", "created_by", "namespace"))
    call = Call(firing=firing, by=by, now=now, namespace=place)
    state, message = S.FAILED, FAULT
    async with contained(firing=firing.id):
        try:
            run = await start(store, action, filled(json.loads(spec or "{}"), firing.artifact), call, actions=actions)
            log.info("firing.start", firing=firing.id, source=firing.source_id, action=action, run_id=run and run.id)
            state, message = S.DONE, ""
        except Unavailable as error:
            log.warning("firing.wait", firing=firing.id, error=str(error))
            return
        except LineageError as error:
            message = str(error)
    # What was started under the firing's key has made it STARTED; what started nothing is over now.
    if await store.firings.settle(firing, state, leaves=[S.STARTING], message=message or None, now=now) and message:
        log.warning("firing.fail", firing=firing.id, source=firing.source_id, action=action, error=message)
