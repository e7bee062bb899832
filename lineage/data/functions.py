"""Which functions a feature may call, judged on the tree that DuckDB itself makes of the SQL that it will run."""

import json
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from enum import StrEnum
from typing import Any

from lineage.data import tables
from lineage.data.tables import Connection, literal
from lineage.errors import InvalidInput


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: What gives the same answer for the same row, everywhere, and touches nothing else. All others are refused.
SCALARS = _words(
    """
    abs acos acosh add asin asinh atan atan2 atanh cbrt ceil ceiling cos cosh cot degrees divide even exp factorial
    fdiv floor fmod gamma gcd greatest greatest_common_divisor isfinite isinf isnan lcm least least_common_multiple
    lgamma ln log log10 log2 mod multiply nextafter pi pow power radians round round_even roundbankers sign signbit
    sin sinh sqrt subtract tan tanh trunc xor bit_count
    ascii bar bit_length char_length character_length chr concat concat_ws contains damerau_levenshtein editdist3
    ends_with hamming instr jaccard jaro_similarity jaro_winkler_similarity lcase left len length levenshtein lower
    ltrim md5 mismatches nfc_normalize octet_length ord position prefix regexp_escape regexp_extract
    regexp_extract_all regexp_full_match regexp_matches regexp_replace replace reverse right rtrim sha1 sha256
    split_part starts_with strip_accents strlen strpos substr substring suffix translate trim ucase unicode upper
    like_escape not_like_escape ilike_escape not_ilike_escape str_split string_split string_to_array
    century date_add date_diff date_part date_sub date_trunc datediff datepart datesub datetrunc day dayname
    dayofmonth dayofweek dayofyear decade epoch epoch_ms epoch_ns epoch_us era hour isodow isoyear julian last_day
    make_date make_time make_timestamp make_timestamp_ms make_timestamp_ns microsecond millennium millisecond minute
    month monthname nanosecond quarter second strftime strptime time_bucket timezone to_centuries to_days to_decades
    to_hours to_microseconds to_millennia to_milliseconds to_minutes to_months to_quarters to_seconds to_timestamp
    to_weeks to_years try_strptime week weekday weekofyear year yearweek
    coalesce if nullif constant_or_null hex unhex to_hex bin to_base64 from_base64 url_encode url_decode
    array_contains array_extract array_has array_length cardinality element_at flatten list_avg list_contains
    list_count list_distinct list_element list_extract list_has list_max list_min list_position list_sort list_sum
    list_unique list_value map_contains map_extract map_keys map_values row struct_extract
    json_array_length json_contains json_exists json_extract json_extract_path json_extract_path_text
    json_extract_string json_keys json_type json_valid json_value
    """
)
#: Aggregates over a window, which do not mind the order of equal rows.
AGGREGATES = _words(
    """
    avg bool_and bool_or corr count count_if count_star countif covar_pop covar_samp entropy favg fsum geomean
    kurtosis mad max mean median min product quantile_cont quantile_disc regr_slope regr_intercept regr_r2 skewness
    stddev stddev_pop stddev_samp sum sumkahan kahan_sum var_pop var_samp variance bit_and bit_or bit_xor
    """
)
RANKS = frozenset({"rank", "dense_rank", "percent_rank", "cume_dist"})
#: What tells equal rows apart, so that their order has to be a total one.
ORDERED = frozenset({"row_number", "ntile", "lag", "lead", "first_value", "last_value", "nth_value", "first", "last"})
CLASSES = _words("COLUMN_REF CONSTANT FUNCTION OPERATOR CAST CASE COMPARISON CONJUNCTION BETWEEN WINDOW TYPE")
VOLATILE = ("now", "random", "uuid", "today")

Node = Mapping[str, Any]
ColumnRef = tuple[str, str]


class Window(StrEnum):
    """What an expression sees beside its own row."""

    NONE = "none"
    #: Other rows, as a group.
    GROUP = "group"
    #: Other rows, one before the other.
    ORDERED = "ordered"


def tree(connection: Connection, select: str) -> Node:
    """The SELECT as DuckDB parses it; raise InvalidInput when it does not, or when there is more than one."""
    found = json.loads(str(tables.row(connection, f"SELECT json_serialize_sql({literal(select)})")[0]))
    if found["error"]:
        raise InvalidInput(f"DuckDB does not understand it: {found.get('error_message')}", field="sql")
    statements = found["statements"]
    if len(statements) != 1 or statements[0]["node"]["type"] != "SELECT_NODE":
        raise InvalidInput("one expression is wanted, not statements", field="sql")
    node: Node = statements[0]["node"]
    return node


def nodes(value: Any) -> Iterator[Node]:
    """Every node of a tree of DuckDB's, from the root on."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping):
            yield each
            waiting.extend(reversed(list(each.values())))
        elif isinstance(each, list):
            waiting.extend(reversed(each))


def check(connection: Connection, expression: Node, *, field: str, key: Collection[ColumnRef] = ()) -> Window:
    """Raise InvalidInput unless *expression* calls only what it may; tell what it sees beside its own row.

    A window that tells equal rows apart must be ordered by the whole *key*, else its answers would be chance.
    """
    seen = Window.NONE
    for node in nodes(expression):
        kind = node.get("class")
        if kind is None:
            continue
        if kind not in CLASSES:
            raise InvalidInput(f"a {str(kind).lower().replace('_', ' ')} has no place in an expression", field=field)
        if kind == "COLUMN_REF" and len(node["column_names"]) != 2:
            _refuse_name(".".join(node["column_names"]), field)
        if kind == "FUNCTION":
            _check_scalar(connection, node, field)
        if kind == "WINDOW":
            seen = max(seen, _check_window(node, key, field), key=list(Window).index)
    return seen


def _refuse_name(name: str, field: str) -> None:
    if name.upper().startswith(("CURRENT_", "LOCALTIME")):
        _refuse(name.lower(), (), ("VOLATILE",), field)
    raise InvalidInput.unknown("column", name, (), field=field)


def _check_scalar(connection: Connection, node: Node, field: str) -> None:
    name = str(node["function_name"]).lower()
    if node["schema"] or node["catalog"]:
        raise InvalidInput(f"write {name} without a schema", field=field)
    if name in SCALARS or (node["is_operator"] and not name.isidentifier()) or not name.strip("+-*/%<>=!~|&^@_ "):
        return
    rows = connection.execute(
        "SELECT function_type, stability FROM duckdb_functions() WHERE lower(function_name) = ?", [name]
    ).fetchall()
    _refuse(name, {str(kind) for kind, _ in rows}, {str(stability) for _, stability in rows}, field)


def _refuse(name: str, kinds: Collection[str], stabilities: Collection[str], field: str) -> None:
    if "VOLATILE" in stabilities or "CONSISTENT_WITHIN_QUERY" in stabilities or name in VOLATILE:
        raise InvalidInput(
            f"{name}() does not always give the same answer; a feature must be reproducible", field=field
        )
    if name in AGGREGATES | RANKS | ORDERED or "aggregate" in kinds:
        raise InvalidInput(
            f"{name}() is an aggregate, and a feature has one value a row; write {name}(…) OVER (PARTITION BY …)",
            field=field,
        )
    if kinds:
        raise InvalidInput(f"the function {name}() is not among those that a feature may call", field=field)
    raise InvalidInput(
        f"unknown function {name!r}", field=field, nearest=get_close_matches(name, sorted(SCALARS | AGGREGATES), n=3)
    )


def _check_window(node: Node, key: Collection[ColumnRef], field: str) -> Window:
    name = str(node["function_name"]).lower()
    if name not in AGGREGATES | RANKS | ORDERED:
        known = sorted(AGGREGATES | RANKS | ORDERED)
        raise InvalidInput(
            f"the function {name}() may not be used with OVER", field=field, nearest=get_close_matches(name, known, n=3)
        )
    by_row = any("ROWS" in str(node.get(end)) or str(node.get(end)).startswith("EXPR_") for end in ("start", "end"))
    by_range = all(
        str(node.get(end)).endswith("_RANGE") or "UNBOUNDED" in str(node.get(end)) for end in ("start", "end")
    )
    if name not in ORDERED and (by_range or not by_row):
        return Window.GROUP
    ordered = {_column(each) for each in [*(order["expression"] for order in node["orders"]), *node["partitions"]]}
    missing = [column for alias, column in key if (alias, column) not in ordered]
    if missing:
        raise InvalidInput(
            f"{name}() depends on the order of equal rows; add {', '.join(missing)} (the entity) to its ORDER BY",
            field=field,
        )
    return Window.ORDERED


def _column(node: Node) -> tuple[str, ...] | None:
    return tuple(node["column_names"]) if node.get("class") == "COLUMN_REF" else None
