"""Training sets: a feature set's rows, split and written as Parquet, the same bytes for the same definition."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType
from lineage.data import assignment, frames, tables
from lineage.data.datasets import Progress
from lineage.data.frames import Plan
from lineage.data.rules import SPLITS, SplitRule
from lineage.data.statistics import FLOATS, is_nested
from lineage.data.tables import Connection
from lineage.errors import InvalidInput

__all__ = ["SPLITS", "Materialised", "Selected", "SplitRule", "materialise", "select"]

Features = Mapping[str, Artifact] | Sequence[Artifact]
VALUES_LIMIT = 50  # values of a label that are counted; a label with more is no class


@dataclass(frozen=True, kw_only=True)
class Materialised:
    """A training set that was written: the file of each split, and the body of its artifact."""

    files: Mapping[str, Path]
    body: Mapping[str, Any]

    def artifact(self, name: str, **labels: Any) -> tuple[Artifact, list[Edge]]:
        """The TrainingSet with its edges to the feature set and the datasets."""
        artifact = Artifact.defined(ArtifactKind.TRAINING_SET, name, self.body, **labels)
        targets = [self.body["feature_set"], *sorted(set(self.body["datasets"].values()))]
        return artifact, [Edge(type=EdgeType.DERIVED_FROM, source=artifact.id, target=target) for target in targets]


@dataclass(frozen=True, kw_only=True)
class Selected:
    """Rows that were written for scoring; *label* is None when it was not wanted or could not be had."""

    file: Path
    sha256: str
    rows: int
    bytes: int
    columns: Sequence[Mapping[str, str]]
    entity: Sequence[str]
    features: Sequence[str]
    label: str | None
    datasets: Mapping[str, str]
    where: str | None


async def materialise(
    feature_set: Artifact,
    features: Features,
    datasets: Mapping[str, Artifact],
    rule: SplitRule,
    *,
    target: Path,
    where: str | None = None,
    progress: Progress | None = None,
) -> Materialised:
    """Write target/{train,validate,test}.parquet; nothing is there unless all of it is.

    Rows without a label are dropped and counted. Rows with one key stay in one split, but for a split by time,
    whose overlap is stated. A key with a NULL in it is a key like any other.

    Args:
        features: those of the feature set, the label included.
        datasets: by name; their bytes are verified first.
        where: a condition on rows, over the columns of the label's source.

    Raises:
        InvalidInput: no rows, an empty split, a label with one value, a dataset without a column.
        DigestMismatch: a dataset's bytes changed.
    """
    tell = progress or (lambda done, word: None)
    return await tables.in_thread(lambda: _materialise(feature_set, features, datasets, rule, target, where, tell))


def _materialise(
    feature_set: Artifact,
    features: Features,
    datasets: Mapping[str, Artifact],
    rule: SplitRule,
    target: Path,
    where: str | None,
    tell: Progress,
) -> Materialised:
    plan, kept, time = lay_out(feature_set, features, datasets, rule, where)
    tell(0.0, "verify")
    with staged(target) as folder, frames.opened(plan, writes=folder) as connection:
        tell(0.2, "features")
        if frames.build(connection, plan, where=kept, extra=time[0] if time else None) == 0:
            raise InvalidInput("there are no rows" + (" that meet the condition" if where else ""), field="where")
        dropped = _drop_unlabelled(connection, plan)
        tell(0.5, "split")
        dropped |= assignment.assign(connection, plan, rule, time[1] if time else None)
        counts = _check(connection, plan, rule)
        body = described(plan, rule, kept) | assignment.keys(connection, plan)
        body |= {"dropped": dropped, "label_counts": counts}
        tell(0.7, "write")
        written = {split: _write(connection, plan, split, folder) for split in rule.splits}
        publish(folder, target, [f"{split}.parquet" for split in written])
    tell(1.0, "done")
    files = {split: target / f"{split}.parquet" for split in written}
    return Materialised(files=files, body={**body, "splits": written})


def lay_out(
    feature_set: Artifact, features: Features, datasets: Mapping[str, Artifact], rule: SplitRule, where: str | None
) -> tuple[Plan, str | None, tuple[str, str] | None]:
    """The plan of a training set, its condition in full, and what a split by time goes by with its type."""
    plan = frames.plan(feature_set, features, datasets)
    if plan.label is None:
        raise InvalidInput(f"the feature set {feature_set.name!r} has no label to learn", field="featureSet")
    kept = _where(plan, where)
    return plan, kept, frames.condition(plan, rule.column, field="split.column") if rule.column else None


def _where(plan: Plan, where: str | None) -> str | None:
    if where is None or not where.strip():
        return None
    full, type_ = frames.condition(plan, where, field="where")
    if type_ != "BOOLEAN":
        raise InvalidInput(f"a condition is true or false, this is {type_}", field="where")
    return full


def _drop_unlabelled(connection: Connection, plan: Plan) -> dict[str, int]:
    """Drop the rows that have no label; a label that is no finite number is none."""
    assert plan.label is not None
    missing = "y IS NULL" + (" OR NOT isfinite(y)" if plan.label.type in FLOATS else "")
    count = int(tables.row(connection, f"SELECT count(*) FROM made.frame WHERE {missing}")[0])
    if count:
        connection.execute(f"DELETE FROM made.frame WHERE {missing}")
    return {"label_null": count}


def _check(connection: Connection, plan: Plan, rule: SplitRule) -> dict[str, dict[str, int]]:
    """The number of rows for each value of the label in each split; raise InvalidInput when one cannot be used."""
    counts = dict(connection.execute("SELECT split, count(*) FROM made.split GROUP BY split").fetchall())
    check_counts(rule, counts)
    assert plan.label is not None
    name, type_ = plan.label.feature.name, plan.label.type
    if is_nested(type_):
        raise InvalidInput(f"the label {name!r} of type {type_} cannot be learned", field="featureSet")
    values = connection.execute("SELECT DISTINCT y::VARCHAR FROM made.split WHERE split = 'train' LIMIT 2").fetchall()
    check_values(plan, [value for (value,) in values])
    return {} if type_ in FLOATS else _label_counts(connection, rule)


def check_counts(rule: SplitRule, counts: Mapping[str, int]) -> None:
    """Raise InvalidInput when a split has no rows."""
    for split in rule.splits:
        if not counts.get(split):
            sizes = ", ".join(f"{name} {counts.get(name, 0)}" for name in rule.splits)
            raise InvalidInput(f"the split {split!r} has no rows ({sizes}); change the rule", field="split")


def check_values(plan: Plan, values: Sequence[str]) -> None:
    """Raise InvalidInput when the label has but one value to learn."""
    assert plan.label is not None
    if len(values) < 2:
        raise InvalidInput(
            f"the label {plan.label.feature.name!r} has one value in train, {values[0]!r}; there is nothing to tell "
            "apart",
            field="label",
        )


def _label_counts(connection: Connection, rule: SplitRule) -> dict[str, dict[str, int]]:
    if int(tables.row(connection, "SELECT count(DISTINCT y) FROM made.split")[0]) > VALUES_LIMIT:
        return {}
    rows = connection.execute("SELECT split, y::VARCHAR, count(*) FROM made.split GROUP BY ALL ORDER BY ALL").fetchall()
    return {name: {str(value): int(n) for split, value, n in rows if split == name} for name in rule.splits}


def described(plan: Plan, rule: SplitRule, where: str | None) -> dict[str, Any]:
    """What the body of a training set says of its definition."""
    assert plan.label is not None
    return {
        "feature_set": plan.feature_set.id,
        "datasets": frames.versions(plan),
        "split": rule.body(),
        "seed": rule.seed,
        "where": where,
        "columns": plan.columns,
        "features": [member.feature.name for member in plan.features],
        "label": plan.label.feature.name,
        "entity": [key["name"] for key in plan.entity],
    }


def _write(connection: Connection, plan: Plan, split: str, folder: Path) -> dict[str, Any]:
    return frames.write(
        connection, plan, f"(SELECT * FROM made.split WHERE split = '{split}')", folder / f"{split}.parquet"
    )


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A folder beside *target* for what is not whole yet; it is gone at the end, whatever happens."""
    target.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".half-", dir=target) as folder:
        yield Path(folder)


def publish(folder: Path, target: Path, names: Sequence[str]) -> None:
    """Move whole files to where they are looked for."""
    for name in names:
        with (folder / name).open("rb") as stream:
            os.fsync(stream.fileno())
    for name in names:
        os.replace(folder / name, target / name)


async def select(
    feature_set: Artifact,
    features: Features,
    datasets: Mapping[str, Artifact],
    *,
    where: str | None = None,
    target: Path,
    with_label: bool = False,
    progress: Progress | None = None,
) -> Selected:
    """Write the rows that meet *where* to the Parquet file *target*: entity, features, and the label if it can be had.

    *datasets* may be newer than those that the features were defined over, as long as they have the columns;
    the label is left out when its columns are not there. Raises as `materialise` does.
    """
    tell = progress or (lambda done, word: None)
    return await tables.in_thread(lambda: _select(feature_set, features, datasets, where, target, with_label, tell))


def choose(
    feature_set: Artifact,
    features: Features,
    datasets: Mapping[str, Artifact],
    where: str | None,
    *,
    with_label: bool = False,
) -> tuple[Plan, str | None]:
    """The plan of rows that are to be scored, and their condition in full."""
    plan = frames.plan(feature_set, features, datasets, with_label="IF_THERE" if with_label else "NO")
    return plan, _where(plan, where)


def _select(
    feature_set: Artifact,
    features: Features,
    datasets: Mapping[str, Artifact],
    where: str | None,
    target: Path,
    with_label: bool,
    tell: Progress,
) -> Selected:
    plan, kept = choose(feature_set, features, datasets, where, with_label=with_label)
    tell(0.0, "verify")
    with staged(target.parent) as folder, frames.opened(plan, writes=folder) as connection:
        tell(0.3, "features")
        if frames.build(connection, plan, where=kept) == 0:
            raise InvalidInput("there are no rows" + (" that meet the condition" if where else ""), field="where")
        tell(0.7, "write")
        written = frames.write(connection, plan, "made.frame", folder / target.name)
        publish(folder, target.parent, [target.name])
    tell(1.0, "done")
    return Selected(
        file=target,
        columns=plan.columns,
        entity=[key["name"] for key in plan.entity],
        features=[member.feature.name for member in plan.features],
        label=plan.label.feature.name if plan.label else None,
        datasets=frames.versions(plan),
        where=kept,
        **written,
    )
