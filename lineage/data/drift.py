"""Drift: how far the columns of some rows have moved from those that a model has learned from, counted by DuckDB.

Each column gets a population stability index and a two-sample test. Statistics and their sources:

- Population stability index, Σ (q - p) ln(q / p) over bins with the shares p of the training rows and q of the others:
  N. Siddiqi, *Credit Risk Scorecards* (2006); it is the symmetric divergence of S. Kullback and R. A. Leibler, *On
  Information and Sufficiency* (1951). Bins are cut at quantiles of the training rows, so that each has about as many of
  them; values that are missing are a bin of their own. Every bin counts half a row more than it has (the prior of
  H. Jeffreys), so that an empty one gives a finite number.
- Kolmogorov and Smirnov's test for numbers and times: the largest distance of the two empirical distribution functions,
  with the p-value of Kolmogorov's limit at sqrt(nm / (n + m)) (N. Smirnov, *Table for Estimating the Goodness of Fit of
  Empirical Distributions*, 1948). Missing values are left out.
- Pearson's chi-squared test of homogeneity for everything else, (bins - 1) degrees of freedom (K. Pearson, *On the
  Probability that Two Independent Distributions of Frequency are Really Samples from the Same Population*, 1911).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lineage.data import statistics, tables
from lineage.data.tables import Connection, literal, quote
from lineage.errors import InvalidInput

BINS = 10
MOST_BINS = 50
CATEGORIES = 50  # values of a column that are counted by themselves; all others are one
#: From here on the population has shifted, as Siddiqi reads the index.
SHIFTED = 0.25
TIMES = ("DATE", "TIME", "TIMESTAMP", "INTERVAL")
#: The columns of a file of counts: the place of a column, one of its values as a number or as a text, how many rows.
COUNTS = {"place": "INTEGER", "num": "DOUBLE", "txt": "VARCHAR", "n": "BIGINT"}
Test = Literal["kolmogorov_smirnov", "chi_squared"]


@dataclass(frozen=True, kw_only=True)
class Bin:
    """How many rows of each side are in one bin; *label* says which, as people read it."""

    label: str
    expected: int
    found: int


@dataclass(frozen=True, kw_only=True)
class ColumnDrift:
    """How far one column has moved; without a test, *note* says why."""

    name: str
    type: str
    psi: float | None = None
    test: Test | None = None
    statistic: float | None = None
    p_value: float | None = None
    bins: Sequence[Bin] = ()
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class Drift:
    """How far rows have moved: each column, and the number of rows on both sides."""

    expected_rows: int
    rows: int
    columns: Sequence[ColumnDrift]

    def values(self) -> tuple[dict[str, float | None], dict[str, str]]:
        """The metrics of all columns together, and in words which column is behind one.

        `psi` is that of the worst column, `p_value` the smallest, times the number of tests (C. E. Bonferroni, 1936),
        `drifted_share` the share of columns whose index says that the population has shifted.
        """
        known = [each for each in self.columns if each.psi is not None]
        tested = [each for each in known if each.p_value is not None]
        if not known:
            return {"psi": None, "p_value": None, "drifted_share": None}, {"psi": "no column can be compared"}
        worst = max(known, key=lambda each: each.psi or 0.0)
        least = min(tested, key=lambda each: each.p_value or 0.0, default=None)
        values: dict[str, float | None] = {
            "psi": worst.psi,
            "p_value": None if least is None else min(1.0, (least.p_value or 0.0) * len(tested)),
            "drifted_share": sum((each.psi or 0.0) >= SHIFTED for each in known) / len(known),
        }
        notes = {"psi": f"the worst column is {worst.name}"}
        return values, notes if least is None else {**notes, "p_value": f"the least likely column is {least.name}"}


def measure(
    expected: Path,
    found: Path,
    columns: Sequence[Mapping[str, str]],
    *,
    bins: int = BINS,
    is_counted: bool = False,
) -> Drift:
    """Hold the Parquet file *found* against *expected*, which has the same *columns* (name and DuckDB type).

    Args:
        is_counted: whether *found* has COUNTS of the values in the place of rows.

    Raises:
        InvalidInput: a side has no rows, or lacks a column; *bins* makes no sense.
    """
    if not 2 <= bins <= MOST_BINS:
        raise InvalidInput(f"bins must be between 2 and {MOST_BINS}, not {bins}", field="bins")
    with tables.connect(reads=[expected, found], field="predictions") as connection:
        for name, path in (("expected", expected), ("found", found)):
            connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet({literal(str(path))})")
        there = "coalesce(sum(n), 0) FROM found WHERE place = 0" if is_counted else "count(*) FROM found"
        rows = [int(tables.row(connection, f"SELECT {each}")[0]) for each in ("count(*) FROM expected", there)]
        if 0 in rows:
            raise InvalidInput("there are no rows to compare", field="predictions")
        made = []
        for place, each in enumerate(columns):
            tables.check_stopped()
            made.append(_column(connection, each, bins, place if is_counted else None))
    return Drift(expected_rows=rows[0], rows=rows[1], columns=made)


def write(
    rows: Sequence[Sequence[Any]], names: Sequence[str], columns: Sequence[Mapping[str, str]], target: Path
) -> None:
    """Write *rows*, whose values stand below *names* as JSON has them, to the Parquet file *target* with *columns*.

    A value that its column cannot have is one that is missing. Raise InvalidInput where a column is not among *names*.
    """
    places = {name: place for place, name in enumerate(names)}
    missing = [each["name"] for each in columns if each["name"] not in places]
    if missing:
        raise InvalidInput(f"the rows have no column {missing[0]!r}", field="deployment")
    texts = [[_text(row[places[each["name"]]]) for row in rows] for each in columns]
    sent = ", ".join(f"unnest(?::VARCHAR[]) AS c{place}" for place in range(len(columns)))
    cast = ", ".join(f"TRY_CAST(c{n} AS {each['type']}) AS {quote(each['name'])}" for n, each in enumerate(columns))
    with tables.connect(writes=target.parent, field="deployment") as connection:
        connection.execute(f"CREATE TABLE sent AS SELECT {sent}", texts)
        connection.execute(f"COPY (SELECT {cast} FROM sent) TO {literal(str(target.resolve()))} (FORMAT parquet)")


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, bool):
        return None if value is None else str(value).lower()
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    return text.encode(errors="replace").decode()  # JSON may hold halves of characters


def _column(connection: Connection, column: Mapping[str, str], bins: int, place: int | None) -> ColumnDrift:
    """The drift of a column; with a *place* those that were found are counted."""
    name, type_ = column["name"], column["type"]
    if statistics.is_nested(type_):
        return ColumnDrift(name=name, type=type_, note=f"values of type {type_} are not compared")
    is_number = statistics.is_number(type_) or type_.startswith(TIMES)
    value = _value(quote(name), type_, is_number=is_number)
    counted = f"SELECT {'num' if is_number else 'txt'} AS v, n FROM found WHERE place = {place}"
    for side in ("expected", "found"):
        values = f"SELECT v, count(*) AS n FROM (SELECT {value} AS v FROM {side}) GROUP BY v"
        made = values if side == "expected" or place is None else counted
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {side}_v AS {made}")
    binned = _numbers(connection, value, bins) if is_number else _categories(connection)
    index = psi([each.expected for each in binned], [each.found for each in binned])
    known: dict[str, Any] = {"name": name, "type": type_, "psi": index, "bins": binned}
    if is_number:
        statistic, p_value = _kolmogorov_smirnov(connection)
        note = None if statistic is not None else "one side has no values"
        return ColumnDrift(**known, test="kolmogorov_smirnov", statistic=statistic, p_value=p_value, note=note)
    statistic, p_value = chi_squared([each.expected for each in binned], [each.found for each in binned])
    return ColumnDrift(**known, test="chi_squared", statistic=statistic, p_value=p_value)


def _value(name: str, type_: str, *, is_number: bool) -> str:
    """The expression of a value: a DOUBLE or a text; NaN is a value that is missing."""
    if not is_number:
        return f"{name}::VARCHAR"
    if type_ == "TIMESTAMP WITH TIME ZONE":
        name = f"timezone('UTC', {name})"  # of an instant, DuckDB's seconds are rounded twice
    if type_.startswith(TIMES):
        return f"epoch({name})::DOUBLE"
    return f"CASE WHEN NOT isnan({name}) THEN {name}::DOUBLE END" if type_ in statistics.FLOATS else f"{name}::DOUBLE"


def _numbers(connection: Connection, value: str, bins: int) -> list[Bin]:
    """The rows of both sides between quantiles of the expected ones; a bin has the value that ends it."""
    shares = ", ".join(str(each / bins) for each in range(1, bins))
    (found,) = tables.row(connection, f"SELECT quantile_disc({value}, [{shares}]) FROM expected")
    edges = sorted(set(found or ()))
    cases = " ".join(f"WHEN v <= ? THEN {number}" for number in range(len(edges)))
    number = f"CASE WHEN v IS NULL THEN -1 {cases} ELSE {len(edges)} END"
    counts = [
        dict(connection.execute(f"SELECT {number} AS bin, sum(n) FROM {side}_v GROUP BY bin", edges).fetchall())
        for side in ("expected", "found")
    ]
    labels = {-1: "missing", **{each: f"≤ {edge:.6g}" for each, edge in enumerate(edges)}}
    labels[len(edges)] = f"> {edges[-1]:.6g}" if edges else "all"
    return _bins([(label, counts[0].get(key, 0), counts[1].get(key, 0)) for key, label in labels.items()])


def _categories(connection: Connection) -> list[Bin]:
    """The rows of both sides with each value, the most frequent first; rare ones are counted together."""
    sql = """
        SELECT v, sum(a)::BIGINT, sum(b)::BIGINT
        FROM (SELECT v, n AS a, 0 AS b FROM expected_v UNION ALL SELECT v, 0, n FROM found_v)
        GROUP BY v ORDER BY sum(a) + sum(b) DESC, v NULLS LAST
    """
    cursor = connection.execute(sql)
    rows: list[tuple[str, int, int]] = [
        ("missing" if each[0] is None else f"= {each[0]}"[:100], each[1], each[2])
        for each in cursor.fetchmany(CATEGORIES)
    ]
    others = [0, 0]
    while more := cursor.fetchmany(10_000):
        others = [others[0] + sum(each[1] for each in more), others[1] + sum(each[2] for each in more)]
    return _bins([*rows, ("others", others[0], others[1])])


def _bins(counts: Sequence[tuple[str, int, int]]) -> list[Bin]:
    """Those that any side has rows in."""
    return [Bin(label=label, expected=int(a), found=int(b)) for label, a, b in counts if a or b]


def psi(expected: Sequence[int], found: Sequence[int]) -> float:
    """The population stability index of the counts of the same bins on both sides."""
    bins = len(expected)
    totals = [sum(each) + bins / 2 for each in (expected, found)]
    shares = (((a + 0.5) / totals[0], (b + 0.5) / totals[1]) for a, b in zip(expected, found, strict=True))
    return math.fsum((q - p) * math.log(q / p) for p, q in shares)


def chi_squared(expected: Sequence[int], found: Sequence[int]) -> tuple[float, float]:
    """Pearson's statistic that both counts come from one population, and its p-value; every bin has a row."""
    from scipy.special import chdtrc

    totals = sum(expected), sum(found)
    statistic = 0.0
    for counts, total in ((expected, totals[0]), (found, totals[1])):
        for each, a, b in zip(counts, expected, found, strict=True):
            mean = (a + b) * total / sum(totals)
            statistic += (each - mean) ** 2 / mean
    freedom = len(expected) - 1
    return statistic, float(chdtrc(freedom, statistic)) if freedom else 1.0


def _kolmogorov_smirnov(connection: Connection) -> tuple[float | None, float | None]:
    """The largest distance of the two distribution functions, and its p-value; None where a side has no values."""
    from scipy.special import kolmogorov

    n, m = (_there(connection, side) for side in ("expected", "found"))
    if not n or not m:
        return None, None
    sql = f"""
        SELECT max(abs(sum_a / {n} - sum_b / {m})) FROM (
            SELECT sum(a) OVER (ORDER BY v) AS sum_a, sum(b) OVER (ORDER BY v) AS sum_b FROM (
                SELECT v, sum(a) AS a, sum(b) AS b
                FROM (SELECT v, n AS a, 0 AS b FROM expected_v UNION ALL SELECT v, 0, n FROM found_v)
                WHERE v IS NOT NULL GROUP BY v))
    """
    statistic = float(tables.row(connection, sql)[0])
    return statistic, float(kolmogorov(math.sqrt(n * m / (n + m)) * statistic))


def _there(connection: Connection, side: str) -> int:
    """How many rows of a side have a value."""
    return int(tables.row(connection, f"SELECT coalesce(sum(n), 0) FROM {side}_v WHERE v IS NOT NULL")[0])
