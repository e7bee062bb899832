"""What code in a container cannot do, and what it cannot do to the machine that it runs on."""

import json
import time
from functools import partial
from pathlib import Path

import pytest
from anyio.to_thread import run_sync

from executors.base import Limits
from executors.containers import launch
from executors.containers.engine import Engine
from executors.docker import DockerExecutor
from executors.exchange import Bench
from executors.testing import MEBIBYTE, calling, until, whole_log
from lineage.runs import RunState

pytestmark = [pytest.mark.anyio, pytest.mark.docker]
S = RunState

PROBE = """
import ctypes, json, os, socket

def attempt(call):
    try:
        return str(call())
    except OSError as error:
        return error.strerror or str(error)

def reach(address):
    with socket.create_connection(address, 2):
        return "reached"

def build(params):
    status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
    print(json.dumps({
        "root": attempt(lambda: open("/usr/planted", "w")),
        "code": attempt(lambda: open("code/model.py", "a")),
        "data": attempt(lambda: open("data/train.parquet", "a")),
        "job": attempt(lambda: open("job.json", "a")),
        "passwd": attempt(lambda: open("/etc/shadow")),
        "address": attempt(lambda: reach(("1.1.1.1", 53))),
        "loopback": attempt(lambda: reach(("127.0.0.1", 8000))),
        "links": sorted(os.listdir("/sys/class/net")),
        "uid": os.getuid(), "capabilities": status["CapEff"], "bounding": status["CapBnd"], "new": status["NoNewPrivs"],
        "mount": attempt(lambda: os.system("mount -t tmpfs none /work/tmp 2>/dev/null")),
        "scratch": attempt(lambda: open("mine", "w").write("x")),
        "docker": os.path.exists("/var/run/docker.sock"), "cwd": os.getcwd(),
    }), flush=True)
"""


async def test_what_is_refused(docker_executor: DockerExecutor, docker_bench: Bench) -> None:
    """The root file system, code, data and job are read-only, there is no network, no root and no capability."""
    workspace = docker_bench.fit(PROBE)

    await docker_executor.wait(await docker_executor.start(workspace))

    log = await whole_log(docker_executor, workspace)
    seen = json.loads(next(line for line in log.splitlines() if line.startswith("{")))
    refused = {seen[name] for name in ("root", "code", "data", "job")}
    assert {"Read-only file system"} == refused
    assert ("Permission denied", "Network is unreachable") == (seen["passwd"], seen["address"])
    assert ("Connection refused", ["lo"]) == (seen["loopback"], [each for each in seen["links"] if each == "lo"])
    assert ("0000000000000000", "0000000000000000", "1") == (seen["capabilities"], seen["bounding"], seen["new"])
    assert seen["uid"] != 0
    assert "0" != seen["mount"]
    assert ("1", False, "/work") == (seen["scratch"], seen["docker"], seen["cwd"])


async def test_a_run_may_have_the_network(docker_executor: DockerExecutor, docker_bench: Bench) -> None:
    """A run that says so is joined to the bridge; its protocol still goes through the socket."""
    code = calling("print('links', sorted(os.listdir('/sys/class/net')), flush=True); time.sleep(1)")
    workspace = docker_bench.fit(code, network=True)

    await docker_executor.wait(await docker_executor.start(workspace))

    assert "'eth0'" in await whole_log(docker_executor, workspace)
    assert docker_bench.exchange.beats


async def test_a_fork_bomb_is_held(docker_executor: DockerExecutor, docker_bench: Bench, engine: Engine) -> None:
    """It gets the processes that it may have and not one more, and ends with the run, whose last lines are kept."""
    code = """
import os, time

def build(params):
    count = 0
    while True:
        try:
            if os.fork() == 0:
                time.sleep(600)
            count += 1
        except BlockingIOError:
            print("forked", count, flush=True)
            time.sleep(600)
"""
    workspace = docker_bench.fit(code, limits=Limits(processes=40, seconds=6))

    outcome = await docker_executor.wait(await docker_executor.start(workspace))

    assert S.TIMED_OUT == outcome.state
    assert "forked " in outcome.log_tail
    said = (await whole_log(docker_executor, workspace)).split("forked ")[1]
    assert 20 < int(said.split()[0]) < 40
    left = await engine.ask(lambda client: client.containers.list(filters={"name": launch.name(workspace, 0)}))
    assert [] == left


async def test_a_million_lines(docker_executor: DockerExecutor, docker_bench: Bench) -> None:
    """A log of a million lines costs neither the daemon's disk nor the worker: its head and its tail are kept."""
    code = calling("[print('line', number) for number in range(1_000_000)]; print('the very last')")
    workspace = docker_bench.fit(code, limits=Limits(log_bytes=MEBIBYTE))

    began = time.monotonic()
    await docker_executor.wait(await docker_executor.start(workspace))

    assert time.monotonic() - began < 60
    log = await whole_log(docker_executor, workspace)
    assert log.startswith("line 0\nline 1\nline 2\n")
    assert "left out" in log
    assert "line 999999\nthe very last\n" in log[-1000:]
    assert len(log) < 1.1 * MEBIBYTE


@pytest.mark.parametrize("body", ["open('out/big', 'wb').write(b'x' * 60_000_000)", "fill()"])
async def test_the_disk_is_bounded(docker_executor: DockerExecutor, docker_bench: Bench, body: str) -> None:
    """Neither one large file nor many small ones may take more than the run may write."""
    fill = """
def fill():
    for number in range(10**9):
        with open(f"{os.environ['TMPDIR']}/{number}", "wb") as file:
            file.write(b"x" * 1_000_000)
"""
    workspace = docker_bench.fit(calling(body) + fill, limits=Limits(disk_bytes=20 * MEBIBYTE, seconds=60))

    outcome = await docker_executor.wait(await docker_executor.start(workspace))

    assert S.FAILED == outcome.state, outcome
    assert outcome.reason == "DISK" if "fill" in body else "File too large" in (outcome.message or "")


async def test_memory_that_kills_a_trial(docker_executor: DockerExecutor, docker_bench: Bench) -> None:
    """A trial that is killed for its memory has failed by that; the others go on in the same container."""
    code = """
from sklearn.linear_model import LogisticRegression

def build(params):
    if params["C"] == 13:
        held = [b"x" * 1_000_000 for _ in range(100_000)]
    return LogisticRegression(max_iter=500)
"""
    trials = [{"C": 1}, {"C": 13}, {"C": 2}]
    workspace = docker_bench.tune(code, trials, limits=Limits(memory_bytes=400 * MEBIBYTE, seconds=60))

    outcome = await docker_executor.wait(await docker_executor.start(workspace))

    assert S.SUCCEEDED == outcome.state, outcome
    told = docker_bench.exchange.told
    assert ["COMPLETE", "FAIL", "COMPLETE"] == [told[number]["state"] for number in range(3)]
    assert "out of memory" in told[1]["error"]


async def test_notes_cannot_lead_elsewhere(
    docker_executor: DockerExecutor, docker_bench: Bench, tmp_path: Path
) -> None:
    """Links and pipes in the place of what the worker reads are not followed, and do not hold it up."""
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps({"reason": "DONE", "message": "the secret"}))
    lead = f"os.symlink({str(secret)!r}, 'slots/0.verdict.json'); os.mkfifo('out/manifest.json'); os._exit(3)"
    workspace = docker_bench.fit(calling(lead))

    outcome = await docker_executor.wait(await docker_executor.start(workspace))

    assert (S.FAILED, "USER_CODE") == (outcome.state, outcome.reason)
    assert "exit code 3" in (outcome.message or "")


@pytest.mark.parametrize("verb", ["kill", "remove"])
async def test_ended_from_outside(
    docker_executor: DockerExecutor, docker_bench: Bench, engine: Engine, verb: str
) -> None:
    """A container that somebody else kills, or removes, is lost: nobody knows how it would have ended."""
    workspace = docker_bench.fit(calling("time.sleep(600)"))
    running = await docker_executor.start(workspace)
    await until(lambda: docker_bench.exchange.beats)
    container = await engine.ask(lambda client: client.containers.get(launch.name(workspace, 0)))

    await run_sync(container.kill if verb == "kill" else partial(container.remove, force=True))

    assert S.LOST == (await docker_executor.wait(running)).state


async def test_a_trial_that_hangs(docker_executor: DockerExecutor, docker_bench: Bench) -> None:
    """A trial that takes too long has failed for it, even when it ignores signals; its slot goes on."""
    code = """
import signal, time
from sklearn.dummy import DummyClassifier

def build(params):
    if params["hang"]:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)
    return DummyClassifier()
"""
    workspace = docker_bench.tune(code, [{"hang": 0}, {"hang": 1}, {"hang": 0}], trial_seconds=3)

    outcome = await docker_executor.wait(await docker_executor.start(workspace))

    assert S.SUCCEEDED == outcome.state, outcome
    told = docker_bench.exchange.told
    assert ["COMPLETE", "FAIL", "COMPLETE"] == [told[number]["state"] for number in range(3)]
    assert ("TIMEOUT", True) == (told[1]["reason"], "longer than the 3 s" in told[1]["error"])
