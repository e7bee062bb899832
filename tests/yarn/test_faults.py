"""Machines of a cluster that fail, and queues that claim their room: on a cluster of its own, whose parts are ended.

Run by the command alone, see conftest.py.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from executors.base import Prepared
from executors.exchange import Bench
from executors.spark_yarn import SparkYarnExecutor
from executors.testing import LOGISTIC, calling, until
from lineage.artifacts import Artifact
from lineage.runs import RunState
from lineage.settings import Settings
from tests.executors.containers.conftest import Said
from tests.yarn.cluster import Cluster, java_home, running
from tests.yarn.conftest import settings_of
from tests.yarn.test_spark_yarn import STARTED, java

pytestmark = [pytest.mark.yarn, pytest.mark.timeout(900), pytest.mark.anyio]
S = RunState
PREEMPTION = "yarn.resourcemanager.monitor.capacity.preemption"
#: A ResourceManager that remembers, notices soon that a node is gone, and takes back what a queue has a right to; and a
#: node that measures containers itself, instead of leaving their memory to cgroups that are not set up.
PROPERTIES = {
    "yarn.nodemanager.resource.memory.enforced": "false",
    "yarn.resourcemanager.recovery.enabled": "true",
    "yarn.resourcemanager.store.class": (
        "org.apache.hadoop.yarn.server.resourcemanager.recovery.FileSystemRMStateStore"
    ),
    "yarn.resourcemanager.fs.state-store.uri": "file://@root@/state",
    "yarn.resourcemanager.connect.retry-interval.ms": "500",
    "yarn.resourcemanager.work-preserving-recovery.scheduling-wait-ms": "0",
    "yarn.nm.liveness-monitor.expiry-interval-ms": "10000",
    "yarn.resourcemanager.scheduler.monitor.enable": "true",
    f"{PREEMPTION}.monitoring_interval": "500",
    f"{PREEMPTION}.max_wait_before_kill": "1000",
    f"{PREEMPTION}.total_preemption_per_round": "1.0",
    f"{PREEMPTION}.natural_termination_factor": "1.0",
    "yarn.scheduler.capacity.root.default.capacity": "50",
    "yarn.scheduler.capacity.root.narrow.capacity": "50",
    "yarn.scheduler.capacity.root.narrow.maximum-capacity": "50",
}
SLOW = LOGISTIC.replace("return", "import time; time.sleep(6)\n    return")


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    """A cluster that nobody else uses."""
    if java_home() is None:
        pytest.skip("no JDK of 17 or newer with the module jdk.incubator.vector is here")
    with running(PROPERTIES) as cluster, pytest.MonkeyPatch.context() as patch:
        for name, text in cluster.environ.items():
            patch.setenv(name, text)
        yield cluster


@pytest.fixture(scope="module")
def settings(own: Cluster, yarn_home: Path) -> Settings:
    """Settings for it."""
    return settings_of(own, yarn_home, "faults.properties")


@pytest.fixture(scope="module")
async def ready(settings: Settings, packed: tuple[Artifact, str], anyio_backend: str) -> Prepared:
    """The environment as this cluster has it."""
    return await SparkYarnExecutor(settings).prepare(*packed, log=Said())


@pytest.fixture
def bench(tmp_path: Path, ready: Prepared) -> Iterator[Bench]:
    """Workspaces with real data, and the other end of the run protocol."""
    with Bench(tmp_path / "a", ready) as bench:
        yield bench


async def test_the_resource_manager_starts_anew(own: Cluster, settings: Settings, bench: Bench) -> None:
    """While the ResourceManager is away the work goes on and is followed again afterwards, as one application."""
    executor = SparkYarnExecutor(settings)
    workspace = bench.tune(SLOW, [{"C": 0.1}, {"C": 1.0}, {"C": 10.0}])
    running = await executor.start(workspace)
    await until(lambda: bench.exchange.beats, STARTED)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(executor.wait, running)
        own.kill("resourcemanager")
        await anyio.sleep(4)
        own.start("resourcemanager")
    outcome = await executor.wait(running)

    assert S.SUCCEEDED == outcome.state, outcome
    assert ["COMPLETE"] * 3 == [bench.exchange.told[number]["state"] for number in range(3)]


async def test_another_queue_takes_its_room(own: Cluster, settings: Settings, bench: Bench, tmp_path: Path) -> None:
    """An executor that YARN takes away for another queue is lost; its slot waits for room and goes on."""
    executor = SparkYarnExecutor(settings)
    workspace = bench.tune(SLOW, [{"C": 0.1 * number} for number in range(1, 9)], slots=2)
    running = await executor.start(workspace)
    await until(lambda: len(bench.exchange.running) == 2, STARTED)

    other = SparkYarnExecutor(replace(settings, yarn_queue="narrow"))
    with Bench(tmp_path / "b", bench.prepared) as claim:
        claiming = await other.wait(await other.start(claim.fit(LOGISTIC)))
    outcome = await executor.wait(running)

    assert (S.SUCCEEDED, S.SUCCEEDED) == (claiming.state, outcome.state), (claiming, outcome)
    assert ["COMPLETE"] * 8 == [bench.exchange.told[number]["state"] for number in range(8)]
    log = (await executor.logs(running, 0))[0]
    assert "was lost: " in log
    assert "preempted" in log


async def test_a_container_beyond_its_memory(settings: Settings, bench: Bench) -> None:
    """Work that names no limit and takes more than its container has is ended by YARN, and is out of memory."""
    executor = SparkYarnExecutor(replace(settings, spark_work_memory="64m"))
    workspace = bench.fit(calling("held = bytearray(os.urandom(1 << 20)) * 2500; time.sleep(60)"))

    running = await executor.start(workspace)
    outcome = await executor.wait(running)

    assert (S.FAILED, "YARN_OOM") == (outcome.state, outcome.reason), outcome
    assert "physical memory limits" in (outcome.message or "")
    assert "executor 1 was lost: " in (await executor.logs(running, 0))[0]


async def test_a_lost_node(own: Cluster, settings: Settings, bench: Bench) -> None:
    """A node that is gone takes its application with it: a failed attempt, with YARN's own word on it."""
    executor = SparkYarnExecutor(settings)
    running = await executor.start(bench.fit(calling("time.sleep(600)")))
    await until(lambda: bench.exchange.beats, STARTED)

    own.kill("nodemanager")
    began = time.monotonic()
    outcome = await executor.wait(running)

    assert time.monotonic() - began < 120
    assert (S.FAILED, "YARN") == (outcome.state, outcome.reason), outcome
    assert "*lost* node" in (outcome.message or "")
    await until(lambda: not java("", str(running.identity["application"])), 60)
    own.start("nodemanager")
