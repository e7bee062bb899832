"""Statistics of columns in one pass of SQL: what is missing, how many values, their range and spread."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any

from lineage.data import tables
from lineage.data.tables import Connection, quote

TEXT_LIMIT = 200  # characters of a smallest or largest value that a column keeps
INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
FLOATS = ("FLOAT", "DOUBLE")
NESTED = ("STRUCT", "TUPLE", "MAP", "UNION", "BLOB", "VARIANT", "GEOMETRY", "BIT")


def is_number(type_: str) -> bool:
    """Whether a DuckDB type holds numbers."""
    return type_ in (*INTEGERS, "UHUGEINT", *FLOATS) or type_.startswith("DECIMAL")


def is_nested(type_: str) -> bool:
    """Whether values of a DuckDB type are more than one value, or bytes."""
    return type_.endswith("]") or type_.startswith(NESTED)


def describe(
    connection: Connection, relation: str, columns: Sequence[Mapping[str, str]]
) -> tuple[int, list[dict[str, Any]]]:
    """The number of rows of *relation* and the statistics of each column, in order.

    Counts of distinct values and quartiles are estimates; infinities and NaN count as values but not in numbers.
    """
    try:
        return _measure(connection, relation, columns)
    except tables.OutOfRange:  # squares of some values are beyond all floating point numbers
        rows, found = _measure(connection, relation, columns, with_spread=False)
        for column, known in zip(columns, found, strict=True):
            with suppress(tables.OutOfRange):
                known.update(_measure(connection, relation, [column])[1][0])
        return rows, found


def _measure(
    connection: Connection, relation: str, columns: Sequence[Mapping[str, str]], *, with_spread: bool = True
) -> tuple[int, list[dict[str, Any]]]:
    asked = [_aggregates(each, with_spread=with_spread) for each in columns]
    sql = ", ".join(["count(*)", *(text for each in asked for text in each.values())])
    values = iter(tables.row(connection, f"SELECT {sql} FROM {relation}"))
    rows = int(next(values))
    statistics = []
    for each in asked:
        found = {name: plain(next(values)) for name in each}
        found["null_count"] = rows - found.pop("count")
        statistics.append(_spread({name: value for name, value in found.items() if value is not None}))
    return rows, statistics


def _aggregates(column: Mapping[str, str], *, with_spread: bool) -> dict[str, str]:
    name, type_ = quote(column["name"]), column["type"]
    asked = {"count": f"count({name})"}
    if is_nested(type_):
        return asked
    asked["distinct_count"] = f"approx_count_distinct({name})"
    only = f" FILTER (WHERE isfinite({name}))" if type_ in FLOATS else ""
    if not is_number(type_):
        return asked | {end: f"left({end}({name})::VARCHAR, {TEXT_LIMIT})" for end in ("min", "max")}
    asked |= {end: f"{end}({name}){only}" for end in ("min", "max")}
    if with_spread:
        asked |= {"mean": f"avg({name}){only}", "std": f"stddev_samp({name}){only}"}
        asked["quartiles"] = f"approx_quantile({name}, [0.25, 0.5, 0.75]){only}"
    return asked


def _spread(found: dict[str, Any]) -> dict[str, Any]:
    quartiles = found.pop("quartiles", None)
    if quartiles:
        found |= dict(zip(("q25", "q50", "q75"), quartiles, strict=True))
    return found


def plain(value: Any) -> Any:
    """*value* as JSON knows it: no NaN, no infinity, no integer beyond eight bytes, no decimal."""
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**63:
        return str(value)
    return value
