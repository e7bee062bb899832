"""Who goes where: each row of a frame gets its split, by SQL that gives the same answer everywhere."""

import itertools
from typing import Any

from lineage.data import tables
from lineage.data.frames import Plan
from lineage.data.rules import By, SplitRule
from lineage.data.statistics import is_nested
from lineage.data.tables import Connection, literal
from lineage.errors import InvalidInput

DIGITS = 13  # hex digits of a key's digest that count; products of shares with 16^13 are exact in a float


def assign(connection: Connection, plan: Plan, rule: SplitRule, extra_type: str | None) -> dict[str, int]:
    """Make the table `made.split` of the rows with a column `split`; tell how many were dropped, and why."""
    if rule.by is By.TIME:
        return _by_time(connection, rule, str(extra_type))
    if rule.by is By.HASH:
        _by_hash(connection, plan, rule)
    else:
        _by_ratio(connection, plan, rule)
    return {}


def key_text(plan: Plan) -> str:
    """The key of a row as one text that no other key has; a NULL is a value of its own."""
    slots = plan.slots[: len(plan.entity)]
    texts = [f"CASE WHEN {e} IS NULL THEN 'n' ELSE length({e}::VARCHAR) || ':' || {e}::VARCHAR END" for e in slots]
    return " || ".join(f"({each})" for each in texts)


def _number(plan: Plan, rule: SplitRule) -> str:
    """A number from 0 to below 16^DIGITS for each key; of md5, as DuckDB's own hash may change with its version."""
    return f"('0x' || substr(md5('{rule.seed}:' || {key_text(plan)}), 1, {DIGITS}))::BIGINT"


def _by_hash(connection: Connection, plan: Plan, rule: SplitRule) -> None:
    _make(connection, plan, rule, *bounds(rule))


def bounds(rule: SplitRule) -> list[int]:
    """The number below which a key is for tests, and that below which others are for validating."""
    return [int(share * 16**DIGITS) for share in (rule.test, rule.test + rule.validate)]


def _by_ratio(connection: Connection, plan: Plan, rule: SplitRule) -> None:
    """Put the keys in the order of their numbers; the first of them are for tests, the next for validating."""
    connection.execute(f"CREATE TABLE made.numbers AS SELECT DISTINCT {_number(plan, rule)} AS n FROM made.frame")
    count = int(tables.row(connection, "SELECT count(*) FROM made.numbers")[0])
    test, validate = round(count * rule.test), round(count * rule.validate)
    ends = "SELECT n, row_number() OVER (ORDER BY n) - 1 AS position FROM made.numbers"
    found = dict(
        connection.execute(f"SELECT position, n FROM ({ends}) WHERE position IN ({test}, {test + validate})").fetchall()
    )
    connection.execute("DROP TABLE made.numbers")
    _make(connection, plan, rule, *(int(found.get(end, 16**DIGITS)) for end in (test, test + validate)))


def _make(connection: Connection, plan: Plan, rule: SplitRule, test_end: int, validate_end: int) -> None:
    chosen = f"CASE WHEN n < {test_end} THEN 'test' WHEN n < {validate_end} THEN 'validate' ELSE 'train' END"
    numbered = f"SELECT *, {_number(plan, rule)} AS n FROM made.frame"
    connection.execute(f"CREATE TABLE made.split AS SELECT * EXCLUDE (n), {chosen} AS split FROM ({numbered})")


def instants(connection: Connection, rule: SplitRule, type_: str) -> dict[str, str]:
    """What is given of the instants between the splits; raise InvalidInput where they are in no order."""
    if is_nested(type_) or type_ == "BOOLEAN":
        raise InvalidInput(f"a split by time goes by a time or a number, not by {type_}", field="split.column")
    given = {"validate": rule.validate_from, "test": rule.test_from, "until": rule.until}
    found = {name: value for name, value in given.items() if value is not None}
    casts = [f"CAST({literal(value)} AS {type_})" for value in found.values()]
    with tables.mapped("split"):
        ordered = [f"{a} < {b}" for a, b in itertools.pairwise(casts)]
        if not tables.row(connection, f"SELECT {' AND '.join(ordered) or 'true'}")[0]:
            raise InvalidInput("validate_from, test_from and until must be in this order", field="split")
    return found


def _by_time(connection: Connection, rule: SplitRule, type_: str) -> dict[str, int]:
    given = instants(connection, rule, type_)
    bounds = {name: f"CAST({literal(value)} AS {type_})" for name, value in given.items()}
    after = f"extra >= {bounds['until']}" if "until" in bounds else "false"
    counted = f"SELECT count(*) FILTER (WHERE extra IS NULL), count(*) FILTER (WHERE {after}) FROM made.frame"
    null, late = tables.row(connection, counted)
    tests = " ".join(f"WHEN extra >= {bounds[name]} THEN '{name}'" for name in ("test", "validate") if name in bounds)
    connection.execute(
        f"CREATE TABLE made.split AS SELECT *, CASE {tests} ELSE 'train' END AS split FROM made.frame "
        f"WHERE extra IS NOT NULL AND NOT coalesce({after}, false)"
    )
    return {"time_null": int(null), "after_until": int(late)}


def keys(connection: Connection, plan: Plan) -> dict[str, Any]:
    """What is to be known of the keys: those on several rows, those with a NULL, and those in more than one split.

    The last is the proof that the splits are disjoint, or says by how much they are not.
    """
    slots = plan.slots[: len(plan.entity)]
    has_null = " OR ".join(f"{slot} IS NULL" for slot in slots)
    grouped = (
        f"SELECT {has_null} AS has_null, count(*) AS n, min(split) <> max(split) AS is_shared "
        f"FROM made.split GROUP BY {', '.join(slots)}"
    )
    duplicate, null, shared, rows = tables.row(
        connection,
        "SELECT count(*) FILTER (n > 1 AND NOT has_null), sum(n) FILTER (has_null), "
        f"count(*) FILTER (is_shared), sum(n) FILTER (is_shared) FROM ({grouped})",
    )
    overlap = {"rows_shared": int(rows or 0), "keys_shared": int(shared)}
    return {"duplicate_keys": int(duplicate), "null_keys": int(null or 0), "overlap": overlap}
