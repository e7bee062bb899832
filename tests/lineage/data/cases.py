"""Feature sets over small datasets, and ways to write what they say."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import pyarrow.parquet as pq

from lineage.artifacts import Artifact
from lineage.data import spark
from lineage.data.features import feature_set
from lineage.data.splits import Materialised, Selected, SplitRule, materialise, select

RATIO = {"by": "RATIO", "validate": 0.2, "test": 0.2, "seed": 7}


class Case:
    """A feature set over datasets, and ways to materialise it and to select from it."""

    def __init__(self, target: Path, features: Sequence[Artifact], label: Artifact | None, *given: Artifact) -> None:
        self.target = target
        self.members = [*features, *([label] if label else [])]
        self.feature_set = feature_set("set", features, label)[0]
        self.datasets = {each.name: each for each in given}

    def materialise(self, rule: Mapping[str, Any] = RATIO, where: str | None = None) -> Materialised:
        """Write the splits."""

        async def run() -> Materialised:
            rules = SplitRule.parse(rule)
            return await materialise(
                self.feature_set, self.members, self.datasets, rule=rules, target=self.target, where=where
            )

        return anyio.run(run)

    def select(self, where: str | None = None, *, with_label: bool = False) -> Selected:
        """Write rows for scoring."""

        async def run() -> Selected:
            target = self.target / "rows.parquet"
            return await select(
                self.feature_set, self.members, self.datasets, where=where, target=target, with_label=with_label
            )

        return anyio.run(run)

    def choose(self, where: str | None = None) -> spark.Chosen:
        """Lay the same rows out for Spark."""
        return anyio.run(lambda: spark.chosen(self.feature_set, known(self.members), self.datasets, where=where))


def known(members: Sequence[Artifact]) -> dict[str, Artifact]:
    """Artifacts by id."""
    return {each.id: each for each in members}


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a Parquet file."""
    found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return found


def numbered(count: int) -> list[str]:
    """Lines with keys from 0 on and a label of two values."""
    return [f"{n},{n % 10},{n % 2}" for n in range(count)]
