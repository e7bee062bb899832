"""Functions of dates and times, all in UTC; Spark counts days, weeks and boundaries by other rules."""

from collections.abc import Callable, Mapping

from lineage.data.functions import Node
from lineage.data.spark.calls import Call
from lineage.data.spark.types import of, text, unless

Rule = Callable[[Call], str]
TIMES = ("DATE", "TIMESTAMP")
#: Microseconds of units that have always the same length.
LENGTHS = {
    "microsecond": 1,
    "millisecond": 1000,
    "second": 1_000_000,
    "minute": 60_000_000,
    "hour": 3_600_000_000,
    "day": 86_400_000_000,
}
ALIASES = {
    **{f"{name}s": name for name in (*LENGTHS, "week", "month", "quarter", "year", "decade")},
    **{"d": "day", "dayofmonth": "day", "h": "hour", "hr": "hour", "m": "minute", "min": "minute", "s": "second"},
    **{"sec": "second", "ms": "millisecond", "msec": "millisecond", "us": "microsecond", "usec": "microsecond"},
    **{"y": "year", "yr": "year", "mon": "month", "dow": "dayofweek", "weekday": "dayofweek", "doy": "dayofyear"},
    **{"weekofyear": "week", "w": "week"},
}
TRUNCATED = ("microsecond", "millisecond", "second", "minute", "hour", "day", "week", "month", "quarter", "year")
#: What `to_days` and its like make, and what Spark calls it.
INTERVALS = {
    **{f"to_{name}s": name.upper() for name in ("day", "hour", "minute", "second", "week", "month", "year")},
}
#: Codes of strftime and their like in Spark.
CODES = {"Y": "yyyy", "m": "MM", "d": "dd", "H": "HH", "M": "mm", "S": "ss", "B": "MMMM", "b": "MMM", "A": "EEEE"}
CODES |= {"a": "EEE", "j": "DDD"}
#: Parts of a time as DuckDB has them, by what Spark has.
PARTS = {
    "year": "year({0})",
    "month": "month({0})",
    "day": "day({0})",
    "quarter": "quarter({0})",
    "week": "weekofyear({0})",
    "isoyear": "extract(YEAROFWEEK FROM {0})",
    "dayofweek": "(dayofweek({0}) - 1)",
    "isodow": "(weekday({0}) + 1)",
    "dayofyear": "dayofyear({0})",
    "decade": "(year({0}) div 10)",
    "era": "CASE WHEN {0} IS NULL THEN NULL WHEN year({0}) > 0 THEN 1 ELSE 0 END",
    "hour": "hour({1})",
    "minute": "minute({1})",
    "second": "second({1})",
    "millisecond": "((unix_micros({2}) - unix_micros(date_trunc('MINUTE', {2}))) div 1000)",
    "microsecond": "(unix_micros({2}) - unix_micros(date_trunc('MINUTE', {2})))",
    "epoch": "(CAST(unix_micros({2}) AS DOUBLE) / 1000000D)",
}


def plus(call: Call) -> str:
    """A date or a time and a number of days, or an interval."""
    for time, other in ((0, 1), (1, 0)):
        type_ = call.types[time]
        if type_ == "DATE" and call.types[other] in {"INTEGER", "SMALLINT", "TINYINT"}:
            return f"date_add({call.args[time]}, {call.to(other, 'INTEGER')})"
        if type_ in TIMES and call.types[other] == "INTERVAL":
            return f"({call.to(time, 'TIMESTAMP')} + {_interval(call, call.nodes[other])})"
    raise call.refused(f"of {' and '.join(call.types)}")


def minus(call: Call) -> str:
    """Days between dates, or a date or a time before another."""
    first, second = call.types if len(call) == 2 else ("", "")
    if (first, second) == ("DATE", "DATE"):
        return f"CAST(datediff({call.args[0]}, {call.args[1]}) AS BIGINT)"
    if first == "DATE" and second in {"INTEGER", "SMALLINT", "TINYINT"}:
        return f"date_sub({call.args[0]}, {call.to(1, 'INTEGER')})"
    if first in TIMES and second == "INTERVAL":
        return f"({call.to(0, 'TIMESTAMP')} - {_interval(call, call.nodes[1])})"
    raise call.refused(f"of {' and '.join(call.types)}; use date_diff()")


def _interval(call: Call, node: Node) -> str:
    """An interval that stands in the SQL as a number of units."""
    unit = INTERVALS.get(str(node.get("function_name")).lower())
    value = node["arguments"][0]["expression"] if unit else {}
    while value.get("class") == "CAST" or value.get("function_name") == "trunc":
        value = value["child"] if value["class"] == "CAST" else value["arguments"][0]["expression"]
    literal = value.get("literal") or {}
    if unit is None or literal.get("kind") not in {"INTEGER", "STRING"} or not str(literal.get("text")).isdigit():
        raise call.refused("with an interval that is not a whole number of one unit as it stands in the SQL")
    return f"INTERVAL '{int(literal['text'])}' {unit}"


def _part(name: str) -> Rule:
    return lambda call: _part_of(call, name, 0)


def _date_part(call: Call) -> str:
    return _part_of(call, _unit(call.word(0)), 1)


def _unit(word: str) -> str:
    return ALIASES.get(word.lower(), word.lower())


def _part_of(call: Call, unit: str, position: int) -> str:
    if unit not in PARTS or call.types[position] not in TIMES:
        raise call.refused(f"of {unit!r} of a {call.types[position]}")
    return f"CAST({PARTS[unit].format(*_forms(call, position))} AS {of(call.type)})"


def _forms(call: Call, position: int) -> tuple[str, str, str]:
    """A date or time as a date, as a time without a zone, and as an instant."""
    plain = call.to(position, "TIMESTAMP")
    return call.to(position, "DATE"), plain, f"CAST({plain} AS TIMESTAMP_LTZ)"


def _micros(call: Call, position: int) -> str:
    if call.types[position] not in TIMES:
        raise call.refused(f"of a {call.types[position]}")
    return f"unix_micros({_forms(call, position)[2]})"


def _epoch(divisor: int) -> Rule:
    return lambda call: f"({_micros(call, 0)} div {divisor}L)" if divisor > 1 else _micros(call, 0)


def _yearweek(call: Call) -> str:
    year, week = (_part_of(call, name, 0) for name in ("isoyear", "week"))
    return f"CASE WHEN {year} < 0 THEN {year} * 100 - {week} ELSE {year} * 100 + {week} END"


def _trunc(call: Call) -> str:
    unit = _unit(call.word(0))
    if unit not in TRUNCATED or call.types[1] not in TIMES:
        raise call.refused(f"to a {unit} of a {call.types[1]}")
    found = f"CAST(date_trunc({text(unit.upper())}, {_forms(call, 1)[2]}) AS TIMESTAMP_NTZ)"
    return found if call.type == "TIMESTAMP" else f"CAST({found} AS {of(call.type)})"


def _diff(call: Call) -> str:
    """How many boundaries of a unit lie between two times."""
    unit = _unit(call.word(0))
    if unit in LENGTHS:
        first, second = (_floored(_micros(call, position), LENGTHS[unit]) for position in (1, 2))
        return f"({second} - {first})"
    if unit not in {"month", "quarter", "year"} or not set(call.types[1:]) <= set(TIMES):
        raise call.refused(f"in units of {unit!r}")
    first, second = (_months(call, position, unit) for position in (1, 2))
    return f"CAST(({second} - {first}) AS BIGINT)"


def _months(call: Call, position: int, unit: str) -> str:
    day = _forms(call, position)[0]
    return {
        "year": f"year({day})",
        "quarter": f"(year({day}) * 4 + quarter({day}))",
        "month": f"(year({day}) * 12 + month({day}))",
    }[unit]


def _floored(micros: str, length: int) -> str:
    return micros if length == 1 else f"(({micros} - pmod({micros}, {length}L)) div {length}L)"


def _sub(call: Call) -> str:
    """How many whole units lie between two times."""
    unit = _unit(call.word(0))
    if unit not in LENGTHS:
        raise call.refused(f"in units of {unit!r}")
    return f"(({_micros(call, 2)} - {_micros(call, 1)}) div {LENGTHS[unit]}L)"


def _name(form: str) -> Rule:
    def rule(call: Call) -> str:
        if call.types[0] not in TIMES:
            raise call.refused(f"of a {call.types[0]}")
        return f"date_format({call.to(0, 'TIMESTAMP')}, '{form}')"

    return rule


def _strftime(call: Call) -> str:
    if call.types[0] not in TIMES:
        raise call.refused(f"of a {call.types[0]}")
    form, codes = "", iter(call.word(1))
    for each in codes:
        code = next(codes, "") if each == "%" else None
        if code is not None and code not in CODES:
            raise call.refused(f"with %{code} in its format")
        form += CODES[code] if code is not None else f"'{each}'" if each.isalpha() else each
        if code is None and not (each.isalnum() or each in " -/:.,_"):
            raise call.refused(f"with {each!r} in its format")
    value = call.to(0, "TIMESTAMP")
    bad = f"year({value}) NOT BETWEEN 1000 AND 9999"
    message = "strftime() of a year that has not four digits"
    return unless(bad, message, f"date_format({value}, {text(form)})", "VARCHAR")


def _make_date(call: Call) -> str:
    if len(call) != 3:
        raise call.refused("of other than year, month and day")
    year, month, day = (call.to(position, "INTEGER") for position in range(3))
    return f"make_date({year}, {month}, {day})"


def _last_day(call: Call) -> str:
    return f"last_day({_forms(call, 0)[0]})"


RULES: Mapping[str, Rule] = {
    **{name: _part(name) for name in PARTS},
    **dict.fromkeys(("dayofmonth",), _part("day")),
    **dict.fromkeys(("weekday",), _part("dayofweek")),
    **dict.fromkeys(("weekofyear",), _part("week")),
    "yearweek": _yearweek,
    **dict.fromkeys(("date_part", "datepart"), _date_part),
    **dict.fromkeys(("date_trunc", "datetrunc"), _trunc),
    **dict.fromkeys(("date_diff", "datediff"), _diff),
    **dict.fromkeys(("date_sub", "datesub"), _sub),
    "date_add": plus,
    "epoch_us": _epoch(1),
    "epoch_ms": _epoch(1000),
    "monthname": _name("MMMM"),
    "dayname": _name("EEEE"),
    "strftime": _strftime,
    "make_date": _make_date,
    "last_day": _last_day,
}
