"""What making something again has shown: whether the bytes are the same, and how far numbers are apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Reproduced(StrEnum):
    """How what was made again compares with what was recorded."""

    #: The bytes are the same.
    EQUAL = "EQUAL"
    #: The bytes differ, but every prediction on the held-out rows, or every metric, is the same.
    EQUIVALENT = "EQUIVALENT"
    #: Something that matters differs.
    DIFFERENT = "DIFFERENT"


@dataclass(frozen=True, kw_only=True)
class Digest:
    """The sha256 of one file, as it was recorded and as it was made again; None where nothing was recorded."""

    what: str
    recorded: str | None
    reproduced: str | None

    @property
    def equal(self) -> bool:
        """Whether the bytes are the same."""
        return self.recorded == self.reproduced


@dataclass(frozen=True, kw_only=True)
class Value:
    """A metric, as it was recorded and as it was measured again; None where it is undefined."""

    metric: str
    recorded: float | None
    reproduced: float | None

    @property
    def difference(self) -> float | None:
        """By how much the new value is greater."""
        if self.recorded is None or self.reproduced is None:
            return None
        return self.reproduced - self.recorded


@dataclass(frozen=True, kw_only=True)
class Surrounding:
    """Something about the place that differs: the interpreter, the machine, a package."""

    name: str
    recorded: str | None
    reproduced: str | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """An artifact that was made again, held against the recorded one.

    The artifact's own bytes, one for each of its files, are the first *own* of the digests; the others are those of
    what it says about rows.
    """

    digests: Sequence[Digest]
    values: Sequence[Value] = ()
    surroundings: Sequence[Surrounding] = ()
    own: int = 1

    @property
    def verdict(self) -> Reproduced:
        """What all of it comes to."""
        own, results = self.digests[: self.own], self.digests[self.own :]
        if all(each.equal for each in own):
            return Reproduced.EQUAL
        if results and all(each.equal for each in results):
            return Reproduced.EQUIVALENT
        if self.values and all(each.difference == 0 for each in self.values):
            return Reproduced.EQUIVALENT
        return Reproduced.DIFFERENT

    def body(self) -> dict[str, Any]:
        """The same as JSON."""
        return {
            "verdict": self.verdict.value,
            "digests": [vars(each) | {"equal": each.equal} for each in self.digests],
            "metrics": [vars(each) | {"difference": each.difference} for each in self.values],
            "surroundings": [dict(vars(each)) for each in self.surroundings],
        }


def values_of(recorded: Mapping[str, float | None], reproduced: Mapping[str, float | None]) -> list[Value]:
    """The metrics that were recorded, beside what they are now; those undefined both times say nothing."""
    return [
        Value(metric=name, recorded=value, reproduced=reproduced.get(name))
        for name, value in sorted(recorded.items())
        if value is not None or reproduced.get(name) is not None
    ]


def surroundings_of(recorded: Mapping[str, Any], reproduced: Mapping[str, Any]) -> list[Surrounding]:
    """What differs between the places that two fits have seen from inside: python, machine, packages."""
    before, after = (_flat(each) for each in (recorded, reproduced))
    return [
        Surrounding(name=name, recorded=before.get(name), reproduced=after.get(name))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def _flat(observed: Mapping[str, Any]) -> dict[str, str]:
    plain = {name: str(observed[name]) for name in ("python", "machine") if observed.get(name)}
    return plain | {str(name): str(version) for name, version in (observed.get("packages") or {}).items()}
