"""Split rules: which rows are learned from, which validate, which test."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from lineage.errors import InvalidInput

SPLITS = ("train", "validate", "test")
MAX_SEED = 2**63 - 1


class By(StrEnum):
    """What a split goes by."""

    #: A given share of the keys, drawn with a seed.
    RATIO = "RATIO"
    #: Each key by its own hash: it stays where it is when rows are added.
    HASH = "HASH"
    #: Before and after given times.
    TIME = "TIME"


KEYS: Mapping[By, frozenset[str]] = {
    By.RATIO: frozenset({"by", "validate", "test", "seed"}),
    By.HASH: frozenset({"by", "validate", "test", "seed"}),
    By.TIME: frozenset({"by", "column", "validate_from", "test_from", "until"}),
}


@dataclass(frozen=True, kw_only=True)
class SplitRule:
    """How rows are split; a share of 0, or a time that is not given, leaves that split out."""

    by: By
    validate: float = 0.2
    test: float = 0.2
    seed: int = 0
    column: str | None = None
    validate_from: str | None = None
    test_from: str | None = None
    until: str | None = None

    @classmethod
    def parse(cls, rule: Mapping[str, Any]) -> Self:
        """Read a rule; raise InvalidInput naming the part that is wrong."""
        named = str(rule.get("by", "")).upper()
        if named not in set(By):
            raise InvalidInput.unknown("way to split", named, [each.value for each in By], field="split.by")
        by = By(named)
        given = {name: value for name, value in rule.items() if value is not None and name != "by"}
        for name in given:
            if name not in KEYS[by]:
                raise InvalidInput.unknown(f"part of a {by} split", name, sorted(KEYS[by]), field=f"split.{name}")
        return cls._timed(given) if by is By.TIME else cls._shared(by, given)

    @classmethod
    def _shared(cls, by: By, given: Mapping[str, Any]) -> Self:
        validate, test = (_share(given, name) for name in ("validate", "test"))
        seed = given.get("seed", 0)
        if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed <= MAX_SEED:
            raise InvalidInput(f"a seed is an integer from 0 on, not {seed!r}", field="split.seed")
        if validate + test == 0:
            raise InvalidInput("validate and test are both 0; keep something to test on", field="split.test")
        if validate + test >= 1:
            raise InvalidInput(f"validate and test are {validate + test:g}; nothing is left to train on", field="split")
        return cls(by=by, validate=validate, test=test, seed=seed)

    @classmethod
    def _timed(cls, given: Mapping[str, Any]) -> Self:
        texts: dict[str, str] = {}
        for name, value in given.items():
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                raise InvalidInput(f"{value!r} is no time", field=f"split.{name}")
            texts[name] = str(value)
        if "column" not in texts:
            raise InvalidInput("name the column that the split goes by", field="split.column")
        if "test_from" not in texts and "validate_from" not in texts:
            raise InvalidInput("say from when on rows are for validating or testing", field="split.test_from")
        validate_from, test_from, until = (texts.get(name) for name in ("validate_from", "test_from", "until"))
        return cls(
            by=By.TIME,
            validate=0,
            test=0,
            column=texts["column"],
            validate_from=validate_from,
            test_from=test_from,
            until=until,
        )

    @property
    def splits(self) -> list[str]:
        """The splits that the rule makes, in order."""
        if self.by is By.TIME:
            wanted = {"validate": self.validate_from is not None, "test": self.test_from is not None}
        else:
            wanted = {"validate": self.validate > 0, "test": self.test > 0}
        return [name for name in SPLITS if wanted.get(name, True)]

    def body(self) -> dict[str, Any]:
        """The rule as JSON, in one spelling."""
        return {"by": self.by.value, **{name: getattr(self, name) for name in sorted(KEYS[self.by] - {"by"})}}


def _share(given: Mapping[str, Any], name: str) -> float:
    value = given.get(name, 0.2)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise InvalidInput(f"{name} is a share from 0 to below 1, not {value!r}", field=f"split.{name}")
    return float(value)
