"""Training sets made by Spark on YARN, from data in HDFS to predictions in HDFS, over the API of real processes."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import fsspec
import pytest
from sklearn.datasets import load_breast_cancer

from lineage.artifacts import ArtifactKind
from lineage.client import Client
from lineage.client.artifacts import Artifact
from lineage.runs import RunState
from lineage.settings import Settings
from tests.e2e.worlds import World, running
from tests.yarn.cluster import Cluster
from tests.yarn.test_spark_yarn import CODE, SHARED

pytestmark = [pytest.mark.yarn, pytest.mark.timeout(900)]
K = ArtifactKind
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
    "time": {"by": "TIME", "column": "patients.seen_on", "validate_from": "2020-03", "test_from": "2020-05-01"},
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


def test_it_is_learned_from_and_audited(world: World, spread: Artifact, store: str) -> None:
    """A model is fitted on it by another executor, its audit is complete with every byte in HDFS, and so are scores."""
    inputs: dict[str, Any] = {**world.inputs, "training_set": spread}
    code = world.client.register_model_code("healthy", world.code, "code.py:build")
    given = {name: inputs[name] for name in ("training_set", "environment", "metrics")}
    run = world.client.train("healthy", **given, model_code=code, hyperparameters={"C": 1.0})
    model = world.client.wait(run, timeout=400).made(K.MODEL)

    audit = world.client.audit(model)
    assert [] == [gap.message for gap in audit.gaps]
    scored = world.client.wait(world.client.score("healthy", model, "cases.id < 100"), timeout=400)
    predictions = scored.made(K.PREDICTIONS)
    assert [] == [gap.message for gap in world.client.audit(predictions).gaps]
    sha256 = predictions.body["file"]
    system, root = fsspec.core.url_to_fs(store)
    assert predictions.body["bytes"] == system.size(f"{root}/artifacts/{sha256[:2]}/{sha256}")


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
