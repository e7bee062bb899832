"""Who goes where: each row of a frame gets its split, by SQL that gives the same answer everywhere."""

from lineage.data import tables
from lineage.data.frames import Plan
from lineage.data.rules import By, SplitRule
from lineage.data.statistics import is_nested
from lineage.data.tables import Connection, literal
from lineage.errors import InvalidInput

HASH_DIGITS = 13  # hex digits of a digest that make a fraction; a DOUBLE holds them exactly


def assign(connection: Connection, plan: Plan, rule: SplitRule, extra_type: str | None) -> dict[str, int]:
    """Make the table `made.split` of the rows with a column `split`; tell how many were dropped, and why."""
    if rule.by is By.TIME:
        return _by_time(connection, rule, str(extra_type))
    if rule.by is By.HASH:
        fraction = _fraction(plan, rule)
        chosen = f"CASE WHEN {fraction} < {rule.test!r} THEN 'test' "
        chosen += f"WHEN {fraction} < {rule.test + rule.validate!r} THEN 'validate' ELSE 'train' END"
        connection.execute(f"CREATE TABLE made.split AS SELECT *, {chosen} AS split FROM made.frame")
    else:
        _by_ratio(connection, plan, rule)
    return {}


def key_text(plan: Plan) -> str:
    """The key of a row as one text that no other key has; a NULL is a value of its own."""
    slots = plan.slots[: len(plan.entity)]
    texts = [f"CASE WHEN {e} IS NULL THEN 'n' ELSE length({e}::VARCHAR) || ':' || {e}::VARCHAR END" for e in slots]
    return " || ".join(f"({each})" for each in texts)


def _hash(plan: Plan, rule: SplitRule) -> str:
    return f"md5('{rule.seed}:' || {key_text(plan)})"


def _fraction(plan: Plan, rule: SplitRule) -> str:
    """A number from 0 to below 1 for each key; of md5, as DuckDB's own hash may change from version to version."""
    number = f"('0x' || substr({_hash(plan, rule)}, 1, {HASH_DIGITS}))::BIGINT"
    return f"({number} / {float(16**HASH_DIGITS)!r}::DOUBLE)"


def _by_ratio(connection: Connection, plan: Plan, rule: SplitRule) -> None:
    connection.execute(
        f"CREATE TABLE made.keys AS SELECT key, row_number() OVER (ORDER BY hash, key) AS position FROM "
        f"(SELECT DISTINCT {key_text(plan)} AS key, {_hash(plan, rule)} AS hash FROM made.frame)"
    )
    count = int(tables.row(connection, "SELECT count(*) FROM made.keys")[0])
    test, validate = round(count * rule.test), round(count * rule.validate)
    chosen = f"CASE WHEN position <= {test} THEN 'test' WHEN position <= {test + validate} THEN 'validate' "
    connection.execute(
        f"CREATE TABLE made.split AS SELECT frame.*, {chosen} ELSE 'train' END AS split "
        f"FROM made.frame JOIN made.keys ON keys.key = {key_text(plan)}"
    )
    connection.execute("DROP TABLE made.keys")


def _by_time(connection: Connection, rule: SplitRule, type_: str) -> dict[str, int]:
    if is_nested(type_) or type_ == "BOOLEAN":
        raise InvalidInput(f"a split by time goes by a time or a number, not by {type_}", field="split.column")
    given = {"validate": rule.validate_from, "test": rule.test_from, "until": rule.until}
    bounds = {name: f"CAST({literal(value)} AS {type_})" for name, value in given.items() if value is not None}
    with tables.mapped("split"):
        ordered = [f"{a} < {b}" for a, b in zip(list(bounds.values()), list(bounds.values())[1:], strict=False)]
        if not tables.row(connection, f"SELECT {' AND '.join(ordered) or 'true'}")[0]:
            raise InvalidInput("validate_from, test_from and until must be in this order", field="split")
    after = f"extra >= {bounds['until']}" if "until" in bounds else "false"
    counted = f"SELECT count(*) FILTER (WHERE extra IS NULL), count(*) FILTER (WHERE {after}) FROM made.frame"
    null, late = tables.row(connection, counted)
    tests = " ".join(f"WHEN extra >= {bounds[name]} THEN '{name}'" for name in ("test", "validate") if name in bounds)
    connection.execute(
        f"CREATE TABLE made.split AS SELECT *, CASE {tests} ELSE 'train' END AS split FROM made.frame "
        f"WHERE extra IS NOT NULL AND NOT coalesce({after}, false)"
    )
    return {"time_null": int(null), "after_until": int(late)}


def overlap(connection: Connection, plan: Plan) -> dict[str, int]:
    """How many keys stand in more than one split, and on how many rows: the proof, or what is to be known."""
    shared = (
        f"SELECT {key_text(plan)} AS key, count(*) AS n FROM made.split GROUP BY key HAVING count(DISTINCT split) > 1"
    )
    keys, rows = tables.row(connection, f"SELECT count(*), coalesce(sum(n), 0)::BIGINT FROM ({shared})")
    return {"rows_shared": int(rows), "keys_shared": int(keys)}
