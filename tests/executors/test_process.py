"""The process executor when things die that should not."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest

from executors.base import Limits, Prepared, Workspace
from executors.exchange import Bench
from executors.process import ProcessExecutor, environ
from executors.testing import FORKING, LOGISTIC, MEBIBYTE, calling, is_gone, until, whole_log
from lineage.errors import ExecutionFailed
from lineage.runs import RunState
from lineage.settings import Settings

pytestmark = pytest.mark.anyio

S = RunState

SLOW = LOGISTIC.replace(
    "def build(params):", "import time\n\ndef build(params):\n    time.sleep(params.pop('wait', 0))"
)
CRASHING = LOGISTIC.replace("return", "{} if params.pop('crash', 0) else None\n    return")

WORKER = """
import json, sys, time
from pathlib import Path
import anyio
from executors.base import Prepared, Workspace
from executors.process import ProcessExecutor
from lineage.settings import Settings

async def work(root):
    prepared = Prepared(python=Path(sys.executable))
    workspace = Workspace(run_id="r", generation=1, attempt=1, root=root, prepared=prepared)
    await ProcessExecutor(Settings(home=root.parent)).start(workspace)
    print("started", flush=True)
    time.sleep(600)

anyio.run(work, Path(sys.argv[1]))
"""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Workspaces that speak to an exchange over a Unix socket."""
    with Bench(tmp_path, Prepared(python=Path(sys.executable)), unix=tmp_path / "api.sock") as bench:
        yield bench


@pytest.fixture
def executor(tmp_path: Path) -> ProcessExecutor:
    """The process executor, quick to lose its patience."""
    return ProcessExecutor(Settings(home=tmp_path / "home", cancel_grace=0.5))


def slot_pid(workspace: Workspace) -> int:
    """The process of the first slot."""
    return int(json.loads((workspace.root / "slots" / "0.json").read_text())["pid"])


async def trial_begun(workspace: Workspace) -> None:
    """Wait until the first slot is in the midst of a trial."""
    await until((workspace.root / "slots" / "0.trial.json").exists)


async def test_worker_dies(executor: ProcessExecutor, bench: Bench) -> None:
    """A worker is killed: its work goes on, another collects it, and no trial is told twice."""
    workspace = bench.tune(SLOW, [{"wait": 1}, {"C": 0.5}])
    async with await anyio.open_process([sys.executable, "-c", WORKER, str(workspace.root)]) as worker:
        assert worker.stdout is not None
        assert (await worker.stdout.receive()).startswith(b"started")
        worker.kill()

    running = await executor.adopt(workspace)

    assert running is not None
    assert S.SUCCEEDED == (await executor.wait(running)).state
    assert ["COMPLETE", "COMPLETE"] == [bench.exchange.told[number]["state"] for number in range(2)]


async def test_shepherd_dies(executor: ProcessExecutor, bench: Bench) -> None:
    """The shepherd is killed: its slots die with it, what got away is found, and the run is LOST."""
    workspace = bench.fit(FORKING)
    running = await executor.start(workspace)
    pid = slot_pid(workspace)
    await until(lambda: "child" in (workspace.root / "log").read_text())
    child = int((workspace.root / "log").read_text().split("child ")[1].split()[0])

    os.kill(running.identity["pid"], signal.SIGKILL)
    outcome = await executor.wait(running)

    assert (S.LOST, "LOST") == (outcome.state, outcome.reason)
    await until(lambda: is_gone(pid))
    assert is_gone(child)


async def test_shepherd_is_stuck(executor: ProcessExecutor, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shepherd that does not answer is ended by force, with all that it started."""
    monkeypatch.setattr("executors.process.FORCE_SECONDS", 0.5)
    workspace = bench.fit(calling("time.sleep(600)"))
    running = await executor.start(workspace)
    pid = slot_pid(workspace)
    os.kill(running.identity["pid"], signal.SIGSTOP)

    await executor.stop(running, grace=0.2)

    assert is_gone(running.identity["pid"])
    await until(lambda: is_gone(pid))  # the kernel takes its time after it was told
    assert S.CANCELED == (await executor.wait(running)).state


async def test_ended_from_outside(executor: ProcessExecutor, bench: Bench) -> None:
    """Work that a stranger ends is LOST, not canceled: nobody of ours asked for it."""
    running = await executor.start(bench.fit(calling("time.sleep(600)")))

    os.kill(running.identity["pid"], signal.SIGTERM)

    assert S.LOST == (await executor.wait(running)).state


@pytest.mark.parametrize(
    ("crash", "said"),
    [
        ("__import__('os')._exit(3)", "exit code 3"),
        ("__import__('os').abort()", "SIGABRT"),
        ("[b'x' * 10_000_000 for _ in range(10**6)]", "memory"),
    ],
)
async def test_trial_crashes(executor: ProcessExecutor, bench: Bench, crash: str, said: str) -> None:
    """A trial that ends its process has failed; the slot starts anew and does the others."""
    code = CRASHING.format(crash)
    limits = Limits(memory_bytes=500 * MEBIBYTE)
    workspace = bench.tune(code, [{"C": 1.0}, {"crash": 1}, {"C": 2.0}], limits=limits)

    outcome = await executor.wait(await executor.start(workspace))

    assert S.SUCCEEDED == outcome.state, outcome
    told = bench.exchange.told
    assert ["COMPLETE", "FAIL", "COMPLETE"] == [told[number]["state"] for number in range(3)]
    assert said in told[1]["error"]


async def test_a_trial_hangs(executor: ProcessExecutor, bench: Bench) -> None:
    """A trial that takes too long has failed for it, even when it ignores signals; its slot and the others go on."""
    hanging = "__import__('signal').signal(15, 1) and 0 or __import__('time').sleep(600)"
    trials: list[dict[str, Any]] = [{"crash": 1}, {"C": 1.0}, {"C": 2.0}, {"crash": 1}, {"C": 3.0}]
    workspace = bench.tune(CRASHING.format(hanging), trials, slots=2, trial_seconds=1.5)

    outcome = await executor.wait(await executor.start(workspace))

    assert S.SUCCEEDED == outcome.state, outcome
    told = bench.exchange.told
    assert ["FAIL", "COMPLETE", "COMPLETE", "FAIL", "COMPLETE"] == [told[number]["state"] for number in range(5)]
    assert {"TIMEOUT"} == {told[number]["reason"] for number in (0, 3)}
    assert "longer than the 1.5 s" in told[0]["error"]


async def test_waiting_is_not_counted(executor: ProcessExecutor, bench: Bench) -> None:
    """The clock of a trial stops while it waits for an API that does not answer."""
    workspace = bench.tune(SLOW, [{"wait": 1}], trial_seconds=5)
    running = await executor.start(workspace)
    await trial_begun(workspace)
    bench.exchange.refuse = 45

    assert S.SUCCEEDED == (await executor.wait(running)).state
    assert "COMPLETE" == bench.exchange.told[0]["state"]


async def test_slot_is_killed(executor: ProcessExecutor, bench: Bench) -> None:
    """A trial whose process somebody killed is done again: nothing says that it was at fault."""
    workspace = bench.tune(SLOW, [{"wait": 2}])
    running = await executor.start(workspace)
    await trial_begun(workspace)

    os.kill(slot_pid(workspace), signal.SIGKILL)

    assert S.SUCCEEDED == (await executor.wait(running)).state
    assert "COMPLETE" == bench.exchange.told[0]["state"]


async def test_code_that_cannot_start(executor: ProcessExecutor, bench: Bench) -> None:
    """Code that crashes before its first trial is given up after a few tries."""
    workspace = bench.tune("import os\nos._exit(7)", [{}])

    outcome = await executor.wait(await executor.start(workspace))

    assert (S.FAILED, "USER_CODE") == (outcome.state, outcome.reason), outcome
    assert {} == bench.exchange.told


async def test_process_limit(executor: ProcessExecutor, bench: Bench) -> None:
    """Code that starts more processes than it may is ended with all of them."""
    body = "import subprocess; [subprocess.Popen(['sleep', '600']) for _ in range(60)]; time.sleep(600)"
    workspace = bench.fit(calling(body), limits=Limits(processes=30, seconds=60))

    outcome = await executor.wait(await executor.start(workspace))

    assert (S.FAILED, "PROCESSES") == (outcome.state, outcome.reason), outcome
    left = [each.pid for each in psutil.process_iter(["environ"]) if _of(each, workspace)]
    assert [] == left


def _of(process: psutil.Process, workspace: Workspace) -> bool:
    return bool((process.info["environ"] or {}).get("RUN_WORKSPACE") == str(workspace.root))


async def test_children_do_not_outlive_the_work(executor: ProcessExecutor, bench: Bench) -> None:
    """What the code leaves running is ended with it, and does not hold up the end."""
    body = "import subprocess; print(subprocess.Popen(['sleep', '600'], start_new_session=True).pid); raise ValueError"
    workspace = bench.fit(calling(body))

    with anyio.fail_after(30):
        await executor.wait(await executor.start(workspace))

    assert is_gone(int((await whole_log(executor, workspace)).split()[0]))


async def test_no_interpreter(executor: ProcessExecutor, bench: Bench) -> None:
    """An environment whose interpreter is gone is said to be at fault."""
    bench.prepared = Prepared(python=Path("/no/such/python"))

    with pytest.raises(ExecutionFailed, match="no/such/python") as caught:
        await executor.start(bench.fit(LOGISTIC))

    assert "ENVIRONMENT" == caught.value.reason


@pytest.mark.parametrize(("is_allowed", "state"), [(True, S.SUCCEEDED), (False, S.FAILED)])
async def test_pickle(executor: ProcessExecutor, bench: Bench, is_allowed: bool, state: RunState) -> None:
    """A model is pickled only where its code asks for it and the job allows it."""
    workspace = bench.fit(f"FORMAT = 'pickle'\n{LOGISTIC}", allow_pickle=is_allowed)

    outcome = await executor.wait(await executor.start(workspace))

    assert state == outcome.state, outcome
    assert is_allowed == (workspace.root / "out" / "model.pkl").exists()


async def test_log_in_pieces(executor: ProcessExecutor, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A character is never cut in two, wherever a piece of the log ends."""
    monkeypatch.setattr("executors.folder.PIECE", 7)
    text = "aé€😀" * 20
    workspace = bench.fit(calling(f"print({text!r})"))

    await executor.wait(await executor.start(workspace))

    assert text in await whole_log(executor, workspace)


def test_environ(bench: Bench) -> None:
    """Of the worker's variables only known harmless ones pass; the cores are shared among the slots."""
    given = {"PATH": "/bin", "LC_ALL": "C", "HOME": "/root", "DATABASE_URL": "x", "LINEAGE_TOKEN": "x", "GH_PAT": "x"}
    workspace = bench.tune(LOGISTIC, [], slots=2)

    found = environ(workspace, given=given, seed=7, cores=8)

    assert {"DATABASE_URL", "LINEAGE_TOKEN", "GH_PAT"}.isdisjoint(found)
    assert ("C", str(workspace.root / "home"), "4") == (found["LC_ALL"], found["HOME"], found["OMP_NUM_THREADS"])
