"""Making things again: the verbs, and what came of it."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypedDict, Unpack

from lineage.client.answers import known
from lineage.client.documents import REPRODUCTIONS
from lineage.client.runs import Run
from lineage.client.session import Ref, Session, id_of
from lineage.reproducibility import Digest, Reproduced, Surrounding, Value


class Again(TypedDict, total=False):
    """What making something again may be given; what is left out is as it was recorded."""

    idempotency_key: str | None
    executor: str | None
    resources: Mapping[str, Any] | None
    max_attempts: int


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """A verdict: whether the bytes are equal, or how far the numbers are apart."""

    run: Run
    verdict: Reproduced
    digests: Sequence[Digest]
    metrics: Sequence[Value]
    #: What of the place differs from the recorded one: interpreter, machine, packages.
    surroundings: Sequence[Surrounding]

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """Read it from an answer."""
        return cls(
            run=Run.read(data["run"]),
            verdict=Reproduced(data["verdict"]),
            digests=[_whole(Digest, each) for each in data["digests"]],
            metrics=[_whole(Value, each) for each in data["metrics"]],
            surroundings=[_whole(Surrounding, each) for each in data["surroundings"]],
        )


class Reproductions(Session):
    """The verbs that make something again from its recorded inputs."""

    def reproduce(self, of: Ref, **options: Unpack[Again]) -> Run:
        """Make a model, a training set or predictions again from exactly the recorded inputs, and compare."""
        return self._again("reproduce", {"of": id_of(of)}, options)

    def rescore(self, predictions: Ref, **options: Unpack[Again]) -> Run:
        """Make predictions again with the recorded model on the recorded rows, and compare."""
        return self._again("rescore", {"predictions": id_of(predictions)}, options)

    def reproductions(self, of: Ref) -> list[Reproduction]:
        """Every time that an artifact was made again, the newest first."""
        return [Reproduction.read(each) for each in self.query(REPRODUCTIONS, of=id_of(of))["reproductions"]]

    def _again(self, verb: str, what: Mapping[str, str], options: Mapping[str, Any]) -> Run:
        key = {"idempotency_key": uuid.uuid4().hex}
        return Run.read(self._mutate(verb, **what, **{**key, **options})["run"])


def _whole(cls: type[Any], data: Mapping[str, Any]) -> Any:
    fields = dict.fromkeys(cls.__dataclass_fields__)
    return cls(**(fields | known(cls, data)))
