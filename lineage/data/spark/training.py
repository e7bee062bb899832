"""A training set as an application of Spark makes it: the definition that DuckDB has, as SQL and settings in JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from lineage.artifacts import Artifact
from lineage.data import assignment, frames, splits, tables
from lineage.data.frames import Plan
from lineage.data.rules import By, SplitRule
from lineage.data.spark import types
from lineage.data.spark.session import SETTINGS
from lineage.data.spark.translator import select
from lineage.data.statistics import FLOATS, is_nested
from lineage.data.tables import Connection, literal, quote
from lineage.errors import InvalidInput

#: Systems of files that the nodes of a cluster reach by themselves.
REACHED = ("hdfs", "file")


def definition(plan: Plan, rule: SplitRule, *, where: str | None, time: tuple[str, str] | None) -> dict[str, Any]:
    """What executors/spark_yarn/inside/frame.py is told.

    Args:
        where: the condition on rows in full.
        time: what a split by time goes by, and its DuckDB type.

    Raises:
        InvalidInput: for SQL that has no equal in Spark, or a dataset that the cluster cannot reach.
    """
    views = {name: f"dataset{number}" for number, name in enumerate(plan.datasets)}
    with tables.connect(field=types.FIELD) as connection:
        for dataset in plan.datasets.values():
            _make_empty(connection, dataset)
        parts = [
            _part(connection, plan, number, views, where=where, extra=time[0] if time else None)
            for number in range(len(plan.parts))
        ]
    assert plan.label is not None
    keys = frames.key_slots(plan)
    return {
        "settings": dict(SETTINGS),
        "datasets": [{"view": views[name], **_dataset(each)} for name, each in plan.datasets.items()],
        "parts": parts,
        "sources": [part.source for part in plan.parts],
        "frame": frames.join_sql(plan, schema="", with_extra=time is not None),
        "keys": keys,
        "names": [str(key["name"]) for key in plan.entity],
        "slots": plan.slots,
        "is_ordered": "ordered" in plan.windows,
        "unlabelled": _unlabelled(plan),
        "counted": plan.label.type not in FLOATS,
        "label": types.cast("y", plan.label.type, "VARCHAR") if plan.label.type not in FLOATS else "CAST(y AS STRING)",
        "limit": splits.VALUES_LIMIT,
        "splits": rule.splits,
        "rule": _by_time(rule, time) if time else _by_key(plan, rule),
    }


def _make_empty(connection: Connection, dataset: Artifact) -> None:
    columns = dataset.body["columns"]
    shown = ", ".join(
        f"NULL AS {quote(each['name'])}" if each.get("is_empty") else f"NULL::{each['type']} AS {quote(each['name'])}"
        for each in columns
    )
    connection.execute(f"CREATE VIEW {quote(dataset.name)} AS SELECT {shown} LIMIT 0")


def _part(
    connection: Connection, plan: Plan, number: int, views: Mapping[str, str], *, where: str | None, extra: str | None
) -> str:
    """One SELECT of a frame in Spark's SQL."""
    first = number == 0
    sql = frames.part_sql(plan, plan.parts[number], where=where if first else None, extra=extra if first else None)
    *selected, source = select(connection, sql, tables=views)
    slots = [*frames.key_slots(plan), *(member.slot for member in plan.parts[number].members)]
    names = [*slots, *(["extra"] if first and extra is not None else []), "keep"]
    listed = ", ".join(f"{value} AS {name}" for value, name in zip(selected, names, strict=True))
    return f"SELECT {listed} {source}"


def _dataset(dataset: Artifact) -> dict[str, Any]:
    """Where a dataset lies and how it is read."""
    body = dataset.body
    uri = next(iter([*reversed(dataset.locations), str(body.get("uri") or "")]))
    scheme = urlsplit(uri).scheme if "://" in uri else "file"
    if scheme not in REACHED:
        raise InvalidInput(
            f"the dataset {dataset.name!r} lies at {scheme}://, where Spark is not set up to read it; register it "
            "at an hdfs:// or file:// address that the cluster's nodes reach",
            field=types.FIELD,
        )
    if not body.get("files"):
        raise InvalidInput(f"the dataset {dataset.name!r} is only known by name; register it", field="dataset")
    return {
        "name": dataset.name,
        "uri": uri if "://" in uri else f"file://{uri}",
        "format": body["format"],
        "files": [{"path": _safe(each["path"]), "sha256": each["sha256"]} for each in body["files"]],
        "rows": body.get("row_count"),
        "delimiter": body.get("delimiter"),
        "columns": [_column(each, body) for each in body["columns"]],
    }


def _safe(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts:
        raise InvalidInput(f"the listing names {path!r}, which lies elsewhere", field="files")
    return path


def _column(column: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """A column, its type in Spark where it has one, and how a CSV's text becomes its value."""
    type_ = '"NULL"' if column.get("is_empty") else str(column["type"])
    known = type_ in types.TYPES or types.DECIMAL.fullmatch(type_) is not None
    found: dict[str, Any] = {"name": column["name"], "type": types.of(type_) if known and type_ != '"NULL"' else None}
    if type_ == '"NULL"':
        return {**found, "sql": "NULL"}
    if body["format"] != "csv" or not known:
        return {**found, "sql": types.name(column["name"]) if known else None}
    nulls = ", ".join(types.text(each) for each in body["null_values"])
    raw = f"coalesce({types.name(column['name'])}, '')"
    text = f"CASE WHEN {raw} IN ({nulls}) THEN NULL ELSE {raw} END" if nulls else raw
    return {**found, "sql": types.cast(f"({text})", "VARCHAR", type_) if _is_read(type_) else None}


def _is_read(type_: str) -> bool:
    return type_ in ("VARCHAR", "BOOLEAN", *types.INTEGERS, *types.FLOATS, "DATE", "TIMESTAMP", types.INSTANT)


def _unlabelled(plan: Plan) -> str:
    assert plan.label is not None
    infinite = " OR isnan(y) OR abs(y) = double('infinity')" if plan.label.type in FLOATS else ""
    return f"(y IS NULL{infinite})"


def _by_key(plan: Plan, rule: SplitRule) -> dict[str, Any]:
    """The number of a key as `lineage.data.assignment` has it, and the bounds of the splits."""
    texts = []
    for slot, column in zip(frames.key_slots(plan), plan.columns, strict=False):
        text = types.cast(slot, column["type"], "VARCHAR")
        texts.append(f"CASE WHEN {slot} IS NULL THEN 'n' ELSE concat(char_length({text}), ':', {text}) END")
    key = f"concat({types.text(f'{rule.seed}:')}, {', '.join(texts)})"
    number = f"CAST(conv(substring(md5({key}), 1, {assignment.DIGITS}), 16, 10) AS BIGINT)"
    if rule.by is By.HASH:
        return {"number": number, "bounds": assignment.bounds(rule)}
    return {"number": number, "shares": [rule.test, rule.validate], "end": 16**assignment.DIGITS}


def _by_time(rule: SplitRule, time: tuple[str, str]) -> dict[str, Any]:
    """The instants between the splits, read by DuckDB and written as Spark reads them."""
    type_ = time[1]
    with tables.connect(field="split") as connection:
        given = assignment.instants(connection, rule, type_)
        plain = {
            name: str(tables.row(connection, f"SELECT CAST(CAST({literal(value)} AS {type_}) AS VARCHAR)")[0])
            for name, value in given.items()
        }
    return {"times": {name: types.cast(types.text(value), "VARCHAR", type_) for name, value in plain.items()}}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A training set that Spark is to make: its plan, and what the application is told."""

    plan: Plan
    rule: SplitRule
    where: str | None
    definition: Mapping[str, Any]

    def body(self, made: Mapping[str, Any]) -> dict[str, Any]:
        """The body of the TrainingSet but for its files, from what the application has *made*.

        Raises:
            InvalidInput: a split has no rows, or the label one value.
        """
        splits.check_counts(self.rule, made["rows"])
        splits.check_values(self.plan, made["values"])
        told = {name: made[name] for name in ("dropped", "label_counts", "duplicate_keys", "null_keys", "overlap")}
        return splits.described(self.plan, self.rule, self.where) | told


async def wanted(
    feature_set: Artifact,
    features: Mapping[str, Artifact],
    datasets: Mapping[str, Artifact],
    rule: SplitRule,
    *,
    where: str | None = None,
) -> Wanted:
    """Lay a training set out for Spark; raise InvalidInput for what Spark cannot do as DuckDB does."""

    def lay_out() -> Wanted:
        plan, kept, time = splits.lay_out(feature_set, features, datasets, rule, where)
        assert plan.label is not None
        if is_nested(plan.label.type):
            raise InvalidInput(f"a label of type {plan.label.type} cannot be learned", field="featureSet")
        told = definition(plan, rule, where=kept, time=time)
        return Wanted(plan=plan, rule=rule, where=kept, definition=told)

    return await tables.in_thread(lay_out)
