"""What is found again, what is left alone, and what is removed."""

import json
from collections.abc import Mapping, Sequence

import anyio
import pytest

from executors.base import Attempts, Running
from executors.containers import launch
from executors.containers.engine import Engine
from executors.docker import DockerExecutor
from executors.exchange import Bench
from executors.testing import calling, until
from lineage.runs import Outcome, RunState
from lineage.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.docker]
S = RunState


def now_at(**attempts: int) -> Attempts:
    """The graph's word on which attempt of a run is the oldest that may still run."""

    async def answer(ids: Sequence[str]) -> Mapping[str, int]:
        named = {name.replace("_", "-"): attempt for name, attempt in attempts.items()}
        return {id: named[id] for id in ids if id in named}

    return answer


async def test_leftovers_are_removed(docker_executor: DockerExecutor, docker_bench: Bench, engine: Engine) -> None:
    """Containers of earlier attempts are removed; those of present ones, of unknown runs and of other homes stay."""
    workspace = docker_bench.fit(calling("time.sleep(600)"))
    running = await docker_executor.start(workspace)
    other = DockerExecutor(Settings(home=docker_bench.root / "elsewhere"))

    async def present() -> bool:
        filters = {"name": launch.name(workspace, 0)}
        return bool(await engine.ask(lambda client: client.api.containers(all=True, filters=filters)))

    await docker_executor.tidy(now_at())
    await docker_executor.tidy(now_at(run_1=1))
    await other.tidy(now_at(run_1=2))
    assert await present()
    await docker_executor.tidy(now_at(run_1=2))

    assert not await present()
    assert S.LOST == (await docker_executor.wait(running)).state


async def test_what_somebody_paused_can_be_stopped(
    docker_executor: DockerExecutor, docker_bench: Bench, engine: Engine
) -> None:
    """A container that is paused has not ended: it is asked, and ended by force, as one that runs."""
    workspace = docker_bench.fit(calling("time.sleep(600)"))
    running = await docker_executor.start(workspace)
    await until(lambda: docker_bench.exchange.beats)
    await engine.ask(lambda client: client.api.pause(launch.name(workspace, 0)))

    await docker_executor.stop(running, grace=1)

    with anyio.fail_after(20):
        assert S.CANCELED == (await docker_executor.wait(running)).state


async def test_a_start_that_was_cut_short(docker_executor: DockerExecutor, docker_bench: Bench, engine: Engine) -> None:
    """A worker that died between creating and starting left a container that the next one starts, once."""
    workspace = docker_bench.fit(calling("print('once', flush=True)\n    raise ValueError('over')"))
    launch.lay_out(workspace)
    home = launch.home_id(docker_bench.root / "home")
    await engine.ask(lambda client: launch.create(client, workspace, 0, home))
    (workspace.root / "started.json").write_text('{"at": 0}')

    running = await docker_executor.adopt(workspace)
    assert running is not None
    outcome = await docker_executor.wait(running)

    assert "ValueError: over" in (outcome.message or "")
    assert 1 == outcome.log_tail.count("once\n")


CRASHING_ONCE = """
import os
from sklearn.dummy import DummyClassifier

def build(params):
    flag = os.path.join(os.environ["HOME"], "crashed")
    if not os.path.exists(flag):
        open(flag, "w").close()
        os.abort()
    return DummyClassifier()
"""


async def test_two_that_watch(docker_executor: DockerExecutor, docker_bench: Bench) -> None:
    """A stale worker that still watches does no harm: the crash counts once, and both hear the same."""
    workspace = docker_bench.tune(CRASHING_ONCE, [{"C": 1}, {"C": 2}])
    running = await docker_executor.start(workspace)
    other = DockerExecutor(Settings(home=docker_bench.root / "home"))
    adopted = await other.adopt(workspace)
    assert adopted is not None
    heard: list[Outcome] = []

    async def listen(executor: DockerExecutor, what: Running) -> None:
        heard.append(await executor.wait(what))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listen, docker_executor, running)
        tasks.start_soon(listen, other, adopted)

    assert heard[0] == heard[1]
    assert S.SUCCEEDED == heard[0].state
    assert ["FAIL", "COMPLETE"] == [docker_bench.exchange.told[number]["state"] for number in range(2)]
    assert 1 == json.loads((workspace.root / "exit.json").read_text())["slots"][0]["crashes"]


async def test_a_program_may_choose_the_number_of_what_nobody_has_seen(
    docker_executor: DockerExecutor, docker_bench: Bench
) -> None:
    """Exit code 255, which Docker gives to what ended while it was away, is a program's own where Docker saw it end."""
    running = await docker_executor.start(docker_bench.fit(calling("import os\n    os._exit(255)")))

    outcome = await docker_executor.wait(running)

    assert (S.FAILED, "USER_CODE") == (outcome.state, outcome.reason)
    assert "exit code 255" in (outcome.message or "")
