"""DuckDB and Spark give the same values for every function, operator and cast that Spark is allowed to compute."""

import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import sqlglot
from sqlglot import exp

from lineage.data import tables
from lineage.data.functions import AGGREGATES, ORDERED, RANKS, SCALARS
from lineage.data.spark import scalars, select, times, types, windows
from lineage.data.spark.cases import UNLIKE
from lineage.data.spark.session import SETTINGS
from lineage.data.tables import Connection
from lineage.errors import InvalidInput
from tests.yarn import edges, local
from tests.yarn.cluster import java_home

pytestmark = [pytest.mark.yarn, pytest.mark.timeout(900)]
ERROR = object()


def full(sql: str) -> str:
    """*sql* with its columns in full, as the expression of a feature has them."""
    tree = sqlglot.parse_one(sql, read="duckdb").transform(
        lambda each: exp.column(each.name, table="edges") if isinstance(each, exp.Column) else each
    )
    return str(tree.sql(dialect="duckdb"))


def values(connection: Connection, sql: str, rows: int) -> list[Any]:
    """What DuckDB makes of *sql* for each row; ERROR where it refuses one."""
    with suppress(InvalidInput), tables.mapped("sql"):
        return [each for (each,) in connection.execute(f"SELECT {sql} FROM edges ORDER BY k").fetchall()]
    found: list[Any] = [ERROR] * rows
    for row in range(rows):
        with suppress(InvalidInput), tables.mapped("sql"):
            found[row] = tables.row(connection, f"SELECT {sql} FROM edges WHERE k = {row}")[0]
    return found


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every expression by both: its SQL, DuckDB's values, Spark's values, and the rows that Spark had to refuse."""
    if java_home() is None:
        pytest.skip("no JDK of 17 or newer with the module jdk.incubator.vector is here")
    folder = tmp_path_factory.mktemp("parity")
    table = edges.table()
    pq.write_table(table, folder / "edges.parquet")
    pq.write_table(edges.characters(), folder / "chars.parquet")
    expected, selected, failing, written = {}, {}, {}, {}
    with tables.connect(reads=[folder / "edges.parquet", folder / "chars.parquet"]) as connection:
        connection.execute(f"CREATE TABLE edges AS FROM read_parquet('{folder}/edges.parquet')")
        for number, (_, sql) in enumerate(edges.expressions()):
            name = f"e{number}"
            written[name] = full(sql)
            expected[name] = values(connection, written[name], table.num_rows)
            spark = select(connection, f"SELECT {written[name]} FROM edges AS edges")[0]
            wrong = [row for row, value in enumerate(expected[name]) if value is ERROR]
            rows = ", ".join(map(str, wrong))
            selected[name] = f"CASE WHEN edges.k IN ({rows}) THEN NULL ELSE {spark} END" if wrong else spark
            if wrong:
                failing[name] = (spark, wrong[number % len(wrong)])
        cases = connection.execute(f"SELECT lower(s), upper(s) FROM read_parquet('{folder}/chars.parquet') ORDER BY k")
        letters = list(zip(*cases.fetchall(), strict=True))
    chars = {f"unlike_{name}": f"s RLIKE {types.text(pattern)}" for name, pattern in UNLIKE.items()}
    wanted = {
        "edges": {"path": str(folder / "edges.parquet"), "selected": selected},
        "chars": {"path": str(folder / "chars.parquet"), "selected": {name: f"{name}(s)" for name in UNLIKE} | chars},
    }
    refused = local.ask(folder, {"tables": wanted, "settings": dict(SETTINGS), "failing": failing})
    actual = {table: answers(folder / "answers" / table) for table in wanted}
    return {"sql": written, "expected": expected, "letters": letters, "refused": refused, **actual}


def answers(folder: Path) -> dict[str, list[Any]]:
    """What Spark has written of a table: the values of each expression, in the order of rows."""
    found: dict[str, list[Any]] = {}
    for part in sorted(folder.iterdir()):
        table = pq.read_table(part).sort_by("k")
        found |= {name: table.column(name).to_pylist() for name in table.column_names if name != "k"}
    return found


def same(expected: Any, actual: Any, *, ulps: int) -> bool:
    """Whether two values are one, to the sign of nought and the last bit; floats may be *ulps* apart."""
    if expected is ERROR:
        return actual is None
    if isinstance(expected, float) and isinstance(actual, float):
        if math.isnan(expected) or math.isnan(actual):
            return math.isnan(expected) and math.isnan(actual)
        if expected == actual:
            return math.copysign(1, expected) == math.copysign(1, actual)
        return ulps > 0 and abs(expected - actual) <= ulps * math.ulp(expected)
    plain = isinstance(expected, bool) == isinstance(actual, bool) and isinstance(expected, float) == isinstance(
        actual, float
    )
    return bool(plain and expected == actual)


def test_the_values_are_the_same(tried: dict[str, Any]) -> None:
    """Every call gives the same values, to NULL and the sign of nought; what libraries compute may be an ulp apart."""
    calls = dict(zip(tried["sql"], edges.expressions(), strict=True))
    wrong = []
    for name, expected in tried["expected"].items():
        ulps = 1 if calls[name][0] in scalars.BY_LIBRARY else 0
        pairs = list(zip(expected, tried["edges"][name], strict=True))
        differing = [(row, *pair) for row, pair in enumerate(pairs) if not same(*pair, ulps=ulps)]
        if differing:
            wrong.append((tried["sql"][name], len(differing), differing[:4]))
        assert any(value is not None and value is not ERROR for value in expected), tried["sql"][name]

    assert [] == wrong


def test_errors_are_errors(tried: dict[str, Any]) -> None:
    """Where DuckDB refuses a value, by overflow or by a cast, Spark does so too and does not put NULL there."""
    silent = {tried["sql"][name]: value for name, value in tried["refused"].items() if value is not None}

    assert {} == silent
    assert len(tried["refused"]) > 20


def test_the_case_of_every_character(tried: dict[str, Any]) -> None:
    """Upper and lower case are the same for every character but those that Spark is told to refuse."""
    found = tried["chars"]
    for name, expected in zip(("lower", "upper"), tried["letters"], strict=True):
        pairs = zip(edges.CHARACTERS, expected, found[name], found[f"unlike_{name}"], strict=True)
        assert [] == [each for each, ours, theirs, is_unlike in pairs if ours != theirs and not is_unlike]
        assert 0 < sum(found[f"unlike_{name}"]) < 200


def test_every_function_is_tried_or_refused() -> None:
    """What Spark may compute is tried here, and what it may not is refused by name and listed in the documentation."""
    within = {*times.INTERVALS, "coalesce"}  # parts of the calls of + and of the forms
    known = {*scalars.RULES, *windows.NAMES, *within}
    tried = {name for name, _ in edges.expressions()} | within
    allowed = SCALARS | AGGREGATES | RANKS | ORDERED
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
    refused = page.partition("Spark refuses")[2].partition("\n\n")[0].replace("`", " ").replace(",", " ").split()

    assert set() == known - tried
    assert set() == {name for name in allowed - known if name not in refused}
    assert set() == {name for name in refused if name in known}


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("levenshtein(edges.s, edges.s2)", "levenshtein"),
        ("sum(edges.d) OVER ()", "floating-point"),
        ("median(edges.d) OVER ()", "median"),
        ("edges.s ILIKE 'a'", "operator ~~"),
        ("CAST(edges.d AS VARCHAR)", r"CAST\(DOUBLE AS VARCHAR\)"),
        ("regexp_matches(edges.s, '\\ba')", "pattern"),
        ("regexp_matches(edges.s, '(?i)a')", "pattern"),
        ("regexp_replace(edges.s, 'a*', 'b', 'g')", "empty text"),
        ("edges.i = edges.s", "INTEGER with VARCHAR"),
        ("edges.t - edges.t2", "TIMESTAMP"),
        ("substring(edges.s, edges.i)", "from 1 on"),
        ("strptime(edges.s, '%Y')", "strptime"),
        ("string_split(edges.s, ',')", "string_split"),
    ],
)
def test_what_has_no_equal_is_refused(sql: str, said: str) -> None:
    """It is refused by its name before anything runs, and nothing is computed in another way."""
    with tables.connect() as connection:
        connection.execute(
            "CREATE TABLE edges (i INTEGER, d DOUBLE, d2 DOUBLE, s VARCHAR, s2 VARCHAR, t TIMESTAMP, t2 TIMESTAMP)"
        )
        with pytest.raises(InvalidInput, match=said) as caught:
            select(connection, f"SELECT {sql} FROM edges AS edges")

    assert "executor" == caught.value.field
