"""The parts that bodies of artifacts are made of, typed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from strawberry.scalars import JSON

from api.sdl import Long, object_type

Body = Mapping[str, Any]
ORDER = ("train", "validate", "test")


@object_type
class FileEntry:
    """A file that an artifact consists of."""

    path: str
    sha256: str
    bytes: Long


@object_type
class TableColumn:
    """A column of a table that was written: its name and its type in DuckDB's words."""

    name: str
    type: str | None


@object_type
class PackageVersion:
    """A package and the version that was locked."""

    name: str
    version: str


@object_type
class Git:
    """Where source code came from, as its sender said."""

    commit: str | None
    branch: str | None
    dirty: bool | None
    remote: str | None


@object_type
class ColumnStatistics:
    """What profiling found; null where it makes no sense for the type."""

    null_count: Long | None
    distinct_count: Long | None
    min: JSON | None
    max: JSON | None
    mean: float | None
    std: float | None
    q25: float | None
    q50: float | None
    q75: float | None


@object_type
class Split:
    """One part of a training set, kept as Parquet."""

    name: str
    rows: Long
    bytes: Long
    sha256: str


@object_type
class Overlap:
    """How many rows and keys the splits share; none, unless the data forced it."""

    rows_shared: Long
    keys_shared: Long


@object_type
class RocCurve:
    """True against false positive rate."""

    false_positive_rate: list[float]
    true_positive_rate: list[float]
    thresholds: list[float | None]


@object_type
class PrecisionRecallCurve:
    """Precision against recall."""

    precision: list[float]
    recall: list[float]
    thresholds: list[float | None]


@object_type
class Curves:
    """The curves of a classifier with two classes."""

    roc: RocCurve | None
    precision_recall: PrecisionRecallCurve | None


@object_type
class ConfusionMatrix:
    """How often each true label (a row) was predicted as each label (a column)."""

    labels: list[str]
    matrix: list[list[Long]]


@object_type
class Verdict:
    """Whether a value reached the bar that its metric sets."""

    metric: str
    value: float | None
    threshold: float | None
    passed: bool
    message: str | None


@object_type
class DriftBin:
    """How many rows are in one bin of a column: of those learned from, and of those that were scored."""

    label: str
    expected: Long
    found: Long


@object_type
class ColumnDrift:
    """How far a column has moved from what was learned; *note* says why where it cannot be told."""

    name: str
    type: str
    psi: float | None
    test: str | None
    statistic: float | None
    p_value: float | None
    bins: list[DriftBin]
    note: str | None


def column_drifts(value: list[Body]) -> list[ColumnDrift]:
    """How far columns have moved, as it stands in a body."""
    return [
        ColumnDrift(
            name=each["name"],
            type=each["type"],
            psi=each["psi"],
            test=each["test"],
            statistic=each["statistic"],
            p_value=each["p_value"],
            bins=[DriftBin(**bin) for bin in each["bins"]],
            note=each["note"],
        )
        for each in value
    ]


def files(value: list[Body]) -> list[FileEntry]:
    """Files as they stand in a body."""
    return [FileEntry(path=each["path"], sha256=each["sha256"], bytes=Long(each["bytes"])) for each in value]


def table_columns(value: list[Body]) -> list[TableColumn]:
    """Columns as they stand in a body."""
    return [TableColumn(name=each["name"], type=each.get("type")) for each in value]


def packages(value: list[Body]) -> list[PackageVersion]:
    """Locked packages as they stand in a body."""
    return [PackageVersion(name=each["name"], version=each["version"]) for each in value]


def git(value: Body) -> Git:
    """A commit as it stands in a body."""
    return Git(**{name: value.get(name) for name in ("commit", "branch", "dirty", "remote")})


def statistics(value: Body) -> ColumnStatistics:
    """Statistics as they stand in a body."""
    names = (field.python_name for field in ColumnStatistics.__strawberry_definition__.fields)  # type: ignore[attr-defined]
    return ColumnStatistics(**{name: value.get(name) for name in names})


def splits(value: Mapping[str, Body]) -> list[Split]:
    """Splits as they stand in a body, in the order of learning."""
    return [
        Split(name=name, rows=Long(each["rows"]), bytes=Long(each["bytes"]), sha256=each["sha256"])
        for name, each in sorted(value.items(), key=lambda item: ORDER.index(item[0]))
    ]


def overlap(value: Body) -> Overlap:
    """An overlap as it stands in a body."""
    return Overlap(rows_shared=Long(value["rows_shared"]), keys_shared=Long(value["keys_shared"]))


def curves(value: Body) -> Curves:
    """Curves as they stand in a body."""
    roc, recall = value.get("roc"), value.get("precision_recall")
    return Curves(
        roc=roc
        and RocCurve(false_positive_rate=roc["fpr"], true_positive_rate=roc["tpr"], thresholds=roc["thresholds"]),
        precision_recall=recall
        and PrecisionRecallCurve(
            precision=recall["precision"], recall=recall["recall"], thresholds=recall["thresholds"]
        ),
    )


def confusion_matrix(value: Body) -> ConfusionMatrix:
    """A confusion matrix as it stands in a body."""
    return ConfusionMatrix(labels=[str(label) for label in value["labels"]], matrix=value["matrix"])


def verdicts(value: list[Body]) -> list[Verdict]:
    """Verdicts as they stand in a body."""
    return [
        Verdict(
            metric=each["metric"],
            value=each.get("value"),
            threshold=each.get("threshold"),
            passed=bool(each["passed"]),
            message=each.get("message"),
        )
        for each in value
    ]


def texts(value: list[Any]) -> list[str]:
    """A list of words."""
    return [str(each) for each in value]


def number(value: Any) -> float:
    """A number, and no text that looks like one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return float(value)


def whole(value: Any) -> int:
    """A whole number, and no text that looks like one."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError
    return value


def moment(value: Any) -> datetime:
    """An instant, from its text in ISO 8601."""
    return datetime.fromisoformat(text(value))


def truth(value: Any) -> bool:
    """True or false, and nothing that resembles them."""
    if not isinstance(value, bool):
        raise TypeError
    return value


def text(value: Any) -> str:
    """A text, and nothing else."""
    if not isinstance(value, str):
        raise TypeError
    return value


def anything(value: Any) -> JSON:
    """Whatever JSON there is."""
    return JSON(value)
