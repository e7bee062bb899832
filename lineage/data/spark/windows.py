"""Functions over a window: those whose value does not depend on the order in which Spark takes equal rows."""

from typing import Any

from lineage.data.spark.calls import Call
from lineage.data.spark.types import INTEGERS, is_number, of

RANKS = ("rank", "dense_rank", "percent_rank", "cume_dist", "row_number")
SHIFTS = ("lag", "lead")
ENDS = ("first_value", "last_value", "first", "last")
GROUPS = ("count", "count_star", "count_if", "countif", "min", "max", "bool_and", "bool_or", "sum", "avg", "mean")
NAMES = (*RANKS, "ntile", *SHIFTS, *ENDS, *GROUPS)
#: Ends of a frame that Spark has; a RANGE by a distance is another thing there.
BOUNDS = {
    "UNBOUNDED_PRECEDING": "UNBOUNDED PRECEDING",
    "UNBOUNDED_FOLLOWING": "UNBOUNDED FOLLOWING",
    "CURRENT_ROW_RANGE": "CURRENT ROW",
    "CURRENT_ROW_ROWS": "CURRENT ROW",
}
OFFSETS = {"EXPR_PRECEDING_ROWS": "PRECEDING", "EXPR_FOLLOWING_ROWS": "FOLLOWING"}


def write(call: Call, node: Any) -> str:
    """A window function as Spark says it; raise InvalidInput where it cannot."""
    if node["distinct"] or node["ignore_nulls"] or node["arg_orders"] or node["exclude_clause"] != "NO_OTHER":
        raise call.refused("with DISTINCT, IGNORE NULLS, EXCLUDE or an ORDER BY of its own")
    frame = "" if call.name in (*RANKS, "ntile", *SHIFTS) else f" {_frame(call, node)}"
    inside = f"{_partition(call, node)}{_order(call, node)}{frame}".strip()
    return f"CAST({_function(call, node)} OVER ({inside}) AS {of(call.type)})"


def _function(call: Call, node: Any) -> str:
    name, keep = call.name, _kept(call, node)
    if name in RANKS:
        return f"{name}()"
    if name == "ntile":
        return f"ntile({call.count(0, least=1)})"
    if name in SHIFTS:
        return _shift(call, node)
    if name in ENDS:
        return f"{name.removesuffix('_value')}_value({call.args[0]})"
    if name in {"count", "count_star"}:
        return f"count({keep(call.args[0]) if len(call) else keep('1')})"
    if name in {"count_if", "countif"}:
        return f"count_if({keep(call.to(0, 'BOOLEAN'))})"
    if name in {"min", "max", "bool_and", "bool_or"} and len(call) == 1:
        return f"{name}({keep(call.args[0])})"
    if name == "sum" and (call.types[0] in INTEGERS or call.types[0].startswith("DECIMAL")):
        exact = "DECIMAL(38,0)" if call.types[0] in INTEGERS else call.type
        return f"sum(CAST({keep(call.args[0])} AS {exact}))"
    if name in {"avg", "mean"} and call.types[0] in ("TINYINT", "SMALLINT", "INTEGER"):
        return f"avg({keep(call.args[0])})"
    if name in {"sum", "avg", "mean"} and is_number(call.types[0]):
        raise call.refused("it adds up floating-point numbers in the order of rows, which Spark does not keep")
    raise call.refused()


def _kept(call: Call, node: Any) -> Any:
    """What an aggregate is given where there is a FILTER: nothing for rows that do not meet it."""
    condition = node["filter_expr"]
    if condition is None:
        return lambda sql: sql
    met = call.translator.to(condition, "BOOLEAN")
    return lambda sql: f"CASE WHEN {met} THEN {sql} END"


def _shift(call: Call, node: Any) -> str:
    if len(call) > 2 or node["default_expr"] is not None:
        raise call.refused("with a default; use coalesce()")
    offset = call.count(1, least=0) if len(call) > 1 else 1
    return f"{call.name}({call.args[0]}, {offset})"


def _partition(call: Call, node: Any) -> str:
    found = ", ".join(call.translator.sql(each) for each in node["partitions"])
    return f"PARTITION BY {found}" if found else ""


def _order(call: Call, node: Any) -> str:
    """The order, with the place of NULL said: last in DuckDB whichever way, first in Spark where it ascends."""
    found = []
    for each in node["orders"]:
        way = "DESC" if each["type"] == "DESCENDING" else "ASC"
        nulls = "FIRST" if each["null_order"] == "NULLS FIRST" else "LAST"
        found.append(f"{call.translator.sql(each['expression'])} {way} NULLS {nulls}")
    return f" ORDER BY {', '.join(found)}" if found else ""


def _frame(call: Call, node: Any) -> str:
    ends = [node["start"], node["end"]]
    by_rows = any(each.endswith("_ROWS") for each in ends)
    if not node["orders"]:
        if by_rows:
            raise call.refused("with a frame of ROWS without an order")
        return ""
    bounds = [_bound(call, end, node[f"{place}_expr"]) for end, place in zip(ends, ("start", "end"), strict=True)]
    return f"{'ROWS' if by_rows else 'RANGE'} BETWEEN {bounds[0]} AND {bounds[1]}"


def _bound(call: Call, end: str, distance: Any) -> str:
    if end in BOUNDS:
        return BOUNDS[end]
    literal = (distance or {}).get("literal") or {}
    if end not in OFFSETS or literal.get("kind") != "INTEGER":
        raise call.refused("with a frame by a distance of values")
    return f"{int(literal['text'])} {OFFSETS[end]}"
