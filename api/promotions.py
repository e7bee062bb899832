"""Promotions in the schema: aliases that shall move, who decided, and back again."""

from datetime import datetime
from typing import cast

import strawberry

from api.artifacts import shown
from api.benchmarks import Benchmark, GateVerdict
from api.context import Info, changing
from api.firings import Firing
from api.inputs import meant
from api.kinds import Model
from api.pages import LARGEST_PAGE, check_first
from api.runs import Run
from api.sdl import input_type, object_type
from lineage import promotions as domain
from lineage.artifacts import ArtifactKind, asset_id
from lineage.cycle import promotions as verbs
from lineage.errors import InvalidInput
from lineage.promotions import PromotionState

strawberry.enum(PromotionState, description="Where a request for promotion is.")


@object_type
class PromotionRequest:
    """An alias that shall move to a model; *champion* is what it pointed to when that was asked for."""

    id: strawberry.ID
    alias: str
    state: PromotionState
    automatic: bool
    gate: str | None
    message: str | None
    reason: str | None
    created_at: datetime
    created_by: str
    decided_at: datetime | None
    decided_by: str | None
    decided_reason: str | None
    override: bool
    request: strawberry.Private[domain.PromotionRequest]

    @classmethod
    def of(cls, request: domain.PromotionRequest) -> "PromotionRequest":
        """*request* as a type of the schema."""
        plain = {name: getattr(request, name) for name in PLAIN}
        return cls(
            id=strawberry.ID(request.id),
            automatic=request.is_automatic,
            override=request.is_override,
            request=request,
            **plain,
        )

    @strawberry.field
    async def fired_by(self, info: Info) -> Firing | None:
        """What fired it, where no person asked for it."""
        found = await info.context.loaders.firings.load(self.id)
        return Firing.of(found) if found else None

    @strawberry.field
    async def model(self, info: Info) -> Model | None:
        """The model that the alias shall move to."""
        return cast(Model | None, await _artifact(info, self.request.model))

    @strawberry.field
    async def champion(self, info: Info) -> Model | None:
        """The model that the alias pointed to when this was asked for."""
        return cast(Model | None, await _artifact(info, self.request.champion))

    @strawberry.field
    async def benchmark(self, info: Info) -> Benchmark | None:
        """What both are scored on."""
        return cast(Benchmark | None, await _artifact(info, self.request.benchmark))

    @strawberry.field
    async def verdict(self, info: Info) -> GateVerdict | None:
        """What the gate said, with the numbers of both sides."""
        return cast(GateVerdict | None, await _artifact(info, self.request.verdict))

    @strawberry.field
    async def run(self, info: Info) -> Run | None:
        """The run that scores both sides."""
        return Run.of(await info.context.store.runs.get(self.request.run)) if self.request.run else None


PLAIN = (
    *("alias", "state", "gate", "message", "reason", "created_at", "created_by"),
    *("decided_at", "decided_by", "decided_reason"),
)


async def _artifact(info: Info, id: str | None) -> object | None:
    found = await info.context.loaders.present([id]) if id else []
    return next((shown(each) for each in found), None)


@input_type
class RequestPromotionInput:
    """An alias that shall move to *model*; without a *benchmark* a person decides alone.

    With *automatic* the alias moves by itself when the gate says PASSED.
    """

    model: strawberry.ID
    alias: str = "champion"
    benchmark: strawberry.ID | None = None
    automatic: bool = False
    reason: str | None = None
    executor: str | None = None
    idempotency_key: str | None = None


@input_type
class ApprovePromotionInput:
    """A yes; what the gate has not passed needs *override* and a *reason*."""

    id: strawberry.ID
    override: bool = False
    reason: str | None = None


@input_type
class RejectPromotionInput:
    """A no, and why."""

    id: strawberry.ID
    reason: str


@input_type
class RollbackInput:
    """An alias, of an asset or of the models of a name, that shall point to the version before again."""

    asset: strawberry.ID | None = None
    name: str | None = None
    namespace: str = "default"
    alias: str = "champion"
    reason: str | None = None


@object_type
class PromotionRequestPayload:
    """The request as it is now."""

    promotion: PromotionRequest


@object_type
class RollbackPayload:
    """To which version the alias went back, and from which."""

    alias: str
    model: Model
    former: Model | None


@object_type
class PromotionQuery:
    """Questions about promotions."""

    @strawberry.field
    async def promotion(self, info: Info, id: strawberry.ID) -> PromotionRequest | None:
        """One request for promotion."""
        found = await info.context.store.promotions.find(id)
        return PromotionRequest.of(found) if found else None

    @strawberry.field
    async def promotions(
        self,
        info: Info,
        model: str | None = None,
        namespace: str = "default",
        states: list[PromotionState] | None = None,
        first: int = LARGEST_PAGE,
    ) -> list[PromotionRequest]:
        """Requests for promotion of the models that are called *model*, or of all, the newest first."""
        asset = asset_id(ArtifactKind.MODEL, namespace, model) if model else None
        found = await info.context.store.promotions.list(asset=asset, states=states, first=check_first(first, 1_000))
        return [PromotionRequest.of(each) for each in found]


@object_type
class PromotionMutation:
    """How aliases are asked for, approved, refused and taken back."""

    @strawberry.mutation
    async def request_promotion(self, info: Info, input: RequestPromotionInput) -> PromotionRequestPayload:
        """Ask for an alias to move to a model: the gate judges first, then a person, or the gate alone."""
        asked = meant(verbs.RequestPromotion, input, executor=input.executor or info.context.services.settings.executor)
        made = await verbs.request_promotion(info.context.store, asked, **changing(info))
        return PromotionRequestPayload(promotion=PromotionRequest.of(made))

    @strawberry.mutation
    async def approve_promotion(self, info: Info, input: ApprovePromotionInput) -> PromotionRequestPayload:
        """Say yes: the alias moves, unless somebody has moved it since it was asked for."""
        asked = meant(verbs.Approve, input)
        found = await verbs.approve_promotion(info.context.store, asked, **changing(info))
        return PromotionRequestPayload(promotion=PromotionRequest.of(found))

    @strawberry.mutation
    async def reject_promotion(self, info: Info, input: RejectPromotionInput) -> PromotionRequestPayload:
        """Say no: the alias stays where it is."""
        found = await verbs.reject_promotion(info.context.store, input.id, reason=input.reason, **changing(info))
        return PromotionRequestPayload(promotion=PromotionRequest.of(found))

    @strawberry.mutation
    async def rollback(self, info: Info, input: RollbackInput) -> RollbackPayload:
        """Point an alias at the version before again; twice goes two versions back."""
        if not (input.asset or input.name):
            raise InvalidInput("say whose alias: the id of the asset, or the name of the models", field="name")
        asset = input.asset or asset_id(ArtifactKind.MODEL, input.namespace, input.name or "")
        asked = verbs.Rollback(asset=asset, alias=input.alias, reason=input.reason)
        done = await verbs.rollback(info.context.store, asked, **changing(info))
        former = await _artifact(info, done.former)
        return RollbackPayload(
            alias=done.alias, model=cast(Model, shown(done.model)), former=cast(Model | None, former)
        )
