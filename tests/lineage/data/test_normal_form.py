"""Normal form of SQL: it means what was written, it is stable, and any text has one or a clear error."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lineage.artifacts import Artifact
from lineage.data import tables
from lineage.data.expressions import parse_expression, text
from lineage.errors import InvalidInput

Define = Callable[..., Artifact]

MEANING = """
    age + 1, -age, age // 2 + age % 3, age ^ 2, age ** 2, age / 7, abs(-age), round(age / 3, 2), greatest(age, id),
    age BETWEEN 1 AND 40, age NOT BETWEEN 1 AND 40, NOT age > 3, age IS NULL, age IS NOT NULL, age IN (30, 50),
    coalesce(age, 0), ifnull(age, 0), nullif(age, 30), if(age > 30, 1, 0), CASE city WHEN 'Oslo' THEN 1 END,
    city || '-' || id, upper(city), len(city), left(city, 2), right(city, 2), substring(city FROM 2 FOR 2), city[1:2],
    city LIKE 'O%', city ILIKE 'o%', city NOT LIKE 'O%', city SIMILAR TO 'O.*', city GLOB 'O*', strpos(city, 's'),
    position('s' IN city), replace(city, 'o', '0'), trim(BOTH 'O' FROM city), split_part(city, 's', 1), md5(city),
    regexp_matches(city, 'sl'), regexp_replace(city, '[aeiou]', '*', 'g'), regexp_extract(city, '(.)s', 1),
    concat(city, NULL, 'x'), concat_ws('-', city, id), starts_with(city, 'O'), contains(city, 's'),
    levenshtein(city, 'Rome'), age::DOUBLE, CAST(age AS VARCHAR), TRY_CAST(city AS INTEGER), age::DECIMAL(10,2),
    DATE '2024-02-29' + INTERVAL 1 YEAR, date_trunc('month', DATE '2024-02-29'), year(DATE '2024-02-29'),
    date_part('dow', DATE '2024-02-29'), extract(week FROM DATE '2024-02-29'), dayofweek(DATE '2024-02-29'),
    isodow(DATE '2024-02-29'), date_diff('day', DATE '2024-02-29', DATE '2025-01-01'), last_day(DATE '2024-02-01'),
    strftime(DATE '2024-02-29', '%d/%m/%y %j'), monthname(DATE '2024-02-29'), quarter(DATE '2024-02-29'),
    epoch(TIMESTAMP '2024-02-29 10:00:00'), hour(TIMESTAMP '2024-02-29 10:00:00'), make_date(2024, 2, 29),
    time_bucket(INTERVAL 7 DAYS, DATE '2024-02-29'), log(100), log(2, 8), ln(10), log2(8), sign(-age), age & 3,
    age << 2, isnan(age::DOUBLE), is_late AND age > 3 OR false, is_late = true, id IS DISTINCT FROM age, xor(id, 3),
    1e3, 0.1 + 0.2, to_days(3), weekofyear(DATE '2024-12-30'), strptime('29/02/2024', '%d/%m/%Y'), ceil(age / 7),
    trunc(age / 7)
"""


def _pieces(listing: str) -> list[str]:
    found, depth, quoted, piece = [], 0, False, ""
    for character in listing:
        quoted ^= character == "'"
        depth += (character in "([") - (character in ")]") if not quoted else 0
        if character == "," and depth == 0 and not quoted:
            found.append(piece.strip())
            piece = ""
        else:
            piece += character
    return [*found, piece.strip()]


@pytest.mark.parametrize("written", _pieces(MEANING))
def test_normalised_sql_means_the_same(define: Define, written: str) -> None:
    """DuckDB gives the same answer for what was written and for the spelling that is kept."""
    kept = define(written).body["expression"]
    rows = "(VALUES (1, 30, 'Oslo', true), (2, NULL, 'Rome', false)) AS people(id, age, city, is_late)"

    with tables.connect() as connection:
        answers = [
            connection.execute(f"SELECT ({each})::VARCHAR FROM {rows} ORDER BY id").fetchall()
            for each in (written, kept)
        ]

    assert answers[0] == answers[1]


EXPRESSIONS = st.recursive(
    st.sampled_from(["age", "id", "people.age", "1", "2.5", "NULL::INTEGER"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "%"]), inner).map(lambda each: f"({' '.join(each)})"),
        inner.map(lambda each: f"abs( {each} )"),
        st.tuples(inner, inner).map(lambda each: f"CASE when {each[0]} > 1 THEN {each[1]} END"),
    ),
    max_leaves=8,
)


@given(EXPRESSIONS)
@settings(deadline=None, max_examples=100)
def test_normal_form_is_stable(written: str) -> None:
    """Normalising what is normal changes nothing, nor do case and white space."""
    normal = text(parse_expression(written))

    assert normal == text(parse_expression(normal))
    assert normal == text(parse_expression(f"  {written.replace(' ', chr(10) + '  ')} -- so"))


@given(st.text(st.sampled_from("ag e()'\",;*+-/|&~@#$%^[]{}<>=!?.:\\0x1\nASELCTFROMWHOVBYfid"), max_size=40))
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_sql_or_a_clear_error(define: Define, written: str) -> None:
    """Whatever is typed, it is a feature or InvalidInput."""
    with suppress(InvalidInput):
        assert define(written).body["expression"]
