"""The audit of a model: every fact that a reviewer asks, each with the node it comes from, and what is missing."""

from lineage.artifacts import Artifact, ArtifactKind
from lineage.audits.facts import Audit, Fact, Gap
from lineage.audits.record import Counts, read
from lineage.audits.sections import SECTIONS, said
from lineage.audits.verification import verify as reread
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
    model = await _model(store, id)
    record = await read(store, model, trial_counts)
    found = [each for name, section in SECTIONS.items() for each in said(name, section, record)]
    checked = [each async for each in reread(record, files)] if verify and files is not None else []
    return Audit(
        model=model,
        facts=[each for each in found if isinstance(each, Fact)],
        gaps=[each for each in found if isinstance(each, Gap)],
        verified=checked,
    )


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
