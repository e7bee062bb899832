"""The audit of a model as the schema shows it."""

from collections.abc import AsyncIterator

import strawberry
from strawberry.scalars import JSON

from api.artifacts import Node, shown
from api.context import Info
from api.kinds import Model
from api.runs import Run
from api.sdl import object_type
from lineage.audits import audit as audits
from lineage.audits import facts as domain
from lineage.audits import prov


@object_type
class Gap:
    """Something that the record should say and does not."""

    section: str
    message: str


@object_type
class Fact:
    """Something that the record says, and the node that says it."""

    section: str
    name: str
    value: JSON | None
    source_id: strawberry.Private[str | None]

    @strawberry.field
    async def source(self, info: Info) -> Node | None:
        """The artifact or the run that says it."""
        if self.source_id is None:
            return None
        if artifact := await info.context.loaders.artifacts.load(self.source_id):
            return shown(artifact)
        run = await info.context.loaders.runs.load(self.source_id)
        return Run.of(run) if run else None


@object_type
class VerifiedDigest:
    """Bytes that were read again, and whether they are those that were recorded."""

    what: str
    digest: str
    verified: bool
    message: str | None


@object_type
class Audit:
    """Where a model comes from, whether the record of it is complete, and whether the bytes still match."""

    model: Model
    complete: bool
    gaps: list[Gap]
    facts: list[Fact]
    verified_digests: list[VerifiedDigest]
    seal: str
    export: JSON

    @strawberry.field
    async def prov(self, info: Info) -> JSON:
        """All that the model comes from, with the runs that made it, as a document of W3C PROV (PROV-JSON)."""
        return JSON(await prov.document(info.context.store, self.model.id))

    @classmethod
    def of(cls, audit: domain.Audit) -> "Audit":
        """*audit* as a type of the schema."""
        model = shown(audit.model)
        assert isinstance(model, Model)
        return cls(
            model=model,
            complete=audit.complete,
            gaps=[Gap(section=gap.section, message=gap.message) for gap in audit.gaps],
            facts=[
                Fact(section=fact.section, name=fact.name, value=JSON(fact.value), source_id=fact.source)
                for fact in audit.facts
            ],
            verified_digests=[VerifiedDigest(**vars(each)) for each in audit.verified],
            seal=audit.seal,
            export=JSON(audit.export()),
        )


@object_type
class AuditProgress:
    """How far an audit is: how many of all digests are verified, what is read next, and in the end the audit."""

    done: int
    total: int
    reading: str | None
    audit: Audit | None


@strawberry.type
class AuditSubscription:
    """What clients may watch of audits."""

    @strawberry.subscription
    async def audit_advanced(self, info: Info, model: strawberry.ID) -> AsyncIterator[AuditProgress]:
        """An audit that verifies every digest, told of before each of them; the last event has the audit itself."""
        services = info.context.services
        steps = audits.advance(services.store, model, files=services.files, trial_counts=services.studies.counts)
        async for step in steps:
            audit = Audit.of(step.audit) if step.audit else None
            yield AuditProgress(done=step.done, total=step.total, reading=step.reading, audit=audit)
