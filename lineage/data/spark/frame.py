"""Frames as an application of Spark makes them: datasets, features and joins as SQL and settings in JSON."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from lineage.artifacts import Artifact
from lineage.data import frames, tables
from lineage.data.frames import Plan
from lineage.data.spark import types
from lineage.data.spark.session import SETTINGS
from lineage.data.spark.translator import select
from lineage.data.tables import Connection, quote
from lineage.errors import InvalidInput

#: Systems of files that the nodes of a cluster reach by themselves.
REACHED = ("hdfs", "file")


def definition(plan: Plan, *, where: str | None, extra: str | None = None) -> dict[str, Any]:
    """What makes the frame of a plan; see executors/spark_yarn/inside/frame.py.

    Args:
        where: the condition on rows in full.
        extra: an expression whose value is kept beside each row.

    Raises:
        InvalidInput: for SQL that has no equal in Spark, or a dataset that the cluster cannot reach.
    """
    views = {name: f"dataset{number}" for number, name in enumerate(plan.datasets)}
    with tables.connect(field=types.FIELD) as connection:
        for dataset in plan.datasets.values():
            _make_empty(connection, dataset)
        parts = [_part(connection, plan, number, views, where=where, extra=extra) for number in range(len(plan.parts))]
    return {
        "settings": dict(SETTINGS),
        "datasets": [{"view": views[name], **_dataset(each)} for name, each in plan.datasets.items()],
        "parts": parts,
        "sources": [part.source for part in plan.parts],
        "frame": frames.join_sql(plan, schema="", with_extra=extra is not None),
        "keys": frames.key_slots(plan),
        "names": [str(key["name"]) for key in plan.entity],
        "slots": plan.slots,
        "is_ordered": "ordered" in plan.windows,
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
