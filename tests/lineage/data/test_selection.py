"""Rows of newer data for scoring, disks that are full, and splits of whatever keys there are."""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from lineage.artifacts import Artifact
from lineage.errors import InvalidInput, Unavailable
from tests.lineage.data.cases import Case, numbered, rows

Define = Callable[..., Artifact]


def test_newer_data_is_scored_without_its_label(small: Callable[..., Case], register: Callable[..., Artifact]) -> None:
    """Rows of a newer version are selected, and the label is left out when its column is not there yet."""
    case = small(numbered(10))
    with_label = case.select("id >= 5", with_label=True)
    case.datasets["people"] = newer = register("x,id\n5,77\nNA,78\n")

    without = case.select(with_label=True)

    assert (with_label.rows, with_label.label) == (5, "label")
    assert (without.label, without.datasets) == (None, {"people": newer.id})
    assert rows(without.file) == [
        {"id": 77, "double": 10, "quarter": 1.25},
        {"id": 78, "double": None, "quarter": None},
    ]


def test_a_cluster_is_told_of_the_same_rows(small: Callable[..., Case], register: Callable[..., Artifact]) -> None:
    """Spark gets keys, features and condition of the rows, without a label; what it cannot reach is refused."""
    case = small(numbered(10))
    case.datasets["people"] = newer = register("x,id\n5,77\nNA,78\n")

    found = case.choose("id >= 5")

    assert ([{"name": "id", "type": "BIGINT"}], {"people": newer.id}) == (found.keys, found.datasets)
    assert {"f0": "double", "f1": "quarter"} == found.definition["features"]
    assert ["e0", "f0", "f1"] == found.definition["slots"]
    (part,) = found.definition["parts"]
    assert part.endswith("AS keep FROM `dataset0` AS `people`")
    assert ["77", "78"] == [str(each["id"]) for each in rows(case.select().file)]
    case.datasets["people"] = replace(newer, body={**newer.body, "uri": "s3://bucket/people.csv"}, locations=())
    with pytest.raises(InvalidInput, match=r"lies at s3://, where Spark is not set up to read it"):
        case.choose()


def test_newer_data_may_have_no_value_in_a_column(
    small: Callable[..., Case], register: Callable[..., Artifact]
) -> None:
    """A column that is empty this time has no type to see, and features of it are NULL."""
    case = small(numbered(10))
    case.datasets["people"] = register("id,x\n1,NA\n2,\n")

    found = case.select()

    assert rows(found.file) == [{"id": id, "double": None, "quarter": None} for id in (1, 2)]
    assert [each["type"] for each in found.columns] == ["BIGINT", "BIGINT", "DOUBLE"]


def test_a_column_that_newer_data_lacks_is_named(small: Callable[..., Case], register: Callable[..., Artifact]) -> None:
    """Newer data without a column of a feature cannot be scored, and data that is not given neither."""
    case = small(numbered(10))
    case.datasets["people"] = register("id,z\n1,2\n")
    with pytest.raises(InvalidInput, match="'double' needs the column 'x', which version"):
        case.select()

    case.datasets.clear()
    with pytest.raises(InvalidInput, match="needs the dataset 'people'"):
        case.select()


def test_sql_from_outside_is_judged_before_it_runs(small: Callable[..., Case]) -> None:
    """A feature that came into the graph by another way than by definition is not trusted."""
    case = small(numbered(10))
    feature = case.members[0]
    forged = Artifact.defined(
        feature.kind, feature.name, {**feature.body, "expression": "(SELECT count(*) FROM read_text('/etc/passwd'))"}
    )
    case = Case(case.target, [forged], case.members[-1], *case.datasets.values())

    with pytest.raises(InvalidInput):
        case.materialise()


def test_nothing_is_left_when_the_disk_is_full(small: Callable[..., Case], tmp_path: Path) -> None:
    """On a full disk the error says so, and no file is there, whole or half."""
    target = tmp_path / "tiny"
    target.mkdir()
    is_root = os.geteuid() == 0 and shutil.which("mount")
    if not is_root or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "x", target]).returncode:
        pytest.skip("a disk to fill needs the right to mount one")
    try:
        case = small(numbered(30_000))
        case.target = target
        with pytest.raises(Unavailable, match="the disk is full"):
            case.materialise()
        assert list(target.iterdir()) == []
    finally:
        subprocess.run(["umount", target], check=True)


KEYS = st.lists(st.tuples(st.integers(-5, 40), st.sampled_from("abNÄ'\" ")), min_size=30, max_size=80)
SHARES = st.floats(0.05, 0.4)


@given(KEYS, SHARES, SHARES, st.integers(0, 2**40), st.sampled_from(["RATIO", "HASH"]))
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_splits_share_no_key(
    tmp_path: Path,
    register: Callable[..., Artifact],
    defining: Callable[..., Define],
    keys: list[tuple[int, str]],
    validate: float,
    test: float,
    seed: int,
    by: str,
) -> None:
    """Whatever the keys and the shares, splits are disjoint by key, complete, and of the size asked for."""
    lines = [f'{key},"{word.replace(chr(34), chr(34) * 2)}",{n % 2}' for n, (key, word) in enumerate(keys)]
    people = register("id,word,y\n" + "\n".join(lines) + "\n")
    define, entity = defining(people), ("id", "word")
    case = Case(tmp_path, [define("1", entity=entity)], define("y", entity=entity, name="label"), people)
    try:
        done = case.materialise({"by": by, "validate": validate, "test": test, "seed": seed})
    except InvalidInput as error:  # few keys may leave a split empty
        event(str(error)[:20])
        return

    found = {split: {(row["id"], row["word"]) for row in rows(file)} for split, file in done.files.items()}
    assert sum(map(len, found.values())) == len(set().union(*found.values())) == len(set(keys))
    assert done.body["overlap"] == {"rows_shared": 0, "keys_shared": 0}
    if by == "RATIO":
        assert len(found["test"]) == round(len(set(keys)) * test)
