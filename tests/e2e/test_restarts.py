"""The Docker daemon ends in the midst of work, by force or in good order: a second one, which is the test's own."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from executors.base import Prepared
from lineage.artifacts import ArtifactKind
from lineage.client import Artifact, Run
from lineage.runs import RunState
from tests.e2e.worlds import TRIALS, World, running

pytestmark = [pytest.mark.e2e, pytest.mark.docker, pytest.mark.timeout(600)]

CODE = """
import time
from sklearn.linear_model import LogisticRegression


def build(params):
    time.sleep(0.8)
    return LogisticRegression(C=params["C"], max_iter=5000)


def slow(params):
    print("fitting", flush=True)
    time.sleep(params["seconds"])
    return LogisticRegression(max_iter=5000)
"""
ROW = {"mean_radius": 14.1, "mean_texture": 19.2, "mean_smoothness": 0.1, "mean_symmetry": 0.2}
ENDS = pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "restarted"])


class Daemon:
    """A dockerd over a containerd that outlives it, as Debian has them; neither shares a thing with the machine's.

    Above all no network: a second dockerd takes the bridge and the packet filter of the first for its own. So both are
    in a network namespace of their own; and in one of mounts, which are gone when all in it has ended.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._below: subprocess.Popen[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.host = f"unix://{root}/docker.sock"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        root = self._root
        if self._below is None:
            (root / "containerd.toml").write_text('version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
            places = {"config": "containerd.toml", "root": "images", "state": "state", "address": "containerd.sock"}
            self._below = self._spawn("unshare", "--net", "--mount", "containerd", places=places)
            until(lambda: (root / "containerd.sock").exists(), self._said)
        (root / "docker.pid").unlink(missing_ok=True)  # its own, of one that was killed
        places = {"data-root": "data", "exec-root": "exec", "pidfile": "docker.pid", "containerd": "containerd.sock"}
        enter = ["nsenter", "--net", "--mount", f"--target={self._below.pid}"]
        options = [f"--host={self.host}", "--bridge=none", "--iptables=false"]
        self._process = self._spawn(*enter, "dockerd", *options, places=places)
        until(self._answers, self._said)

    def _spawn(self, *command: str, places: dict[str, str]) -> subprocess.Popen[bytes]:
        options = [f"--{name}={self._root / place}" for name, place in places.items()]
        with (self._root / "log").open("ab") as log:
            return subprocess.Popen([*command, *options], stdout=log, stderr=log, start_new_session=True)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._said()
        command = ["docker", "-H", self.host, "version"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def _said(self) -> str:
        return (self._root / "log").read_text()[-2000:]

    def end(self, number: signal.Signals) -> None:
        """End it by a signal, and wait until it has ended."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(60)

    def close(self) -> None:
        """End it with all that runs on it, and what is below it."""
        for each in (self._process, self._below):
            if each is not None:
                each.terminate()
                each.wait(60)

    def restart(self, number: signal.Signals) -> None:
        """End it by a signal and start it again."""
        self.end(number)
        self.start()

    def ask(self, *words: str) -> str:
        """What it says to a command."""
        return subprocess.run(
            ["docker", "-H", self.host, *words], check=True, capture_output=True, text=True
        ).stdout.strip()

    def load(self, *images: str) -> subprocess.Popen[bytes]:
        """Take *images* over from the machine's daemon; what does so ends with 0 when it is done."""
        command = f"docker save {' '.join(images)} | docker -H {self.host} load -q"
        return subprocess.Popen(["sh", "-c", command], stdout=subprocess.DEVNULL)

    def containers(self, label: str) -> list[str]:
        """The containers with a label, running or not."""
        return self.ask("ps", "-aq", "--filter", f"label={label}").split()


def until(what: Callable[[], bool], said: Callable[[], str]) -> None:
    """Wait until *what* holds; raise AssertionError with what was *said* when it does not."""
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline, said()
        time.sleep(0.1)


def networks() -> tuple[str, str]:
    """What the machine's own daemon has of networks, and the address of its bridge."""
    command = ["docker", "network", "ls", "-q", "--no-trunc"]
    known = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    bridge = Path("/sys/class/net/docker0/address")
    return known, bridge.read_text() if bridge.exists() else ""


@contextmanager
def a_daemon() -> Iterator[Daemon]:
    """A daemon as long as the block lasts; what it has made is gone afterwards, and the machine's is as it was."""
    before = networks()
    root = Path(tempfile.mkdtemp(prefix="lineage-", dir="/var/tmp"))
    daemon = Daemon(root)
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.close()
        shutil.rmtree(root, ignore_errors=True)
        assert before == networks()


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A daemon of the test's own."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("dockerd", "containerd"))):
        pytest.skip("a second Docker daemon needs dockerd, containerd and root")
    with a_daemon() as daemon:
        yield daemon


@pytest.fixture(scope="module")
def world(
    daemon: Daemon, tmp_path_factory: pytest.TempPathFactory, base_image: str, tabular: Prepared
) -> Iterator[World]:
    """Everything running, its worker on that daemon, which has the image of the environment."""
    command = ["docker", "image", "inspect", "-f", '{{join .RepoTags " "}}', str(tabular.image)]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    with pytest.MonkeyPatch.context() as patch, daemon.load(*names) as loading:
        patch.setenv("DOCKER_HOST", daemon.host)
        with running(tmp_path_factory.mktemp("world"), CODE, base_image=base_image, slots="3") as world:
            assert 0 == loading.wait(300)
            yield world


def a_fit(world: World, name: str, seconds: float = 6.0) -> Run:
    """Start a fit that takes some *seconds*."""
    code = world.client.register_model_code("slow", world.code, "code.py:slow")
    given = {each: world.inputs[each] for each in ("training_set", "environment", "metrics")}
    values = {"seconds": seconds}
    return world.client.train(name, **given, model_code=code, executor="docker", hyperparameters=values)


def numbers(world: World, run: Run) -> dict[str, list[int]]:
    """The numbers of the trials of *run* by their state."""
    found: dict[str, list[int]] = {}
    for trial in world.client.trials(run):
        found.setdefault(trial.state, []).append(trial.number)
    return found


@ENDS
def test_a_daemon_that_starts_anew_is_a_retry(world: World, daemon: Daemon, number: signal.Signals) -> None:
    """A search keeps the trials that were finished and does the others; a fit is tried again; nothing is left."""
    search = world.tune(f"search-{number.name}", executor="docker")
    fit = a_fit(world, f"fit-{number.name}")
    world.wait_for(lambda: world.finished(search) >= 3 and "fitting" in world.log(fit))
    before = {trial.number: trial for trial in world.client.trials(search) if trial.state == "COMPLETE"}

    daemon.restart(number)
    done = [world.client.wait(each) for each in (search, fit)]

    after = numbers(world, search)
    assert [RunState.SUCCEEDED] * 2 == [each.state for each in done]
    assert TRIALS == len(after["COMPLETE"])
    assert {"COMPLETE"} | ({"LOST"} & set(after)) == set(after)
    assert [*range(sum(map(len, after.values())))] == sorted(each for kind in after.values() for each in kind)
    assert before == {each.number: each for each in world.client.trials(search) if each.number in before}
    assert [1, 1] == [sum(each.kind is ArtifactKind.MODEL for each in run.generated) for run in done]
    assert 2 == done[1].attempt
    assert [] == [each for run in done for each in daemon.containers(f"io.lineage.run={run.id}")]


def test_a_cancel_while_the_daemon_is_away(world: World, daemon: Daemon) -> None:
    """It is carried out when the daemon is back, and is not the failure of a daemon that does not answer."""
    run = a_fit(world, "canceled")
    world.wait_for(lambda: "fitting" in world.log(run))

    daemon.end(signal.SIGKILL)
    world.client.cancel_run(run)
    time.sleep(2.0)
    daemon.start()

    assert RunState.CANCELED is world.client.wait(run, check=False).state
    world.wait_for(lambda: daemon.containers(f"io.lineage.run={run.id}") == [])


@pytest.fixture(scope="module")
def model(world: World) -> Artifact:
    """A model to be put online."""
    return world.client.wait(a_fit(world, "model", 0.0)).made(ArtifactKind.MODEL)


def answer(world: World) -> Any:
    """The status of an answer of the model that is online."""
    url = f"{world.client.url}/deployments/online/invocations"
    return httpx.post(url, json={"dataframe_records": [ROW]}, timeout=60).status_code


def test_a_model_is_online_again(world: World, daemon: Daemon, model: Artifact) -> None:
    """What ended with the daemon is started anew, once, and answers."""
    world.client.wait(world.client.deploy("online", model, executor="docker"))
    home = (world.home / "home.id").read_text()
    (before,) = daemon.containers(f"io.lineage.home={home}")

    daemon.restart(signal.SIGKILL)

    world.wait_for(lambda: before not in daemon.containers(f"io.lineage.home={home}"))
    world.wait_for(lambda: answer(world) == 200)
    assert 1 == len(daemon.containers(f"io.lineage.home={home}"))
    world.client.undeploy("online")
    world.wait_for(lambda: daemon.containers(f"io.lineage.home={home}") == [])
