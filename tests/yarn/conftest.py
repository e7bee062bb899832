"""A cluster of YARN and HDFS that the tests of a process share; where there is no JDK they are skipped by name."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from executors import environments
from executors.base import Prepared
from executors.spark_yarn import SparkYarnExecutor
from lineage.artifacts import Artifact, ArtifactKind, digest_of
from lineage.settings import Settings
from tests.e2e.worlds import PACKAGES
from tests.executors.containers.conftest import Said
from tests.yarn.cluster import Cluster, java_home, running

#: What of the contract is run wherever there is a JDK; the rest takes a quarter of a minute each.
CONTRACT = ("test_fit", "test_tune", "test_nothing_to_adopt")
#: What else is run by the command alone.
ALONE = (
    "test_a_killed_master_is_a_failure",
    "test_a_model_that_was_changed",
    "test_a_batch_is_canceled",
    "test_spark_ml_is_made_again",
    "test_spark_ml_with_a_strange_class",
    "test_a_lost_application_is_tried_again[dead]",
    "test_spark_ml_tells_three_classes_apart",
    "test_spark_ml_predicts_numbers",
    "test_spark_ml_survives_its_worker",
    "test_features_that_spark_cannot_compute",
    "test_values_that_spark_refuses",
    "test_values_that_are_missing",
    "test_spark_measures_the_same_drift",
)
#: Machines that fail, on a cluster of its own.
FAULTS = "test_faults.py"
#: Of training sets, every rule but one, and what the application itself finds out.
SPREAD = ("test_other_rules", "test_bytes_that_were_changed_are_refused")
#: Spark as it starts fastest on a machine that has it: nothing of its own is carried to a node.
PROPERTIES = """spark.yarn.jars local:{home}/jars/*
spark.ui.enabled false
spark.eventLog.enabled false
spark.driver.extraJavaOptions -XX:+UseSerialGC -XX:TieredStopAtLevel=1
spark.executor.extraJavaOptions -XX:+UseSerialGC -XX:TieredStopAtLevel=1
spark.yarn.am.waitTime 60s
spark.yarn.appMasterEnv.SPARK_LOCAL_IP 127.0.0.1
spark.executorEnv.SPARK_LOCAL_IP 127.0.0.1
"""


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The cluster of LINEAGE_TEST_YARN (see tests/yarn/cluster.py), or one for this process of pytest."""
    java = java_home()
    if java is None:
        pytest.skip("no JDK of 17 or newer with the module jdk.incubator.vector is here")
    if os.environ.get("LINEAGE_TEST_YARN"):
        yield Cluster.from_environ(os.environ)
        return
    with running() as cluster, pytest.MonkeyPatch.context() as patch:
        for name, text in cluster.environ.items():
            patch.setenv(name, text)
        yield cluster


@pytest.fixture(scope="session")
def yarn_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that the session shares."""
    kept = os.environ.get("LINEAGE_TEST_YARN_HOME")  # beside a cluster that is kept, so that nothing is packed twice
    return Path(kept) if kept else tmp_path_factory.mktemp("yarn")


@pytest.fixture(scope="session")
def yarn_settings(cluster: Cluster, yarn_home: Path) -> Settings:
    """Settings for the cluster."""
    return settings_of(cluster, yarn_home, "spark.properties")


def settings_of(cluster: Cluster, home: Path, properties: str) -> Settings:
    """Settings for *cluster*, with the file of *properties* in *home*."""
    (home / properties).write_text(PROPERTIES.format(home=cluster.spark_home))
    return Settings(
        home=home / "home",
        cancel_grace=0.5,
        hadoop_conf_dir=str(cluster.configuration),
        spark_home=str(cluster.spark_home),
        spark_properties=str(home / properties),
        spark_driver_memory="512m",
        yarn_queue="default",
        user="tests",
    )


@pytest.fixture(scope="session")
async def packed(yarn_home: Path, anyio_backend: str) -> tuple[Artifact, str]:
    """An environment with what tabular work needs, and its lock."""
    settings = Settings(home=yarn_home / "home")
    lock = await environments.resolve(PACKAGES, version="3.11", settings=settings, log=Said())
    sha256 = hashlib.sha256(lock.text.encode()).hexdigest()
    identity = {"language": "python", "version": lock.version, "platform": lock.platform, "lock": sha256}
    body = {**identity, "packages": sorted(PACKAGES)}
    made = Artifact(kind=ArtifactKind.ENVIRONMENT, name="tabular", digest=digest_of(identity), body=body)
    return made, lock.text


@pytest.fixture(scope="session")
async def prepared(yarn_settings: Settings, packed: tuple[Artifact, str]) -> Prepared:
    """The environment on the cluster, packed once for the session."""
    environment, lock = packed
    return await SparkYarnExecutor(yarn_settings).prepare(environment, lock, log=Said())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Everything is run beside a cluster that was started for it; else what YARN itself has most say in."""
    if os.environ.get("LINEAGE_TEST_YARN"):
        return
    left = [each for each in items if _is_left(each.nodeid, getattr(each, "originalname", ""))]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [each for each in items if each not in left]


def _is_left(node: str, name: str) -> bool:
    if name in (*ALONE, *SPREAD) or node.endswith(ALONE) or FAULTS in node:
        return True
    return "TestSparkYarn" in node and name not in CONTRACT
