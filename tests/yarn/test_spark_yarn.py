"""The executor `spark_yarn` on a real ResourceManager, NodeManager and HDFS: its contract, deaths, and whole runs.

All in one file, so that one process of pytest does it all with one cluster; see conftest.py for what is left out.
"""

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import httpx
import psutil
import pytest

from executors.base import Prepared, Workspace
from executors.exchange import Bench
from executors.spark_yarn import SparkYarnExecutor
from executors.spark_yarn.hadoop import Hadoop
from executors.spark_yarn.manager import Application, Manager
from executors.spark_yarn.submission import tag
from executors.testing import LOGISTIC, ExecutorContract, calling, until
from lineage.artifacts import Artifact, ArtifactKind
from lineage.client import Run
from lineage.runs import RunState
from lineage.settings import Settings
from tests.e2e.worlds import World, running
from tests.executors.containers.conftest import Said
from tests.yarn.cluster import Cluster

pytestmark = [pytest.mark.yarn, pytest.mark.timeout(900)]
S = RunState
STARTED = 400  # seconds: the first application of a cluster has its environment unpacked on the node
CODE = """
from sklearn.linear_model import LogisticRegression


def build(params):
    return LogisticRegression(C=params["C"], max_iter=5000)
"""
SHARED = ("hadoop_conf_dir", "spark_home", "spark_properties", "spark_driver_memory", "yarn_queue")


@pytest.fixture
def executor(yarn_settings: Settings) -> SparkYarnExecutor:
    """The executor of one worker; another worker has another."""
    return SparkYarnExecutor(yarn_settings)


@pytest.fixture
def bench(tmp_path: Path, prepared: Prepared) -> Iterator[Bench]:
    """Workspaces with real data, and the other end of the run protocol."""
    with Bench(tmp_path, prepared) as bench:
        yield bench


@pytest.fixture
def manager(yarn_settings: Settings) -> Manager:
    """The ResourceManager."""
    return Manager(Hadoop.of(yarn_settings).managers, user="root")


async def one(manager: Manager, workspace: Workspace) -> Application:
    """The one application of a workspace."""
    (found,) = await manager.tagged(tag(workspace))
    return found


def java(words: str, application: str) -> list[psutil.Process]:
    """The Java processes of an application with *words* in their command."""
    found = []
    for each in psutil.process_iter(["name", "cmdline"]):
        command = " ".join(each.info["cmdline"] or ())
        if each.info["name"] == "java" and words in command and application in command:
            found.append(each)
    return found


@pytest.mark.anyio
async def test_the_application_is_adopted_and_killed(
    executor: SparkYarnExecutor, bench: Bench, manager: Manager, yarn_settings: Settings
) -> None:
    """One that was submitted and never noted is found by its tag; killed, it is a failure with YARN's own word."""
    workspace = bench.fit(calling("time.sleep(600)"))
    await executor.start(workspace)
    (workspace.root / "application.json").unlink()  # as if the worker had died before it wrote it down

    running = await SparkYarnExecutor(yarn_settings).adopt(workspace)
    assert running is not None
    await until(lambda: bench.exchange.beats, STARTED)
    await manager.kill((await one(manager, workspace)).id)
    outcome = await executor.wait(running)

    assert (S.FAILED, "KILLED") == (outcome.state, outcome.reason), outcome
    assert "was killed by user" in (outcome.message or "")
    assert outcome == await SparkYarnExecutor(yarn_settings).wait(running)


@pytest.mark.anyio
async def test_a_lost_executor_is_replaced(executor: SparkYarnExecutor, bench: Bench, manager: Manager) -> None:
    """Spark gives the slot of a killed executor to another, which asks for the very trial that was under way."""
    slow = LOGISTIC.replace("return", "import time; time.sleep(3)\n    return")
    workspace = bench.tune(slow, [{"C": 0.1}, {"C": 1.0}, {"C": 10.0}])
    running = await executor.start(workspace)
    await until(lambda: bench.exchange.told, STARTED)

    for each in java("YarnCoarseGrainedExecutorBackend", (await one(manager, workspace)).id):
        each.kill()
    outcome = await executor.wait(running)

    assert S.SUCCEEDED == outcome.state, outcome
    assert ["COMPLETE"] * 3 == [bench.exchange.told[number]["state"] for number in range(3)]


@pytest.mark.anyio
async def test_a_killed_master_is_a_failure(executor: SparkYarnExecutor, bench: Bench, manager: Manager) -> None:
    """When its ApplicationMaster dies the attempt has failed, with YARN's diagnostics, and no slot goes on."""
    workspace = bench.fit(calling("time.sleep(600)"))
    running = await executor.start(workspace)
    await until(lambda: bench.exchange.beats, STARTED)

    for each in java("ApplicationMaster", (await one(manager, workspace)).id):
        each.kill()
    outcome = await executor.wait(running)

    assert (S.FAILED, "YARN") == (outcome.state, outcome.reason), outcome
    assert "exited with" in (outcome.message or "")


@pytest.mark.anyio
async def test_a_full_queue(bench: Bench, yarn_settings: Settings) -> None:
    """An application that gets no room waits, and can be stopped while it does."""
    executor = SparkYarnExecutor(replace(yarn_settings, yarn_queue="narrow"))
    workspace = bench.fit(calling("return None"))
    running = await executor.start(workspace)

    await executor.stop(running, grace=0.5)

    assert S.CANCELED == (await executor.wait(running)).state
    assert 0 == bench.exchange.beats


@pytest.mark.anyio
async def test_a_corrupt_archive_is_mended(
    executor: SparkYarnExecutor, packed: tuple[Artifact, str], yarn_settings: Settings
) -> None:
    """Bytes of an archive that were changed are noticed before it is used, and fetched again from the store."""
    first = await executor.prepare(*packed, log=Said())
    path = yarn_settings.cache / "archives" / f"{packed[0].digest}.tar.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[:1000])

    assert first == await executor.prepare(*packed, log=Said())
    assert whole == path.read_bytes()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, yarn_settings: Settings) -> Iterator[World]:
    """Everything running, with a worker that knows the cluster."""
    given = {name: str(asdict(yarn_settings)[name]) for name in SHARED}
    with running(tmp_path_factory.mktemp("world"), CODE, **given) as world:
        yield world


def seen(cluster: Cluster, run: Run) -> dict[str, str]:
    """What the ResourceManager says of a run's application."""
    answer = httpx.get(f"{cluster.web}/ws/v1/cluster/apps/{run.application}").raise_for_status()
    found: dict[str, str] = answer.json()["app"]
    return found


def test_a_search_over_the_api(world: World, cluster: Cluster) -> None:
    """A search spreads its trials over two tasks; its model, its trials and its application are in the graph."""
    done = world.client.wait(world.tune("spread", trials=4, executor="spark_yarn"), check=False, timeout=800)

    assert RunState.SUCCEEDED == done.state, (done.message, world.log(done)[-3000:])
    trials = world.client.trials(done)
    assert ["COMPLETE"] * 4 == [trial.state for trial in trials]
    model = done.made(ArtifactKind.MODEL)
    assert [] == [gap.message for gap in world.client.audit(model).gaps]
    found = seen(cluster, done)
    assert "SUCCEEDED" == found["finalStatus"]
    assert f"lineage-run-{done.id}" in found["applicationTags"].split(",")
    assert "trial 3" in world.log(done)


class TestSparkYarn(ExecutorContract):
    """Applications of a cluster of one node."""

    @pytest.fixture
    def executor(self, yarn_settings: Settings) -> SparkYarnExecutor:
        """The executor on the session's cluster."""
        return SparkYarnExecutor(yarn_settings)

    @pytest.fixture
    def prepared(self, prepared: Prepared) -> Prepared:
        """The environment as the cluster has it."""
        return prepared
