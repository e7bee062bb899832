"""Values at the edges of every type, and the calls by which each function that Spark may compute is tried on them."""

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

INF, NAN = float("inf"), float("nan")
DOUBLES = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 1.5, 2.5, -2.5, 0.49999999999999994, 2.675, 123456.789, 4503599627370497.5]
DOUBLES += [1e-300, -1e300, 1e300, 9.3e18, INF, -INF, NAN]
TEXTS = ["", "a", "abc", "ABC", "a,b,c", ",a,", "  a \u00a0", "\u00e4\u00f6\u00fc", "\u00c9clair", "\u65e5\u672c\u8a9e"]
TEXTS += ["\U0001f600x", "e\u0301b", "a\nb", "a%b_c", "a\\b", "it's", "x1y22z", "a\tb ", "\r\n", "$1"]
DATES = [date(2, 6, 1), date(1582, 10, 10), date(1900, 2, 28), date(1969, 12, 31), date(1970, 1, 1), date(2000, 2, 29)]
DATES += [
    date(2019, 12, 30),
    date(2020, 1, 5),
    date(2020, 1, 6),
    date(2020, 1, 31),
    date(2021, 1, 3),
    date(9998, 12, 31),
]
TIMES = [datetime(2, 6, 1), datetime(1582, 10, 10, 12), datetime(1969, 12, 31, 23, 59, 59, 999_999)]
TIMES += [datetime(1970, 1, 1), datetime(1970, 1, 1, 0, 0, 0, 1), datetime(2000, 2, 29, 13, 14, 15, 160_000)]
TIMES += [datetime(2020, 1, 5, 23, 0, 0, 500_000), datetime(2020, 1, 31, 0, 0, 30), datetime(2020, 3, 29, 2, 30)]
TIMES += [datetime(2021, 1, 3, 5, 6, 7, 123_456), datetime(9998, 12, 31, 23, 59, 59)]
INTEGERS = [0, 1, -1, 2, -2, 3, 7, -7, 10, 15, 25, -100, 12345]
DECIMALS = [Decimal(each) for each in ("0", "0.5", "-0.5", "1.005", "-1.005", "2.5", "-2.5", "99999.999", "12.345")]
#: Column, its type, its values. Every column has a second one, for functions of two arguments.
COLUMNS: dict[str, tuple[pa.DataType, list[Any]]] = {
    "y": (pa.int8(), [*INTEGERS[:-2], 127, -128]),
    "i": (pa.int32(), [*INTEGERS, 2**31 - 1, -(2**31)]),
    "b": (pa.int64(), [*INTEGERS, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)]),
    "f": (pa.float32(), [0.0, -0.0, 0.5, 0.1, -2.5, 1e30, 16777217.0, 3e38, INF, -INF, NAN]),
    "d": (pa.float64(), DOUBLES),
    "s": (pa.string(), TEXTS),
    "c": (pa.string(), ["0", "1", "-1", "007", "2147483647", "-2147483648"]),
    "r": (pa.string(), ["0", "-0", "1.5", "-.5", "1e3", "2E-7", "0.1", "17976931348623157e292", "123456789.123456789"]),
    "n": (pa.string(), ["nothing", "-", "", "?", "12", "3"]),
    "u": (pa.string(), ["2020-01-31", "0001-01-01", "9998-12-31", "2020-02-29"]),
    "v": (pa.string(), ["2020-01-31 01:02:03", "1969-12-31 23:59:59.9", "2020-02-29T00:00:00.123456", "2020-01-01"]),
    "w": (pa.string(), ["true", "False", "T", "f", "yes", "NO", "1", "0", "Y", "n"]),
    "a": (pa.date32(), DATES),
    "t": (pa.timestamp("us"), TIMES),
    "x": (pa.bool_(), [True, False]),
    "m": (pa.decimal128(10, 3), DECIMALS),
    "q": (pa.decimal128(18, 4), [*DECIMALS, Decimal("900719925474.0991"), Decimal("-12345678901.2345")]),
    "g": (pa.string(), ["p", "q", "r"]),
}


def table() -> pa.Table:
    """Rows in which each value of a column meets each of its second one, NULL among them; *k* numbers them."""
    count = max(len(values) + 1 for _, values in COLUMNS.values()) ** 2
    columns = {"k": pa.array(range(count), pa.int64())}
    for name, (type_, values) in COLUMNS.items():
        given = [*values, None]
        n = len(given)
        columns[name] = pa.array([given[row % n] for row in range(count)], type_)
        columns[f"{name}2"] = pa.array([given[row // n % n] for row in range(count)], type_)
    return pa.table(columns)


CHARACTERS = [chr(code) for code in range(1, 0x20000) if not 0xD800 <= code < 0xE000]


def characters() -> pa.Table:
    """Every character of the planes of Unicode that have cases."""
    return pa.table({"k": pa.array(range(len(CHARACTERS))), "s": pa.array(CHARACTERS)})


#: Function or operator → how it is called.
CALLS: dict[str, list[str]] = {
    "+": [
        "y+y2",
        "y+1",
        "i+i2",
        "b+1",
        "i+b",
        "d+d2",
        "f+f2",
        "f+0.1",
        "i+d",
        "m+m2",
        "m+i",
        "q+1",
        "m+0.25",
        "d+0.1",
        "a+y",
        "+i",
        "a + INTERVAL 1 DAY",
        "t + INTERVAL 3 MONTH",
        "a + INTERVAL 2 WEEK",
        "t + INTERVAL 36 HOUR",
    ],
    "-": [
        "y-y2",
        "i-i2",
        "b-b2",
        "d-d2",
        "f-f2",
        "m-m2",
        "-i",
        "-d",
        "-m",
        "-b",
        "a-a2",
        "a-3",
        "t - INTERVAL 1 MONTH",
        "a - INTERVAL 1 YEAR",
        "i - 0.5",
    ],
    "*": ["y*y2", "i*i2", "b*2", "d*d2", "f*f2", "f*0.5", "m*m2", "m*i", "i*0.5", "d*0.1", "f*2"],
    "/": ["i/i2", "d/d2", "m/m2", "i/3", "d/0", "b/7", "0/0", "f/d"],
    "//": ["y//y2", "i//i2", "b//b2", "i//3"],
    "%": ["y%y2", "i%i2", "b%b2", "d%d2", "i%7", "d%0.3"],
    "add": ["add(i, i2)"],
    "subtract": ["subtract(i, i2)"],
    "multiply": ["multiply(d, d2)"],
    "divide": ["divide(i, i2)"],
    "mod": ["mod(i, i2)", "mod(d, d2)"],
    "^": ["d^d2", "i^2"],
    "**": ["d**d2"],
    "pow": ["pow(d, d2)", "pow(d, 2)", "pow(i, 0.5)"],
    "power": ["power(d, i)"],
    "&": ["i & i2", "b & 7"],
    "|": ["i | i2"],
    "~": ["~i", "~y"],
    "xor": ["xor(i, i2)"],
    "bit_count": ["bit_count(y)", "bit_count(i)", "bit_count(b)"],
    "abs": ["abs(y)", "abs(i)", "abs(b)", "abs(d)", "abs(f)", "abs(m)"],
    "sign": ["sign(i)", "sign(d)", "sign(m)", "sign(f)"],
    "floor": ["floor(d)", "floor(f)", "floor(m)", "floor(i)"],
    "ceil": ["ceil(d)", "ceil(f)", "ceil(m)", "ceil(i)"],
    "ceiling": ["ceiling(d)"],
    "trunc": ["trunc(d)", "trunc(f)"],
    "round": ["round(d)", "round(d, 2)", "round(d, 1)", "round(m)", "round(m, 1)", "round(q, 2)", "round(i)"],
    "greatest": ["greatest(i, i2)", "greatest(d, d2, 0)", "greatest(s, s2)", "greatest(a, a2)", "greatest(f, 0.5)"],
    "least": ["least(i, i2)", "least(d, d2)", "least(s, s2)", "least(t, t2)", "least(x, x2)"],
    "isnan": ["isnan(d)", "isnan(f)"],
    "isinf": ["isinf(d)", "isinf(f)"],
    "isfinite": ["isfinite(d)", "isfinite(f)"],
    "if": ["if(x, i, i2)", "if(d > 0, d, 0)"],
    "nullif": ["nullif(i, i2)", "nullif(d, d2)", "nullif(s, 'a')"],
    "pi": ["pi()"],
    **{name: [f"{name}(d)", f"{name}(i)"] for name in ("sqrt", "degrees", "radians", "ln", "log", "log10", "exp")},
    **{name: [f"{name}(d)"] for name in ("acos", "asin", "atan", "cos", "sin", "tan", "cosh", "sinh", "tanh")},
    "atan2": ["atan2(d, d2)"],
    "ascii": ["ascii(s)"],
    "ord": ["ord(s)"],
    "unicode": ["unicode(s)"],
    **{name: [f"{name}(s)"] for name in ("length", "len", "char_length", "character_length", "strlen", "bit_length")},
    **{name: [f"{name}(s, s2)"] for name in ("contains", "starts_with", "prefix", "ends_with", "suffix", "instr")},
    "^@": ["s ^@ s2"],
    "strpos": ["strpos(s, s2)"],
    "position": ["position(s2 IN s)"],
    **{name: [f"{name}(s)"] for name in ("lower", "lcase", "upper", "ucase", "md5", "sha1", "sha256")},
    "trim": ["trim(s)", "trim(s, 'a,')", "trim(s, s2)"],
    "ltrim": ["ltrim(s)", "ltrim(s, ' a')"],
    "rtrim": ["rtrim(s)", "rtrim(s, 'c ')"],
    "left": ["left(s, 2)", "left(s, 0)"],
    "right": ["right(s, 2)", "right(s, 0)"],
    "substring": ["substring(s, 2)", "substring(s, 2, 3)", "substring(s, 1, 0)", "substring(s, 30)"],
    "substr": ["substr(s, 2, 1)"],
    "split_part": ["split_part(s, ',', 1)", "split_part(s, ',', 3)", "split_part(s, 'b', 2)", "split_part(s, '.', 1)"],
    "replace": ["replace(s, 'a', 'xy')", "replace(s, s2, '-')", "replace(s, '', 'x')"],
    "reverse": ["reverse(g)"],
    "concat": ["concat(s, i, s2)", "concat(s, x)"],
    "concat_ws": ["concat_ws('-', s, s2)", "concat_ws(g, i, s)"],
    "||": ["s || s2", "s || i", "b || ':' || s", "s || a"],
    "~~": ["s LIKE 'a%'", "s LIKE '_b%'", "s LIKE '%\\%'", "s LIKE 'a\\b'", "s LIKE '%_b_c'", "s LIKE ''"],
    "!~~": ["s NOT LIKE '%b%'"],
    "like_escape": ["s LIKE 'a!%b!_c' ESCAPE '!'", "s LIKE 'a\\%%' ESCAPE '\\'"],
    "not_like_escape": ["s NOT LIKE 'a!%b!_c' ESCAPE '!'"],
    "regexp_matches": [
        "regexp_matches(s, 'a.b')",
        "regexp_matches(s, '^a')",
        "regexp_matches(s, 'b$')",
        "regexp_matches(s, '[^a-c,]')",
        "regexp_matches(s, '\\s')",
        "regexp_matches(s, '(?:x|y)\\d{1,2}')",
        "regexp_matches(s, '^.?$')",
        "regexp_matches(s, '\\w+\\W')",
    ],
    "regexp_full_match": [
        "regexp_full_match(s, 'a|abc')",
        "regexp_full_match(s, '.*')",
        "regexp_full_match(s, '[A-Z]+')",
    ],
    "regexp_extract": [
        "regexp_extract(s, '(\\d+)\\D(\\d*)', 2)",
        "regexp_extract(s, 'b')",
        "regexp_extract(s, '(z)?a', 1)",
    ],
    "regexp_replace": [
        "regexp_replace(s, '[ab]', '<\\0>', 'g')",
        "regexp_replace(s, '(.)(.)', '\\2\\1', 'g')",
        "regexp_replace(s, 'b+|y', '-', 'g')",
        "regexp_replace(s, 'a', '$1\\\\', 'g')",
    ],
    **{
        name: [f"{name}(a)", f"{name}(t)"]
        for name in ("year", "month", "day", "dayofmonth", "quarter", "week", "weekofyear", "isoyear", "dayofweek")
    },
    **{name: [f"{name}(a)", f"{name}(t)"] for name in ("weekday", "isodow", "dayofyear", "decade", "era", "yearweek")},
    **{name: [f"{name}(t)"] for name in ("hour", "minute", "second", "millisecond", "microsecond", "epoch")},
    **{name: [f"{name}(t)"] for name in ("epoch_ms", "epoch_us")},
    "date_part": [
        "date_part('epoch', a)",
        "date_part('dow', t)",
        "EXTRACT(hour FROM t)",
        "date_part('microseconds', t)",
    ],
    "datepart": ["datepart('month', a)"],
    "date_trunc": [
        f"date_trunc('{unit}', {column})"
        for unit in (
            "year",
            "quarter",
            "month",
            "week",
            "day",
            "hour",
            "minute",
            "second",
            "millisecond",
            "microsecond",
        )
        for column in "at"
    ],
    "datetrunc": ["datetrunc('month', a)"],
    "date_diff": [
        f"date_diff('{unit}', {column}, {column}2)"
        for unit in ("year", "quarter", "month", "day", "hour", "minute", "second")
        for column in "at"
    ]
    + ["date_diff('millisecond', t, t2)", "date_diff('microsecond', t, t2)"],
    "datediff": ["datediff('day', a, a2)"],
    "date_sub": [f"date_sub('{unit}', t, t2)" for unit in ("day", "hour", "minute", "second", "millisecond")],
    "datesub": ["datesub('day', a, a2)"],
    "date_add": ["date_add(a, INTERVAL 1 MONTH)"],
    "monthname": ["monthname(a)"],
    "dayname": ["dayname(t)"],
    "strftime": [
        "strftime(CASE WHEN year(t) > 1582 THEN t END, '%Y-%m-%d %H:%M:%S')",
        "strftime(DATE '2020-03-07', '%Y/%m/%d %j %a %A %b %B')",
    ],
    "make_date": ["make_date(2020, abs(y) % 12 + 1, 28)", "make_date(2021, 2, abs(y) % 31 + 1)"],
    "last_day": ["last_day(a)", "last_day(t)"],
}
#: What is no function: comparisons, conjunctions, casts, CASE.
FORMS = [
    *(f"{pair} {sign} {pair}2" for pair in "yibfdsatxm" for sign in ("=", "<", ">=")),
    *(f"{left} <= {right}" for left, right in ("ib", "id", "md", "mq", "if", "at", "yb")),
    *(
        "f = 0.1",
        "f < 0.5",
        "m > 1",
        "d >= 0.5",
        "i <> 2.5",
        "b = 9007199254740993",
        "a >= '2020-01-31'",
        "t < '2000-01-01'",
    ),
    *("d IS DISTINCT FROM d2", "i IS NOT DISTINCT FROM i2", "s IS DISTINCT FROM s2"),
    *("i IN (1, 2, 7)", "i IN (1, 2.5)", "s IN ('a', 'abc', NULL)", "d NOT IN (0, 1)", "a IN ('2020-01-05')"),
    *("i BETWEEN -1 AND 10", "d BETWEEN 0 AND d2", "s BETWEEN 'a' AND 'b'", "t BETWEEN a AND '2020-12-31'"),
    *("x AND x2", "x OR x2", "NOT x", "x AND i > 0", "i IS NULL", "d IS NOT NULL"),
    *("COALESCE(i, i2, 0)", "COALESCE(d, 0)", "COALESCE(m, 0.5)", "COALESCE(s, 'none')", "COALESCE(a, '2020-01-01')"),
    *(
        "CASE WHEN i > 1 THEN 1 WHEN i < 0 THEN 0.5 END",
        "CASE s WHEN 'a' THEN 1 ELSE 2 END",
        "CASE WHEN x THEN d ELSE f END",
    ),
    *("CASE i WHEN 1 THEN 'one' WHEN 2 THEN 'two' ELSE s END", "CASE WHEN NULL THEN 1 ELSE i END"),
    *("1", "-1", "0.5", "1e3", "1_000", "9223372036854775807", "'it''s \\ '", "TRUE", "DATE '2020-02-29'"),
    *("TIMESTAMP '2020-01-01 01:02:03.5'", "0.1 + d", "3000000000"),
]
CASTS = [
    *(
        f"CAST({column} AS {type_})"
        for column in "yib"
        for type_ in ("SMALLINT", "INTEGER", "BIGINT", "DOUBLE", "FLOAT")
    ),
    *(f"CAST({column} AS {type_})" for column in "fd" for type_ in ("SMALLINT", "INTEGER", "BIGINT", "DOUBLE")),
    *("CAST(d AS FLOAT)", "CAST(m AS DOUBLE)", "CAST(q AS DOUBLE)", "CAST(m AS INTEGER)", "CAST(m AS DECIMAL(8,1))"),
    *(
        "CAST(i AS DECIMAL(12,2))",
        "CAST(i AS BOOLEAN)",
        "CAST(x AS INTEGER)",
        "CAST(x AS DOUBLE)",
        "CAST(q AS DECIMAL(15,2))",
    ),
    *(f"CAST({column} AS VARCHAR)" for column in "yibxmqat"),
    *("CAST(a AS TIMESTAMP)", "CAST(t AS DATE)", "CAST(CAST(t AS TIMESTAMPTZ) AS TIMESTAMP)"),
    *("CAST(c AS INTEGER)", "CAST(c AS BIGINT)", "CAST(c AS DOUBLE)", "CAST(r AS DOUBLE)", "CAST(r AS FLOAT)"),
    *(
        "TRY_CAST(n AS INTEGER)",
        "TRY_CAST(n AS DOUBLE)",
        "TRY_CAST(n AS DATE) IS NULL OR TRUE",
        "TRY_CAST(c AS SMALLINT)",
    ),
    *("CAST(u AS DATE)", "CAST(v AS TIMESTAMP)", "TRY_CAST(u AS DATE)", "CAST(w AS BOOLEAN)"),
]
OVER = "PARTITION BY g ORDER BY i, k"
WINDOWS = {
    "count": [
        "count(*) OVER (PARTITION BY g)",
        "count(i) OVER (PARTITION BY g, x)",
        f"count(i) OVER ({OVER})",
        "count(i) FILTER (WHERE i > 0) OVER (PARTITION BY g)",
    ],
    "count_star": ["count_star() OVER (PARTITION BY g)"],
    "count_if": ["count_if(x) OVER (PARTITION BY g)"],
    "countif": ["countif(i > 0) OVER ()"],
    "min": ["min(d) OVER (PARTITION BY g)", "min(s) OVER (PARTITION BY g, x)", f"min(a) OVER ({OVER})"],
    "max": ["max(d) OVER (PARTITION BY g)", "max(i) OVER (PARTITION BY x ORDER BY i)", "max(m) OVER ()"],
    "sum": [
        "sum(i) OVER (PARTITION BY g)",
        f"sum(y) OVER ({OVER} ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)",
        "sum(m) OVER (PARTITION BY g)",
        "sum(y) OVER (PARTITION BY g ORDER BY i)",
        "sum(i) FILTER (WHERE x) OVER ()",
    ],
    "avg": ["avg(i) OVER (PARTITION BY g)", f"avg(y) OVER ({OVER} ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING)"],
    "mean": ["mean(y) OVER (PARTITION BY x)"],
    "bool_and": ["bool_and(x) OVER (PARTITION BY g)"],
    "bool_or": ["bool_or(x) OVER (PARTITION BY g)"],
    "rank": ["rank() OVER (PARTITION BY g ORDER BY i DESC)", "rank() OVER (PARTITION BY g ORDER BY d NULLS FIRST)"],
    "dense_rank": ["dense_rank() OVER (PARTITION BY g ORDER BY d)", "dense_rank() OVER (ORDER BY s DESC)"],
    "percent_rank": ["percent_rank() OVER (PARTITION BY g ORDER BY i)"],
    "cume_dist": ["cume_dist() OVER (PARTITION BY g ORDER BY i)"],
    "row_number": [f"row_number() OVER ({OVER})", "row_number() OVER (PARTITION BY g ORDER BY d DESC, k)"],
    "ntile": [f"ntile(4) OVER ({OVER})"],
    "lag": [f"lag(i) OVER ({OVER})", f"lag(s, 2) OVER ({OVER})"],
    "lead": [f"lead(d) OVER ({OVER})"],
    "first_value": [f"first_value(d) OVER ({OVER})"],
    "last_value": [f"last_value(d) OVER ({OVER})"],
    "first": [f"first(i) OVER ({OVER})"],
    "last": [f"last(i) OVER ({OVER} ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)"],
}


def expressions() -> Iterator[tuple[str, str]]:
    """Every function with every call of it; forms and casts under names of their own."""
    for group in (CALLS, WINDOWS, {"forms": FORMS, "casts": CASTS}):
        for name, calls in group.items():
            for each in calls:
                yield name, each
