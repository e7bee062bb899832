"""Endpoints in the graph: what is wanted, what is live, and who looks after them; each controller's writes fenced."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

from lineage.artifacts import canonical
from lineage.endpoints import Endpoint, EndpointState, Failure, Replica
from lineage.errors import LeaseLost, NotFound
from lineage.store.graph import Graph, Row


class Endpoints:
    """Endpoints: named by deployments, leased by controllers."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    async def want(
        self, id: str, deployment: str, *, executor: str, asked_at: datetime, now: datetime
    ) -> Endpoint | None:
        """Say that the endpoint *id*, made where there is none, should serve *deployment*.

        None where another version, or nothing, was asked for after *asked_at*.
        """
        row = await self._graph.one(
            "want_deployment", endpoint=id, deployment=deployment, executor=executor, asked_at=asked_at, now=now
        )
        return Endpoint.from_row(row["endpoint"]) if row else None

    async def unwant(self, id: str, *, now: datetime) -> Endpoint:
        """Say that the endpoint *id* should serve nothing; raise NotFound when there is none."""
        return _found(await self._graph.one("unwant_deployment", endpoint=id, now=now), id)

    async def withdraw(self, id: str, deployment: str, *, now: datetime) -> bool:
        """Give up *deployment* where it is wanted and not live; False where it is neither."""
        return await self._graph.one("withdraw_deployment", endpoint=id, deployment=deployment, now=now) is not None

    async def get(self, id: str) -> Endpoint | None:
        """The endpoint *id*, or None."""
        row = await self._graph.one("endpoint_by_id", endpoint=id)
        return Endpoint.from_row(row["endpoint"]) if row else None

    async def by_ids(self, ids: Sequence[str]) -> dict[str, Endpoint]:
        """The endpoints of *ids*, by id."""
        rows = await self._graph.many("endpoints_by_id", ids=list(ids))
        return {row["endpoint"]["id"]: Endpoint.from_row(row["endpoint"]) for row in rows}

    async def list(self, *, namespace: str | None = None, first: int = 1_000) -> list[Endpoint]:
        """Endpoints that serve something or are meant to, by namespace and name."""
        rows = await self._graph.many("list_endpoints", namespace=namespace, first=first)
        return [Endpoint.from_row(row["endpoint"]) for row in rows]

    async def lease(
        self, controller: str, *, executors: Sequence[str], now: datetime, ttl: timedelta
    ) -> Sequence[Endpoint]:
        """Hand *controller* every endpoint that nobody looks after."""
        rows = await self._graph.many(
            "lease_endpoints", controller=controller, executors=list(executors), now=now, until=now + ttl
        )
        return [Endpoint.from_row(row["endpoint"]) for row in rows]

    async def keep(
        self,
        endpoint: Endpoint,
        *,
        now: datetime,
        ttl: timedelta,
        state: EndpointState | None = None,
        replicas: Sequence[Replica] | None = None,
        failure: Failure | None = None,
    ) -> Endpoint:
        """Keep the lease for *ttl*, note what is given, and see what is wanted now; raise LeaseLost when it is over."""
        changes: Row = {} if state is None else {"state": state.value, "updated_at": now}
        if replicas is not None:
            changes |= {"replicas": canonical([asdict(each) for each in replicas])}
        if failure is not None:
            changes |= {"failure": canonical(asdict(failure))}
        row = await self._graph.one(
            "keep_endpoint",
            endpoint=endpoint.id,
            generation=endpoint.generation,
            changes=changes,
            until=now + ttl,
            now=now,
        )
        return _held(row, endpoint)

    async def switch(self, endpoint: Endpoint, deployment: str | None, *, now: datetime) -> Endpoint:
        """Make *deployment* the live version; raise LeaseLost when the lease is over."""
        row = await self._graph.one(
            "switch_endpoint", endpoint=endpoint.id, generation=endpoint.generation, deployment=deployment, now=now
        )
        return _held(row, endpoint)

    async def close(self, endpoint: Endpoint, *, now: datetime) -> bool:
        """Let go of an endpoint that is done for; False where something is wanted of it again."""
        row = await self._graph.one("close_endpoint", endpoint=endpoint.id, generation=endpoint.generation, now=now)
        return row is not None

    async def history(self, id: str) -> Sequence[Row]:
        """Which versions were live, the first first: deployment, since, until."""
        return await self._graph.many("endpoint_history", endpoint=id)


def _found(row: Row | None, id: str) -> Endpoint:
    if row is None:
        raise NotFound(f"there is no deployment {id!r}")
    return Endpoint.from_row(row["endpoint"])


def _held(row: Row | None, endpoint: Endpoint) -> Endpoint:
    if row is None:
        raise LeaseLost(endpoint.id, endpoint.generation)
    return Endpoint.from_row(row["endpoint"])
