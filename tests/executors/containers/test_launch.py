"""What a container is made of, as far as it can be said without one."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from executors.base import Limits, Prepared, Workspace
from executors.containers import launch
from executors.containers.journal import Position
from executors.containers.watch import Life, written
from executors.exchange import Bench
from lineage.errors import ExecutionFailed


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Workspaces whose environment is made up."""
    with Bench(tmp_path, Prepared(python=Path("/opt/environment/bin/python"), image="sha256:0")) as bench:
        yield bench


def a_workspace(bench: Bench, limits: Limits | None = None, *, network: bool = False) -> Workspace:
    """A workspace that was laid out for the socket /run/api.sock."""
    bench.url = "unix:/run/api.sock"
    workspace = bench.fit("", limits=limits, network=network)
    launch.lay_out(workspace)
    return workspace


def test_names_follow_from_the_workspace(bench: Bench) -> None:
    """The same workspace has the same names whoever asks, and no other has them."""
    one, other = a_workspace(bench), a_workspace(bench)

    assert launch.name(one, 0) == launch.name(one, 0)
    assert 3 == len({launch.name(one, 0), launch.name(one, 1), launch.name(other, 0)})


def test_the_data_directory_is_named_once(tmp_path: Path) -> None:
    """Its name stays, and another one has another."""
    assert launch.home_id(tmp_path / "a") == launch.home_id(tmp_path / "a")
    assert launch.home_id(tmp_path / "a") != launch.home_id(tmp_path / "b")


def test_nothing_of_the_worker_passes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables of the work are ours alone; what is mounted writable is the work's own."""
    monkeypatch.setenv("LINEAGE_TOKEN", "canary-1234")
    workspace = a_workspace(bench)

    writable = {each["Target"] for each in launch.mounts(workspace) if not each["ReadOnly"]}
    assert {"/work", "/work/out", "/work/slots"} == writable
    assert "canary-1234" not in str(launch.environ(workspace, 0))
    assert "LINEAGE_RUN_TOKEN" not in launch.environ(workspace, 0)


def test_limits(bench: Bench) -> None:
    """Resources become what the kernel holds the container to; there is no swap on top."""
    host = launch.host(a_workspace(bench, Limits(memory_bytes=2**30, cpus=1.5, processes=50, disk_bytes=2**20)))

    assert (2**30, 2**30, 50) == (host["mem_limit"], host["memswap_limit"], host["pids_limit"])
    assert (100_000, 150_000) == (host["cpu_period"], host["cpu_quota"])
    assert ("none", True, ["ALL"]) == (host["network_mode"], host["read_only"], host["cap_drop"])
    assert {"Name": "fsize", "Soft": 2**20, "Hard": 2**20} in host["ulimits"]


@pytest.mark.parametrize(("url", "network"), [("http://10.1.2.3:8000", False), ("http://127.0.0.1:8000", True)])
def test_an_api_that_cannot_be_reached(bench: Bench, url: str, network: bool) -> None:
    """An address that no container can reach is refused before anything is started, with what to do about it."""
    bench.url = url

    with pytest.raises(ExecutionFailed, match="run the worker on the API's machine"):
        launch.lay_out(bench.fit("", network=network))


def test_no_line_twice_and_none_lost() -> None:
    """Lines that were seen are left out, several of one instant too; a gap is told of."""
    position = Position()
    first = [b"1 a\n", b"2 b\n", b"2 c\n"]

    assert [(False, b"a\n"), (False, b"b\n"), (False, b"c\n")] == list(position.behind(first))
    assert [] == list(position.behind(first))
    assert [(False, b"d\n"), (False, b"e\n")] == list(position.behind([*first[1:], b"2 d\n", b"3 e\n"]))
    assert [(True, b"g\n")] == list(position.behind([b"5 g\n"]))


def test_an_end_that_nobody_saw(bench: Bench) -> None:
    """A container that ended while the daemon was away, or is gone, was ended from outside; its own code was not."""
    life = Life(a_workspace(bench), 0)

    assert "SIGKILL" == life.end({"ExitCode": 255, "OOMKilled": False}, is_unseen=True)["signal"]
    assert (255, None) == tuple(life.end({"ExitCode": 255, "OOMKilled": False})[name] for name in ("code", "signal"))
    assert "SIGKILL" == life.end(None)["signal"]
    assert (3, None) == tuple(life.end({"ExitCode": 3, "OOMKilled": False})[name] for name in ("code", "signal"))
    assert life.end({"ExitCode": 137, "OOMKilled": True})["oom"]


def test_what_is_written_counts(bench: Bench) -> None:
    """Content counts as it lies on disk, and every file counts, however small; links are not followed."""
    workspace = a_workspace(bench)
    before = written(workspace.root)
    (workspace.root / "out" / "big").write_bytes(b"x" * 100_000)
    (workspace.root / "scratch" / "link").symlink_to(sys.executable)

    assert 100_000 < written(workspace.root) - before < 110_000
