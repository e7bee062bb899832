"""Endpoints in the graph: what is wanted, what is live, and who looks after them; each controller's writes fenced."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

from lineage.artifacts import canonical
from lineage.endpoints import Behind, Endpoint, EndpointState, Failure, Following, Replica
from lineage.errors import LeaseLost, NotFound
from lineage.store.graph import Graph, Row


class Endpoints:
    """Endpoints: named by deployments, leased by controllers."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    async def want(
        self,
        id: str,
        deployment: str,
        *,
        executor: str,
        asked_at: datetime,
        now: datetime,
        run: str | None = None,
        following: Following | None = None,
    ) -> Endpoint | None:
        """Say that the endpoint *id*, made where there is none, should serve *deployment*, as *run* was asked to.

        From now on it follows the alias of *following*, or none. None where another version, or nothing, was asked for
        after *asked_at*.
        """
        row = await self._graph.one(
            "want_deployment",
            endpoint=id,
            deployment=deployment,
            executor=executor,
            asked_at=asked_at,
            run=run,
            following=_properties(following),
            now=now,
        )
        return Endpoint.from_row(row["endpoint"]) if row else None

    async def unwant(self, id: str, *, now: datetime) -> Endpoint:
        """Say that the endpoint *id* should serve nothing; raise NotFound when there is none."""
        return _found(await self._graph.one("unwant_deployment", endpoint=id, now=now), id)

    async def pin(self, id: str, *, asked_at: datetime) -> None:
        """Let the endpoint *id* follow no alias, unless something was asked of it after *asked_at*."""
        await self._graph.one("pin_endpoint", endpoint=id, asked_at=asked_at, following=_properties(None))

    async def behind(self) -> list[Behind]:
        """Endpoints whose alias points to something since another instant than the one looked at last."""
        found = []
        for row in await self._graph.many("endpoints_behind"):
            endpoint = row["endpoint"]
            names = {"asset": endpoint["follows_asset"], "alias": endpoint["follows_alias"]}
            following = Following(**names, named=endpoint["follows"], since=row["since"])
            read = Endpoint.from_row(endpoint)
            found.append(Behind(endpoint=read, following=following, model=row["model"], by=row["by"]))
        return found

    async def followed(self, id: str, following: Following, *, message: str | None = None) -> None:
        """Note that the interval of *following* was looked at, and in *message* why nothing came of it."""
        known = _properties(following)
        await self._graph.one("note_followed", endpoint=id, following=known, message=message)

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

    async def kept(self, replicas: Sequence[str]) -> set[str]:
        """Which of *replicas* some endpoint has; a replica is noted before it is started, and until it has ended."""
        return {str(row["id"]) for row in await self._graph.many("replicas_kept", ids=list(replicas))}

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


def _properties(following: Following | None) -> Row:
    """What an endpoint keeps of what it follows; null takes a property away."""
    known = vars(following) if following else dict.fromkeys(("named", "asset", "alias", "since"))
    names = {"follows": "named", "follows_asset": "asset", "follows_alias": "alias", "followed": "since"}
    return {**{name: known[theirs] for name, theirs in names.items()}, "follow_message": None}


def _found(row: Row | None, id: str) -> Endpoint:
    if row is None:
        raise NotFound(f"there is no deployment {id!r}")
    return Endpoint.from_row(row["endpoint"])


def _held(row: Row | None, endpoint: Endpoint) -> Endpoint:
    if row is None:
        raise LeaseLost(endpoint.id, endpoint.generation)
    return Endpoint.from_row(row["endpoint"])
