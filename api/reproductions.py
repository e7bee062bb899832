"""Reproductions in the schema: what was made again from its recorded inputs, and how it compares."""

from typing import Any

import strawberry

from api.context import Info, changing
from api.inputs import ResourcesInput, meant
from api.runs import Run
from api.sdl import input_type, object_type
from lineage import requests
from lineage import runs as domain
from lineage.cycle import reproduction
from lineage.reproducibility import Reproduced

strawberry.enum(Reproduced, description="How what was made again compares with what was recorded.")


@input_type
class Again:
    """What making something again may be told; what is left out is as it was recorded."""

    idempotency_key: str | None = None
    executor: str | None = None
    resources: ResourcesInput | None = None
    max_attempts: int = 2


@input_type
class ReproduceInput(Again):
    """A model, a training set or predictions to be made again from exactly the recorded inputs."""

    of: strawberry.ID


@input_type
class RescoreInput(Again):
    """Predictions to be made again, with the recorded model on the recorded rows."""

    predictions: strawberry.ID


@object_type
class ReproducePayload:
    """The run that makes it again; its verdict is among the artifact's reproductions when it has succeeded."""

    run: Run


@object_type
class ReproducedDigest:
    """The sha256 of a file, as it was recorded and as it was made again."""

    what: str
    recorded: str | None
    reproduced: str | None
    equal: bool


@object_type
class ReproducedMetric:
    """A metric as it was recorded and as it was measured again; *difference* is new less recorded."""

    metric: str
    recorded: float | None
    reproduced: float | None
    difference: float | None


@object_type
class Surrounding:
    """Something about the place that differs from the recorded one: interpreter, machine, package."""

    name: str
    recorded: str | None
    reproduced: str | None


@object_type
class Reproduction:
    """A verdict: whether the bytes are equal, or how far the numbers are apart."""

    run: Run
    verdict: Reproduced
    digests: list[ReproducedDigest]
    metrics: list[ReproducedMetric]
    surroundings: list[Surrounding]

    @classmethod
    def of(cls, run: domain.Run) -> "Reproduction":
        """What *run* has found."""
        body: Any = run.result
        return cls(
            run=Run.of(run),
            verdict=Reproduced(body["verdict"]),
            digests=[ReproducedDigest(**each) for each in body["digests"]],
            metrics=[ReproducedMetric(**each) for each in body["metrics"]],
            surroundings=[Surrounding(**each) for each in body["surroundings"]],
        )


@object_type
class ReproductionQuery:
    """Questions about reproductions."""

    @strawberry.field
    async def reproductions(self, info: Info, of: strawberry.ID) -> list[Reproduction]:
        """Every time that an artifact was made again, the newest first."""
        return [Reproduction.of(run) for run in await info.context.store.runs.reproductions(of)]


@object_type
class ReproductionMutation:
    """How artifacts are made again."""

    @strawberry.mutation
    async def reproduce(self, info: Info, input: ReproduceInput) -> ReproducePayload:
        """Make an artifact again from exactly its recorded inputs, in the recorded environment, and compare."""
        return await _queued(info, input, reproduction.reproduce, input.of)

    @strawberry.mutation
    async def rescore(self, info: Info, input: RescoreInput) -> ReproducePayload:
        """Make predictions again with the recorded model on the recorded rows, and compare."""
        return await _queued(info, input, reproduction.rescore, input.predictions)


async def _queued(info: Info, input: Again, verb: Any, of: str) -> ReproducePayload:
    resources = meant(requests.Resources, input.resources) if input.resources else None
    asked = meant(reproduction.Reproduce, input, of=of, resources=resources)
    run = await verb(info.context.store, asked, **changing(info))
    return ReproducePayload(run=Run.of(run))
