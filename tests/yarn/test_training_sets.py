"""Training sets made by Spark on YARN, from data in HDFS to predictions in HDFS, over the API of real processes."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer

from lineage.artifacts import ArtifactKind
from lineage.client import Client
from lineage.client.artifacts import Artifact
from lineage.runs import RunState
from lineage.settings import Settings
from tests.e2e.worlds import World, running
from tests.yarn import sparkml
from tests.yarn.cluster import Cluster
from tests.yarn.test_spark_yarn import CODE, SHARED

pytestmark = [pytest.mark.yarn, pytest.mark.timeout(900)]
K = ArtifactKind
SOME = "cases.id < 100"  # of the rows
#: Takes every value for a class, and one that is missing for one of its own.
GAPPY = """
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder


def build(params):
    classes = OneHotEncoder(handle_unknown="ignore")
    numbers = make_pipeline(SimpleImputer(), classes)
    columns = make_column_transformer((numbers, ["stage", "area"]), (classes, ["is_large", "ward"]))
    return make_pipeline(columns, LogisticRegression(C=params["C"], max_iter=5000))
"""
SOURCE = "cases JOIN patients ON cases.id = patients.id"
FEATURES = {
    "radius": "cases.mean_radius",
    "texture": "round(cases.mean_texture * 2, 1)",
    "rank_in_ward": "rank() OVER (PARTITION BY patients.ward ORDER BY cases.mean_area DESC)",
    "malignant_in_ward": "count(*) FILTER (WHERE cases.target = 0) OVER (PARTITION BY patients.ward)",
    "weekday": "isodow(patients.seen_on)",
    "has_note": "patients.note IS NOT NULL AND patients.note LIKE '%\"%'",
}
RULES: dict[str, dict[str, Any]] = {
    "hash": {"by": "HASH", "validate": 0.2, "test": 0.2, "seed": 7},
    "ratio": {"by": "RATIO", "validate": 0.1, "test": 0.3, "seed": 7},
    "time": {"by": "TIME", "column": "patients.seen_on", "validate_from": "2020-03-01", "test_from": "2020-05-01"},
}


@pytest.fixture(scope="module")
def store(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a folder in HDFS that is this module's own."""
    return f"{cluster.hdfs}/{tmp_path_factory.mktemp('hdfs').name}"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, yarn_settings: Settings, store: str) -> Iterator[World]:
    """Everything running, with artifacts in HDFS and a worker that knows the cluster."""
    given = {name: str(asdict(yarn_settings)[name]) for name in SHARED}
    with running(tmp_path_factory.mktemp("world"), CODE, artifacts=f"{store}/artifacts", **given) as world:
        yield world


@pytest.fixture(scope="module")
def members(world: World, store: str) -> Artifact:
    """A feature set over Parquet in two files and a CSV, both in HDFS."""
    frame = load_breast_cancer(as_frame=True).frame.rename(columns=lambda name: name.replace(" ", "_"))
    frame = frame.reset_index(names="id")
    patients = frame[["id"]].assign(
        ward=[f"ward {number % 5}" for number in frame["id"]],
        seen_on=[f"2020-{1 + number % 6:02}-{1 + number % 28:02}" for number in frame["id"]],
        note=[("", "NA", 'says "no"\nand\u00e9 "', "plain, text")[number % 4] for number in frame["id"]],
    )
    system, root = fsspec.core.url_to_fs(store)
    for half in (0, 1):
        with system.open(f"{root}/cases/{half}.parquet", "wb") as stream:
            frame[frame["id"] % 2 == half].to_parquet(stream, index=False)
    system.pipe_file(f"{root}/patients.csv", patients.to_csv(index=False).encode())
    for name, address in {"cases": f"{store}/cases", "patients": f"{store}/patients.csv"}.items():
        world.client.wait(world.client.register_dataset(name, address))
    made = [defined(world.client, name, sql) for name, sql in FEATURES.items()]
    return world.client.define_feature_set("cases", made, defined(world.client, "healthy", "cases.target = 1"))


def defined(client: Client, name: str, sql: str) -> Artifact:
    """A feature over both datasets."""
    return client.define_feature(name, sql, SOURCE, ["cases.id"])


def made(world: World, members: Artifact, rule: str, executor: str) -> Artifact:
    """A training set that an executor has made."""
    run = world.client.create_training_set(rule, members, RULES[rule], where="cases.id > 2", executor=executor)
    done = world.client.wait(run, check=False, timeout=800)
    assert RunState.SUCCEEDED == done.state, (done.message, world.log(done)[-3000:])
    assert (executor == "spark_yarn") == (done.application is not None)
    return done.made(K.TRAINING_SET)


@pytest.fixture(scope="module")
def spread(world: World, members: Artifact) -> Artifact:
    """The training set by hash that Spark has made."""
    return made(world, members, "hash", "spark_yarn")


def test_spark_makes_the_same_training_set(world: World, members: Artifact, spread: Artifact) -> None:
    """Joined, with windows, split by hash: Spark's rows, counts and very bytes are those of DuckDB."""
    check_same(made(world, members, "hash", "process"), spread)


@pytest.mark.parametrize("rule", ["ratio", "time"])
def test_other_rules(world: World, members: Artifact, rule: str) -> None:
    """By ratio and by time as well."""
    check_same(*(made(world, members, rule, executor) for executor in ("process", "spark_yarn")))


def check_same(one: Artifact, other: Artifact) -> None:
    """Hold a training set of DuckDB's against one of Spark's."""
    assert one.body == other.body
    assert one.id == other.id
    assert {"train", "validate", "test"} == set(other.body["splits"])
    assert 566 == sum(split["rows"] for split in other.body["splits"].values())


@pytest.fixture(scope="module")
def model(world: World, spread: Artifact) -> Artifact:
    """A model that another executor has fitted on it."""
    return fitted(world, "healthy", spread)


def fitted(world: World, name: str, training_set: Artifact, path: Path | None = None) -> Artifact:
    """A model that the executor `process` has fitted."""
    given = {**{each: world.inputs[each] for each in ("environment", "metrics")}, "training_set": training_set}
    path = path or world.code
    code = world.client.register_model_code(name, path, f"{path.name}:build")
    run = world.client.train(name, **given, model_code=code, hyperparameters={"C": 1.0})
    return world.client.wait(run, timeout=400).made(K.MODEL)


@pytest.fixture(scope="module")
def scored(world: World, model: Artifact) -> Artifact:
    """What it says of some rows, on this machine."""
    return world.client.wait(world.client.score("healthy", model, SOME), timeout=400).made(K.PREDICTIONS)


def test_it_is_learned_from_and_audited(world: World, model: Artifact, scored: Artifact, store: str) -> None:
    """The audit of model and scores is complete with every byte in HDFS."""
    assert [] == [gap.message for gap in world.client.audit(model).gaps]
    assert [] == [gap.message for gap in world.client.audit(scored).gaps]
    sha256 = scored.body["file"]
    system, root = fsspec.core.url_to_fs(store)
    assert scored.body["bytes"] == system.size(f"{root}/artifacts/{sha256[:2]}/{sha256}")


def test_features_of_a_batch_are_computed_on_the_cluster(
    world: World, model: Artifact, scored: Artifact, store: str
) -> None:
    """Joined, with windows over all rows: the answers, rows and their order are those of this machine."""
    spread, log = spread_over(world, "spread", model)

    assert "features of 100 rows computed on the cluster" in log
    check_answers(store, scored, spread)


def spread_over(world: World, name: str, model: Artifact) -> tuple[Artifact, str]:
    """What tasks of Spark say of the same rows, and the log of their run."""
    run = world.client.score(name, model, SOME, executor="spark_yarn")
    done = world.client.wait(run, check=False, timeout=800)
    assert RunState.SUCCEEDED == done.state, (done.message, world.log(done)[-3000:])
    return done.made(K.PREDICTIONS), world.log(done)


def check_answers(store: str, one: Artifact, other: Artifact) -> None:
    """Hold the predictions of one machine against those of the cluster."""
    names = ("rows", "columns", "datasets", "where")
    assert [one.body[name] for name in names] == [other.body[name] for name in names]
    system, root = fsspec.core.url_to_fs(store)
    rows, others = (
        pd.read_parquet(system.open(f"{root}/artifacts/{sha256[:2]}/{sha256}"))
        for sha256 in (one.body["file"], other.body["file"])
    )
    pd.testing.assert_frame_equal(rows, others, rtol=0, atol=1e-12)


def test_values_that_are_missing(world: World, members: Artifact, store: str) -> None:
    """Numbers, truth values and text of which some are missing reach a model in the types of this machine."""
    client = world.client
    gap = "CASE WHEN cases.id % {0} = 2 THEN NULL ELSE {1} END"
    sql = {
        "stage": gap.format(7, "cases.id % 5"),
        "area": gap.format(5, "cases.mean_area"),
        "is_large": gap.format(11, "cases.mean_area > 600"),
        "ward": gap.format(3, "patients.ward"),
        "seen": gap.format(4, "CAST(patients.seen_on AS TIMESTAMP)"),
    }
    features = [defined(client, name, each) for name, each in sql.items()]
    gappy = client.define_feature_set("gappy", features, defined(client, "fine", "cases.target = 1"))
    run = client.wait(client.create_training_set("gappy", gappy, RULES["hash"]), timeout=400)
    path = world.code.with_name("gappy.py")
    path.write_text(GAPPY)
    model = fitted(world, "gappy", run.made(K.TRAINING_SET), path)
    here = client.wait(client.score("gappy", model, SOME), timeout=400).made(K.PREDICTIONS)

    spread, log = spread_over(world, "gappy-spread", model)

    assert "features of 100 rows computed on the cluster" in log
    check_answers(store, here, spread)
    check_drift(world, spread, set(sql))


def check_drift(world: World, predictions: Artifact, names: set[str]) -> None:
    """Measure the drift of predictions by the worker and by the cluster, and hold all numbers against one another."""
    client = world.client
    here, spread = (
        client.wait(client.measure_drift(predictions, executor=executor), check=False, timeout=800)
        for executor in ("process", "spark_yarn")
    )
    assert [RunState.SUCCEEDED] * 2 == [here.state, spread.state], (spread.message, world.log(spread)[-3000:])
    assert (None, False) == (here.application, spread.application is None)
    one, other = (each.made(K.EVALUATION) for each in (here, spread))
    assert (names, 100) == ({each["name"] for each in other.body["columns"]}, other.body["rows"])
    assert all(each["psi"] is not None and each["statistic"] is not None for each in other.body["columns"])
    assert one.body == other.body
    assert one.id == other.id  # what is the same is one node


def test_spark_measures_the_same_drift(world: World, scored: Artifact) -> None:
    """Computed here or counted on the cluster, the inputs of predictions have one drift, to the last digit."""
    check_drift(world, scored, set(FEATURES))


def test_features_that_spark_cannot_compute(world: World, members: Artifact, store: str) -> None:
    """Where a function has no equal in Spark the worker computes the features, says so, and tasks score the rows."""
    client = world.client
    odd = client.define_feature_set(
        "unlike",
        [defined(client, "middle", "cases.mean_area - median(cases.mean_area) OVER ()")],
        defined(client, "well", "cases.target = 1"),
    )
    run = client.wait(client.create_training_set("unlike", odd, RULES["hash"]), timeout=400)
    model = fitted(world, "unlike", run.made(K.TRAINING_SET))
    here = client.wait(client.score("unlike", model, SOME), timeout=400).made(K.PREDICTIONS)

    spread, log = spread_over(world, "unlike-spread", model)

    assert "the worker computes the features: median() cannot be computed by Spark" in log
    check_answers(store, here, spread)
    failed = client.wait(client.measure_drift(spread, executor="spark_yarn"), check=False)
    assert (RunState.FAILED, "INVALID_INPUT", None) == (failed.state, failed.reason, failed.application)
    assert "median() cannot be computed by Spark" in str(failed.message)
    assert "the executor process measures this drift" in str(failed.message)


def test_values_that_spark_refuses(world: World, store: str) -> None:
    """What only the cluster finds out of a file, such as dates in another spelling, is left to the worker."""
    client = world.client
    system, root = fsspec.core.url_to_fs(store)
    lines = [f"{number},2020-{1 + number % 9}-{1 + number % 28},{number % 3 == 0}\n" for number in range(300)]
    system.pipe_file(f"{root}/visits.csv", f"id,day,is_long\n{''.join(lines)}".encode())
    client.wait(client.register_dataset("visits", f"{store}/visits.csv"))
    sql = {"weekday": "isodow(visits.day)", "is_long": "visits.is_long"}
    weekday, long = (client.define_feature(name, each, "visits", ["visits.id"]) for name, each in sql.items())
    run = client.create_training_set("visits", client.define_feature_set("visits", [weekday], long), RULES["hash"])
    training_set = client.wait(run, timeout=400).made(K.TRAINING_SET)
    model = fitted(world, "visits", training_set)
    given: dict[str, Any] = {"name": "visits", "model": model, "where": "visits.id < 50"}
    here = client.wait(client.score(**given), timeout=400).made(K.PREDICTIONS)

    done = client.wait(client.score(**given, executor="spark_yarn"), check=False, timeout=800)

    assert RunState.SUCCEEDED == done.state, (done.message, world.log(done)[-3000:])
    assert "the worker computes the features: " in world.log(done)
    assert 1 == done.attempt
    check_answers(store, here, done.made(K.PREDICTIONS))

    native = sparkml.trained(world, "visits-native", sparkml.CODE, training_set=training_set).made(K.MODEL)
    run = client.score("visits-native", native, given["where"], executor="spark_yarn")
    done = client.wait(run, check=False, timeout=800)
    assert RunState.SUCCEEDED == done.state, (done.message, world.log(done)[-3000:])
    assert "the worker computes the features: " in world.log(done)
    assert here.body["rows"] == done.made(K.PREDICTIONS).body["rows"]


def test_what_spark_cannot_do_is_refused(world: World, members: Artifact) -> None:
    """A function without an equal fails the run by its name, before anything is submitted."""
    client = world.client
    odd = client.define_feature_set(
        "odd", [defined(client, "odd", "median(cases.mean_area) OVER ()")], defined(client, "ill", "cases.target = 0")
    )
    failed = client.wait(client.create_training_set("odd", odd, RULES["hash"], executor="spark_yarn"), check=False)
    assert (RunState.FAILED, None) == (failed.state, failed.application)
    assert "median() cannot be computed by Spark" in str(failed.message)


def test_bytes_that_were_changed_are_refused(world: World, members: Artifact, store: str) -> None:
    """The application holds every file in HDFS against its digest, and makes nothing of others."""
    client = world.client
    system, root = fsspec.core.url_to_fs(store)
    text = system.cat_file(f"{root}/patients.csv")

    system.pipe_file(f"{root}/patients.csv", text.replace(b"ward 1", b"ward 2"))
    run = client.create_training_set("changed", members, RULES["hash"], executor="spark_yarn", max_attempts=1)
    changed = client.wait(run, check=False, timeout=800)
    system.pipe_file(f"{root}/patients.csv", text)

    assert (RunState.FAILED, "DIGEST_MISMATCH") == (changed.state, changed.reason), changed.message
    assert "patients" in str(changed.message)
