"""Training sets: what is written, how it is split, and that the same definition gives the same bytes."""

import hashlib
import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lineage.artifacts import Artifact
from lineage.data import tables
from lineage.data.splits import SplitRule
from lineage.errors import DigestMismatch, InvalidInput
from tests.lineage.data.cases import RATIO, Case, numbered, rows

HASH = {**RATIO, "by": "HASH"}
FLIGHT = ("flights.carrier", "flights.flight", "flights.origin", "flights.time_hour")
TIME = {"by": "TIME", "column": "flights.time_hour", "validate_from": "2013-08-01", "test_from": "2013-10-01"}


Define = Callable[..., Artifact]


@pytest.fixture
def flying(tmp_path: Path, nyc: Mapping[str, Artifact], defining: Callable[..., Define]) -> Case:
    """Late flights by their departure, their plane and the weather."""
    define = defining(*nyc.values())
    weather = "flights LEFT JOIN weather AS w USING (origin, time_hour)"
    planes = "flights LEFT JOIN planes AS p USING (tailnum)"
    features = [
        define("dep_delay", "flights", FLIGHT, name="dep_delay"),
        define("w.wind_speed * 1.5", weather, FLIGHT, name="wind"),
        define("flights.year - p.year", planes, FLIGHT, name="age"),
        define("avg(dep_delay) OVER (PARTITION BY carrier)", "flights", FLIGHT, name="usual"),
    ]
    label = define("arr_delay > 15", "flights", FLIGHT, name="late")
    return Case(tmp_path / "out", features, label, *nyc.values())


def test_flights_are_split_by_time(flying: Case) -> None:
    """Three sources are joined on the entity; months before, between and after stand in their splits."""
    done = flying.materialise({**TIME, "until": "2013-12-01"})

    sizes = {split: each["rows"] for split, each in done.body["splits"].items()}
    assert sizes == {"train": 188_870, "validate": 55_776, "test": 55_536}
    assert done.body["dropped"] == {"label_null": 9430, "time_null": 0, "after_until": 27_164}
    assert done.body["overlap"] == {"rows_shared": 0, "keys_shared": 0}
    table = pq.read_table(done.files["test"])
    assert table.column_names == [each["name"] for each in done.body["columns"]]
    assert table.column_names == [
        "carrier",
        "flight",
        "origin",
        "time_hour",
        "dep_delay",
        "wind",
        "age",
        "usual",
        "late",
    ]
    assert str(table["time_hour"].to_pylist()[0]) >= "2013-10-01"


def test_values_are_those_of_the_sources(flying: Case, nycflights: Mapping[str, Path]) -> None:
    """A known flight has the values that plain SQL over the CSV files finds."""
    file = flying.select("flights.flight = 1545 AND flights.month = 1 AND flights.day = 1").file

    with tables.connect(reads=list(nycflights.values())) as connection:
        nulls = "nullstr=['NA']"
        expected = connection.execute(
            "SELECT f.dep_delay, w.wind_speed * 1.5, f.year - p.year "
            f"FROM read_csv('{nycflights['flights']}', {nulls}) f "
            f"LEFT JOIN read_csv('{nycflights['weather']}', {nulls}) w USING (origin, time_hour) "
            f"LEFT JOIN read_csv('{nycflights['planes']}', {nulls}) p USING (tailnum) "
            "WHERE f.flight = 1545 AND f.month = 1 AND f.day = 1"
        ).fetchall()
    assert [tuple(row[name] for name in ("dep_delay", "wind", "age")) for row in rows(file)] == expected


AGAIN = """
import json, pickle, sys
from pathlib import Path
import anyio
from lineage.data import tables
from lineage.data.splits import SplitRule, materialise
tables.THREADS = int(sys.argv[2])
feature_set, members, datasets, rule = pickle.loads(Path(sys.argv[1]).read_bytes())
async def run():
    return await materialise(feature_set, members, datasets, SplitRule.parse(rule), target=Path(sys.argv[3]))
print(json.dumps(anyio.run(run).artifact("again")[0].body))
"""


@pytest.mark.parametrize(("rule", "threads"), [(TIME, "4"), (RATIO, "1"), (HASH, "4")], ids=["TIME", "RATIO", "HASH"])
def test_the_same_definition_gives_the_same_bytes(
    flying: Case, tmp_path: Path, rule: Mapping[str, Any], threads: str
) -> None:
    """A fresh process with fewer or more threads writes the files that this one wrote, to the byte, windows or not."""
    if rule is not TIME:
        flying = Case(flying.target, flying.members[:3], flying.members[-1], *flying.datasets.values())
    here = flying.materialise(rule).artifact("here")[0]
    case = tmp_path / "case"
    case.write_bytes(pickle.dumps((flying.feature_set, flying.members, flying.datasets, rule)))

    command = [sys.executable, "-c", AGAIN, str(case), threads, str(tmp_path / "again")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == here.body


def test_ratio_gives_the_shares_asked_for(small: Callable[..., Case]) -> None:
    """Shares are exact where keys are unique, every row stands in one split, and the body says how many of what."""
    done = small(numbered(100)).materialise()

    sizes = {split: each["rows"] for split, each in done.body["splits"].items()}
    assert sizes == {"train": 60, "validate": 20, "test": 20}
    ids = [row["id"] for file in done.files.values() for row in rows(file)]
    assert sorted(ids) == list(range(100))
    counted = [sum(counts.values()) for counts in done.body["label_counts"].values()]
    assert counted == [60, 20, 20]


def test_files_are_ordered_and_typed(small: Callable[..., Case]) -> None:
    """Rows are in the order of the entity, and a DECIMAL is a DOUBLE, as learners take no decimals."""
    done = small(numbered(50)).materialise()

    table = pq.read_table(done.files["train"])
    assert table["id"].to_pylist() == sorted(table["id"].to_pylist())
    assert {each["name"]: each["type"] for each in done.body["columns"]}["quarter"] == "DOUBLE"
    assert table.schema.field("quarter").type == pa.float64()


def test_another_seed_is_another_split(small: Callable[..., Case]) -> None:
    """The seed decides who goes where, for a split by ratio and by hash."""
    case = small(numbered(100))

    for by in ("RATIO", "HASH"):
        one, other = (case.materialise({"by": by, "seed": seed}).body["splits"] for seed in (1, 2))
        assert one["test"]["sha256"] != other["test"]["sha256"]


def test_a_key_keeps_its_split_by_hash(small: Callable[..., Case]) -> None:
    """Rows that come later move no key to another split."""

    def places(count: int) -> dict[int, str]:
        files = small(numbered(count)).materialise(HASH).files
        return {row["id"]: split for split, file in files.items() for row in rows(file)}

    before, after = places(100), places(300)

    assert before == {key: split for key, split in after.items() if key < 100}


def test_hash_is_what_it_always_was(small: Callable[..., Case]) -> None:
    """Where a key goes is fixed for ever: of md5 over seed and key, whatever DuckDB's own hash becomes."""
    files = small(numbered(60)).materialise(HASH).files

    for split, file in files.items():
        for row in rows(file):
            text = f"{len(str(row['id']))}:{row['id']}"
            share = int(hashlib.md5(f"7:{text}".encode()).hexdigest()[:13], 16) / 16**13
            assert split == ("test" if share < 0.2 else "validate" if share < 0.4 else "train")


@pytest.mark.parametrize("rule", [RATIO, HASH], ids=["RATIO", "HASH"])
def test_rows_of_one_key_stay_together(small: Callable[..., Case], rule: Mapping[str, Any]) -> None:
    """Several rows with one key are stated, and all of them are in one split."""
    lines = [f"{n % 40},{n},{n % 2}" for n in range(200)]

    done = small(lines).materialise(rule)

    assert (done.body["duplicate_keys"], done.body["overlap"]["keys_shared"]) == (40, 0)
    keys = [{row["id"] for row in rows(file)} for file in done.files.values()]
    assert sum(map(len, keys)) == len(set().union(*keys))


def test_overlap_by_time_is_stated(small: Callable[..., Case]) -> None:
    """A key before and after the cut is in two splits, and the body says how many there are."""
    lines = [f"{n % 4},{n},{n // 4 % 2}" for n in range(20)]
    rule = {"by": "TIME", "column": "x", "test_from": 18}

    done = small(lines).materialise(rule)

    assert done.body["overlap"] == {"rows_shared": 10, "keys_shared": 2}
    assert list(done.files) == ["train", "test"]


def test_a_null_in_a_key_is_a_value(small: Callable[..., Case]) -> None:
    """Rows whose key is NULL are counted, kept together, and not taken for the text that says so."""
    lines = [*(f"NA,{n},{n % 2}" for n in range(10)), *numbered(50)]

    done = small(lines).materialise(HASH)

    assert done.body["null_keys"] == 10
    assert done.body["overlap"]["keys_shared"] == 0


def test_rows_without_a_label_are_dropped_and_counted(small: Callable[..., Case]) -> None:
    """NULL, NaN and infinity are no labels."""
    lines = [*(f"{n},1,{n / 8}" for n in range(40)), "100,1,NA", "101,1,nan", "102,1,inf"]

    done = small(lines).materialise()

    assert done.body["dropped"] == {"label_null": 3}
    assert sum(each["rows"] for each in done.body["splits"].values()) == 40


def test_where_keeps_rows_and_changes_no_values(small: Callable[..., Case], defining: Callable[..., Define]) -> None:
    """A window sees all rows of its source, whatever the condition keeps of them."""
    case = small(numbered(100))
    define = defining(*case.datasets.values())
    counted = define("count(*) OVER ()", name="counted")
    case = Case(case.target, [counted], define("y", name="label"), *case.datasets.values())

    done = case.materialise(where="people.id < 50")

    assert done.body["where"] == '"people"."id" < 50'
    assert {row["counted"] for file in done.files.values() for row in rows(file)} == {100}
    assert sum(each["rows"] for each in done.body["splits"].values()) == 50


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("id < 0", "no rows that meet the condition"),
        ("id", "a condition is true or false"),
        ("nope > 1", "unknown column 'nope'"),
        ("id IN (SELECT 1)", "subquery"),
        ("random() < 0.5", "does not always give the same answer"),
        ("row_number() OVER () < 3", r"row_number|window"),
        ("features.double > 1", "name columns here"),
        ("true) --", "not SQL"),
    ],
)
def test_a_condition_is_an_expression(small: Callable[..., Case], where: str, message: str) -> None:
    """A condition goes through the same gate as features."""
    with pytest.raises(InvalidInput, match=message):
        small(numbered(20)).materialise(where=where)


@pytest.mark.parametrize(
    ("lines", "rule", "message"),
    [
        (numbered(1), RATIO, "has no rows"),
        (numbered(20), {"by": "TIME", "column": "x", "validate_from": 5, "test_from": 100}, "'test' has no rows"),
        (numbered(20), {"by": "TIME", "column": "x", "validate_from": 5, "test_from": 5}, "in this order"),
        (numbered(20), {"by": "TIME", "column": "x", "test_from": "yesterday"}, "Could not convert string 'yesterday'"),
        (numbered(20), {"by": "TIME", "column": "xx", "test_from": 3}, "unknown column 'xx'"),
        ([f"{n},1,1" for n in range(20)], RATIO, "one value in train, '1'"),
        ([f"{n},1,NA" for n in range(20)], RATIO, "has no rows"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(
    small: Callable[..., Case], lines: Sequence[str], rule: Mapping[str, Any], message: str
) -> None:
    """An empty split, times out of order and a label with one value are errors, and leave nothing behind."""
    case = small(lines)

    with pytest.raises(InvalidInput, match=message):
        case.materialise(rule)

    assert not case.target.exists() or not list(case.target.iterdir())


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({}, "unknown way to split"),
        ({"by": "RATIOS"}, "did you mean 'RATIO'"),
        ({"by": "RATIO", "tset": 0.2}, "did you mean 'test'"),
        ({"by": "RATIO", "test": 1.5}, "from 0 to below 1"),
        ({"by": "RATIO", "test": "0.2"}, "from 0 to below 1"),
        ({"by": "RATIO", "test": True}, "from 0 to below 1"),
        ({"by": "RATIO", "test": float("nan")}, "from 0 to below 1"),
        ({"by": "RATIO", "test": 0.5, "validate": 0.5}, "nothing is left"),
        ({"by": "RATIO", "test": 0, "validate": 0}, "keep something"),
        ({"by": "HASH", "seed": -1}, "a seed is an integer"),
        ({"by": "HASH", "seed": 1.5}, "a seed is an integer"),
        ({"by": "TIME", "test_from": "2013-01-01"}, "name the column"),
        ({"by": "TIME", "column": "t"}, "from when on"),
        ({"by": "TIME", "column": "t", "test_from": [1]}, "is no time"),
        ({"by": "TIME", "column": "t", "test_from": "x", "seed": 1}, "unknown part of a TIME split"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(rule: Mapping[str, Any], message: str) -> None:
    """A split rule says what it means or is an error that names the part."""
    with pytest.raises(InvalidInput, match=message):
        SplitRule.parse(rule)


def test_a_rule_is_read_from_its_body() -> None:
    """What is written on the node is the rule, in one spelling."""
    for rule in (RATIO, HASH, {**TIME, "until": None}):
        assert SplitRule.parse(SplitRule.parse(rule).body()) == SplitRule.parse({**rule, "by": str(rule["by"]).lower()})


@pytest.fixture
def two(tmp_path: Path, register: Callable[..., Artifact], defining: Callable[..., Define]) -> Callable[[str], Case]:
    """A case of two sources: visits, and the prices of the given CSV lines `shop,price`."""

    def two(lines: str) -> Case:
        visits = register("shop,day,late\n" + "".join(f"{n % 5},{n},{n % 2}\n" for n in range(50)), "visits")
        prices = register(f"shop,price\n{lines}", "prices")
        define = defining(visits, prices)
        price = define("price", "prices", ["shop"], name="price")
        day = define("day", "visits", ["shop"], name="day")
        return Case(tmp_path / "out", [price, day], define("late", "visits", ["shop"], name="late"), visits, prices)

    return two


def test_sources_are_joined_on_the_entity(two: Callable[[str], Case]) -> None:
    """Rows are those of the label's source; what another source lacks is NULL."""
    done = two("0,10\n1,11\n2,12\n3,13\n").materialise({"by": "RATIO", "validate": 0, "test": 0.2})

    found = {row["shop"]: row["price"] for file in done.files.values() for row in rows(file)}
    assert found == {0: 10, 1: 11, 2: 12, 3: 13, 4: None}
    assert sum(each["rows"] for each in done.body["splits"].values()) == 50


def test_a_join_that_multiplies_rows_is_refused(two: Callable[[str], Case]) -> None:
    """Keys that stand twice in a joined source are named."""
    with pytest.raises(InvalidInput, match=r"not unique in \"prices\".*shop=0 on 2 rows"):
        two("0,10\n0,11\n1,12\n").materialise()


def test_chance_by_duplicate_keys_is_refused(small: Callable[..., Case], defining: Callable[..., Define]) -> None:
    """lag() over keys that are not unique has no one answer."""
    case = small([f"{n % 10},{n},{n % 2}" for n in range(40)])
    define = defining(*case.datasets.values())
    before = define("lag(x) OVER (ORDER BY id)", name="before")
    case = Case(case.target, [before], define("y", name="label"), *case.datasets.values())

    with pytest.raises(InvalidInput, match="extend the entity: id=0 on 4 rows"):
        case.materialise()


def test_changed_data_is_not_used(small: Callable[..., Case]) -> None:
    """A dataset is verified before it is read."""
    case = small(numbered(30))
    Path(case.datasets["people"].body["uri"]).write_text("id,x,y\n1,2,3\n")

    with pytest.raises(DigestMismatch):
        case.materialise()


def test_a_feature_set_without_a_label_is_for_scoring(
    small: Callable[..., Case], defining: Callable[..., Define]
) -> None:
    """There is nothing to learn without a label, but rows can be selected."""
    case = small(numbered(10))
    case = Case(case.target, case.members[:1], None, *case.datasets.values())

    with pytest.raises(InvalidInput, match="no label"):
        case.materialise()
    assert case.select().rows == 10


def test_the_artifact_leads_to_what_it_was_made_of(small: Callable[..., Case]) -> None:
    """The training set is derived from the feature set and from the versions of the datasets that were read."""
    case = small(numbered(30))

    artifact, edges = case.materialise().artifact("set", tags=("x",))

    assert [edge.target for edge in edges] == [case.feature_set.id, case.datasets["people"].id]
    assert {edge.source for edge in edges} == {artifact.id}
    json.dumps(artifact.body, allow_nan=False)
