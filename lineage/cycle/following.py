"""Deployments that follow an alias: the duty that deploys what it points to when it has moved."""

from dataclasses import fields
from datetime import datetime
from typing import Any

import structlog

from lineage.artifacts import ArtifactKind
from lineage.cycle.faults import FAULT, contained
from lineage.deployments import Deploy, follow
from lineage.endpoints import Behind
from lineage.errors import Conflict, InvalidInput, NotFound
from lineage.requests import Resources
from lineage.store import Store

log = structlog.get_logger()
NOT_KEPT = {"model", "following", "idempotency_key", "executor", "resources"}


async def follow_aliases(store: Store, now: datetime) -> None:
    """Queue what endpoints are to serve whose alias points to another model, or to the same since another instant.

    The run is found by endpoint and interval: whoever else looks, or dies before it is noted, it is one run. One that
    fails is not tried again until the alias moves, and what was live stays live.
    """
    for each in await store.endpoints.behind():
        message: str | None = FAULT
        async with contained(endpoint=each.endpoint.id):
            try:
                await _follow(store, each, now)
                message = None
            except (Conflict, InvalidInput, NotFound) as error:  # it would be the same at the next look
                message = str(error)
        await store.endpoints.followed(each.endpoint.id, each.following, message=message)


async def _follow(store: Store, behind: Behind, now: datetime) -> None:
    """Ask for the model in the way in which the one before it was asked for."""
    asked = await store.runs.get(str(behind.endpoint.asked_run))
    kept = {each.name for each in fields(Deploy)} - NOT_KEPT
    given: dict[str, Any] = {name: value for name, value in asked.spec.items() if name in kept}
    key = f"follow {behind.endpoint.id} {behind.following.alias} {behind.following.since.isoformat()}"
    resources = Resources(**(asked.spec.get("resources") or {}))
    model = await store.artifacts.one(behind.model, ArtifactKind.MODEL)
    input = Deploy(**given, model=model.id, executor=asked.executor, resources=resources, idempotency_key=key)
    run = await follow(store, input, model, behind.following, by=behind.by, now=now)
    log.info("endpoint.follow", endpoint=behind.endpoint.name, model=model.id, run_id=run.id)
