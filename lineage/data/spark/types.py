"""Types of DuckDB as Spark has them, and the casts between them that give the same values in both."""

import re
from collections.abc import Callable

from sqlglot import exp

from lineage.errors import InvalidInput

FIELD = "executor"  # the input that asks for Spark
INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")
FLOATS = ("FLOAT", "DOUBLE")
#: DuckDB's type → Spark's. A HUGEINT is a sum of integers, which is a decimal in Spark.
TYPES = {
    "BOOLEAN": "BOOLEAN",
    "TINYINT": "TINYINT",
    "SMALLINT": "SMALLINT",
    "INTEGER": "INT",
    "BIGINT": "BIGINT",
    "HUGEINT": "DECIMAL(38,0)",
    "FLOAT": "FLOAT",
    "DOUBLE": "DOUBLE",
    "VARCHAR": "STRING",
    "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMP_NTZ",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP_LTZ",
    '"NULL"': "VOID",
}
INSTANT = "TIMESTAMP WITH TIME ZONE"
DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
EXACT = 2**53  # integers up to here are floating-point numbers, whoever converts them
SINGLE_MAX = "3.4028235677973366E38D"  # what is from here on rounds to no finite FLOAT
#: Spellings that both read alike; others are refused where they stand.
DATE_FORM = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\z"
TIME_FORM = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?)?\z"
INSTANT_FORM = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?(Z|[+-][0-9]{2}(:[0-9]{2})?)\z"
)
INTEGER_FORM = r"^-?[0-9]+\z"
NUMBER_FORM = r"^-?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?\z"
FORMS = {"DATE": DATE_FORM, "TIMESTAMP": TIME_FORM, INSTANT: INSTANT_FORM, **dict.fromkeys(FLOATS, NUMBER_FORM)}


def refused(what: str, why: str = "it has no equal in Spark") -> InvalidInput:
    """The error for SQL that DuckDB knows and that would not give the same values in Spark."""
    return InvalidInput(f"{what} cannot be computed by Spark: {why}; see docs/training.md", field=FIELD)


def of(type_: str) -> str:
    """Spark's name of a DuckDB type, or InvalidInput where it has none."""
    if DECIMAL.fullmatch(type_):
        return type_
    if type_ not in TYPES:
        raise refused(f"a value of type {type_}", "Spark has no such type")
    return TYPES[type_]


def is_number(type_: str) -> bool:
    """Whether values of a DuckDB type are numbers that we know."""
    return type_ in (*INTEGERS, "HUGEINT", *FLOATS) or DECIMAL.fullmatch(type_) is not None


def digits(type_: str) -> tuple[int, int]:
    """Precision and scale of an exact number."""
    found = DECIMAL.fullmatch(type_)
    if found:
        return int(found[1]), int(found[2])
    return {"TINYINT": 3, "SMALLINT": 5, "INTEGER": 10, "BIGINT": 19, "HUGEINT": 38}[type_], 0


def text(value: str) -> str:
    """*value* as a string of Spark's SQL."""
    return str(exp.Literal.string(value).sql(dialect="spark"))


def name(*parts: str) -> str:
    """A name of Spark's SQL, quoted."""
    return ".".join(str(exp.to_identifier(part, quoted=True).sql(dialect="spark")) for part in parts)


def unless(bad: str, message: str, value: str, type_: str) -> str:
    """*value*, or an error where *bad* is true; *type_* is DuckDB's."""
    return f"CASE WHEN {bad} THEN CAST(raise_error({text(message)}) AS {of(type_)}) ELSE {value} END"


def cast(sql: str, source: str, target: str, *, is_try: bool = False) -> str:
    """*sql* of the DuckDB type *source* as *target*; with *is_try* NULL where DuckDB would have NULL."""
    if source == target:
        return sql
    if source == '"NULL"':
        return f"CAST(NULL AS {of(target)})"
    rule = _rule(source, target)
    if rule is None:
        raise refused(f"CAST({source} AS {target})")
    if is_try and source != "VARCHAR" and not _is_total(source, target):
        raise refused(f"TRY_CAST({source} AS {target})", "only text is tried; use CAST")
    return _parsed(sql, target, is_try) if source == "VARCHAR" else rule(sql, source, target)


Rule = Callable[[str, str, str], str]


def _rule(source: str, target: str) -> Rule | None:
    kinds = _kind(source), _kind(target)
    return RULES.get(kinds)


def _kind(type_: str) -> str:
    if type_ in (*INTEGERS, "HUGEINT"):
        return "HUGEINT" if type_ == "HUGEINT" else "INTEGER"
    return "DECIMAL" if DECIMAL.fullmatch(type_) else type_


def _is_total(source: str, target: str) -> bool:
    """Whether every value has one in the other type."""
    if source in INTEGERS and target in INTEGERS:
        return INTEGERS.index(source) <= INTEGERS.index(target)
    return target in {"DOUBLE", "VARCHAR", "TIMESTAMP"} or (source, target) == ("TIMESTAMP", "DATE")


def _plain(sql: str, source: str, target: str) -> str:
    return f"CAST({sql} AS {of(target)})"


def _rounded(sql: str, source: str, target: str) -> str:
    """A floating-point number as an integer: DuckDB rounds half to even, Spark would cut."""
    whole = f"rint({_wide(sql, source)})"
    if target == "BIGINT":
        whole = unless(f"{whole} >= 9223372036854775808D", "a number is out of range for BIGINT", whole, "DOUBLE")
    return f"CAST({whole} AS {of(target)})"


def _wide(sql: str, source: str) -> str:
    return sql if source == "DOUBLE" else f"CAST({sql} AS DOUBLE)"


def _narrow(sql: str, source: str, target: str) -> str:
    bad = f"abs({sql}) >= {SINGLE_MAX} AND abs({sql}) < double('infinity')"
    return unless(bad, "a number is out of range for FLOAT", f"CAST({sql} AS FLOAT)", "FLOAT")


def _from_decimal(sql: str, source: str, target: str) -> str:
    """An exact number as a DOUBLE, or an error where the two round differently."""
    precision, scale = digits(source)
    plain = f"CAST({sql} AS DOUBLE)"
    if precision <= 15:
        return plain
    bound = f"CAST({EXACT}e-{scale} AS DECIMAL(38,{scale}))" if scale <= 22 else "0"
    message = f"a {source} has more digits than a DOUBLE keeps; cast it to DECIMAL(15, {min(scale, 15)})"
    return unless(f"abs({sql}) > {bound}", message, plain, "DOUBLE")


def _short(sql: str, source: str, target: str) -> str:
    """A decimal of few digits, such as one in the SQL, as a FLOAT."""
    if digits(source)[0] > 7:
        raise refused(f"CAST({source} AS FLOAT)", "it rounds differently; cast to DOUBLE")
    return f"CAST({sql} AS FLOAT)"


def _whole(sql: str, source: str, target: str) -> str:
    """An exact number as an integer: half away from zero in DuckDB, cut in Spark."""
    return f"CAST(round({sql}, 0) AS {of(target)})"


def _dated(sql: str, source: str, target: str) -> str:
    bad = f"year({sql}) NOT BETWEEN 1 AND 9999"
    return unless(bad, "a time before year 1 or after 9999 is not written alike", f"CAST({sql} AS STRING)", "VARCHAR")


def _zoned(sql: str, source: str, target: str) -> str:
    return f"concat({_dated(f'CAST({sql} AS TIMESTAMP_NTZ)', 'TIMESTAMP', target)}, '+00')"


def _parsed(sql: str, target: str, is_try: bool) -> str:
    """Text as another type: an error where its spelling is not sure to mean the same to both."""
    if target == "BOOLEAN":
        yes, no = ("('true', 't', 'yes', 'y', '1')", "('false', 'f', 'no', 'n', '0')")
        other = "NULL" if is_try else f"CAST(raise_error({text('text is no BOOLEAN')}) AS BOOLEAN)"
        return (
            f"CASE WHEN {sql} IS NULL THEN NULL WHEN lower({sql}) IN {yes} THEN true WHEN lower({sql}) IN {no} "
            f"THEN false ELSE {other} END"
        )
    form = FORMS.get(target, INTEGER_FORM)
    function = "try_cast" if is_try else "CAST"
    value = f"{function}({sql} AS {of(target)})"
    if target in FLOATS:
        value = f"nullif({value}, double('infinity'))" if is_try else value
    other = (
        f"CAST(raise_error({text(f'text is not spelled as {target} is in DuckDB and Spark alike')}) AS {of(target)})"
    )
    nothing = f" WHEN NOT {sql} RLIKE '[0-9]' AND {_sure(sql)} THEN NULL" if is_try else ""
    return f"CASE WHEN {sql} IS NULL THEN NULL WHEN {sql} RLIKE {text(form)} THEN {value}{nothing} ELSE {other} END"


def _sure(sql: str) -> str:
    """Whether text without a digit is nothing that DuckDB has a word for: infinity, epoch, nan, true …"""
    return f"NOT lower({sql}) RLIKE 'inf|nan|epoch|true|false'"


def _unreached(sql: str, source: str, target: str) -> str:
    raise AssertionError(f"{source} is read by `_parsed`")


#: Kind of the source, kind of the target → how. What is not here is refused.
RULES: dict[tuple[str, str], Rule] = {
    **{("BOOLEAN", each): _plain for each in ("INTEGER", "DOUBLE", "VARCHAR")},
    **{
        ("INTEGER", each): _plain for each in ("BOOLEAN", "INTEGER", "HUGEINT", "DECIMAL", "FLOAT", "DOUBLE", "VARCHAR")
    },
    ("HUGEINT", "INTEGER"): _plain,
    ("HUGEINT", "DECIMAL"): _plain,
    ("HUGEINT", "DOUBLE"): _from_decimal,
    ("HUGEINT", "VARCHAR"): _plain,
    ("FLOAT", "DOUBLE"): _plain,
    ("FLOAT", "INTEGER"): _rounded,
    ("DOUBLE", "INTEGER"): _rounded,
    ("DOUBLE", "FLOAT"): _narrow,
    ("DECIMAL", "DOUBLE"): _from_decimal,
    ("DECIMAL", "FLOAT"): _short,
    ("DECIMAL", "INTEGER"): _whole,
    ("DECIMAL", "HUGEINT"): _whole,
    ("DECIMAL", "DECIMAL"): _plain,
    ("DECIMAL", "VARCHAR"): _plain,
    ("DATE", "VARCHAR"): _dated,
    ("TIMESTAMP", "VARCHAR"): _dated,
    (INSTANT, "VARCHAR"): _zoned,
    ("DATE", "TIMESTAMP"): _plain,
    ("TIMESTAMP", "DATE"): _plain,
    ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE"): _plain,
    ("TIMESTAMP WITH TIME ZONE", "TIMESTAMP"): _plain,
    **{
        ("VARCHAR", each): _unreached
        for each in ("BOOLEAN", "INTEGER", "FLOAT", "DOUBLE", "DATE", "TIMESTAMP", INSTANT)
    },
}
