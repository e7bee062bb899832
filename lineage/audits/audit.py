"""The audit of a model: every fact that a reviewer asks, each with the node it comes from, and what is missing."""

from collections.abc import AsyncIterator

from lineage.artifacts import Artifact, ArtifactKind
from lineage.audits.facts import Audit, Fact, Gap, Progress, VerifiedDigest
from lineage.audits.record import Counts, read
from lineage.audits.sections import SECTIONS, said
from lineage.audits.verification import checks
from lineage.errors import InvalidInput
from lineage.files import Files
from lineage.store import Store
from lineage.store.walks import Direction

K = ArtifactKind


async def audit(
    store: Store,
    id: str,
    *,
    files: Files | None = None,
    verify: bool = False,
    trial_counts: Counts | None = None,
) -> Audit:
    """Audit the model *id*, or the model of the predictions or evaluation *id*.

    Args:
        verify: read the bytes again and compare their digests; wants *files*.
        trial_counts: how many trials of a run ended in which way.
    """
    steps = [each async for each in advance(store, id, files=files if verify else None, trial_counts=trial_counts)]
    done = steps[-1].audit
    assert done is not None
    return done


async def advance(
    store: Store, id: str, *, files: Files | None, trial_counts: Counts | None = None
) -> AsyncIterator[Progress]:
    """Audit as `audit` does, and tell before each digest how far it is; the last word has the audit.

    Args:
        files: where the bytes are that are read again; None reads none.
    """
    model = await _model(store, id)
    record = await read(store, model, trial_counts)
    found = [each for name, section in SECTIONS.items() for each in said(name, section, record)]
    waiting = list(checks(record, files)) if files is not None else []
    verified: list[VerifiedDigest] = []
    for check in waiting:
        yield Progress(done=len(verified), total=len(waiting), reading=check.what)
        verified.append(await check.run())
    audit = Audit(
        model=model,
        facts=[each for each in found if isinstance(each, Fact)],
        gaps=[each for each in found if isinstance(each, Gap)],
        verified=verified,
    )
    yield Progress(done=len(verified), total=len(waiting), audit=audit)


async def _model(store: Store, id: str) -> Artifact:
    found = await store.artifacts.one(id)
    if found.kind is K.MODEL:
        return found
    if found.kind in {K.PREDICTIONS, K.EVALUATION, K.DEPLOYMENT} and found.body.get("model"):
        return await store.artifacts.one(found.body["model"], K.MODEL)
    walk = await store.walks.walk([id], Direction.UP, kinds=[K.MODEL], first=1, retracted=True)
    if found.kind in {K.PREDICTIONS, K.EVALUATION, K.DEPLOYMENT} and walk.steps:
        return walk.steps[0].artifact
    raise InvalidInput(f"{id} is a {found.kind.value}; an audit is of a model or of what one made", field="model")
