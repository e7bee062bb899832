"""Features of rows that a caller sends, held against those of training."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import pyarrow.parquet as pq
import pytest

from lineage.artifacts import Artifact
from lineage.data import online, splits, tables
from lineage.errors import InvalidInput
from tests.lineage.data.conftest import Define, define_over

SOURCE = """flights LEFT JOIN weather AS w ON flights.origin = w.origin AND flights.time_hour = w.time_hour"""
ENTITY = ("flights.carrier", "flights.flight", "flights.origin", "flights.time_hour")
WHERE = "flights.month = 1 AND flights.day = 1 AND flights.flight < 300"


def flying(nyc: Mapping[str, Artifact]) -> tuple[Artifact, list[Artifact]]:
    """Features of flights, their weather among them, and a label that callers cannot know."""
    from lineage.data.features import feature_set

    define = define_over(*nyc.values())
    sql = {
        "far": "flights.distance / 1000.0",
        "hour": "flights.hour",
        "wind": "w.wind_speed * 1.5",
        "to": "flights.dest",
    }
    features = [define(text, SOURCE, ENTITY, name=name) for name, text in sql.items()]
    label = define("flights.arr_delay > 15", SOURCE, ENTITY, name="is_late")
    return feature_set("delays", features, label)[0], [*features, label]


def compute(members: Artifact, features: list[Artifact], known: Mapping[str, Artifact], rows: Any) -> online.Computed:
    """Compute, from a test that is not async."""

    async def work() -> online.Computed:
        return await online.compute(members, features, known, rows)

    return anyio.run(work)


def test_rows_have_the_features_that_training_gave_them(
    nyc: Mapping[str, Artifact], nycflights: Mapping[str, Path], tmp_path: Path
) -> None:
    """The raw columns of a row, without what is known only later, give the very values that training has."""
    members, features = flying(nyc)
    target = tmp_path / "rows.parquet"

    async def select() -> None:
        await splits.select(members, features, nyc, where=WHERE, target=target)

    anyio.run(select)
    trained = pq.read_table(target).to_pylist()
    with tables.connect(reads=[nycflights["flights"]]) as connection:
        found = connection.execute(
            "SELECT carrier, flight, origin, dest, time_hour::VARCHAR AS time_hour, distance, hour, month, day "
            f"FROM read_csv('{nycflights['flights']}', nullstr=['NA']) AS flights WHERE {WHERE}"
        )
        names = [each[0] for each in found.description]
        raw = [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    made = compute(members, features, nyc, raw)

    key = ("carrier", "flight", "origin")
    expected = {tuple(row[name] for name in key): [row[name] for name in made.columns] for row in trained}
    assert ["far", "hour", "wind", "to"] == made.columns
    assert len(raw) > 100
    assert expected == {tuple(row[name] for name in key): list(v) for row, v in zip(raw, made.rows, strict=True)}


def test_rows_keep_their_order_and_may_be_alike(
    define: Define, people: Artifact, grouped: Callable[..., Artifact]
) -> None:
    """Every row has its answer in its place, also one that stands twice and one with a missing value."""
    double, label = define("people.age * 2", name="double"), define("people.is_late", name="late")
    rows = [{"id": 9, "age": 30}, {"id": 1, "age": None}, {"id": 9, "age": 30}]

    made = compute(grouped([double], label), [double, label], {"people": people}, rows)

    assert [[60], [None], [60]] == made.rows


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"id": 1}, "row 0 lacks the column 'age' of 'people'"),
        ({"id": 1, "age": 3, "agee": 4}, "did you mean 'age'"),
        ({"id": 1, "age": "old"}, "age"),
        ({"id": 1, "age": [1]}, "column 'age', row 0: [1] is not a plain value"),
        ({"id": 1, "age": float("nan")}, "column 'age', row 0: nan is not a plain value"),
    ],
)
def test_bad_rows_are_refused_by_their_column(
    define: Define, people: Artifact, grouped: Callable[..., Artifact], row: Any, said: str
) -> None:
    """A column that is missing, unknown or of another type is named."""
    double, label = define("people.age * 2", name="double"), define("people.is_late", name="late")

    with pytest.raises(InvalidInput) as caught:
        compute(grouped([double], label), [double, label], {"people": people}, [row])

    assert said in str(caught.value)


def test_a_feature_of_many_rows_cannot_be_computed_from_a_few(
    define: Define, people: Artifact, grouped: Callable[..., Artifact]
) -> None:
    """A window over the base dataset sees rows that the caller did not send."""
    mean, label = define("avg(people.age) OVER ()", name="mean"), define("people.is_late", name="late")

    with pytest.raises(InvalidInput, match="sees more than one row"):
        compute(grouped([mean], label), [mean, label], {"people": people}, [{"id": 1, "age": 2}])
