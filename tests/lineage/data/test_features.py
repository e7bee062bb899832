"""Features: what SQL may be, what it means, and the lineage that is read out of it."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from lineage.artifacts import Artifact, ArtifactKind, artifact_id
from lineage.data import features as sql
from lineage.data.features import FeatureInput, feature_set, references, resolve
from lineage.errors import InvalidInput

Define = Callable[..., Artifact]
WEATHER = "flights LEFT JOIN weather AS w USING (origin, time_hour)"
FLIGHT = ("flights.carrier", "flights.flight", "flights.time_hour")


@pytest.fixture
def flying(nyc: Mapping[str, Artifact], defining: Callable[..., Define]) -> Define:
    """Define features over the real flights, weather and planes."""
    define = defining(*nyc.values())
    return lambda sql, source="flights", entity=FLIGHT, **rest: define(sql, source, entity, **rest)


def columns(feature: Artifact, nyc: Mapping[str, Artifact]) -> set[str]:
    """The columns of a feature's lineage, as table.column."""
    names = {
        artifact_id(ArtifactKind.COLUMN, "default", f"{table}.{each['name']}", dataset.version): (
            f"{table}.{each['name']}"
        )
        for table, dataset in nyc.items()
        for each in dataset.body["columns"]
    }
    return {names[id] for id in feature.body["columns"]}


def test_lineage_is_read_out_of_the_sql(flying: Define, nyc: Mapping[str, Artifact]) -> None:
    """The columns of the expression, of the join, of WHERE and of the entity are the lineage."""
    source = "flights f JOIN weather w ON f.origin = w.origin AND w.time_hour = f.time_hour WHERE w.visib > 1"

    feature = flying("w.temp * 2 + f.dep_delay", source, ("f.carrier",))

    expected = {"weather.temp", "flights.dep_delay", "flights.origin", "weather.origin", "weather.time_hour"}
    assert expected | {"flights.time_hour", "weather.visib", "flights.carrier"} == columns(feature, nyc)
    assert {"f": nyc["flights"].id, "w": nyc["weather"].id} == feature.body["datasets"]


def test_using_is_the_lineage_of_both_sides(flying: Define, nyc: Mapping[str, Artifact]) -> None:
    """USING uses the column of both tables, and its bare name is the left one's."""
    feature = flying("origin", WEATHER)

    assert feature.body["expression"] == '"flights"."origin"'
    assert {"weather.origin", "flights.origin", "weather.time_hour"} <= columns(feature, nyc)


def test_edges_lead_to_columns_and_features(people: Artifact, define: Define) -> None:
    """There is an edge to each column that a feature uses itself, and to each feature that it is made of."""
    double = define("age * 2", name="double")

    feature, edges = resolve(
        FeatureInput(name="more", sql="features.double + 1", source="people", entity=["id"]),
        {"people": people},
        {"double": double},
    )

    assert [edge.target for edge in edges] == [*feature.body["columns"], double.id]
    assert len(feature.body["columns"]) == 1
    assert feature.body["expression"] == '("people"."age" * 2) + 1'


SAME = [
    ("age+1", "people.age + 1"),
    ("AGE + 1 -- a comment", '"people"."age" /* another */ +   1'),
    ("((age > 1))", "age>1"),
    ("coalesce(age, 0)", "COALESCE(\n  Age,\n  0)"),
    ("age::double", "CAST(age AS DOUBLE)"),
    ("case when age>1 then 'a' else 'b' end", "CASE WHEN age > 1 THEN 'a' ELSE 'b' END"),
    ("age != 1", "age <> 1"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_spelling_makes_no_difference(define: Define, one: str, other: str) -> None:
    """The same expression in another spelling is the same feature."""
    assert define(one).id == define(other).id


def test_source_spelling_makes_no_difference(flying: Define) -> None:
    """Nor does the spelling of the source."""
    one = flying("w.temp", "flights LEFT JOIN weather AS w ON flights.origin = w.origin")
    other = flying("W.temp", "Flights left outer join weather W on flights.origin=w.origin".replace("F", "f", 1))

    assert one.id == other.id


def test_another_version_of_the_data_is_another_feature(
    define: Define, defining: Callable[..., Define], register: Any
) -> None:
    """The datasets that a feature was resolved against are part of what it is."""
    newer = register("id,age,city,is_late\n1,31,Oslo,true\n")

    assert define("age").id != defining(newer)("age").id


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("age * 1.5", "DECIMAL(21,1)"),
        ("city || '!'", "VARCHAR"),
        ("age > 30 AND is_late", "BOOLEAN"),
        ("count(*) OVER (PARTITION BY city)", "BIGINT"),
        ("DATE '2024-01-01' + INTERVAL 1 DAY", "TIMESTAMP"),
        ("try_cast(city AS INTEGER)", "INTEGER"),
        ("list_max([age, id])", "BIGINT"),
    ],
)
def test_the_type_is_found_without_data(define: Define, sql: str, expected: str) -> None:
    """DuckDB tells the type from the schema alone."""
    assert expected == define(sql).body["type"]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("agee", "unknown column 'agee'; did you mean 'age'"),
        ("people.agee", "unknown column 'agee' in 'people'; did you mean 'age'"),
        ("peple.age", "unknown table 'peple'; did you mean 'people'"),
        ("rond(age)", "unknown function 'rond'; did you mean 'round'"),
        ("features.x", "unknown feature 'x'"),
        ("main.people.age", "a column is written table.column"),
        ("city + 1", r"'\+\(VARCHAR, INTEGER_LITERAL\)'"),
        ("CAST(age AS nothing)", "Type with name nothing does not exist"),
        ("age +", "it is not SQL"),
        ("", "it is empty"),
        ("-- nothing", "it is empty"),
        ("NULL", "always NULL"),
        ("age AS x", "give the expression alone"),
        ("age, id", "it is not SQL"),
        ("*", "name the columns"),
        ("people.*", "name the columns"),
        ("city ~ 'O'", "regexp_full_match"),
        ("(" * 2000 + "age" + ")" * 2000, "nested too deeply"),
        ("age" + " + 1" * 4000, "may have 10000 characters"),
        ("ag\0e", "null character"),
    ],
)
def test_what_does_not_resolve_is_named(define: Define, sql: str, message: str) -> None:
    """An error names what is wrong and offers what may have been meant."""
    with pytest.raises(InvalidInput, match=message):
        define(sql)


@pytest.mark.parametrize("call", ["now()", "current_date", "current_timestamp", "random()", "uuid()", "today()"])
def test_chance_and_the_clock_are_refused(define: Define, call: str) -> None:
    """What gives another answer each time is no feature, wherever it stands."""
    for written in (call, f"age + length(({call})::VARCHAR)", f"max({call}) OVER (PARTITION BY city)"):
        with pytest.raises(InvalidInput, match="does not always give the same answer"):
            define(written)


HOSTILE = [
    "(SELECT 1)",
    "age IN (SELECT id FROM people)",
    "EXISTS (SELECT 1)",
    "(SELECT content FROM read_text('/etc/passwd'))",
    "read_text('/etc/passwd')",
    "read_csv('/etc/passwd')",
    "glob('/*')",
    "getenv('HOME')",
    "current_setting('secret_directory')",
    "query('SELECT 1')",
    "age; DROP TABLE people",
    "DROP TABLE people",
    "COPY people TO '/tmp/x'",
    "ATTACH '/tmp/x.db'",
    "PRAGMA version",
    "SET threads=1",
    "1) FROM people; COPY (SELECT 1) TO '/tmp/x' --",
    "age FROM people UNION SELECT 1",
    "nextval('s')",
    "pg_sleep(10)",
    "sleep_ms(1000)",
    "write_log('x')",
    "repeat('x', 1000000000)",
    "range(1000000000)",
    "unnest([1])",
    "list_transform([age], x -> x)",
    "COLUMNS('a')",
    "$1",
    "?",
    "main.upper(city)",
    "system.main.upper(city)",
    "json_serialize_sql('SELECT 1')",
    "hash(city)",
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_sql_is_refused(define: Define, hostile: str) -> None:
    """Statements, subqueries, table functions and whatever touches more than its row never reach the data."""
    with pytest.raises(InvalidInput):
        define(hostile)
    with pytest.raises(InvalidInput):
        define("1", f"people WHERE {hostile} IS NOT NULL")
    with pytest.raises(InvalidInput):
        define("1", hostile)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("peple", "unknown dataset 'peple'; did you mean 'people'"),
        ("people, people p", "needs ON or USING"),
        ("people CROSS JOIN people p", "CROSS JOIN is not supported"),
        ("people NATURAL JOIN people p", "NATURAL JOIN is not supported"),
        ("people RIGHT JOIN people p USING (id)", "RIGHT JOIN is not supported"),
        ("people ASOF JOIN people p ON people.id >= p.id", "ASOF JOIN is not supported"),
        ("people JOIN people ON true", "'people' stands twice"),
        ("people JOIN people p USING (nope)", "in no dataset before it"),
        ("people JOIN people p ON id = id", "'id' is ambiguous; did you mean 'people.id' or 'p.id'"),
        ("people AS features", "another alias"),
        ("people AS p(a, b)", "may not rename columns"),
        ("people TABLESAMPLE 10%", "is no dataset"),
        ("(SELECT * FROM people) AS people", "is no dataset"),
        ("people LIMIT 3", "nothing else"),
        ("people GROUP BY id", "nothing else"),
        ("people WHERE random() > 0.5", "does not always give the same answer"),
        ("people WHERE row_number() OVER (ORDER BY id) = 1", "window function has no place"),
        ("people WHERE features.x", "cannot refer to features"),
        ("'people.csv'", "unknown dataset"),
        ("", "it is empty"),
    ],
)
def test_a_source_is_datasets_and_joins(define: Define, source: str, message: str) -> None:
    """A FROM clause names datasets that are joined on conditions; everything else is refused with a reason."""
    with pytest.raises(InvalidInput, match=message):
        define("1", source)


def test_an_ambiguous_column_offers_its_candidates(flying: Define) -> None:
    """A bare name that two datasets have is refused, with both."""
    with pytest.raises(InvalidInput, match="ambiguous") as caught:
        flying("year", WEATHER)

    assert caught.value.nearest == ["flights.year", "w.year"]


@pytest.mark.parametrize(
    ("entity", "message"),
    [
        ((), "name the columns"),
        (("nope",), "unknown column 'nope'"),
        (("id", "people.id"), "two columns named 'id'"),
        (("id + 1",), "is no column"),
        (("features.x",), "is no column"),
    ],
)
def test_an_entity_is_columns(define: Define, entity: tuple[str, ...], message: str) -> None:
    """The entity is made of columns that exist, each once."""
    with pytest.raises(InvalidInput, match=message):
        define("age", "people", entity)


def test_aggregates_need_a_window(define: Define) -> None:
    """An aggregate has no value for one row, and the error says how to write it."""
    with pytest.raises(InvalidInput, match=r"sum\(\) is an aggregate.*OVER"):
        define("sum(age)")


@pytest.mark.parametrize(
    ("sql", "window"),
    [
        ("avg(age) OVER (PARTITION BY city)", "group"),
        ("sum(age) OVER (ORDER BY age)", "group"),
        ("rank() OVER (ORDER BY age)", "group"),
        ("lag(age) OVER (ORDER BY age, id)", "ordered"),
        ("sum(age) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)", "ordered"),
        ("age", "none"),
    ],
)
def test_windows_are_known(define: Define, sql: str, window: str) -> None:
    """What a feature sees beside its own row is written down."""
    assert window == define(sql).body["window"]


@pytest.mark.parametrize(
    "sql",
    [
        "row_number() OVER ()",
        "row_number() OVER (ORDER BY age)",
        "lag(age) OVER (PARTITION BY city ORDER BY age)",
        "first_value(city) OVER (ORDER BY age)",
        "sum(age) OVER (ORDER BY age ROWS 2 PRECEDING)",
    ],
)
def test_windows_that_depend_on_ties_are_refused(define: Define, sql: str) -> None:
    """What tells equal rows apart needs the entity in its order, else its answer is chance."""
    with pytest.raises(InvalidInput, match="add id"):
        define(sql)


def test_a_feature_of_a_feature_keeps_its_meaning(flying: Define) -> None:
    """A feature can be used over its own source, and over one that only joins more to it."""
    late = flying("arr_delay > 15", name="late")

    assert flying("features.late AND w.temp < 0", WEATHER, known=[late]).body["features"] == [late.id]
    with pytest.raises(InvalidInput, match="over another source"):
        flying("features.late", "planes", ("tailnum",), known=[late])
    ranked = flying("avg(dep_delay) OVER (PARTITION BY carrier)", name="late")
    with pytest.raises(InvalidInput, match="over another source"):
        flying("features.late", WEATHER, known=[ranked])


def test_a_feature_cannot_be_made_of_itself(define: Define) -> None:
    """Cycles are impossible, even by name."""
    with pytest.raises(InvalidInput, match="made of itself"):
        define("features.f + 1", known=[define("age", name="f")])


def test_a_feature_over_old_data_is_refused(define: Define, defining: Callable[..., Define], register: Any) -> None:
    """A feature of another version of a dataset does not slip in."""
    old = define("age", name="old")
    newer = register("id,age,city,is_late\n1,31,Oslo,true\n")

    with pytest.raises(InvalidInput, match="another version of 'people'"):
        defining(newer)("features.old", known=[old])


def test_names_are_read_before_anything_is_resolved() -> None:
    """The datasets of a source and the features of an expression can be asked for alone."""
    assert sql.tables('flights LEFT JOIN "my data" AS w ON w.a = flights.a JOIN flights f ON true') == [
        "flights",
        "my data",
    ]
    assert references('features.a + FEATURES."b c" * features.a') == ["a", "b c"]


def test_a_feature_set_keeps_order_and_label(define: Define) -> None:
    """Members stand in the order given; the label is a member of its own."""
    age, city, late = (define(each, name=f"the_{each}") for each in ("age", "city", "is_late"))

    artifact, edges = feature_set("set", [city, age], late)

    assert artifact.body["names"] == ["the_city", "the_age"]
    assert (artifact.body["label"], artifact.body["label_name"]) == (late.id, "the_is_late")
    assert artifact.body["entity"] == ["id"]
    assert [edge.target for edge in edges] == [city.id, age.id, late.id]


def test_members_of_a_feature_set_match(define: Define) -> None:
    """A label among the features, other entities, names that clash and nothing at all are refused."""
    age, late = define("age", name="a"), define("is_late", name="late")

    for features, label, message in (
        ([], late, "at least one"),
        ([age, late], late, "among the features"),
        ([define("age", entity=["city"], name="b")], late, "for each"),
        ([age, define("age * 2", name="A")], late, "has the name of the feature 'a'"),
        ([define("age", name="ID")], late, "has the name of the entity's 'id'"),
    ):
        with pytest.raises(InvalidInput, match=message):
            feature_set("set", features, label)


def test_a_feature_set_has_one_version_of_each_dataset(
    define: Define, defining: Callable[..., Define], register: Any
) -> None:
    """Features over different versions of one dataset do not go together."""
    newer = register("id,age,city,is_late\n1,31,Oslo,true\n")

    with pytest.raises(InvalidInput, match="different versions of 'people'"):
        feature_set("set", [define("age", name="a")], defining(newer)("is_late", name="late"))


def test_what_is_known_by_name_alone_has_no_sql() -> None:
    """A feature that another system has only named cannot be a member."""
    with pytest.raises(InvalidInput, match="only known by name"):
        feature_set("set", [Artifact.defined(ArtifactKind.FEATURE, "ghost", {})], None)
