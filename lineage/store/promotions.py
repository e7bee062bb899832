"""Requests for promotion in the graph, and the alias that moves with them: compared with what was read, then set."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from lineage.errors import NotFound
from lineage.promotions import Held, PromotionRequest, PromotionState
from lineage.store.graph import Graph, Row


class Promotions:
    """Requests for promotion: made by people and schedules, gated by every worker, decided once."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    async def create(self, promotion: PromotionRequest, *, firing: str | None = None) -> PromotionRequest:
        """Keep *promotion*, tied to the *firing* that asks for it; one that has its id already is returned as it is."""
        node = {name: value for name, value in asdict(promotion).items() if value is not None}
        node["state"] = promotion.state.value
        row = await self._graph.one(
            "create_promotion",
            promotion=node,
            model=promotion.model,
            benchmark=promotion.benchmark,
            firing=firing,
        )
        if row is None:
            raise NotFound(f"there is no Model with the id {promotion.model!r}")
        return PromotionRequest.from_row(row["promotion"])

    async def get(self, id: str) -> PromotionRequest:
        """The request *id*; raise NotFound when there is none."""
        found = await self.find(id)
        if found is None:
            raise NotFound(f"there is no request for promotion with the id {id!r}")
        return found

    async def find(self, id: str) -> PromotionRequest | None:
        """The request *id*, or None."""
        rows = await self._graph.many("promotions_by_id", ids=[id])
        return PromotionRequest.from_row(rows[0]["promotion"]) if rows else None

    async def gate(self, id: str, run: str) -> None:
        """Note the run that scores both sides; nothing happens when the request waits for none any more."""
        await self._graph.one("gate_promotion", id=id, run=run)

    async def judge(self, id: str, *, verdict: str | None, now: datetime, **changes: Any) -> bool:
        """Note what came of the gate; False when somebody has done so before."""
        given = _plain(changes) | ({"verdict": verdict} if verdict else {})
        row = await self._graph.one("judge_promotion", id=id, verdict=verdict, changes=given, now=now)
        return row is not None

    async def reject(self, id: str, states: Iterable[PromotionState], **changes: Any) -> PromotionRequest | None:
        """Turn it down; None when it is in none of *states*."""
        row = await self._graph.one("reject_promotion", id=id, states=_names(states), changes=_plain(changes))
        return PromotionRequest.from_row(row["promotion"]) if row else None

    async def settle(
        self,
        id: str,
        states: Iterable[PromotionState],
        *,
        now: datetime,
        by: str,
        reason: str | None,
        verdict: str | None = None,
        **changes: Any,
    ) -> PromotionRequest | None:
        """Move the alias, or note that it was moved since; None when the request is in none of *states*."""
        given = _plain({**changes, "decided_at": now, "decided_by": by, "decided_reason": reason})
        if verdict is not None:
            given["verdict"] = verdict
        row = await self._graph.one(
            "settle_promotion",
            id=id,
            states=_names(states),
            changes=given,
            verdict=verdict,
            reason=reason,
            by=by,
            now=now,
        )
        return PromotionRequest.from_row(row["promotion"]) if row else None

    async def move(
        self, id: str, alias: str, *, expected: str | None, is_rollback: bool, now: datetime, by: str, reason: str
    ) -> bool:
        """Point *alias* at the version *id* if it still points to *expected*; False when it does not."""
        row = await self._graph.one(
            "move_alias", id=id, name=alias, expected=expected, is_rollback=is_rollback, now=now, by=by, reason=reason
        )
        return row is not None

    async def held(self, asset: str, alias: str) -> list[Held]:
        """The intervals of one alias of an asset."""
        return [Held(**row) for row in await self._graph.many("alias_intervals", asset=asset, name=alias)]

    async def list(
        self, *, asset: str | None = None, states: Sequence[PromotionState] | None = None, first: int = 1_000
    ) -> list[PromotionRequest]:
        """Requests, the newest first."""
        named = None if states is None else [each.value for each in states]
        rows = await self._graph.many("list_promotions", asset=asset, states=named, first=first)
        return [PromotionRequest.from_row(row["promotion"]) for row in rows]


def _plain(changes: dict[str, Any]) -> Row:
    return {name: each.value if isinstance(each, PromotionState) else each for name, each in changes.items()}


def _names(states: Iterable[PromotionState]) -> list[str]:
    return sorted(each.value for each in states)
