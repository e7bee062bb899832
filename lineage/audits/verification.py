"""Bytes read again: datasets where they lie, everything else from the artifact store."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

from lineage.artifacts import Artifact, ArtifactKind
from lineage.audits.facts import ODD, VerifiedDigest
from lineage.audits.record import Record
from lineage.errors import DigestMismatch, LineageError
from lineage.files import Files

K = ArtifactKind


async def verify(record: Record, files: Files) -> AsyncIterator[VerifiedDigest]:
    """Read again what is recorded: registered datasets where they lie, the rest from the artifact store."""
    from lineage.data import datasets  # brings DuckDB, which readers of the graph can do without

    for dataset in record.of(K.DATASET):
        yield await _checked(f"dataset {dataset.name}", dataset.digest, datasets.verify(dataset))
    for artifact, kept in _keeping(record):
        try:
            named = list(kept(artifact))
        except ODD as error:
            message = f"what is recorded has another shape than ours: {error!r:.200}"
            yield VerifiedDigest(
                what=f"{artifact.kind.value} {artifact.name}", digest="", verified=False, message=message
            )
            continue
        for what, sha256 in named:
            yield await _checked(what, sha256, files.verify(sha256))


Kept = Callable[[Artifact], Iterator[tuple[str, str]]]


def _keeping(record: Record) -> Iterator[tuple[Artifact, Kept]]:
    """The artifacts whose bytes are in the artifact store, each with what names them."""
    for kind, kept in KEPT.items():
        yield from ((artifact, kept) for artifact in record.of(kind))
    yield record.model, _model_files
    yield from ((each, _predictions_file) for each in record.made if each.kind is K.PREDICTIONS)


def _splits(training_set: Artifact) -> Iterator[tuple[str, str]]:
    for name, split in (training_set.body.get("splits") or {}).items():
        yield f"{training_set.name} {name}", str(split["sha256"])


def _archive(code: Artifact) -> Iterator[tuple[str, str]]:
    if code.body.get("archive"):
        yield f"code {code.name}", str(code.body["archive"])


def _lock(environment: Artifact) -> Iterator[tuple[str, str]]:
    if environment.body.get("lock"):
        yield f"lock of {environment.name}", str(environment.body["lock"])


def _model_files(model: Artifact) -> Iterator[tuple[str, str]]:
    for file in model.body.get("files") or ():
        yield f"model {file['path']}", str(file["sha256"])


def _predictions_file(predictions: Artifact) -> Iterator[tuple[str, str]]:
    yield f"predictions {predictions.name}", str(predictions.body["file"])


KEPT: Mapping[ArtifactKind, Kept] = {K.TRAINING_SET: _splits, K.MODEL_CODE: _archive, K.ENVIRONMENT: _lock}


async def _checked(what: str, digest: str | None, check: Awaitable[None]) -> VerifiedDigest:
    message: str | None = None
    try:
        await check
    except DigestMismatch:  # without the digest found: who brought the address need not learn what lies there
        message = "the bytes are not those recorded"
    except (LineageError, OSError, ValueError) as error:  # names from outside may be none that a file can have
        message = str(error)
    return VerifiedDigest(what=what, digest=digest or "", verified=message is None, message=message)
