"""Bytes read again: datasets where they lie, everything else from the artifact store."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from lineage.artifacts import Artifact, ArtifactKind
from lineage.audits.facts import ODD, VerifiedDigest
from lineage.audits.record import Record
from lineage.errors import DigestMismatch, InvalidInput, LineageError
from lineage.files import Files

K = ArtifactKind


@dataclass(frozen=True, kw_only=True)
class Check:
    """Bytes that can be read again: what they are, the digest recorded, and how to verify it."""

    what: str
    digest: str
    verify: Callable[[], Awaitable[None]]

    async def run(self) -> VerifiedDigest:
        """Read the bytes."""
        message: str | None = None
        try:
            await self.verify()
        except DigestMismatch:  # without the digest found: who brought the address need not learn what lies there
            message = "the bytes are not those recorded"
        except (LineageError, OSError, ValueError) as error:  # names from outside may be none that a file can have
            message = str(error)
        return VerifiedDigest(what=self.what, digest=self.digest, verified=message is None, message=message)


def checks(record: Record, files: Files) -> Iterator[Check]:
    """What can be read again of all that is recorded: datasets where they lie, the rest from the artifact store."""
    from lineage.data import datasets  # brings DuckDB, which readers of the graph can do without

    for dataset in record.of(K.DATASET):
        yield Check(
            what=f"dataset {dataset.name}", digest=dataset.digest or "", verify=partial(datasets.verify, dataset)
        )
    for artifact, kept in _keeping(record):
        try:
            named = list(kept(artifact))
        except ODD as error:
            odd = InvalidInput(f"what is recorded has another shape than ours: {error!r:.200}")
            yield Check(what=f"{artifact.kind.value} {artifact.name}", digest="", verify=partial(_refuse, odd))
            continue
        for what, sha256 in named:
            yield Check(what=what, digest=sha256, verify=partial(files.verify, sha256))


async def _refuse(error: LineageError) -> None:
    raise error


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
